//! Two requests to one upload session at a time, in every order of their driver calls with at most two
//! switches. One of them is refused or the bytes are right. There is never 201 for other bytes, and never a
//! 5xx.

use std::{cell::RefCell, rc::Rc};

use bytes::Bytes;
use plugin_registry_conformance::registry::{Answer, client::and, fixture::digest};
use plugin_registry_core::StorageDriverExt;
use plugin_registry_testkit::concurrency::schedule::{Run, Task, explore};

use crate::{
    interleaved::{Bench, Ends, note, now, report},
    peer::{Peer, Via},
};

/// The bytes of an earlier request, if there was one.
const BEGUN: &str = "begun-";
/// The bytes of the two clients. They have different lengths, so that an offset shows whose bytes count.
const BODIES: [&str; 2] = ["one client's bytes", "those of another client"];

/// A request of a client, with its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    /// A chunk.
    Patch,
    /// The last bytes and the digest.
    Put,
    /// A chunk, and where that is taken, the digest.
    PatchThenPut,
    /// Where the session stands.
    Status,
    /// To give up.
    Delete,
}

/// The requests of both clients, their registries and the outcomes.
struct Meeting {
    bench: Bench,
    location: String,
    begun: bool,
    /// For each client: whether its chunk was taken, and whether its blob was.
    taken: RefCell<[(bool, bool); 2]>,
    deleted: RefCell<bool>,
    is_shared: bool,
    /// Answers that should not be, by kind.
    defects: RefCell<Vec<(&'static str, String)>>,
}

impl Meeting {
    fn new(begun: bool, is_shared: bool) -> Self {
        let bench = Bench::new();
        let client = &bench.peers[0].http;
        let location = now(async {
            let location = client.begin("ns/app").await;
            if begun { client.append(&location, &Bytes::from(BEGUN)).await } else { location }
        });
        Self {
            bench,
            location,
            begun,
            taken: RefCell::default(),
            deleted: RefCell::default(),
            is_shared,
            defects: RefCell::default(),
        }
    }

    /// The content of a client's blob.
    fn whole(&self, client: usize) -> String {
        format!("{}{}", if self.begun { BEGUN } else { "" }, BODIES[client])
    }

    fn peer(&self, client: usize) -> &Peer {
        &self.bench.peers[if self.is_shared { 0 } else { client }]
    }

    async fn ask(self: Rc<Self>, client: usize, ask: Ask) {
        let http = &self.peer(client).http;
        let put = |location: &str| {
            let digest = digest(self.whole(client).as_bytes());
            http.put(and(location, &format!("digest={digest}")))
        };
        match ask {
            Ask::Patch | Ask::PatchThenPut => {
                let answer = http.patch(&self.location).body(BODIES[client]).send().await;
                if answer.status() != 202 {
                    return self.refused(&answer);
                }
                self.taken.borrow_mut()[client].0 = true;
                if ask == Ask::PatchThenPut {
                    self.is_done(client, &put(&answer.location()).body("").send().await);
                }
            }
            Ask::Put => self.is_done(client, &put(&self.location).body(BODIES[client]).send().await),
            Ask::Status => {
                let answer = http.get(&self.location).send().await;
                if answer.status() != 204 {
                    return self.refused(&answer);
                }
                let offset = offset(&answer);
                let possible = [BEGUN.len(), self.whole(0).len(), self.whole(1).len()];
                if offset == 0 && self.begun {
                    self.defects.borrow_mut().push((FORGOTTEN, answer.to_string()));
                } else {
                    assert!(offset == 0 || possible.contains(&offset), "{answer}");
                }
            }
            Ask::Delete => {
                let answer = http.delete(&self.location).send().await;
                *self.deleted.borrow_mut() = answer.status() == 204;
                if answer.status() != 204 {
                    self.refused(&answer);
                }
            }
        }
    }

    /// A 201 is believed only when, in the end, every registry gives exactly those bytes.
    fn is_done(&self, client: usize, answer: &Answer) {
        if answer.status() != 201 {
            return self.refused(answer);
        }
        self.taken.borrow_mut()[client].1 = true;
    }

    fn refused(&self, answer: &Answer) {
        match answer.status() {
            400 | 404 | 416 | 429 => {}
            500 | 503 => self.defects.borrow_mut().push((BROKEN, answer.to_string())),
            _ => panic!("{answer}"),
        }
    }

    /// Looks at everything when both are answered.
    fn check(&self, asked: [Ask; 2], ends: &Ends) {
        let taken = *self.taken.borrow();
        for (client, (_, is_done)) in taken.iter().enumerate() {
            let whole = self.whole(client);
            for peer in &self.bench.peers {
                let name = &self.bench.name;
                let found = now(peer.blob(Via::Http, name, &digest(whole.as_bytes()).parse().unwrap()));
                assert!(found.is_some() || !is_done, "{asked:?}: 201, and it is not there");
                assert!(found.is_none_or(|found| found == whole));
            }
        }
        for (kind, answer) in self.defects.take() {
            assert!(kind == FORGOTTEN && !self.is_shared, "{asked:?}: {kind}: {answer}");
            note(ends, kind);
        }
        let chunks = taken.iter().filter(|(chunk, _)| *chunk).count();
        let blobs = taken.iter().filter(|(_, blob)| *blob).count();
        assert!(!self.is_shared || chunks < 2, "{asked:?}: two chunks at one offset of one registry");
        let only_chunks = asked.iter().all(|ask| matches!(ask, Ask::Patch | Ask::Status));
        match now(self.go_on(only_chunks && chunks == 1)) {
            _ if blobs > 0 => note(ends, if blobs == 1 { "one blob" } else { "both blobs" }),
            _ if *self.deleted.borrow() => note(ends, "deleted"),
            None => note(ends, "refused both"),
            Some(_) if chunks == 2 => note(ends, "both chunks taken, one counts"),
            Some(_) if chunks == 1 => note(ends, "one chunk"),
            Some(_) => note(ends, "no chunk"),
        }
    }

