//! `Expect: 100-continue` (RFC 9110, section 10.1.1).

use std::time::Duration;

use crate::{
    Place,
    fixture::{
        IMAGE, assert_blob, assert_stands, begin, blobs_of_image, content, finish, post_target, push_blob,
    },
    unread::{DELETE, Refusals},
    wire::{LAST, PING, Wire, chunked, head, whole},
};

const EXPECT: &str = "expect: 100-continue";

/// The four requests whose body is wanted, with the body and the status of success.
fn wanted(server: &crate::common::server::Server) -> Vec<(&'static str, String, Vec<u8>, u16)> {
    let manifest = blobs_of_image(server, "ns/app");
    let (blob, patched, put) = (content(2, 70_000), content(3, 70_000), content(4, 70_000));
    let (first, second) = (begin(server, "ns/app"), begin(server, "ns/app"));
    vec![
        ("POST", post_target("ns/app", &blob), blob, 201),
        ("PATCH", first, patched, 202),
        ("PUT", finish(&second, &put), put, 201),
        ("PUT", "/v2/ns/app/manifests/latest".to_owned(), manifest, 201),
    ]
}

/// One `100 Continue`, before any byte of the body was sent; then the answer.
pub(crate) fn a_body_is_asked_for_when_it_is_wanted(place: &Place) {
    let server = place.serve(&[]);
    let mut wire = Wire::open(&server);
    for is_chunked in [false, true] {
        for (method, target, body, status) in wanted(&server) {
            let lines = &[EXPECT, IMAGE][..lines_of(&target)];
            let (head, body) = split(if is_chunked {
                chunked(method, &target, lines, &body, 5000, LAST)
            } else {
                whole(method, &target, lines, &body)
            });
            let go = wire.ask(head);
            assert_eq!((go.status, go.headers.len()), (100, 0), "{method} {target}: {go:?}");
            wire.assert_silent(Duration::from_millis(50));
            let _ = wire.ask(body).expect(status);
            wire.assert_usable();
        }
    }
    assert_blob(&server, "ns/app", &content(2, 70_000));
    assert_blob(&server, "ns/app", &content(4, 70_000));
}

/// Manifests have a type, chunks need none.
fn lines_of(target: &str) -> usize {
    if target.contains("/manifests/") { 2 } else { 1 }
}

/// A request's head and the rest.
fn split(request: Vec<u8>) -> (Vec<u8>, Vec<u8>) {
    let end = request.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    (request[..end].to_vec(), request[end..].to_vec())
}

/// The final answer is the first, and the connection ends: whether a body comes is not known.
pub(crate) fn a_body_is_not_asked_for_when_it_is_refused(place: &Place) {
    let refusals = Refusals::new(place);
    for (server, row) in refusals.each() {
        for length in ["content-length: 70000", "transfer-encoding: chunked"] {
            let mut wire = Wire::open(server);
            let lines = [&row.headers[..], &[length, EXPECT]].concat();
            let answer = wire.ask(head(row.method, &row.target, &lines));
            assert!(answer.closes(), "{answer:?}");
            let _ = answer.expect(row.status);
            wire.assert_ended();
        }
    }
    // Too large a manifest is one of them, by its length alone.
    let server = place.serve(&[]);
    let mut wire = Wire::open(&server);
    let put = head("PUT", "/v2/a/manifests/x", &[IMAGE, EXPECT, "content-length: 10000000000"]);
    assert!(wire.ask(put).expect(413).closes());
    wire.assert_ended();
}

/// A client need not wait.
pub(crate) fn a_body_sent_without_waiting(place: &Place) {
    let server = place.serve(&[]);
    let mut wire = Wire::open(&server);
    for (method, target, body, status) in wanted(&server) {
        let lines = [EXPECT, IMAGE];
        wire.send(whole(method, &target, &lines[..lines_of(&target)], &body));
        let _ = wire.final_answer().expect(status);
        wire.assert_usable();
    }
    assert_blob(&server, "ns/app", &content(2, 70_000));
}

pub(crate) fn a_refused_body_sent_without_waiting_is_never_a_request(place: &Place) {
    let refusals = Refusals::new(place);
    for (server, row) in refusals.each() {
        let lines = [&row.headers[..], &[EXPECT]].concat();
        for request in [
            whole(row.method, &row.target, &lines, DELETE),
            chunked(row.method, &row.target, &lines, DELETE, DELETE.len(), LAST),
        ] {
            let mut wire = Wire::open(server);
            wire.send([&request[..], PING].concat());
            assert!(wire.answer().expect(row.status).closes());
            wire.assert_ended();
        }
    }
    refusals.assert_untouched();
}

/// RFC 9110 lets a server answer 417; we ignore what we do not know, and ask for nothing.
pub(crate) fn other_expectations_are_ignored(place: &Place) {
    let server = place.serve(&[]);
    let mut wire = Wire::open(&server);
    for (seed, line) in [(10, "expect: 200-ok"), (11, "expect: 100-continue-please"), (12, "expect:")] {
        let blob = content(seed, 5000);
        let (head, body) = split(whole("POST", &post_target("a", &blob), &[line], &blob));
        wire.send(head);
        wire.assert_silent(Duration::from_millis(200));
        let _ = wire.ask(body).expect(201);
        assert_blob(&server, "a", &blob);
        wire.assert_usable();
    }
}

/// RFC 9110, section 10.1.1: an expectation in HTTP/1.0 is ignored, and no 100 is sent.
pub(crate) fn http_1_0_knows_no_expectation(place: &Place) {
    let server = place.serve(&[]);
    let blob = content(5, 5000);
    let mut wire = Wire::open(&server);
    let target = post_target("a", &blob);
    wire.send(format!("POST {target} HTTP/1.0\r\n{EXPECT}\r\ncontent-length: 5000\r\n\r\n"));
    wire.assert_silent(Duration::from_millis(200));
    let answer = wire.ask(&blob).expect(201);
    assert_eq!(answer.version, "HTTP/1.0");
    wire.assert_ended();
    assert_blob(&server, "a", &blob);
}

pub(crate) fn no_body_is_asked_for_where_there_is_none(place: &Place) {
    let server = place.serve(&[]);
    push_blob(&server, "a", b"x");
    let session = begin(&server, "a");
    let mut wire = Wire::open(&server);
    for (status, request) in [
        (200, head("GET", "/v2/", &[EXPECT])),
        (202, whole("POST", "/v2/a/blobs/uploads/", &[EXPECT], b"")),
        (202, whole("PATCH", &session, &[EXPECT], b"")),
        (400, whole("PUT", "/v2/a/manifests/x", &[EXPECT, IMAGE], b"")),
    ] {
        let _ = wire.ask(request).expect(status);
        wire.assert_usable();
    }
    assert_stands(&server, &session, 0);
}
