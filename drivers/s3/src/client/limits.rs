//! How long a request may stall, and how much of an answer is held (ADR 0023).

use http::Method;
use plugin_registry_drivers_objects::connections::Limits;

/// The most bytes of an answer that is not an object: a page of 1000 keys of 1 KiB, each byte escaped, has
/// less.
const MAX_ANSWER: u64 = 16 << 20;
/// The factor by which a store may take longer to begin its answer to a copy, or to making an object of its
/// parts.
const LONG: u32 = 10;

/// The limits of one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    pub(super) limits: Limits,
    /// Whether the store may work for minutes before it answers.
    pub(super) is_long: bool,
    /// Whether a successful answer is the bytes of an object, however many.
    pub(super) is_object: bool,
}

impl Allowance {
    pub(super) fn new<B>(request: &http::Request<B>, limits: Limits) -> Self {
        let query = request.uri().query().unwrap_or_default();
        let has = |name: &str| {
            let mut names = query.split('&').map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name));
            names.any(|found| found == name)
        };
        let is_copy = request.headers().contains_key("x-amz-copy-source");
        let is_completion = request.method() == Method::POST && has("uploadId");
        let is_long = is_copy || is_completion;
        let answer = if is_long { limits.answer * LONG } else { limits.answer };
        // The SDK names the operation in the query if nothing else identifies it.
        let is_object =
            request.method() == Method::GET && query.split('&').any(|pair| pair == "x-id=GetObject");
        Self { limits: Limits { answer, ..limits }, is_long, is_object }
    }

    /// The most bytes of the answer's body.
    pub(super) fn most(&self, is_success: bool) -> u64 {
        if self.is_object && is_success { u64::MAX } else { MAX_ANSWER }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_works_long_may_answer_late() {
        let second = Duration::from_secs(1);
        let limits = Limits { connect: second, idle: second, answer: second };
        for (method, uri, copies, factor, is_object) in [
            (Method::PUT, "/b/k?x-id=PutObject", false, 1, false),
            (Method::PUT, "/b/k?partNumber=1&uploadId=u&x-id=UploadPart", false, 1, false),
            (Method::PUT, "/b/k?x-id=CopyObject", true, LONG, false),
            (Method::POST, "/b/k?uploadId=u", false, LONG, false),
            (Method::POST, "/b/k?uploads", false, 1, false),
            (Method::POST, "/b/?delete", false, 1, false),
            (Method::GET, "/b/k?x-id=GetObject", false, 1, true),
            (Method::GET, "/b?list-type=2&prefix=x-id%3DGetObject", false, 1, false),
        ] {
            let mut request = http::Request::builder().method(&method).uri(uri);
            if copies {
                request = request.header("x-amz-copy-source", "b/other");
            }
            let allowance = Allowance::new(&request.body(()).unwrap(), limits);
            assert_eq!(allowance.limits.answer, second * factor, "{method} {uri}");
            assert_eq!(allowance.most(true) == u64::MAX, is_object, "{method} {uri}");
            assert_eq!(allowance.most(false), MAX_ANSWER, "{method} {uri}");
        }
    }
}
