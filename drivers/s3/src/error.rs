//! Maps the errors of S3 to kinds of errors.

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use plugin_registry_core::{Error, ErrorKind, profiles::is_region, shown, shown_line};
use plugin_registry_drivers_objects::connections::{ResponseTooLarge, Stalled, hint as connection_hint};

use crate::client::{CredentialsFailure, element};

/// Kinds by the code in the answer's body.
const CODES: &[(&str, ErrorKind)] = &[
    ("NoSuchKey", ErrorKind::NotFound),
    ("NoSuchUpload", ErrorKind::NotFound),
    ("NoSuchVersion", ErrorKind::NotFound),
    ("NoSuchBucket", ErrorKind::InvalidConfig),
    ("InvalidBucketName", ErrorKind::InvalidConfig),
    ("SecondLevelDomainForbidden", ErrorKind::InvalidConfig),
    ("PathStyleDomainForbidden", ErrorKind::InvalidConfig),
    ("VirtualHostDomainRequired", ErrorKind::InvalidConfig),
    ("InvalidPathAccess", ErrorKind::InvalidConfig),
    ("PermanentRedirect", ErrorKind::InvalidConfig),
    ("AuthorizationHeaderMalformed", ErrorKind::InvalidConfig),
    ("IllegalLocationConstraintException", ErrorKind::InvalidConfig),
    ("InvalidRegionName", ErrorKind::InvalidConfig),
    ("TemporaryRedirect", ErrorKind::InvalidConfig),
    ("NotSignedUp", ErrorKind::PermissionDenied),
    ("InvalidStorageClass", ErrorKind::InvalidConfig),
    ("KMS.NotFoundException", ErrorKind::InvalidConfig),
    ("KMS.DisabledException", ErrorKind::InvalidConfig),
    ("PreconditionFailed", ErrorKind::AlreadyExists),
    ("ConditionalRequestConflict", ErrorKind::Conflict),
    ("OperationAborted", ErrorKind::Conflict),
    ("InvalidRange", ErrorKind::InvalidOffset),
    ("EntityTooLarge", ErrorKind::TooLarge),
    ("KeyTooLongError", ErrorKind::InvalidPath),
    ("AccessDenied", ErrorKind::PermissionDenied),
    ("AllAccessDisabled", ErrorKind::PermissionDenied),
    ("AccountProblem", ErrorKind::PermissionDenied),
    ("InvalidObjectState", ErrorKind::PermissionDenied),
    ("MethodNotAllowed", ErrorKind::PermissionDenied),
    ("ObjectLocked", ErrorKind::PermissionDenied),
    ("ObjectUnderRetention", ErrorKind::PermissionDenied),
    ("InvalidAccessKeyId", ErrorKind::Unauthenticated),
    ("SignatureDoesNotMatch", ErrorKind::Unauthenticated),
    ("ExpiredToken", ErrorKind::Unauthenticated),
    ("InvalidToken", ErrorKind::Unauthenticated),
    ("TokenRefreshRequired", ErrorKind::Unauthenticated),
    ("RequestTimeTooSkewed", ErrorKind::Unauthenticated),
    ("RequestExpired", ErrorKind::Unauthenticated),
    ("XMinioStorageFull", ErrorKind::NoSpace),
    ("QuotaExceeded", ErrorKind::NoSpace),
    ("SlowDown", ErrorKind::RateLimited),
    ("Throttling", ErrorKind::RateLimited),
    ("ThrottlingException", ErrorKind::RateLimited),
    ("RequestLimitExceeded", ErrorKind::RateLimited),
    ("RequestTimeout", ErrorKind::Timeout),
    ("BadDigest", ErrorKind::Unavailable),
    ("IncompleteBody", ErrorKind::Unavailable),
    ("XAmzContentChecksumMismatch", ErrorKind::Unavailable),
    ("XAmzContentSHA256Mismatch", ErrorKind::Unavailable),
    ("InternalError", ErrorKind::Unavailable),
    ("ServiceUnavailable", ErrorKind::Unavailable),
    ("NotImplemented", ErrorKind::Unsupported),
];

