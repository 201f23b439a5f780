//! Bodies that are refused before they are read.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use crate::{
    Place,
    common::server::Server,
    fixture::{IMAGE, begin, digest, push_image},
    wire::{LAST, Wire, chunked, head, whole},
};

/// How much is drained so that the connection can be used again.
const DRAINED: usize = 1 << 20;

/// A request that is answered without a look at its body.
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) method: &'static str,
    pub(crate) target: String,
    pub(crate) headers: Vec<&'static str>,
}

/// The refusals of each endpoint before it reads, on a server that accepts changes and one that does not.
pub(crate) struct Refusals {
    writable: (Server, Vec<Refused>),
    read_only: (Server, Vec<Refused>),
}

impl Refusals {
    pub(crate) fn new(place: &Place) -> Self {
        let server = place.serve(&["--delete"]);
        push_image(&server, "ns/app");
        let session = begin(&server, "ns/app");
        let absent = digest(b"absent");
        let unknown = "/v2/ns/app/blobs/uploads/018f0000-0000-7000-8000-000000000000";
        let row = |status, method, target: &str, headers: &[&'static str]| Refused {
            status,
            method,
            target: target.to_owned(),
            headers: headers.to_vec(),
        };
        let rows = vec![
            row(404, "PATCH", unknown, &[]),
            row(404, "PUT", &format!("{unknown}?digest={absent}"), &[]),
            row(404, "PATCH", &format!("{session}?_state=forged"), &[]),
            row(400, "PATCH", &session, &["content-type: text/plain"]),
            row(416, "PATCH", &session, &["content-range: x"]),
            row(400, "PUT", &session, &[]),
            row(400, "PUT", &format!("{session}?digest=sha256:x"), &[]),
            row(400, "POST", "/v2/ns/app/blobs/uploads/?digest=sha256:x", &[]),
            row(400, "POST", "/v2/UPPER/blobs/uploads/", &[]),
            row(202, "POST", "/v2/ns/app/blobs/uploads/", &[]),
            row(400, "PUT", "/v2/UPPER/manifests/x", &[IMAGE]),
            row(400, "PUT", "/v2/ns/app/manifests/.bad", &[IMAGE]),
            row(404, "DELETE", &format!("/v2/ns/app/blobs/{absent}"), &[]),
            row(404, "DELETE", "/v2/ns/app/manifests/absent", &[]),
            row(405, "POST", "/v2/", &[]),
            row(405, "PUT", "/v2/ns/app/tags/list", &[]),
            row(405, "BREW", "/v2/_catalog", &[]),
            row(404, "PUT", "/v2/nothing", &[]),
            row(200, "GET", "/v2/ns/app/manifests/latest", &[]),
        ];
        let closed = vec![
            row(405, "PUT", "/v2/ns/app/manifests/x", &[IMAGE]),
            row(405, "POST", "/v2/ns/app/blobs/uploads/", &[]),
            row(405, "PATCH", unknown, &[]),
            row(405, "PUT", &format!("{unknown}?digest={absent}"), &[]),
        ];
        Self { writable: (server, rows), read_only: (place.serve(&["--read-only"]), closed) }
    }

    pub(crate) fn each(&self) -> impl Iterator<Item = (&Server, &Refused)> {
        [&self.writable, &self.read_only]
            .into_iter()
            .flat_map(|(server, rows)| rows.iter().map(move |row| (server, row)))
    }

    /// The image is still there: no DELETE was taken from a body.
    pub(crate) fn assert_untouched(&self) {
        let get = head("GET", "/v2/ns/app/manifests/latest", &[]);
        let _ = Wire::open(&self.writable.0).ask(get).expect(200);
    }
}

/// A body that is a request, and one that does harm.
pub(crate) const DELETE: &[u8] = b"DELETE /v2/ns/app/manifests/latest HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// The next request on the connection is answered, and nothing of the body was.
pub(crate) fn an_unread_body_is_never_a_request(place: &Place) {
    let refusals = Refusals::new(place);
    for (server, row) in refusals.each() {
        let mut wire = Wire::open(server);
        let body = DELETE.repeat(3);
        for request in [
            whole(row.method, &row.target, &row.headers, &body),
            chunked(row.method, &row.target, &row.headers, &body, 7, LAST),
            // In one chunk, the body's lines begin where those of a request would.
            chunked(row.method, &row.target, &row.headers, &body, body.len(), LAST),
        ] {
            let answer = wire.ask(request).expect(row.status);
            assert!(!answer.closes(), "{} {}: {answer:?}", row.method, row.target);
            wire.assert_usable();
        }
    }
    refusals.assert_untouched();
}

