//! How the signature of a request covers its body.

use aws_runtime::auth::PayloadSigningOverride;
use aws_sdk_s3::{
    config::{ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeTransmitInterceptorContextMut},
    error::BoxError,
    primitives::{ByteStream, SdkBody},
};
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;

use super::S3Client;
use crate::content::Content;

/// Set once, also for a request that is sent again.
#[derive(Debug)]
pub(super) struct Signing(PayloadSigningOverride);

impl S3Client {
    /// The body of a request, and how to sign it. Over TLS it does not have to be hashed as well.
    pub(super) fn signed(&self, content: Content) -> (ByteStream, Signing) {
        let said = match self.is_secure {
            true => PayloadSigningOverride::UnsignedPayload,
            false => PayloadSigningOverride::Precomputed(content.sha256()),
        };
        (stream(content), Signing(said))
    }
}

/// The body of a request. It can be created again for another attempt.
fn stream(content: Content) -> ByteStream {
    if content.pieces().len() <= 1 {
        return ByteStream::new(SdkBody::from(content.to_bytes()));
    }
    ByteStream::new(SdkBody::retryable(move || SdkBody::from_body_1_x(content.clone().into_body())))
}

#[dyn_dispatch_hint]
impl Intercept for Signing {
    fn name(&self) -> &'static str {
        "plugin-registry signing"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        settings: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // With this signature, the encoding would be stored as content.
        let coding = context.request().headers().get("content-encoding");
        if coding.is_some_and(|coding| coding.contains("aws-chunked")) {
            return Err("the body is encoded, but the signature does not say so".into());
        }
        settings.interceptor_state().store_put(self.0.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::content::ContentBuilder;

    #[tokio::test]
    async fn a_body_can_be_had_again() {
        let (mut gathering, piece) = (ContentBuilder::default(), Bytes::from(vec![7; 70 << 10]));
        (0..2).for_each(|_| gathering.push(piece.clone()));
        let body = stream(gathering.take()).into_inner();
        assert_eq!(body.content_length(), Some(2 * piece.len() as u64));
        let again = body.try_clone().unwrap();
        for body in [body, again] {
            let read = ByteStream::new(body).collect().await.unwrap().into_bytes();
            assert_eq!(read, piece.repeat(2));
        }
    }
}
