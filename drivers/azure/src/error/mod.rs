//! Maps the errors of Azure to kinds of errors.

use std::error::Error as StdError;

use azure_core::{Error as SdkError, error::ErrorKind as SdkErrorKind, http::RawResponse};
use plugin_registry_core::{Error, ErrorKind, shown, shown_line};
use plugin_registry_drivers_objects::connections::{ResponseTooLarge, Stalled, hint as connection_hint};

/// Kinds by the code of the answer.
const CODES: &[(&str, ErrorKind)] = &[
    ("BlobNotFound", ErrorKind::NotFound),
    ("PathNotFound", ErrorKind::NotFound),
    ("ResourceNotFound", ErrorKind::NotFound),
    ("ContainerNotFound", ErrorKind::InvalidConfig),
    ("ContainerBeingDeleted", ErrorKind::InvalidConfig),
    ("AccountRequiresHttps", ErrorKind::InvalidConfig),
    ("InvalidUri", ErrorKind::InvalidConfig),
    ("FeatureVersionMismatch", ErrorKind::InvalidConfig),
    ("InvalidResourceName", ErrorKind::InvalidPath),
    ("BlobAlreadyExists", ErrorKind::AlreadyExists),
    ("ConditionNotMet", ErrorKind::AlreadyExists),
    ("TargetConditionNotMet", ErrorKind::AlreadyExists),
    ("SourceConditionNotMet", ErrorKind::Conflict),
    ("InvalidBlockList", ErrorKind::Conflict),
    ("InvalidBlobOrBlock", ErrorKind::Conflict),
    ("InvalidBlobType", ErrorKind::Conflict),
    ("PendingCopyOperation", ErrorKind::Conflict),
    ("NoPendingCopyOperation", ErrorKind::Conflict),
    ("CopyIdMismatch", ErrorKind::Conflict),
    ("BlobOverwritten", ErrorKind::Conflict),
    ("InvalidRange", ErrorKind::InvalidOffset),
    ("RequestBodyTooLarge", ErrorKind::TooLarge),
    ("BlockListTooLong", ErrorKind::TooLarge),
    ("BlockCountExceedsLimit", ErrorKind::TooLarge),
    ("AuthenticationFailed", ErrorKind::Unauthenticated),
    ("InvalidAuthenticationInfo", ErrorKind::Unauthenticated),
    ("NoAuthenticationInformation", ErrorKind::Unauthenticated),
    ("PublicAccessNotPermitted", ErrorKind::Unauthenticated),
    ("AccountIsDisabled", ErrorKind::PermissionDenied),
    ("ContainerDisabled", ErrorKind::PermissionDenied),
    ("AuthorizationFailure", ErrorKind::PermissionDenied),
    ("AuthorizationPermissionMismatch", ErrorKind::PermissionDenied),
    ("AuthorizationProtocolMismatch", ErrorKind::PermissionDenied),
    ("AuthorizationResourceTypeMismatch", ErrorKind::PermissionDenied),
    ("AuthorizationServiceMismatch", ErrorKind::PermissionDenied),
    ("AuthorizationSourceIPMismatch", ErrorKind::PermissionDenied),
    ("InsufficientAccountPermissions", ErrorKind::PermissionDenied),
    ("KeyBasedAuthenticationNotPermitted", ErrorKind::PermissionDenied),
    ("BlobArchived", ErrorKind::PermissionDenied),
    ("BlobBeingRehydrated", ErrorKind::PermissionDenied),
    ("BlobImmutableDueToLegalHold", ErrorKind::PermissionDenied),
    ("BlobImmutableDueToPolicy", ErrorKind::PermissionDenied),
    ("LeaseIdMissing", ErrorKind::PermissionDenied),
    ("LeaseIdMismatchWithBlobOperation", ErrorKind::PermissionDenied),
    ("LeaseNotPresentWithBlobOperation", ErrorKind::PermissionDenied),
    ("SnapshotsPresent", ErrorKind::PermissionDenied),
    ("AccountBeingCreated", ErrorKind::Unavailable),
    ("InternalError", ErrorKind::Unavailable),
    ("Md5Mismatch", ErrorKind::Unavailable),
    ("Crc64Mismatch", ErrorKind::Unavailable),
    ("OperationTimedOut", ErrorKind::Timeout),
    ("ServerBusy", ErrorKind::RateLimited),
    ("UnsupportedHeader", ErrorKind::Unsupported),
    ("UnsupportedHttpVerb", ErrorKind::Unsupported),
];

/// By status, for an answer without a known code: some stores leave it out of an answer to HEAD, which has no
/// body. Never `NotFound` unless that is the store's answer.
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
    (413, ErrorKind::TooLarge),
    (416, ErrorKind::InvalidOffset),
    (429, ErrorKind::RateLimited),
    (500, ErrorKind::Unavailable),
    (501, ErrorKind::Unsupported),
    (502, ErrorKind::Unavailable),
    (503, ErrorKind::RateLimited),
    (504, ErrorKind::Timeout),
    (507, ErrorKind::NoSpace),
];

