//! Refusals before the operation is called.

use super::{
    checksum,
    front::{Asked, Front},
    options::Quirks,
    reply::Reply,
    text::{amz_date, unix},
};

/// The most seconds by which the server's clock may differ from a request's.
const MOST_SKEW: u64 = 15 * 60;

impl Front {
    /// Refusals that do not depend on the operation's answer.
    pub(super) fn refused(&self, asked: &Asked) -> Option<Reply> {
        if self.shared.denied.lock().unwrap().contains(asked.target.operation) {
            return Some(Reply::error(403, "AccessDenied", "Access Denied"));
        }
        let header = |name: &str| asked.parts.headers.get(name).and_then(|value| value.to_str().ok());
        if let Some(date) = header("x-amz-date").and_then(amz_date)
            && date.abs_diff(unix(self.shared.now())) > MOST_SKEW
        {
            let message = "The difference between the request time and the current time is too large.";
            return Some(Reply::error(403, "RequestTimeTooSkewed", message));
        }
        let coded = header("content-encoding").is_some_and(|coding| coding.contains("aws-chunked"))
            || header("x-amz-content-sha256").is_some_and(|hash| hash.starts_with("STREAMING-"));
        if coded && self.shared.quirks.lock().unwrap().trailers_refused {
            let message = "A header you provided implies functionality that is not implemented";
            return Some(Reply::error(501, "NotImplemented", message));
        }
        let quirks = self.shared.quirks.lock().unwrap().clone();
        if let Some(reply) = by_kind_of_store(asked, &quirks) {
            return Some(reply);
        }
        let is_batch = asked.target.operation == "DeleteObjects";
        if is_batch && self.shared.quirks.lock().unwrap().md5_required && header("content-md5").is_none() {
            let message = "Missing required header for this request: Content-Md5.";
            return Some(Reply::error(400, "MissingContentMD5", message));
        }
        is_batch.then(|| batch(asked)).flatten()
    }
}

/// Refusals of only some stores or some buckets.
fn by_kind_of_store(asked: &Asked, quirks: &Quirks) -> Option<Reply> {
    let headers = &asked.parts.headers;
    let operation = asked.target.operation;
    if quirks.no_batches && operation == "DeleteObjects" {
        let message = "A header or query you provided requested a function that is not implemented.";
        return Some(Reply::error(501, "NotImplemented", message));
    }
    let sum = |name: &&http::HeaderName| {
        let name = name.as_str();
        name.starts_with("x-amz-checksum-")
            || matches!(name, "x-amz-sdk-checksum-algorithm" | "x-amz-trailer")
    };
    let sums = headers.keys().find(sum);
    if quirks.checksums_refused
        && let Some(name) = sums
    {
        let message = format!("Unsupported header '{name}' received for this API call.");
        return Some(Reply::error(400, "InvalidArgument", &message));
    }
    let is_upload = matches!(operation, "PutObject" | "UploadPart");
    let is_checked = headers.contains_key("content-md5")
        || headers.keys().any(|name| name.as_str().starts_with("x-amz-checksum-") || name == "x-amz-trailer");
    if quirks.retention && is_upload && !is_checked {
        let message = "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock \
             parameters";
        return Some(Reply::error(400, "InvalidRequest", message));
    }
    let names_version = asked.parts.uri.query().unwrap_or_default().contains("versionId=");
    if quirks.retention && operation == "DeleteObject" && names_version {
        let message = "Access Denied because object protected by object lock.";
        return Some(Reply::error(403, "AccessDenied", message));
    }
    None
}

/// AWS requires a digest of the list of keys, in one way or another.
fn batch(asked: &Asked) -> Option<Reply> {
    let headers = &asked.parts.headers;
    let given = checksum::of_headers(headers);
    let md5 = headers.get("content-md5").and_then(|value| value.to_str().ok());
    if md5.is_none() && checksum::is_empty(&given) && !headers.contains_key("x-amz-trailer") {
        let message = "Missing required header for this request: Content-MD5";
        return Some(Reply::error(400, "InvalidRequest", message));
    }
    let error = checksum::check(given, md5, &asked.body).err()?;
    Some(Reply::error(400, error.code().as_str(), error.message().unwrap_or_default()))
}
