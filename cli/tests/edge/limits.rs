//! The limits of the head of a request.

use std::time::Duration;

use crate::{
    Place,
    common::server::Server,
    wire::{PING, Wire, head},
};

/// A head that is refused: the answer is read, the connection ends, and what follows is not read as a
/// request.
#[track_caller]
pub(crate) fn refused(server: &Server, status: u16, request: &[u8]) {
    let what = String::from_utf8_lossy(&request[..request.len().min(80)]).into_owned();
    let mut wire = Wire::open(server);
    wire.send([request, PING].concat());
    let answer = wire.answer();
    assert_eq!(answer.status, status, "{what:?}: {answer:?}");
    assert!(answer.closes(), "{what:?}: {answer:?}");
    wire.assert_ended();
    Wire::open(server).assert_usable();
}

/// A head that is read, on a connection that goes on.
#[track_caller]
pub(crate) fn taken(server: &Server, status: u16, request: &[u8]) {
    let what = String::from_utf8_lossy(&request[..request.len().min(80)]).into_owned();
    let mut wire = Wire::open(server);
    let answer = wire.ask(request);
    assert_eq!(answer.status, status, "{what:?}: {answer:?}");
    wire.assert_usable();
}

/// To the byte; in one header, and all at once or slowly.
pub(crate) fn heads_up_to_128_kib(place: &Place) {
    let server = place.serve(&[]);
    let sized = |size: usize| {
        let empty = head("GET", "/v2/", &["a: "]).len();
        head("GET", "/v2/", &[&format!("a: {}", "x".repeat(size - empty))])
    };
    taken(&server, 200, &sized(100 * 1024));
    taken(&server, 200, &sized(128 * 1024));
    refused(&server, 431, &sized(128 * 1024 + 1));
    refused(&server, 431, &sized(1 << 20));
    // One that never ends is refused when there is too much of it.
    let mut wire = Wire::open(&server);
    wire.send("GET /v2/ HTTP/1.1\r\nhost: localhost\r\n");
    let line = format!("a: {}\r\n", "x".repeat(8000));
    let sent = (0..1000).take_while(|_| wire.try_send(&line)).take(20).count();
    assert_eq!(sent, 20);
    let _ = wire.answer().expect(431);
    wire.assert_ended();
    // So are trailers, where the body's end was to be.
    let trailer = "x".repeat(128 * 1024);
    let request = [
        &head("PUT", "/v2/a/manifests/x", &["transfer-encoding: chunked"])[..],
        b"3\r\nabc\r\n0\r\na: ",
        trailer.as_bytes(),
        b"\r\n\r\n",
    ];
    refused(&server, 400, &request.concat());
}

/// With `Host`.
pub(crate) fn a_hundred_header_fields(place: &Place) {
    let server = place.serve(&[]);
    let many = |count: usize| {
        let lines: Vec<String> = (1..count).map(|n| format!("a{n}: b")).collect();
        head("GET", "/v2/", &lines.iter().map(String::as_str).collect::<Vec<_>>())
    };
    taken(&server, 200, &many(100));
    refused(&server, 431, &many(101));
    refused(&server, 431, &many(1000));
}

/// No NUL, no lone CR, no folded line, nothing between a name and its colon. Bytes above ASCII are not text,
/// but a value may contain them.
pub(crate) fn characters_that_a_head_may_not_have(place: &Place) {
    let server = place.serve(&[]);
    for request in [
        &b"GET /v2/\0 HTTP/1.1\r\nhost: localhost\r\n\r\n"[..],
        b"GET /v2/\r HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET /v2/\rx HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET /v2/\x7f HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET /v2/\t HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET  /v2/ HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET /v2/ x HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nhost: localhost\r\na: b\0c\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nhost: localhost\r\na: b\rc\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nhost: localhost\r\na: b\x1bc\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nhost: localhost\r\na: b\r\n c: d\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nhost: localhost\r\na : b\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nhost: localhost\r\na\0: b\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nhost: localhost\r\n\xc3\xa4: b\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nhost: localhost\r\n: b\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nhost: localhost\r\nno colon\r\n\r\n",
        b"G\0T /v2/ HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"G(T /v2/ HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"\xc3\xa4 /v2/ HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ] {
        refused(&server, 400, request);
    }
    taken(&server, 200, b"GET /v2/ HTTP/1.1\r\nhost: localhost\r\na: \xff\xfe\tb\r\n\r\n");
    // A lone LF may end a line (RFC 9112, section 2.2).
    taken(&server, 200, b"GET /v2/ HTTP/1.1\nhost: localhost\na: b\n\n");
    // A value that is not text is ignored in a header without a meaning here, and refused in one with a
    // meaning.
    taken(&server, 200, b"GET /v2/_catalog HTTP/1.1\r\nhost: localhost\r\naccept: \xff\r\n\r\n");
    let patch = "/v2/a/blobs/uploads/018f0000-0000-7000-8000-000000000000";
    taken(&server, 404, &head("PATCH", patch, &["content-range: \u{665}-\u{665}", "content-length: 0"]));
}

/// RFC 9112, section 3.2: exactly one in HTTP/1.1.
pub(crate) fn one_host(place: &Place) {
    let server = place.serve(&[]);
    refused(&server, 400, b"GET /v2/ HTTP/1.1\r\n\r\n");
    refused(&server, 400, b"GET /v2/ HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\n\r\n");
    refused(&server, 400, b"POST /v2/a/blobs/uploads/ HTTP/1.1\r\ncontent-length: 2000\r\n\r\n");
    refused(&server, 400, b"GET http://x/v2/ HTTP/1.1\r\n\r\n");
    refused(&server, 403, b"GET /v2/ HTTP/1.1\r\nHost:\r\n\r\n");
    let mut wire = Wire::open(&server);
    let _ = wire.ask("GET /v2/ HTTP/1.0\r\n\r\n").expect(200);
    wire.assert_ended();
    let mut wire = Wire::open(&server);
    let _ = wire.ask("GET /v2/ HTTP/1.0\r\nconnection: keep-alive\r\n\r\n").expect(200);
    wire.assert_usable();
}

/// Anything but HTTP/1.x gets 400, or an end without an answer where HTTP/2 begins.
pub(crate) fn odd_beginnings(place: &Place) {
    let server = place.serve(&[]);
    refused(&server, 400, b"GET /v2/\r\n");
    refused(&server, 400, b"GET /v2/ HTTP/1.2\r\nhost: localhost\r\n\r\n");
    refused(&server, 400, b"GET /v2/ HTTP/3.0\r\nhost: localhost\r\n\r\n");
    refused(&server, 400, b"GET /v2/ http/1.1\r\nhost: localhost\r\n\r\n");
    refused(&server, 400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
    let mut wire = Wire::open(&server);
    wire.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    wire.assert_ended();
    // Empty lines before a request are passed over (RFC 9112, section 2.2).
    taken(&server, 200, &[b"\r\n\r\n", PING].concat());
    // No upgrade is taken.
    let upgrade = head("GET", "/v2/", &["connection: upgrade", "upgrade: h2c, websocket"]);
    taken(&server, 200, &upgrade);
    // A client that connects and says nothing is waited for.
    let mut silent = Wire::open(&server);
    silent.assert_silent(Duration::from_millis(300));
    silent.assert_usable();
}