/// The source of an error, as the store named it.
#[derive(Debug)]
struct Code(String);

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The message begins with it, so it is not said twice.
        f.write_str(&shown(&self.0))
    }
}

impl StdError for Code {}

/// Whether this is the answer of a store that named this code.
pub(crate) fn has_code(error: &Error, code: &str) -> bool {
    let found = error.get_ref().and_then(|cause| cause.downcast_ref::<Code>());
    found.is_some_and(|found| found.0 == code)
}

/// Whether the error means that a condition of the request does not hold.
pub(crate) fn is_condition(error: &Error) -> bool {
    error.kind() == ErrorKind::AlreadyExists
}

/// The facts about an answer that is an error.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer<'a> {
    pub(crate) status: Option<u16>,
    pub(crate) code: Option<&'a str>,
    pub(crate) message: Option<&'a str>,
    /// Why the credentials were refused. It may quote what was signed, so it is never shown.
    pub(crate) detail: Option<&'a str>,
    pub(crate) request_id: Option<&'a str>,
}

/// The kind of an answer.
pub(crate) fn kind(status: Option<u16>, code: Option<&str>) -> ErrorKind {
    let by_code = CODES.iter().find(|(known, _)| Some(*known) == code).map(|(_, kind)| *kind);
    let by_status = || STATUSES.iter().find(|(known, _)| Some(*known) == status).map(|(_, kind)| *kind);
    let by_class = || match status {
        // A success that cannot be read.
        Some(200..300 | 500..) => ErrorKind::Unavailable,
        _ => ErrorKind::Other,
    };
    by_code.or_else(by_status).unwrap_or_else(by_class)
}

