//! Clients that go away in the middle.

use crate::{
    Place,
    common::server::Server,
    fixture::{
        assert_blob, assert_no_blob, assert_stands, begin, blobs_of_image, content, digest, finish, go_on,
        post_target, push_blob, settled, soon,
    },
    wire::{PING, Wire, chunked, head, whole},
};

const SIZE: usize = 600_000;
/// Where a body of [`SIZE`] bytes breaks off: at nothing, inside and at the borders of chunks and buffers.
const CUTS: [usize; 7] = [0, 2, 1000, 65_536, 262_144, 262_145, SIZE - 1];

/// A request whose body breaks off after `sent` bytes, with its length or in chunks.
fn cut(method: &str, target: &str, body: &[u8], sent: usize, is_chunked: bool) -> Vec<u8> {
    if is_chunked {
        // The chunk in which it breaks off was announced whole.
        let mut request = chunked(method, target, &[], &body[..sent - sent % 1000], 1000, b"");
        if !sent.is_multiple_of(1000) {
            request.extend_from_slice(b"3e8\r\n");
            request.extend_from_slice(&body[sent - sent % 1000..sent]);
        }
        return request;
    }
    let length = format!("content-length: {}", body.len());
    [&head(method, target, &[&length])[..], &body[..sent]].concat()
}

/// Sends a part of a request and goes away; gives the server the time to notice. `quiet` is how many
/// descriptors it has without connections.
fn break_off(server: &Server, quiet: usize, request: &[u8]) {
    soon("earlier connections end", || server.descriptors() <= quiet);
    let mut wire = Wire::open(server);
    wire.send(request);
    soon("the connection is taken", || server.descriptors() > quiet);
    drop(wire);
    soon("a broken connection ends, and all of its files", || server.descriptors() <= quiet);
}

/// The upload has exactly the bytes that came; going on there gives the blob.
pub(crate) fn a_patch_that_ends_early_keeps_what_came(place: &Place) {
    let server = place.serve(&[]);
    let quiet = server.descriptors();
    for (round, is_chunked) in [(100, false), (200, true)] {
        for sent in CUTS {
            // Another one each time: the blob of an earlier round must not help.
            let blob = content(round + sent as u64, SIZE);
            let session = begin(&server, "a");
            break_off(&server, quiet, &cut("PATCH", &session, &blob, sent, is_chunked));
            assert_stands(&server, &session, sent);
            go_on(&server, &session, "a", &blob);
        }
    }
}

/// A PUT acknowledges nothing before its end: the upload stands where the PATCH before it left it, and the
/// same PUT gives the blob.
pub(crate) fn a_put_that_ends_early_keeps_what_was_acknowledged(place: &Place) {
    let server = place.serve(&[]);
    let quiet = server.descriptors();
    let rounds = [(0, false), (0, true), (1000, false), (1000, true)];
    for (round, (acknowledged, is_chunked)) in (1_000_000..).step_by(1_000_000).zip(rounds) {
        for sent in CUTS {
            let blob = content(round + sent as u64, SIZE);
            let session = begin(&server, "a");
            if acknowledged > 0 {
                let patch = whole("PATCH", &session, &[], &blob[..acknowledged]);
                let _ = Wire::open(&server).ask(patch).expect(202);
            }
            let (target, rest) = (finish(&session, &blob), &blob[acknowledged..]);
            let sent = sent.min(rest.len() - 1);
            break_off(&server, quiet, &cut("PUT", &target, rest, sent, is_chunked));
            assert_stands(&server, &session, acknowledged);
            assert_no_blob(&server, "a", &blob);
            let _ = Wire::open(&server).ask(whole("PUT", &target, &[], rest)).expect(201);
            assert_blob(&server, "a", &blob);
        }
    }
}

pub(crate) fn nothing_is_stored_of_what_ends_early(place: &Place) {
    let server = place.serve(&[]);
    let quiet = server.descriptors();
    let manifest = blobs_of_image(&server, "a");
    let blob = content(3, SIZE);
    for is_chunked in [false, true] {
        for sent in CUTS {
            let post = cut("POST", &post_target("a", &blob), &blob, sent, is_chunked);
            break_off(&server, quiet, &post);
            assert_no_blob(&server, "a", &blob);
        }
        for sent in [0, 1, manifest.len() / 2, manifest.len() - 1] {
            let target = "/v2/a/manifests/cut";
            break_off(&server, quiet, &cut("PUT", target, &manifest, sent, is_chunked));
            let _ = Wire::open(&server).ask(head("GET", target, &[])).expect(404);
        }
    }
    // Nothing of it prevents a push of the whole.
    push_blob(&server, "a", &blob);
    assert_blob(&server, "a", &blob);
}

/// A reset, not an end: an answer lies unread when the client closes. Bytes may be lost on the way, but what
/// the status says is what the upload has.
pub(crate) fn a_patch_that_is_reset(place: &Place) {
    let server = place.serve(&[]);
    let quiet = server.descriptors();
    for sent in CUTS {
        let blob = content(4 + sent as u64, SIZE);
        let session = begin(&server, "a");
        soon("earlier connections end", || server.descriptors() <= quiet);
        let mut wire = Wire::open(&server);
        wire.send([PING, &cut("PATCH", &session, &blob, sent, false)].concat());
        wire.wait();
        drop(wire);
        soon("a reset connection ends", || server.descriptors() <= quiet);
        let at = settled(&server, &session);
        assert!(at <= sent, "{at} of {sent}");
        assert_stands(&server, &session, at);
        go_on(&server, &session, "a", &blob);
    }
}

/// No descriptor is left, and no memory to speak of.
fn leaves_nothing(server: &Server, quiet: usize, mut break_off: impl FnMut(usize)) {
    // The later requests share the memory that the first ones need for good.
    (0..20).for_each(&mut break_off);
    soon("the first connections end", || server.descriptors() <= quiet);
    let memory = server.memory("VmRSS");
    (0..200).for_each(&mut break_off);
    soon("no descriptor is left", || server.descriptors() <= quiet);
    let grown = server.memory("VmRSS").saturating_sub(memory);
    assert!(grown <= 32 * 1024, "{grown} KiB more");
    Wire::open(server).assert_usable();
}

pub(crate) fn two_hundred_broken_downloads_leave_nothing(place: &Place) {
    let server = place.serve(&[]);
    let quiet = server.descriptors();
    let blob = content(5, 8 << 20);
    push_blob(&server, "a", &blob);
    let target = format!("/v2/a/blobs/{}", digest(&blob));
    leaves_nothing(&server, quiet, |round| {
        let mut wire = Wire::open(&server);
        // Every other one asks for more before it goes.
        wire.send(head("GET", &target, &[]).repeat(1 + round % 2));
        assert!(wire.some(1000).starts_with(b"HTTP/1.1 200 OK\r\n"));
    });
    assert_blob(&server, "a", &blob);
}

pub(crate) fn broken_uploads_leave_nothing(place: &Place) {
    let server = place.serve(&[]);
    let quiet = server.descriptors();
    let blob = content(6, SIZE);
    let session = begin(&server, "a");
    leaves_nothing(&server, quiet, |round| {
        let target = post_target("a", &blob);
        Wire::open(&server).send(cut("POST", &target, &blob, CUTS[round % CUTS.len()], round % 2 == 0));
    });
    assert_no_blob(&server, "a", &blob);
    go_on(&server, &session, "a", &blob);
}
