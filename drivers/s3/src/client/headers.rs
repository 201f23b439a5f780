//! Corrects headers that the SDK adds to a request.

use aws_sdk_s3::{
    config::{ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeTransmitInterceptorContextMut},
    error::BoxError,
};
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_types::base64;
use md5::{Digest, Md5};

/// Where the SDK puts a trace id that it found in the process environment.
const TRACE: &str = "x-amzn-trace-id";
/// The SDK sends the same text in both. The second is signed.
const AGENTS: [&str; 2] = ["user-agent", "x-amz-user-agent"];

/// Adds `useragent`, and removes what came from the process environment (ADR 0007).
#[derive(Debug)]
pub(super) struct Headers {
    /// Exactly as given: the SDK's name of an application may not contain a slash or a space.
    pub(super) agent: Option<String>,
}

#[dyn_dispatch_hint]
impl Intercept for Headers {
    fn name(&self) -> &'static str {
        "plugin-registry headers"
    }

    /// Runs after the SDK's own interceptors, which come first.
    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _settings: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.request_mut().headers_mut();
        headers.remove(TRACE);
        for name in AGENTS {
            let Some(said) = headers.get(name) else { continue };
            let words = said.split(' ').filter(|word| !word.starts_with("exec-env/"));
            let words: Vec<&str> = words.chain(self.agent.as_deref()).collect();
            headers.try_insert(name, words.join(" "))?;
        }
        Ok(())
    }
}

/// Replaces the SDK's checksum of a batch of deletes by `Content-MD5`, since many stores know no other digest
/// (minio issue 20849; AWS requires one of the two).
#[derive(Debug)]
pub(super) struct ContentMd5;

#[dyn_dispatch_hint]
impl Intercept for ContentMd5 {
    fn name(&self) -> &'static str {
        "plugin-registry content-md5"
    }

    /// Runs after the SDK's own interceptors, which come first.
    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _settings: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        let body = request.body().bytes().ok_or("a batch of deletes is a stream")?;
        let digest = base64::encode(Md5::digest(body));
        let headers = request.headers_mut();
        for name in ["x-amz-checksum-crc32", "x-amz-sdk-checksum-algorithm"] {
            headers.remove(name);
        }
        headers.try_insert("content-md5", digest)?;
        Ok(())
    }
}