/// Turns an answer into an error that says what to look at. It quotes no URL and no header: they may be
/// signed.
pub(crate) fn of_answer(answer: &Answer<'_>) -> Error {
    let kind = kind(answer.status, answer.code);
    let mut text = match (answer.code, answer.status) {
        (Some(code), _) => shown(code),
        (None, Some(status)) => format!("status {status} without a code"),
        (None, None) => "no status".to_owned(),
    };
    // The lines after the first one name the request and the time.
    let message = answer.message.and_then(|message| message.lines().next()).filter(|line| !line.is_empty());
    if let Some(message) = message {
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
    match answer.code {
        Some(code) => error.with_source(Code(code.to_owned())),
        None => error,
    }
}

/// Which setting or permission to look at.
fn hint(answer: &Answer<'_>, kind: ErrorKind) -> Option<String> {
    let text = match answer.code {
        Some("ContainerNotFound") => "check `container` and `accountname`",
        Some("ContainerBeingDeleted") => "it can be created again when the store has deleted it",
        Some("AccountRequiresHttps" | "AuthorizationProtocolMismatch") => "use https in `serviceurl`",
        Some("AccountIsDisabled" | "ContainerDisabled") => "the account is disabled: check `accountname`",
        Some("AuthenticationFailed" | "InvalidAuthenticationInfo") => return Some(refusal(answer)),
        Some("NoAuthenticationInformation" | "PublicAccessNotPermitted") => "the credentials are missing",
        Some("KeyBasedAuthenticationNotPermitted") => {
            "the account allows no keys: use an identity, by `credentials.type`"
        }
        Some("AuthorizationFailure" | "AuthorizationSourceIPMismatch") => {
            "check the network rules of the account, and the permissions of the credentials"
        }
        Some("BlobArchived" | "BlobBeingRehydrated") => "the blob is archived: move it to another tier first",
        Some("BlobImmutableDueToLegalHold") => {
            "a legal hold retains this blob: it can be deleted or replaced when the hold is lifted"
        }
        Some("BlobImmutableDueToPolicy") => {
            "an immutability policy retains this blob: it can be deleted or replaced when its time is over"
        }
        Some("LeaseIdMissing" | "LeaseIdMismatchWithBlobOperation" | "LeaseNotPresentWithBlobOperation") => {
            "somebody holds a lease on this blob: it can be deleted or replaced when the lease is released"
        }
        Some("InvalidBlobOrBlock") => {
            "another program has blocks of this blob on their way: they vanish within a week"
        }
        Some("FeatureVersionMismatch") => "the store is too old for this driver",
        _ if kind == ErrorKind::PermissionDenied => {
            "the credentials need the role Storage Blob Data Contributor on the container, or a SAS token with \
             `r`, `c`, `w`, `d` and `l`"
        }
        _ => return None,
    };
    Some(text.to_owned())
}

/// Why the store does not know the caller.
fn refusal(answer: &Answer<'_>) -> String {
    let detail = answer.detail.unwrap_or_default();
    if let Some(times) = signature_times(detail) {
        return times;
    }
    if detail.contains("Request date header") || detail.contains("date header too old") {
        return "check this machine's clock".to_owned();
    }
    "check `accountkey` and `accountname`, or the SAS token or identity, and this machine's clock".to_owned()
}

/// What the store says of a SAS token that is not valid now: `Start [TIME] - Expiry [TIME] - Current [TIME]`.
fn signature_times(detail: &str) -> Option<String> {
    let time = |name: &str| {
        let (_, rest) = detail.split_once(&format!("{name} ["))?;
        rest.split_once(']').map(|(time, _)| shown_line(time)).filter(|time| !time.is_empty())
    };
    let (expiry, current) = (time("Expiry")?, time("Current")?);
    let start = time("Start").map(|start| format!("from {start} ")).unwrap_or_default();
    Some(format!(
        "the SAS token is valid {start}until {expiry}, and the store's time is {current}: it has expired, is not \
         valid yet, or a clock is wrong"
    ))
}

/// Maps any error of the SDK.
pub(crate) fn of_sdk(error: &SdkError) -> Error {
    match error.kind() {
        SdkErrorKind::HttpResponse { status, raw_response, .. } => {
            of_response(u16::from(*status), raw_response.as_deref())
        }
        SdkErrorKind::Credential => Error::new(of_credentials(error)).with_message(causes(error)),
        _ if caused_by::<Stalled>(error) => Error::new(ErrorKind::Timeout).with_message(causes(error)),
        // It would happen again.
        _ if caused_by::<ResponseTooLarge>(error) => {
            Error::new(ErrorKind::Unavailable).with_message(causes(error)).with_retryable(false)
        }
        SdkErrorKind::Connection | SdkErrorKind::Io | SdkErrorKind::DataConversion => {
            let said = causes(error);
            let said = match connection_hint(error) {
                Some(hint) => format!("{said} ({hint})"),
                None => said,
            };
            Error::new(ErrorKind::Unavailable).with_message(said)
        }
        _ => Error::new(ErrorKind::Other).with_message(causes(error)),
    }
}

/// An answer that is an error.
pub(crate) fn of_response(status: u16, answer: Option<&RawResponse>) -> Error {
    let document: &[u8] = answer.map(|answer| answer.body().as_ref()).unwrap_or_default();
    let header =
        |name: &'static str| answer.and_then(|answer| answer.headers().get_optional_str(&name.into()));
    of_answer(&Answer {
        status: Some(status),
        code: header("x-ms-error-code").or_else(|| element(document, "Code")),
        message: element(document, "Message"),
        detail: element(document, "AuthenticationErrorDetail"),
        request_id: header("x-ms-request-id"),
    })
}

/// The kind and text of an error of a body that was on its way.
pub(crate) fn of_body(error: &(dyn StdError + 'static)) -> (ErrorKind, String) {
    let kind = if caused_by::<Stalled>(error) { ErrorKind::Timeout } else { ErrorKind::Unavailable };
    (kind, causes(error))
}

/// A provider of tokens may be down, or slow. Everything else is a refusal.
fn of_credentials(error: &SdkError) -> ErrorKind {
    let chain = std::iter::successors(Some(error as &(dyn StdError + 'static)), |error| (*error).source());
    let mut kinds = chain.filter_map(|error| error.downcast_ref::<SdkError>()).map(SdkError::kind);
    match kinds.find(|kind| !matches!(kind, SdkErrorKind::Credential | SdkErrorKind::Other)) {
        _ if caused_by::<Stalled>(error) => ErrorKind::Timeout,
        Some(SdkErrorKind::Io | SdkErrorKind::Connection) => ErrorKind::Unavailable,
        Some(SdkErrorKind::HttpResponse { status, .. }) if u16::from(*status) >= 500 => {
            ErrorKind::Unavailable
        }
        _ => ErrorKind::Unauthenticated,
    }
}

fn cause<'e, E: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e E> {
    std::iter::successors(Some(error), |error| (*error).source()).find_map(|error| error.downcast_ref())
}

fn caused_by<E: StdError + 'static>(error: &(dyn StdError + 'static)) -> bool {
    cause::<E>(error).is_some()
}

/// The chain of causes in words. Transport errors name hosts and system errors, never headers or queries.
pub(crate) fn causes(error: &(dyn StdError + 'static)) -> String {
    let mut words: Vec<String> = Vec::new();
    for error in std::iter::successors(Some(error), |error| (*error).source()) {
        let word = error.to_string();
        // Many errors of the SDK say what their source says.
        if words.last().is_none_or(|last| !last.contains(&word)) {
            words.push(word);
        }
    }
    shown_line(&words.join(": "))
}

/// The text of the first element with this name in an error document.
fn element<'a>(document: &'a [u8], name: &str) -> Option<&'a str> {
    let text = std::str::from_utf8(document).ok()?;
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(text, _)| text)
}

#[cfg(test)]
mod tests;