/// By status, for an answer without a known code: a HEAD has no body. Never `NotFound` unless that is the
/// store's answer: a 403 to a HEAD may hide a missing key from a caller who may not list.
const STATUSES: &[(u16, ErrorKind)] = &[
    (301, ErrorKind::InvalidConfig),
    (307, ErrorKind::InvalidConfig),
    (400, ErrorKind::Other),
    (401, ErrorKind::Unauthenticated),
    (403, ErrorKind::PermissionDenied),
    (404, ErrorKind::NotFound),
    (405, ErrorKind::PermissionDenied),
    (408, ErrorKind::Timeout),
    (409, ErrorKind::Conflict),
    (412, ErrorKind::AlreadyExists),
    (416, ErrorKind::InvalidOffset),
    (429, ErrorKind::RateLimited),
    (500, ErrorKind::Unavailable),
    (501, ErrorKind::Unsupported),
    (502, ErrorKind::Unavailable),
    (503, ErrorKind::RateLimited),
    (504, ErrorKind::Timeout),
    (507, ErrorKind::NoSpace),
];

/// Codes of a 400 that may be about a header that the store does not know.
const NOT_UNDERSTOOD: &[&str] = &["InvalidArgument", "InvalidRequest", "NotImplemented"];

/// The source of an error whose answer may be about a header that the store does not know.
#[derive(Debug)]
struct NotUnderstood;

impl std::fmt::Display for NotUnderstood {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the store may not know a part of the request")
    }
}

impl std::error::Error for NotUnderstood {}

/// Whether a store may not have understood a header: 501, or 400 with a code that says nothing else.
pub(crate) fn is_not_understood(error: &Error) -> bool {
    let is_vague = error.get_ref().is_some_and(|cause| cause.is::<NotUnderstood>());
    error.kind() == ErrorKind::Unsupported || is_vague
}

/// The facts about an answer that is an error.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer<'a> {
    pub(crate) status: Option<u16>,
    pub(crate) code: Option<&'a str>,
    pub(crate) message: Option<&'a str>,
    /// `x-amz-bucket-region`.
    pub(crate) region: Option<&'a str>,
    pub(crate) request_id: Option<&'a str>,
}

/// The kind of an answer.
pub(crate) fn kind(status: Option<u16>, code: Option<&str>) -> ErrorKind {
    let by_code = CODES.iter().find(|(known, _)| Some(*known) == code).map(|(_, kind)| *kind);
    let by_status = || STATUSES.iter().find(|(known, _)| Some(*known) == status).map(|(_, kind)| *kind);
    let by_class = || match status {
        // A success whose body cannot be read, or names an unknown error.
        Some(200..300 | 500..) => ErrorKind::Unavailable,
        _ => ErrorKind::Other,
    };
    by_code.or_else(by_status).unwrap_or_else(by_class)
}

/// Turns an answer into an error that says what to look at. It quotes no URL and no header: they may be signed.
pub(crate) fn of_answer(answer: &Answer<'_>) -> Error {
    let kind = kind(answer.status, answer.code);
    let mut text = match (answer.code, answer.status) {
        (Some(code), _) => shown(code),
        (None, Some(status)) => format!("status {status} without a code"),
        (None, None) => "no status".to_owned(),
    };
    if let Some(message) = answer.message.filter(|message| !message.is_empty()) {
        text.push_str(": ");
        text.push_str(&shown_line(message));
    }
    if let Some(hint) = hint(answer, kind) {
        text.push_str(" (");
        text.push_str(&hint);
        text.push(')');
    }
    if let Some(id) = answer.request_id {
        text.push_str(", request ");
        text.push_str(&shown(id));
    }
    let error = Error::new(kind).with_message(text);
    let is_vague = answer.code.is_none_or(|code| code.is_empty() || NOT_UNDERSTOOD.contains(&code));
    if answer.status == Some(400) && is_vague { error.with_source(NotUnderstood) } else { error }
}

