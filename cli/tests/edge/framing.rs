//! How a body is cut out of a connection: chunks and lengths (RFC 9112, sections 6 and 7).

use crate::{
    Place,
    fixture::{
        IMAGE, assert_blob, assert_no_blob, assert_stands, begin, blobs_of_image, content, finish, go_on,
        post_target, settled,
    },
    unread::DELETE,
    wire::{LAST, PING, Wire, chunked, head, whole},
};

/// Each byte in its own chunk, and the connection in pieces that do not fit the chunks.
pub(crate) fn chunks_of_one_byte(place: &Place) {
    let server = place.serve(&[]);
    let manifest = blobs_of_image(&server, "a");
    let blobs = [content(2, 700), content(3, 700), content(4, 700)];
    let (first, second) = (begin(&server, "a"), begin(&server, "a"));
    let mut wire = Wire::open(&server);
    for (status, request) in [
        (201, chunked("POST", &post_target("a", &blobs[0]), &[], &blobs[0], 1, LAST)),
        (202, chunked("PATCH", &first, &[], &blobs[1], 1, LAST)),
        (201, chunked("PUT", &finish(&second, &blobs[2]), &[], &blobs[2], 1, LAST)),
        (201, chunked("PUT", "/v2/a/manifests/latest", &[IMAGE], &manifest, 1, LAST)),
    ] {
        for piece in request.chunks(97) {
            wire.send(piece);
        }
        let _ = wire.answer().expect(status);
        wire.assert_usable();
    }
    assert_stands(&server, &first, 700);
    go_on(&server, &first, "a", &blobs[1]);
    assert_blob(&server, "a", &blobs[0]);
    assert_blob(&server, "a", &blobs[2]);
    let pulled = wire.ask(head("GET", "/v2/a/manifests/latest", &[])).expect(200);
    assert_eq!(pulled.body, manifest);
}

/// Neither is content; a trailer is not a header, either.
pub(crate) fn extensions_and_trailers(place: &Place) {
    let server = place.serve(&[]);
    let blob = content(2, 11);
    let session = begin(&server, "a");
    let mut wire = Wire::open(&server);
    for target in [post_target("a", &blob), session.clone()] {
        let method = if target == session { "PATCH" } else { "POST" };
        let mut request = head(method, &target, &["transfer-encoding: chunked", "trailer: content-length"]);
        request.extend_from_slice(b"5;a;b=c;d=\"e;f\"\r\n");
        request.extend_from_slice(&blob[..5]);
        request.extend_from_slice(b"\r\n00000006 ; x\r\n");
        request.extend_from_slice(&blob[5..]);
        request.extend_from_slice(b"\r\n000;last\r\ncontent-length: 5\r\ncontent-range: 7-9\r\nx: y\r\n\r\n");
        let answer = wire.ask(request);
        assert!(matches!(answer.status, 201 | 202), "{answer:?}");
        wire.assert_usable();
    }
    assert_blob(&server, "a", &blob);
    assert_stands(&server, &session, 11);
    go_on(&server, &session, "a", &blob);
}

/// The client sends no more, and its last chunk was not the last: 400, and only PATCH keeps what came.
pub(crate) fn a_missing_last_chunk(place: &Place) {
    let server = place.serve(&[]);
    let manifest = blobs_of_image(&server, "a");
    let blob = content(2, 3000);
    for end in [&b""[..], b"0\r\n", b"0\r\nx: y\r\n", b"5\r\n", b"5"] {
        let session = begin(&server, "a");
        let refused = |request: Vec<u8>| {
            let mut wire = Wire::open(&server);
            wire.send(request);
            wire.finish_sending();
            let answer = wire.answer().expect(400);
            assert!(answer.closes(), "{answer:?}");
            wire.assert_ended();
        };
        refused(chunked("PATCH", &session, &[], &blob[..1000], 100, end));
        assert_stands(&server, &session, 1000);
        refused(chunked("PUT", &finish(&session, &blob), &[], &blob[1000..], 100, end));
        assert_stands(&server, &session, 1000);
        refused(chunked("POST", &post_target("a", &blob), &[], &blob, 100, end));
        refused(chunked("PUT", "/v2/a/manifests/cut", &[IMAGE], &manifest, 100, end));
        assert_no_blob(&server, "a", &blob);
        let _ = Wire::open(&server).ask(head("GET", "/v2/a/manifests/cut", &[])).expect(404);
    }
    // The bytes of a chunk that is not whole came, too.
    let session = begin(&server, "a");
    let mut wire = Wire::open(&server);
    wire.send(head("PATCH", &session, &["transfer-encoding: chunked"]));
    wire.send([b"bb8\r\n", &blob[..1234]].concat());
    wire.finish_sending();
    let _ = wire.answer().expect(400);
    assert_stands(&server, &session, 1234);
    go_on(&server, &session, "a", &blob);
}