pub(crate) fn an_unread_body_of_1_mib_costs_nothing(place: &Place) {
    let refusals = Refusals::new(place);
    for (server, row) in refusals.each() {
        let mut wire = Wire::open(server);
        let body = vec![b'x'; DRAINED];
        for request in [
            whole(row.method, &row.target, &row.headers, &body),
            chunked(row.method, &row.target, &row.headers, &body, 64 * 1024, LAST),
        ] {
            let answer = wire.ask(request).expect(row.status);
            assert!(!answer.closes(), "{} {}: {answer:?}", row.method, row.target);
            wire.assert_usable();
        }
    }
}

/// A client that sends all of it before it reads still reads the answer, which says that it was the last.
pub(crate) fn a_larger_unread_body_ends_the_connection_after_the_answer(place: &Place) {
    let refusals = Refusals::new(place);
    let body = DELETE.repeat((3 << 20) / DELETE.len());
    for (server, row) in refusals.each() {
        for request in [
            whole(row.method, &row.target, &row.headers, &body),
            chunked(row.method, &row.target, &row.headers, &body, 64 * 1024, LAST),
        ] {
            let mut wire = Wire::open(server);
            wire.send(request);
            let answer = wire.answer().expect(row.status);
            assert!(answer.closes(), "{} {}: {answer:?}", row.method, row.target);
            wire.assert_ended();
        }
    }
    refusals.assert_untouched();
}

/// A body that was announced and does not come costs half a second, and then the connection.
pub(crate) fn an_unread_body_that_does_not_come(place: &Place) {
    let refusals = Refusals::new(place);
    let waiting: Vec<_> = refusals
        .each()
        .map(|(server, row)| {
            let mut wire = Wire::open(server);
            wire.send(head(row.method, &row.target, &[&row.headers[..], &["content-length: 100"]].concat()));
            (wire, row.status)
        })
        .collect();
    let begin = Instant::now();
    for (mut wire, status) in waiting {
        let answer = wire.answer().expect(status);
        assert!(answer.closes(), "{answer:?}");
        wire.assert_ended();
    }
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}

/// One byte more than 4 MiB is 413. Announced, it is refused before it is read; in chunks, when the byte
/// has come, and then the connection goes on.
pub(crate) fn manifests_over_4_mib(place: &Place) {
    let server = place.serve(&[]);
    let target = "/v2/ns/app/manifests/large";
    let body = vec![b' '; (4 << 20) + 1];
    let mut wire = Wire::open(&server);
    wire.send(whole("PUT", target, &[IMAGE], &body));
    assert!(wire.answer().expect(413).closes());
    wire.assert_ended();

    let mut wire = Wire::open(&server);
    let answer = wire.ask(chunked("PUT", target, &[IMAGE], &body, 64 * 1024, LAST)).expect(413);
    assert!(!answer.closes(), "{answer:?}");
    wire.assert_usable();

    // 4 MiB itself is read, and no JSON.
    let _ = wire.ask(whole("PUT", target, &[IMAGE], &body[1..])).expect(400);
    wire.assert_usable();
    let _ = wire.ask(head("GET", target, &[])).expect(404);
}

/// 10 GB are announced; the client sends until it sees the answer.
pub(crate) fn a_client_that_sends_until_it_is_answered(place: &Place) {
    let server = place.serve(&[]);
    let mut wire = Wire::open(&server);
    wire.send(head("PUT", "/v2/a/manifests/x", &[IMAGE, "content-length: 10000000000"]));
    let mut sender = wire.sender();
    let sending = std::thread::spawn(move || {
        let piece = vec![b'x'; 64 * 1024];
        (0..64).take_while(|_| sender.write_all(&piece).is_ok()).count()
    });
    let answer = wire.answer().expect(413);
    assert!(answer.closes(), "{answer:?}");
    let _ = sending.join().unwrap();
    Wire::open(&server).assert_usable();
}

/// It reads the 413 each time, whether it sends at once or takes longer than an idle connection may.
pub(crate) fn a_client_that_sends_10_mb_before_it_reads(place: &Place) {
    let server = place.serve(&[]);
    let target = "/v2/a/manifests/x";
    let body = vec![b' '; 10_000_000];
    for round in 0..20 {
        let request = match round % 2 {
            0 => whole("PUT", target, &[IMAGE], &body),
            _ => chunked("PUT", target, &[IMAGE], &body, 64 * 1024, LAST),
        };
        let mut wire = Wire::open(&server);
        assert!(wire.try_send(&request), "round {round}: the connection broke");
        assert!(wire.answer().expect(413).closes());
        wire.assert_ended();
    }
    let mut slow = Wire::open(&server);
    for piece in whole("PUT", target, &[IMAGE], &body).chunks(400_000) {
        assert!(slow.try_send(piece), "the connection broke");
        std::thread::sleep(Duration::from_millis(150));
    }
    assert!(slow.answer().expect(413).closes());
    slow.assert_ended();
}
