//! Finds the region of a bucket.

use std::time::Duration;

use aws_sdk_s3::{Client, config::Region, error::SdkError};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use plugin_registry_core::{Error, ErrorKind, Result, profiles::is_region, shown};

use crate::{S3Config, error};

/// Any region answers, even if it does not have the bucket or the caller may not see it.
const PROBE_REGION: &str = "us-east-1";
/// The limit for all attempts. Nothing else in opening waits for a server.
const LIMIT: Duration = Duration::from_secs(60);

/// Finds the region by one request without credentials.
pub(super) async fn find(config: &S3Config, connections: SharedHttpClient) -> Result<String> {
    let settings =
        super::common(config).http_client(connections).region(Region::new(PROBE_REGION)).allow_no_auth();
    let client = Client::from_conf(settings.build());
    let answer = tokio::time::timeout(LIMIT, client.head_bucket().bucket(&config.bucket).send()).await;
    let answer = answer.map_err(|_| {
        let bucket = shown(&config.bucket);
        let message = format!("the region of the bucket `{bucket}` was not found within 60 s: set `region`");
        Error::new(ErrorKind::Timeout).with_message(message)
    })?;
    let region = match &answer {
        Ok(found) => found.bucket_region().map(str::to_owned),
        Err(SdkError::ServiceError(context)) => {
            context.raw().headers().get("x-amz-bucket-region").map(str::to_owned)
        }
        Err(_) => None,
    };
    match (region, answer) {
        (Some(region), _) => checked(region, &config.bucket),
        (None, Ok(_)) => Ok(PROBE_REGION.to_owned()),
        (None, Err(failure)) => {
            let failure = error::of_sdk(&failure);
            let message = format!(
                "the region of the bucket `{}` could not be determined, set `region`: {failure}",
                shown(&config.bucket)
            );
            let kind =
                if failure.kind() == ErrorKind::NotFound { ErrorKind::InvalidConfig } else { failure.kind() };
            Err(Error::new(kind).with_message(message))
        }
    }
}

/// The region becomes part of host names, including that of the token service.
fn checked(region: String, bucket: &str) -> Result<String> {
    if is_region(&region) {
        return Ok(region);
    }
    let message =
        format!("the store does not tell the region of the bucket `{}`: set `region`", shown(bucket));
    Err(Error::new(ErrorKind::InvalidConfig).with_message(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_of_the_store_is_written_like_one() {
        assert_eq!(checked("eu-west-1".to_owned(), "b").unwrap(), "eu-west-1");
        for region in ["", "evil.example/", "a.b", "a_b"] {
            let error = checked(region.to_owned(), "b").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{region}");
        }
    }
}
