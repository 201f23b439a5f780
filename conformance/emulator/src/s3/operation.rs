//! The operation of a request, by its first line and headers.

use http::{HeaderMap, Method, Uri};

use super::text::decode;

/// A request as the log and the faults know it.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) operation: &'static str,
    /// The key, or the prefix of a list.
    pub(super) key: String,
}

pub(super) fn target(method: &Method, uri: &Uri, headers: &HeaderMap) -> Target {
    let path = uri.path().strip_prefix('/').unwrap_or_default();
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let query = Parameters(uri.query().unwrap_or_default());
    let operation = if bucket.is_empty() {
        if method == Method::GET { "ListBuckets" } else { "Unknown" }
    } else if key.is_empty() {
        of_bucket(method, query)
    } else {
        of_object(method, query, headers)
    };
    let key = if key.is_empty() { query.get("prefix").unwrap_or_default() } else { decode(key, false) };
    Target { operation, key }
}

fn of_bucket(method: &Method, query: Parameters<'_>) -> &'static str {
    match method.as_str() {
        "GET" if query.has("location") => "GetBucketLocation",
        "GET" if query.has("uploads") => "ListMultipartUploads",
        "GET" if query.has("versioning") => "GetBucketVersioning",
        "GET" if query.has("versions") => "ListObjectVersions",
        "GET" if query.has("list-type") => "ListObjectsV2",
        "GET" => "ListObjects",
        "HEAD" => "HeadBucket",
        "POST" if query.has("delete") => "DeleteObjects",
        "PUT" => "CreateBucket",
        "DELETE" => "DeleteBucket",
        _ => "Unknown",
    }
}

fn of_object(method: &Method, query: Parameters<'_>, headers: &HeaderMap) -> &'static str {
    let copy = headers.contains_key("x-amz-copy-source");
    match method.as_str() {
        "GET" if query.has("uploadId") => "ListParts",
        "GET" if query.has("tagging") => "GetObjectTagging",
        "GET" if query.has("attributes") => "GetObjectAttributes",
        "GET" => "GetObject",
        "HEAD" => "HeadObject",
        "PUT" if query.has("uploadId") && copy => "UploadPartCopy",
        "PUT" if query.has("uploadId") => "UploadPart",
        "PUT" if query.has("tagging") => "PutObjectTagging",
        "PUT" if copy => "CopyObject",
        "PUT" => "PutObject",
        "POST" if query.has("uploads") => "CreateMultipartUpload",
        "POST" if query.has("uploadId") => "CompleteMultipartUpload",
        "DELETE" if query.has("uploadId") => "AbortMultipartUpload",
        "DELETE" if query.has("tagging") => "DeleteObjectTagging",
        "DELETE" => "DeleteObject",
        _ => "Unknown",
    }
}

#[derive(Clone, Copy)]
struct Parameters<'a>(&'a str);

impl Parameters<'_> {
    fn get(self, name: &str) -> Option<String> {
        let pairs = self.0.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.filter(|(key, _)| *key == name).map(|(_, value)| decode(value, true)).next()
    }

    fn has(self, name: &str) -> bool {
        self.get(name).is_some()
    }
}
