//! Clients that take their time, and the limit that is the caller's to set.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{
    Place,
    fixture::{
        IMAGE, assert_blob, assert_no_blob, assert_stands, begin, blobs_of_image, content, digest, finish,
        go_on, post_target, push_blob, soon, status,
    },
    wire::{Wire, head, whole},
};

const MIB: usize = 1 << 20;

/// Slower than the limit in all, never in one piece.
pub(crate) fn a_trickle_arrives_whole(place: &Place) {
    let server = place.serve(&["--body-timeout", "1"]);
    let (blob, patched) = (content(1, 1000), content(2, 1000));
    let session = begin(&server, "a");
    let mut post = Wire::open(&server);
    post.send(head("POST", &post_target("a", &blob), &["content-length: 1000"]));
    let mut patch = Wire::open(&server);
    patch.send(head("PATCH", &session, &["transfer-encoding: chunked"]));
    for at in (0..1000).step_by(100) {
        sleep(Duration::from_millis(350));
        post.send(&blob[at..at + 100]);
        patch.send([b"64\r\n", &patched[at..at + 100], b"\r\n"].concat());
    }
    let _ = post.answer().expect(201);
    let _ = patch.ask(b"0\r\n\r\n").expect(202);
    post.assert_usable();
    patch.assert_usable();
    assert_blob(&server, "a", &blob);
    go_on(&server, &session, "a", &patched);
}

/// Reads a 408 that comes when the limit of one second is over, and not before.
fn times_out(wire: Wire, since: Instant) {
    let mut wire = wire;
    let answer = wire.answer().expect(408);
    assert!(answer.closes(), "{answer:?}");
    assert!(since.elapsed() >= Duration::from_millis(900), "{:?}", since.elapsed());
    assert!(since.elapsed() < Duration::from_secs(15), "{:?}", since.elapsed());
    wire.assert_ended();
}

/// 408, and PATCH keeps what came: the upload stands there, and goes on.
pub(crate) fn a_body_that_stands_still_is_408(place: &Place) {
    let server = place.serve(&["--body-timeout", "1"]);
    let manifest = blobs_of_image(&server, "a");
    let (blob, put, post) = (content(1, 3000), content(2, 3000), content(3, 3000));
    let (first, second) = (begin(&server, "a"), begin(&server, "a"));
    let length = "content-length: 3000";
    let since = Instant::now();
    let waiting: Vec<Wire> = [
        (head("PATCH", &first, &[length]), &blob[..1234]),
        (head("PUT", &finish(&second, &put), &[length]), &put[..1234]),
        (head("POST", &post_target("a", &post), &[length]), &post[..2999]),
        (head("PUT", "/v2/a/manifests/slow", &[IMAGE, length]), &manifest[..100]),
    ]
    .into_iter()
    .map(|(head, body)| {
        let mut wire = Wire::open(&server);
        wire.send([&head, body].concat());
        wire
    })
    .collect();
    waiting.into_iter().for_each(|wire| times_out(wire, since));
    assert_stands(&server, &first, 1234);
    go_on(&server, &first, "a", &blob);
    assert_stands(&server, &second, 0);
    go_on(&server, &second, "a", &put);
    assert_no_blob(&server, "a", &post);
    let _ = Wire::open(&server).ask(head("GET", "/v2/a/manifests/slow", &[])).expect(404);
}

/// Also where the client was asked for it.
pub(crate) fn a_body_that_never_begins_is_408(place: &Place) {
    let server = place.serve(&["--body-timeout", "1"]);
    let blob = content(1, 3000);
    let session = begin(&server, "a");
    let mut plain = Wire::open(&server);
    let mut expecting = Wire::open(&server);
    let since = Instant::now();
    plain.send(head("PATCH", &session, &["content-length: 3000"]));
    let go = expecting.ask(head(
        "POST",
        &post_target("a", &blob),
        &["transfer-encoding: chunked", "expect: 100-continue"],
    ));
    assert_eq!(go.status, 100);
    times_out(plain, since);
    times_out(expecting, since);
    assert_stands(&server, &session, 0);
    go_on(&server, &session, "a", &blob);
}

/// The default is minutes, and zero is for ever.
pub(crate) fn a_body_may_take_its_time(place: &Place) {
    for arguments in [&[][..], &["--body-timeout", "0"]] {
        let server = place.serve(arguments);
        let blob = content(1, 3000);
        let mut wire = Wire::open(&server);
        wire.send(head("POST", &post_target("a", &blob), &["content-length: 3000"]));
        wire.send(&blob[..1000]);
        wire.assert_silent(Duration::from_secs(4));
        let _ = wire.ask(&blob[1000..]).expect(201);
        assert_blob(&server, "a", &blob);
    }
}