/// Which setting or permission to look at.
fn hint(&Answer { status, code, message, region, .. }: &Answer<'_>, kind: ErrorKind) -> Option<String> {
    let text = match code {
        _ if kind == ErrorKind::PermissionDenied && is_retained(code, message) => {
            "the store retains this object (Object Lock): it can be deleted or replaced when its retention ends"
        }
        Some("NoSuchBucket") => "check `bucket` and `regionendpoint`",
        Some("InvalidBucketName") => {
            "check `bucket`; if the host of `regionendpoint` already includes the bucket, remove it there \
             and set `forcepathstyle` to false"
        }
        // Alibaba OSS, Tencent COS, Huawei OBS, Volcengine TOS.
        Some(
            "SecondLevelDomainForbidden"
            | "PathStyleDomainForbidden"
            | "VirtualHostDomainRequired"
            | "InvalidPathAccess",
        ) => {
            "the store wants the bucket in the host name: set `forcepathstyle` (Velero's `s3ForcePathStyle`) \
             to false"
        }
        Some("MethodNotAllowed") => {
            "the store does not accept this request here: check `regionendpoint`, `forcepathstyle` and \
             `bucket`, and whether the bucket's policy or retention forbids it"
        }
        Some(
            "PermanentRedirect"
            | "TemporaryRedirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException"
            | "InvalidRegionName",
        ) => {
            return Some(region.map_or_else(
                || "check `region` and `regionendpoint`".to_owned(),
                |region| format!("the bucket is in the region `{region}`: set `region` to it"),
            ));
        }
        Some("InvalidAccessKeyId") => "check `accesskey`",
        Some("SignatureDoesNotMatch") => "check `secretkey` and `region`",
        Some("ExpiredToken" | "InvalidToken" | "TokenRefreshRequired") => {
            "the session token is no longer valid"
        }
        Some("RequestTimeTooSkewed" | "RequestExpired") => "check this machine's clock",
        Some("InvalidObjectState") => "the object is archived: restore it first",
        Some("InvalidStorageClass") => "check `storageclass`",
        Some("KMS.NotFoundException" | "KMS.DisabledException") => "check `keyid`",
        None if kind == ErrorKind::InvalidConfig => {
            return region
                .map(|region| format!("the bucket is in the region `{region}`: set `region` to it"));
        }
        // A server of TLS says this to a request without it, and S3 to a HEAD, whose answer has no body.
        None if status == Some(400) => {
            "check `regionendpoint`, with https:// if the store uses TLS, `region` and the session token"
        }
        _ if kind == ErrorKind::PermissionDenied => {
            "the credentials need s3:ListBucket and s3:ListBucketMultipartUploads on the bucket, and s3:GetObject, \
             s3:PutObject, s3:DeleteObject, s3:ListMultipartUploadParts and s3:AbortMultipartUpload on its objects"
        }
        _ => return None,
    };
    Some(text.to_owned())
}

/// Whether a refusal speaks of retention: AWS has no code for it. This changes only the hint.
fn is_retained(code: Option<&str>, message: Option<&str>) -> bool {
    let message = message.unwrap_or_default().to_ascii_lowercase();
    matches!(code, Some("ObjectLocked" | "ObjectUnderRetention"))
        || message.contains("object lock")
        || message.contains("worm protected")
}

