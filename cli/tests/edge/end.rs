//! SIGTERM, and what it finds.

use std::{
    net::TcpStream,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::{
    Place,
    fixture::{content, digest, post_target, push_blob},
    wire::{PING, Wire, head},
};

/// Idle connections end at once, one with a request under way after its answer, and no new ones are taken.
pub(crate) fn idle_connections_end_with_the_server(place: &Place) {
    let mut server = place.serve(&[]);
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    let blob = content(1, 3000);
    let mut fresh = Wire::open(&server);
    let mut used = Wire::open(&server);
    used.assert_usable();
    let mut busy = Wire::open(&server);
    busy.send(head("POST", &post_target("a", &blob), &["content-length: 3000"]));
    busy.send(&blob[..1000]);
    fresh.assert_silent(Duration::from_millis(300));
    let begin = Instant::now();
    server.signal(Signal::TERM);
    used.assert_ended();
    fresh.assert_ended();
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert!(server.is_alive(), "a request is under way");
    assert!(TcpStream::connect(&address).is_err(), "a connection was taken");
    // The request behind it comes too late.
    busy.send([&blob[1000..], PING].concat());
    let answer = busy.answer().expect(201);
    assert!(answer.closes(), "{answer:?}");
    busy.assert_ended();
    assert_eq!(server.wait().0, Some(0));
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
}

/// Far more of it than buffers hold was to come.
pub(crate) fn a_download_is_finished_after_sigterm(place: &Place) {
    let mut server = place.serve(&[]);
    let blob = content(1, 48 << 20);
    push_blob(&server, "a", &blob);
    let mut wire = Wire::open(&server);
    wire.send(head("GET", &format!("/v2/a/blobs/{}", digest(&blob)), &[]));
    let _ = wire.answer_to_head().expect(200);
    server.signal(Signal::TERM);
    std::thread::sleep(Duration::from_millis(300));
    let mut received = Vec::new();
    while received.len() < blob.len() {
        let piece = wire.some(blob.len());
        assert!(!piece.is_empty(), "cut after {} bytes", received.len());
        received.extend_from_slice(&piece);
    }
    assert!(received == blob, "other bytes");
    wire.assert_ended();
    assert_eq!(server.wait().0, Some(0));
}

/// Ten seconds, and it is cut.
pub(crate) fn a_client_that_stands_still_does_not_hold_the_end(place: &Place) {
    let mut server = place.serve(&[]);
    let blob = content(1, 3000);
    let mut wire = Wire::open(&server);
    wire.send(head("POST", &post_target("a", &blob), &["content-length: 3000"]));
    wire.send(&blob[..1000]);
    wire.assert_silent(Duration::from_millis(300));
    let begin = Instant::now();
    server.signal(Signal::TERM);
    let (code, _, errors) = server.wait();
    assert_eq!(code, Some(0));
    assert!(errors.contains("took too long"), "{errors}");
    assert!(begin.elapsed() >= Duration::from_secs(9), "{:?}", begin.elapsed());
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}
