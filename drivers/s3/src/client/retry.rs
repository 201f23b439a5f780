//! Errors that are worth another attempt, beyond those that the SDK retries.

use std::{sync::Arc, time::Duration};

use aws_smithy_runtime_api::client::{
    interceptors::context::InterceptorContext,
    retries::classifiers::{ClassifyRetry, RetryAction, RetryClassifierPriority},
};
use aws_smithy_types::retry::ErrorKind;

use super::credentials::CredentialsCache;

/// The longest that a store's `Retry-After` is obeyed.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(30);

/// Retries with other keys if the store no longer knows these: others may have come meanwhile. The next attempt
/// asks for them, and is signed again.
#[derive(Debug)]
pub(super) struct CredentialRotation(pub(super) Arc<CredentialsCache>);

impl ClassifyRetry for CredentialRotation {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let Some(answer) = context.response() else { return RetryAction::NoActionIndicated };
        let is_refused = match (answer.status().as_u16(), answer.body().bytes().and_then(code)) {
            (400 | 403, Some(code)) => matches!(
                code,
                "ExpiredToken"
                    | "InvalidToken"
                    | "TokenRefreshRequired"
                    | "InvalidAccessKeyId"
                    | "SignatureDoesNotMatch"
            ),
            // A HEAD has no body. S3 answers it with 400 for an expired token, and with 403 for an unknown key.
            (400, None) => true,
            (403, None) => return action(self.0.doubt()),
            _ => false,
        };
        action(is_refused && self.0.refuse())
    }

    fn name(&self) -> &'static str {
        "rotated credentials"
    }

    fn priority(&self) -> RetryClassifierPriority {
        last()
    }
}

/// Runs after the SDK's classifiers, whose verdict on `SlowDown` would have no delay.
fn last() -> RetryClassifierPriority {
    RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
}

fn action(is_repeated: bool) -> RetryAction {
    if is_repeated { RetryAction::transient_error() } else { RetryAction::NoActionIndicated }
}

/// Obeys `Retry-After` in seconds, from a store that asks for a slower pace.
#[derive(Debug)]
pub(super) struct RetryAfter;

impl ClassifyRetry for RetryAfter {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let answer = context.response().filter(|answer| matches!(answer.status().as_u16(), 429 | 503));
        let Some(answer) = answer else { return RetryAction::NoActionIndicated };
        match answer.headers().get("retry-after").and_then(|seconds| seconds.parse::<u64>().ok()) {
            Some(seconds) => {
                let wait = Duration::from_secs(seconds).min(MAX_WAIT);
                RetryAction::retryable_error_with_explicit_delay(ErrorKind::ThrottlingError, wait)
            }
            // The SDK retries this status only for some codes.
            None if answer.status().as_u16() == 429 => RetryAction::throttling_error(),
            None => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "retry-after"
    }

    fn priority(&self) -> RetryClassifierPriority {
        last()
    }
}

/// The code in an error document.
pub(super) fn code(document: &[u8]) -> Option<&str> {
    element(document, "Code")
}

/// The text of the first element with this name in an error document.
pub(crate) fn element<'a>(document: &'a [u8], name: &str) -> Option<&'a str> {
    let text = std::str::from_utf8(document).ok()?;
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(text, _)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_documents() {
        assert_eq!(code(b"<Error><Code>ExpiredToken</Code></Error>"), Some("ExpiredToken"));
        let document = b"<Error><Code>A</Code><Region>eu-west-1</Region></Error>";
        assert_eq!(element(document, "Region"), Some("eu-west-1"));
        for document in ["", "<Error/>", "<Code>", "</Code>"] {
            assert_eq!(code(document.as_bytes()), None);
        }
    }
}