/// One that vanished says nothing, not even that it is gone. It holds its session only for the limit; meanwhile
/// the others are asked to come back, and learn how far it came.
pub(crate) fn a_vanished_client_frees_its_session(place: &Place) {
    let server = place.serve(&["--body-timeout", "5"]);
    let blob = content(1, 3000);
    let session = begin(&server, "a");
    let mut vanished = Wire::open(&server);
    vanished.send([&head("PATCH", &session, &["content-length: 3000"])[..], &blob[..1234]].concat());
    soon("what came is seen", || status(&server, &session) == 1234);
    let busy = Wire::open(&server).ask(whole("PATCH", &session, &[], &blob)).expect(429);
    assert_eq!(busy.header("retry-after"), "1");
    assert_stands(&server, &session, 1234);
    go_on(&server, &session, "a", &blob);
    drop(vanished);
}

/// A cancel does not wait for the limit.
pub(crate) fn a_cancel_ends_the_session_of_a_vanished_client(place: &Place) {
    let server = place.serve(&["--delete"]);
    let session = begin(&server, "a");
    let mut vanished = Wire::open(&server);
    vanished.send([&head("PATCH", &session, &["content-length: 3000"])[..], &[b'x'; 1234]].concat());
    soon("what came is seen", || status(&server, &session) == 1234);
    let _ = Wire::open(&server).ask(head("DELETE", &session, &[])).expect(204);
    let _ = vanished.answer().expect(404);
    let _ = Wire::open(&server).ask(head("GET", &session, &[])).expect(404);
}

/// One that vanished in the middle of a download holds neither the connection nor the file.
pub(crate) fn a_download_that_nobody_takes_ends(place: &Place) {
    let blob = content(1, 64 * MIB);
    let server = place.serve(&["--body-timeout", "1"]);
    push_blob(&server, "a", &blob);
    let quiet = server.descriptors();
    let get = head("GET", &format!("/v2/a/blobs/{}", digest(&blob)), &[]);
    let mut vanished: Vec<Wire> = (0..5).map(|_| Wire::open(&server)).collect();
    vanished.iter_mut().for_each(|wire| wire.send(&get));
    vanished.iter().for_each(Wire::wait);
    soon("their connections end", || server.descriptors() <= quiet);
    Wire::open(&server).assert_usable();
}

/// A machine that was switched off is noticed by the kernel: an accepted socket that is quiet waits to be asked
/// whether its peer is there.
pub(crate) fn quiet_sockets_are_kept_alive(place: &Place) {
    let server = place.serve(&[]);
    let mut wire = Wire::open(&server);
    wire.assert_usable();
    let port: u16 = server.url.rsplit(':').next().unwrap().parse().unwrap();
    // Local and remote address, state 01 for an established connection, queues, timer: 02 is that of keep-alive.
    let local = format!("0100007F:{port:04X}");
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let timers: Vec<&str> = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|fields| fields[1] == local && fields[3] == "01")
        .map(|fields| fields[5])
        .collect();
    assert!(timers.len() == 1 && timers[0].starts_with("02:"), "{timers:?}");
}

/// 100 MiB for a client that reads them slowly: the server waits with the reading, it does not hold what
/// cannot be sent.
pub(crate) fn a_slow_reader_costs_no_memory(place: &Place) {
    let blob = content(1, 100 * MIB);
    let mut server = place.serve(&[]);
    push_blob(&server, "a", &blob);
    if let Place::Directory(_) = place {
        // One that has not held anything yet, so that its peak is that of the reading.
        server = place.serve(&[]);
    }
    Wire::open(&server).assert_usable();
    let idle = server.memory("VmRSS");
    let mut wire = Wire::open(&server);
    wire.send(head("GET", &format!("/v2/a/blobs/{}", digest(&blob)), &[]));
    let answer = wire.answer_to_head().expect(200);
    assert_eq!(answer.header("content-length"), blob.len().to_string());
    // It does not read at all at first.
    sleep(Duration::from_secs(1));
    let (mut at, mut most) = (0, server.memory("VmRSS"));
    while at < blob.len() {
        let piece = wire.some(64 * 1024);
        assert!(!piece.is_empty() && blob[at..].starts_with(&piece), "other bytes at {at}");
        at += piece.len();
        if at < 10 * MIB {
            sleep(Duration::from_millis(10));
        }
        most = most.max(server.memory("VmRSS"));
    }
    wire.assert_usable();
    if let Place::Directory(_) = place {
        most = most.max(server.memory("VmHWM"));
    }
    let more = most.saturating_sub(idle);
    assert!(more <= 32 * 1024, "{more} KiB more than the {idle} KiB when idle");
}
