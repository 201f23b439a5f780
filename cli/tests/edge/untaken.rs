//! Clients that ask and do not read.

use std::time::{Duration, Instant};

use crate::{
    Place,
    common::server::Server,
    fixture::{content, digest, push_blob},
    wire::{Wire, head, whole},
};

const MIB: usize = 1 << 20;
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A server that has not held anything yet where that can be, with what `fill` stores.
fn filled(place: &Place, fill: impl Fn(&Server)) -> Server {
    let server = place.serve(&[]);
    fill(&server);
    match place {
        Place::Memory => server,
        Place::Directory(_) => {
            drop(server);
            place.serve(&[])
        }
    }
}

/// An index of almost 4 MiB, most of it text that is never read.
fn large_index() -> Vec<u8> {
    let text = "a".repeat(4 * MIB - 200);
    format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[],"x":"{text}"}}"#).into_bytes()
}

/// Large manifests are in memory until they are taken: this many bytes in all. The next wait, without holding
/// anything, and those that stand still are not waited for; small ones are answered all the time.
pub(crate) fn large_answers_that_nobody_takes_are_bounded(place: &Place) {
    let (large, small) = (large_index(), content(1, 1000));
    let put = whole("PUT", "/v2/a/manifests/large", &[&format!("content-type: {INDEX}")], &large);
    let server = filled(place, |server| {
        let _ = Wire::open(server).ask(&put).expect(201);
        push_blob(server, "a", &small);
    });
    Wire::open(&server).assert_usable();
    let idle = server.memory("VmRSS");
    let get = head("GET", "/v2/a/manifests/large", &[]);
    let untaken: Vec<Wire> = (0..70)
        .map(|_| {
            let mut wire = Wire::open(&server);
            wire.send(&get);
            wire
        })
        .collect();
    let begin = Instant::now();
    let mut most = 0;
    // A client that reads gets its answer after the earlier ones, or an answer that asks it to come again.
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let (server, get) = (&server, &get);
        scope.spawn(move || {
            loop {
                let answer = Wire::open(server).slow_answer_to(get);
                if answer.status != 429 {
                    sender.send(answer).unwrap();
                    return;
                }
                assert_eq!(answer.header("retry-after"), "1");
            }
        });
        loop {
            let blob = head("GET", &format!("/v2/a/blobs/{}", digest(&small)), &[]);
            assert!(Wire::open(server).ask(blob).expect(200).body == small, "other bytes");
            let _ = Wire::open(server).ask(head("GET", "/v2/a/tags/list", &[])).expect(200);
            most = most.max(server.memory("VmRSS"));
            if let Ok(answer) = receiver.recv_timeout(Duration::from_millis(100)) {
                assert!(answer.expect(200).body == large, "other bytes");
                return;
            }
            assert!(begin.elapsed() < Duration::from_secs(240), "no answer to one that reads");
        }
    });
    drop(untaken);
    // In memory the store gives the same bytes to all.
    if let Place::Directory(_) = place {
        assert!(most < idle + 200 * 1024, "{idle} KiB idle, then {most} KiB");
    }
}

/// A blob is read as it is taken: each connection holds a piece or two.
pub(crate) fn blobs_that_nobody_takes_are_bounded(place: &Place) {
    let blob = content(1, 16 * MIB);
    let server = filled(place, |server| push_blob(server, "a", &blob));
    Wire::open(&server).assert_usable();
    let idle = server.memory("VmRSS");
    let get = head("GET", &format!("/v2/a/blobs/{}", digest(&blob)), &[]);
    let untaken: Vec<Wire> = (0..200)
        .map(|_| {
            let mut wire = Wire::open(&server);
            wire.send(&get);
            wire
        })
        .collect();
    untaken.iter().for_each(Wire::wait);
    let taken = Wire::open(&server).ask(&get).expect(200);
    assert!(taken.body == blob, "other bytes");
    let most = server.memory("VmRSS");
    assert!(most < idle + 200 * 1024, "{idle} KiB idle, then {most} KiB");
}