/// 400, the connection ends, and what follows is not read as a request.
pub(crate) fn broken_chunks(place: &Place) {
    let server = place.serve(&["--delete"]);
    let blob = content(2, 1000);
    let extension = [b"5;", &vec![b'x'; 20_000][..], b"\r\n"].concat();
    let trailers = [b"0\r\n", &b"x: y\r\n".repeat(1000)[..], b"\r\n"].concat();
    for broken in [
        &extension[..],
        &trailers,
        b"FFFFFFFFFFFFFFFFF\r\n",
        b"10000000000000000\r\n",
        b"-5\r\n",
        b"+5\r\n",
        b"0x5\r\n",
        b"g\r\n",
        b"\r\n",
        b"5\n",
        b"5\r",
        b" 5\r\n",
        b"5;\rx\r\n",
        b"0\r\nno colon\r\n\r\n",
        b"5\r\nabcdefgh\r\n",
    ] {
        let session = begin(&server, "a");
        let what = String::from_utf8_lossy(broken).into_owned();
        let mut wire = Wire::open(&server);
        let end = [broken, b"hello\r\n0\r\n\r\n", DELETE, PING].concat();
        wire.send(chunked("PATCH", &session, &[], &blob, 100, &end));
        let answer = wire.answer().expect(400);
        assert!(answer.closes(), "{what:?}: {answer:?}");
        wire.assert_ended();
        let at = settled(&server, &session);
        // The five bytes of a chunk that goes on too long are its bytes.
        assert_eq!(at, if what.starts_with("5\r\nabc") { 1005 } else { 1000 }, "{what:?}");
    }
}

/// A Content-Length must be one number. A body with both lengths is read by its chunks, and nothing after it
/// is read (RFC 9112, section 6.1).
pub(crate) fn lengths_that_contradict(place: &Place) {
    let server = place.serve(&[]);
    let target = post_target("a", b"hello");
    for (status, lines) in [
        (400, &["content-length: 5", "content-length: 6"][..]),
        (400, &["content-length: 6", "content-length: 5"]),
        (400, &["content-length: 5, 5"]),
        (400, &["content-length: 5, 6"]),
        (400, &["content-length: -5"]),
        (400, &["content-length: +5"]),
        (400, &["content-length: 5.0"]),
        (400, &["content-length: 0x5"]),
        (400, &["content-length: 5 5"]),
        (400, &["content-length: five"]),
        (400, &["content-length:"]),
        (400, &["content-length: 18446744073709551616"]),
        (431, &["content-length: 18446744073709551615"]),
        (400, &["content-length: 99999999999999999999999999999999"]),
    ] {
        let mut wire = Wire::open(&server);
        wire.send([&head("POST", &target, lines)[..], b"hello", PING].concat());
        let answer = wire.answer().expect(status);
        assert!(answer.closes(), "{lines:?}: {answer:?}");
        wire.assert_ended();
    }
    assert_no_blob(&server, "a", b"hello");

    // The same number twice is one number, and so is one with zeros before it.
    let mut wire = Wire::open(&server);
    for (content, lines) in
        [("hello", &["content-length: 5", "content-length: 5"][..]), ("world", &["content-length: 0005"])]
    {
        let request = head("POST", &post_target("a", content.as_bytes()), lines);
        let _ = wire.ask([&request[..], content.as_bytes()].concat()).expect(201);
        wire.assert_usable();
        assert_blob(&server, "a", content.as_bytes());
    }

    for (seed, lines) in [
        (7, ["content-length: 4", "transfer-encoding: chunked"]),
        (8, ["transfer-encoding: chunked", "content-length: 4"]),
        (9, ["content-length: 100000", "transfer-encoding: chunked"]),
    ] {
        let blob = content(seed, 100);
        let mut wire = Wire::open(&server);
        let head = head("POST", &post_target("a", &blob), &lines);
        let request = [&head[..], b"64\r\n", &blob, b"\r\n", LAST].concat();
        wire.send([&request[..], PING].concat());
        let answer = wire.answer().expect(201);
        assert!(answer.closes(), "{answer:?}");
        wire.assert_ended();
        assert_blob(&server, "a", &blob);
    }
}

/// Only `chunked` is understood, and only in HTTP/1.1: everything else would store other bytes than meant.
pub(crate) fn transfer_codings(place: &Place) {
    let server = place.serve(&[]);
    let blob = b"hello";
    let target = post_target("a", blob);
    let body = [b"5\r\nhello\r\n", LAST, PING].concat();
    for (status, lines) in [
        (501, &["transfer-encoding: gzip, chunked"][..]),
        (501, &["transfer-encoding: chunked, chunked"]),
        (501, &["transfer-encoding: chunked", "transfer-encoding: chunked"]),
        (501, &["transfer-encoding: identity", "transfer-encoding: chunked"]),
        (400, &["transfer-encoding: chunked, gzip"]),
        (400, &["transfer-encoding: identity"]),
        (400, &["transfer-encoding: xchunked"]),
        (400, &["transfer-encoding: \"chunked\""]),
        (400, &["transfer-encoding:"]),
    ] {
        let mut wire = Wire::open(&server);
        wire.send([head("POST", &target, lines), body.clone()].concat());
        let answer = wire.answer().expect(status);
        assert!(answer.closes(), "{lines:?}: {answer:?}");
        wire.assert_ended();
    }
    let mut wire = Wire::open(&server);
    wire.send(format!("POST {target} HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n").as_bytes());
    let _ = wire.answer().expect(400);
    wire.assert_ended();
    assert_no_blob(&server, "a", blob);

    let mut wire = Wire::open(&server);
    let request = [head("POST", &target, &["transfer-encoding: Chunked"]), body].concat();
    let _ = wire.ask(request).expect(201);
    let _ = wire.answer().expect(200);
    let _ = wire.ask(whole("POST", &target, &[], blob)).expect(201);
}
