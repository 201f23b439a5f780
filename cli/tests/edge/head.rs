//! HEAD: what GET says, without its body.

use crate::{
    Place,
    fixture::{begin, content, digest, push_image},
    wire::{Answer, Wire, head},
};

/// All headers but the time of the answer, in an order that does not matter.
fn headers(answer: &Answer) -> Vec<&(String, String)> {
    let mut headers: Vec<_> = answer.headers.iter().filter(|header| header.0 != "date").collect();
    headers.sort();
    headers
}

/// For every endpoint and every error: status and headers of GET, the length of GET's body, no byte of it.
/// The GET comes right behind on the same connection, where a body would be taken for its answer.
pub(crate) fn head_is_get_without_its_body(place: &Place) {
    let server = place.serve(&[]);
    let manifest = push_image(&server, "ns/app");
    let (blob, absent) = (digest(&content(1, 3000)), digest(b"absent"));
    let image = digest(&manifest);
    let session = begin(&server, "ns/app");
    let etag = format!("if-none-match: \"{image}\"");
    let mut wire = Wire::open(&server);
    for (status, target, header) in [
        (200, "/v2/".to_owned(), None),
        (200, "/v2".to_owned(), None),
        (200, "/v2/_catalog".to_owned(), None),
        (200, "/v2/ns/app/tags/list".to_owned(), None),
        (200, "/v2/ns/app/tags/list?n=1".to_owned(), None),
        (400, "/v2/ns/app/tags/list?n=x".to_owned(), None),
        (404, "/v2/absent/tags/list".to_owned(), None),
        (400, "/v2/UPPER/tags/list".to_owned(), None),
        (200, format!("/v2/ns/app/referrers/{image}"), None),
        (400, "/v2/ns/app/referrers/sha256:x".to_owned(), None),
        (200, "/v2/ns/app/manifests/latest".to_owned(), None),
        (200, format!("/v2/ns/app/manifests/{image}"), None),
        (304, "/v2/ns/app/manifests/latest".to_owned(), Some(&*etag)),
        (404, "/v2/ns/app/manifests/absent".to_owned(), None),
        (404, format!("/v2/ns/app/manifests/{absent}"), None),
        (400, "/v2/ns/app/manifests/.bad".to_owned(), None),
        (200, format!("/v2/ns/app/blobs/{blob}"), None),
        (304, format!("/v2/ns/app/blobs/{blob}"), Some("if-none-match: *")),
        (404, format!("/v2/ns/app/blobs/{absent}"), None),
        (400, "/v2/ns/app/blobs/sha256:x".to_owned(), None),
        (204, session.clone(), None),
        (404, format!("{session}?_state=forged"), None),
        (404, "/v2/ns/app/blobs/uploads/018f0000-0000-7000-8000-000000000000".to_owned(), None),
        (405, "/v2/ns/app/blobs/uploads/".to_owned(), None),
        (404, "/v2/nothing".to_owned(), None),
        (404, "/".to_owned(), None),
    ] {
        let lines: Vec<&str> = header.into_iter().collect();
        wire.send([head("HEAD", &target, &lines), head("GET", &target, &lines)].concat());
        let from_head = wire.answer_to_head();
        let from_get = wire.answer().expect(status);
        assert_eq!(from_head.status, status, "{target}");
        assert_eq!(headers(&from_head), headers(&from_get), "{target}");
        if matches!(status, 204 | 304) {
            assert_eq!(from_head.get("content-length"), None, "RFC 9110, section 8.6: {target}");
        } else {
            assert_eq!(from_head.header("content-length"), from_get.body.len().to_string(), "{target}");
        }
        wire.assert_usable();
    }
}

pub(crate) fn head_in_http_1_0(place: &Place) {
    let server = place.serve(&[]);
    let manifest = push_image(&server, "ns/app");
    for (target, length) in [("/v2/ns/app/manifests/latest", manifest.len()), ("/v2/", 3)] {
        let mut wire = Wire::open(&server);
        wire.send(format!("HEAD {target} HTTP/1.0\r\n\r\n"));
        let answer = wire.answer_to_head().expect(200);
        assert_eq!(answer.version, "HTTP/1.0");
        assert_eq!(answer.header("content-length"), length.to_string());
        wire.assert_ended();
    }
}