/// Maps any error of the SDK.
pub(crate) fn of_sdk<E>(error: &SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match error {
        SdkError::ServiceError(context) => {
            let (raw, said) = (context.raw(), context.err());
            let document = raw.body().bytes().unwrap_or_default();
            let region = raw.headers().get("x-amz-bucket-region").or_else(|| element(document, "Region"));
            of_answer(&Answer {
                status: Some(raw.status().as_u16()),
                code: said.code(),
                message: said.message(),
                region: region.filter(|region| is_region(region)),
                request_id: raw.headers().get("x-amz-request-id"),
            })
        }
        SdkError::TimeoutError(_) => Error::new(ErrorKind::Timeout),
        SdkError::DispatchFailure(failure) => {
            let kind = match failure.as_connector_error() {
                // Credentials are requested while a request is dispatched.
                _ if caused_by::<CredentialsError>(error) => of_credentials(error),
                Some(error) if error.is_timeout() => ErrorKind::Timeout,
                _ if caused_by::<Stalled>(error) => ErrorKind::Timeout,
                Some(error) if error.is_user() => ErrorKind::InvalidConfig,
                _ => ErrorKind::Unavailable,
            };
            let said = match cause::<CredentialsFailure>(error) {
                Some(failure) => shown_line(&failure.to_string()),
                None => with_hint(causes(error), error),
            };
            Error::new(kind).with_message(said)
        }
        SdkError::ResponseError(context) => {
            let kind = match context.raw().status().as_u16() {
                _ if caused_by::<Stalled>(error) => ErrorKind::Timeout,
                200..300 => ErrorKind::Unavailable,
                status => kind(Some(status), None),
            };
            let found = Error::new(kind).with_message(with_hint(causes(error), error));
            // It would happen again.
            if caused_by::<ResponseTooLarge>(error) { found.with_retryable(false) } else { found }
        }
        _ => Error::new(ErrorKind::Other).with_message(causes(error)),
    }
}

