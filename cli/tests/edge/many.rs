//! Many requests at once.

use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::{
    Place,
    fixture::{assert_blob, content, digest, post_target, push_blob, push_image, single_post, soon},
    wire::{PING, Wire, head, whole},
};

/// Reads and writes mixed, in one piece.
pub(crate) fn fifty_pipelined_requests_are_answered_in_order(place: &Place) {
    let server = place.serve(&[]);
    let blobs: Vec<Vec<u8>> =
        (0..10).map(|seed| content(seed, 1000 + usize::try_from(seed).unwrap())).collect();
    let mut wire = Wire::open(&server);
    let all: Vec<u8> = blobs
        .iter()
        .flat_map(|blob| {
            let target = format!("/v2/a/blobs/{}", digest(blob));
            [
                head("GET", &target, &[]),
                single_post("a", blob),
                head("HEAD", &target, &[]),
                head("GET", &target, &[]),
                whole("PUT", "/v2/A/manifests/x", &[], blob),
            ]
            .concat()
        })
        .collect();
    wire.send(all);
    for blob in &blobs {
        let _ = wire.answer().expect(404);
        let stored = wire.answer().expect(201);
        assert_eq!(stored.header("docker-content-digest"), digest(blob));
        let head = wire.answer_to_head().expect(200);
        assert_eq!(head.header("docker-content-digest"), digest(blob));
        assert!(wire.answer().expect(200).body == *blob, "other bytes");
        let _ = wire.answer().expect(400);
    }
    wire.assert_usable();
}

/// All open, all in the middle of a body, then all answered; and half of them pull what the others pushed.
pub(crate) fn two_hundred_connections_at_once(place: &Place) {
    let server = place.serve(&[]);
    let descriptors = server.descriptors();
    let mut wires: Vec<(Wire, Vec<u8>)> =
        (0..200).map(|seed| (Wire::open(&server), content(seed % 100, 5000))).collect();
    for (wire, blob) in &mut wires {
        wire.send(head("POST", &post_target("a", blob), &["content-length: 5000"]));
        wire.send(&blob[..2500]);
    }
    soon("200 connections", || server.descriptors() >= descriptors + 200);
    for (wire, blob) in &mut wires {
        wire.send(&blob[2500..]);
    }
    for (wire, _) in &mut wires {
        let _ = wire.answer().expect(201);
    }
    for (wire, blob) in &mut wires {
        wire.send(head("GET", &format!("/v2/a/blobs/{}", digest(blob)), &[]));
    }
    for (wire, blob) in &mut wires {
        assert!(wire.answer().expect(200).body == *blob, "other bytes");
        wire.assert_usable();
    }
    drop(wires);
    soon("all of them end", || server.descriptors() <= descriptors);
}

pub(crate) fn five_hundred_requests_on_one_connection(place: &Place) {
    let server = place.serve(&[]);
    let manifest = push_image(&server, "ns/app");
    let mut wire = Wire::open(&server);
    for round in 0..500 {
        match round % 5 {
            0 => wire.assert_usable(),
            1 => {
                let answer = wire.ask(head("GET", "/v2/ns/app/manifests/latest", &[])).expect(200);
                assert_eq!(answer.body, manifest);
            }
            2 => drop(wire.ask(head("GET", "/v2/ns/app/manifests/absent", &[])).expect(404)),
            3 => drop(wire.ask(whole("PATCH", "/v2/ns/app/blobs/uploads/x", &[], b"unread")).expect(404)),
            _ => drop(wire.ask(whole("POST", "/v2/ns/app/blobs/uploads/", &[], b"")).expect(202)),
        }
    }
}

/// It said that it sends no more, not that it reads no more.
pub(crate) fn a_client_that_sends_no_more_is_answered(place: &Place) {
    let server = place.serve(&[]);
    let blob = content(1, 3 << 20);
    push_blob(&server, "a", &blob);
    let posted = content(2, 300_000);
    let get = head("GET", &format!("/v2/a/blobs/{}", digest(&blob)), &[]);
    for pause in [0, 100] {
        let ask = |request: &[u8]| {
            let mut wire = Wire::open(&server);
            wire.send(request);
            std::thread::sleep(Duration::from_millis(pause));
            wire.finish_sending();
            wire
        };
        let mut wire = ask(&get);
        assert!(wire.answer().expect(200).body == blob, "other bytes");
        wire.assert_ended();
        let mut wire = ask(&single_post("a", &posted));
        let _ = wire.answer().expect(201);
        wire.assert_ended();
        // So are all that were sent before.
        let mut wire = ask(&[PING, &get, PING].concat());
        let _ = wire.answer().expect(200);
        assert!(wire.answer().expect(200).body == blob, "other bytes");
        assert_eq!(wire.answer().expect(200).body, b"{}\n");
        wire.assert_ended();
        // One that sent nothing at all is not.
        ask(b"").assert_ended();
    }
    assert_blob(&server, "a", &posted);
}

/// More clients than connections at a time, each in the middle of a body, with the default limit of minutes.
/// While others wait for a connection, the server does not wait for stalled clients.
pub(crate) fn a_thousand_vanished_clients_stop_nobody(place: &Place) {
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum.map(|most| most.min(8192)).or(Some(8192));
    setrlimit(Resource::Nofile, files).unwrap();
    let server = place.serve(&[]);
    let blob = content(1, 3000);
    push_blob(&server, "a", &blob);
    let mut wire = Wire::open(&server);
    let mut begun = || {
        let answer = wire.ask(whole("POST", "/v2/a/blobs/uploads/", &[], b"")).expect(202);
        answer.header("location").to_owned()
    };
    let sessions: Vec<String> = (0..1100).map(|_| begun()).collect();
    let vanished: Vec<Wire> = sessions
        .iter()
        .map(|session| {
            let mut wire = Wire::open(&server);
            wire.send([&head("PATCH", session, &["content-length: 3000"])[..], &blob[..100]].concat());
            wire
        })
        .collect();
    let get = head("GET", &format!("/v2/a/blobs/{}", digest(&blob)), &[]);
    for _ in 0..10 {
        assert!(Wire::open(&server).ask(&get).expect(200).body == blob, "other bytes");
    }
    push_blob(&server, "a", &content(2, 100_000));
    drop(vanished);
}