    /// Goes on where the session stands, if it does: what it offers leads to the right blob. Whose bytes it
    /// holds is known by their length. With `must`, the one chunk that was taken has to count.
    async fn go_on(&self, must: bool) -> Option<usize> {
        let http = &self.bench.peers[0].http;
        // Without its old state, the location leads to the session as it is.
        let location = self.location.split('?').next().unwrap();
        let answer = http.get(location).send().await;
        if answer.status() != 204 {
            self.refused(&answer);
            assert!(!must, "the session that took a chunk is gone: {answer}");
            return None;
        }
        let offset = offset(&answer);
        let held = [0, 1].map(|client| self.whole(client)).into_iter().find(|whole| whole.len() == offset);
        assert!(held.is_some() || !must, "the chunk that was taken does not count: {answer}");
        let held = held.unwrap_or_else(|| if self.begun { BEGUN.to_owned() } else { String::new() });
        assert_eq!(held.len(), offset, "{answer}");
        let whole = format!("{held}!");
        let done = http.finish(&answer.location(), &digest(whole.as_bytes()), "!").await.expect(201);
        let found = http.pull("ns/app", done.header("docker-content-digest")).await;
        assert_eq!(found, whole);
        Some(offset)
    }
}

fn offset(answer: &Answer) -> usize {
    let last: usize = answer.header("range").strip_prefix("0-").unwrap().parse().unwrap();
    if last == 0 { 0 } else { last + 1 }
}

/// A forbidden outcome: a request that only came too late is answered with a store error.
const BROKEN: &str = "5xx";
/// A status of no bytes although some were acknowledged. The registry of the session never answers this.
/// Another one may, while the first commits the bytes. A client that begins again there gets the right blob,
/// or 404.
const FORGOTTEN: &str = "acknowledged bytes forgotten";

fn meet(is_shared: bool) {
    use Ask::{Delete, Patch, PatchThenPut, Put, Status};
    let mut orders = 0;
    let ends = Ends::default();
    for asked in [
        [Patch, Patch],
        [Patch, Put],
        [Patch, Status],
        [Patch, Delete],
        [Put, Put],
        [Put, Status],
        [Put, Delete],
        [PatchThenPut, Patch],
        [PatchThenPut, PatchThenPut],
    ] {
        for begun in [false, true] {
            let switches = if asked.contains(&PatchThenPut) { 1 } else { 2 };
            orders += explore(switches, || {
                let meeting = Rc::new(Meeting::new(begun, is_shared));
                let ask = |client: usize| -> Task { Box::pin(meeting.clone().ask(client, asked[client])) };
                let (tasks, ends) = (vec![ask(0), ask(1)], ends.clone());
                Run { tasks, check: Box::new(move || meeting.check(asked, &ends)) }
            });
        }
    }
    let what = if is_shared { "one registry" } else { "two registries" };
    report(&format!("two requests to one session of {what}"), orders, &ends);
    for end in ["one blob", "both blobs", "deleted", "one chunk"] {
        assert!(ends.borrow().contains_key(end) || is_shared && end == "both blobs", "never: {end}");
    }
}

#[test]
fn two_requests_to_one_session() {
    meet(true);
}

#[test]
fn two_requests_to_one_session_of_two_registries() {
    meet(false);
}

/// The bytes that an earlier request brought cannot be counted twice, nor forgotten, by any two that come
/// after: also where both bring the very same ones.
#[test]
fn the_same_chunk_twice() {
    for is_shared in [true, false] {
        let ends = Ends::default();
        let orders = explore(2, || {
            let meeting = Rc::new(Meeting::new(true, is_shared));
            let patch = |client: usize| -> Task {
                let meeting = meeting.clone();
                Box::pin(async move {
                    let http = &meeting.peer(client).http;
                    let answer = http.patch(&meeting.location).body(BODIES[0]).send().await;
                    if answer.status() == 202 {
                        meeting.taken.borrow_mut()[client].0 = true;
                    } else {
                        meeting.refused(&answer);
                    }
                })
            };
            let (tasks, ends) = (vec![patch(0), patch(1)], ends.clone());
            let check = move || {
                let taken = meeting.taken.borrow().iter().filter(|(chunk, _)| *chunk).count();
                assert_eq!(taken, 1, "a chunk has to be taken once");
                assert_eq!(now(meeting.go_on(true)), Some(meeting.whole(0).len()));
                let at = "/docker/registry/v2/repositories/ns/app/_uploads".parse().unwrap();
                assert!(!now(meeting.bench.raw.exists(&at)).unwrap(), "something is left of the session");
                note(&ends, "taken once");
            };
            Run { tasks, check: Box::new(check) }
        });
        report("the same chunk twice", orders, &ends);
    }
}