/// The kind and text of an error of a body that was on its way.
pub(crate) fn of_body(error: &(dyn std::error::Error + 'static)) -> (ErrorKind, String) {
    let kind = if caused_by::<Stalled>(error) { ErrorKind::Timeout } else { ErrorKind::Unavailable };
    (kind, causes(error))
}

fn with_hint(said: String, error: &(dyn std::error::Error + 'static)) -> String {
    match connection_hint(error) {
        Some(hint) => format!("{said} ({hint})"),
        None => said,
    }
}

/// A credentials provider may be down, or slow. Everything else is a refusal.
fn of_credentials(error: &(dyn std::error::Error + 'static)) -> ErrorKind {
    if let Some(wrong) = cause::<CredentialsFailure>(error) {
        return wrong.kind;
    }
    match (cause::<CredentialsError>(error), cause::<Error>(error).map(Error::kind)) {
        // From a source of the host.
        (_, Some(kind @ (ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::RateLimited))) => kind,
        (Some(CredentialsError::ProviderTimedOut(_)), _) => ErrorKind::Timeout,
        _ => ErrorKind::Unauthenticated,
    }
}

fn cause<'e, E: std::error::Error + 'static>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e E> {
    std::iter::successors(Some(error), |error| error.source()).find_map(|error| error.downcast_ref())
}

pub(crate) fn caused_by<E: std::error::Error + 'static>(error: &(dyn std::error::Error + 'static)) -> bool {
    cause::<E>(error).is_some()
}

/// The chain of causes in words. Transport errors name hosts and system errors, never headers or queries. The
/// SDK's `Debug` would, so it is not used.
pub(crate) fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    let words: Vec<String> = chain.map(ToString::to_string).collect();
    shown_line(&words.join(": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_kind() {
        for (code, expected) in CODES {
            // Whatever the status says.
            for status in [None, Some(400), Some(404), Some(500)] {
                assert_eq!(kind(status, Some(code)), *expected, "{code}");
            }
        }
    }

    #[test]
    fn every_status_has_its_kind() {
        for (status, expected) in STATUSES {
            assert_eq!(kind(Some(*status), None), *expected, "{status}");
            assert_eq!(kind(Some(*status), Some("Unheard")), *expected, "{status}");
        }
        assert_eq!(kind(Some(599), None), ErrorKind::Unavailable);
        assert_eq!(kind(Some(200), Some("Unheard")), ErrorKind::Unavailable);
        assert_eq!(kind(Some(418), None), ErrorKind::Other);
        assert_eq!(kind(None, None), ErrorKind::Other);
    }

    #[test]
    fn few_answers_may_be_about_a_header() {
        let is_vague = |status, code| {
            is_not_understood(&of_answer(&Answer { status: Some(status), code, ..Answer::default() }))
        };
        for (status, code) in [
            (501, None),
            (501, Some("NotImplemented")),
            (400, Some("NotImplemented")),
            (400, Some("InvalidArgument")),
            (400, Some("InvalidRequest")),
            (400, None),
        ] {
            assert!(is_vague(status, code), "{status} {code:?}");
        }
        for code in [
            "XAmzContentChecksumMismatch",
            "BadDigest",
            "InvalidDigest",
            "IncompleteBody",
            "MalformedXML",
            "Unheard",
        ] {
            assert!(!is_vague(400, Some(code)), "{code}");
        }
        assert!(!is_vague(403, Some("InvalidRequest")) && !is_vague(403, None) && !is_vague(500, None));
        assert!(!is_not_understood(&Error::new(ErrorKind::Other)));
    }

    #[test]
    fn only_a_404_is_not_found() {
        let codes = CODES.iter().filter(|(_, kind)| *kind == ErrorKind::NotFound).map(|(code, _)| *code);
        assert_eq!(codes.collect::<Vec<_>>(), ["NoSuchKey", "NoSuchUpload", "NoSuchVersion"]);
        let statuses = STATUSES.iter().filter(|(_, kind)| *kind == ErrorKind::NotFound);
        assert_eq!(statuses.map(|(status, _)| *status).collect::<Vec<_>>(), [404]);
    }

    #[test]
    fn messages_say_what_to_look_at() {
        let answer = Answer {
            status: Some(301),
            code: Some("PermanentRedirect"),
            message: Some("use the right endpoint"),
            region: Some("eu-west-1"),
            request_id: Some("17"),
        };
        assert_eq!(
            of_answer(&answer).to_string(),
            "invalid configuration: PermanentRedirect: use the right endpoint (the bucket is in the region \
             `eu-west-1`: set `region` to it), request 17"
        );
        for code in ["SecondLevelDomainForbidden", "PathStyleDomainForbidden", "InvalidPathAccess"] {
            let answer = Answer { status: Some(403), code: Some(code), ..Answer::default() };
            let error = of_answer(&answer);
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{code}");
            for part in ["`forcepathstyle`", "`s3ForcePathStyle`", "false"] {
                assert!(error.to_string().contains(part), "{error}");
            }
        }
        let answer = Answer { status: Some(405), code: Some("MethodNotAllowed"), ..Answer::default() };
        assert!(of_answer(&answer).to_string().contains("`regionendpoint`"), "{}", of_answer(&answer));
        assert!(["eu-west-1", "auto"].into_iter().all(is_region));
        assert!(!["", "a b", "x`y", &"r".repeat(64)].into_iter().any(is_region));
        let plain = Answer { status: Some(400), ..Answer::default() };
        assert!(of_answer(&plain).to_string().contains("https://"), "{}", of_answer(&plain));
        let head = Answer { status: Some(403), ..Answer::default() };
        assert!(of_answer(&head).to_string().contains("s3:ListBucket"), "{}", of_answer(&head));
        for (code, message) in [
            ("AccessDenied", "Access Denied because object protected by object lock."),
            ("ObjectLocked", "Object is WORM protected and cannot be overwritten"),
        ] {
            let retained =
                Answer { status: Some(403), code: Some(code), message: Some(message), ..Answer::default() };
            let text = of_answer(&retained).to_string();
            assert!(text.contains("retention ends") && !text.contains("s3:ListBucket"), "{text}");
        }
        let (steers, long) = ("\u{1b}]0;x\u{7}\u{202e}\n", "L".repeat(1 << 20));
        for text in [steers, long.as_str()] {
            let said =
                Answer { code: Some(text), message: Some(text), request_id: Some(text), ..Answer::default() };
            let text = of_answer(&said).to_string();
            assert!(text.len() < 1000 && !text.contains(['\u{1b}', '\u{7}', '\u{202e}', '\n']), "{text}");
        }
        let wrong = Answer { status: Some(403), code: Some("InvalidAccessKeyId"), ..Answer::default() };
        assert_eq!(
            of_answer(&wrong).to_string(),
            "not authenticated: InvalidAccessKeyId (check `accesskey`)"
        );
    }
}
