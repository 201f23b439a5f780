//! The server's record of its requests.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use http::HeaderMap;

use super::operation::Target;

/// One request, from the moment at which its head was read.
#[derive(Clone, Debug)]
pub struct Request {
    /// The operation, such as `PutObject`.
    pub operation: &'static str,
    /// The key, the prefix of a list, or the keys of DeleteObjects, one per line.
    pub key: String,
    /// The query as it was sent.
    pub query: String,
    /// The headers, without the signature and the token.
    pub headers: HeaderMap,
    /// The status. Zero while there is no answer, or if there never was one.
    pub status: u16,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the answer's body that were meant to be sent.
    pub bytes_out: u64,
    /// Whether a fault happened to it.
    pub faulty: bool,
    /// When it arrived, since the server's start.
    pub began: Duration,
    /// When its answer was ready, since the server's start.
    pub ended: Option<Duration>,
}

impl Request {
    /// Whether it changes something, or would do so: everything but GET and HEAD.
    pub fn is_write(&self) -> bool {
        !["Get", "Head", "List"].iter().any(|begin| self.operation.starts_with(begin))
    }
}

/// The requests since the start or since they were last forgotten.
#[derive(Debug)]
pub(super) struct Log {
    start: Instant,
    /// Counts how often requests were forgotten, so that an old request does not end in a new one's entry.
    age: u64,
    requests: Vec<Request>,
    /// Those of them that run.
    open: BTreeSet<usize>,
    running: usize,
    peak: usize,
}

/// The entry of a running request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    age: u64,
    at: usize,
}

/// What earlier looks have counted: the requests before `next` have ended, and `about` of them count.
#[derive(Debug, Default)]
pub(super) struct Looked {
    age: u64,
    next: usize,
    about: usize,
}

impl Ticket {
    /// Tells the requests of one age apart.
    pub(super) fn number(self) -> usize {
        self.at
    }
}

impl Log {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            age: 0,
            requests: Vec::new(),
            open: BTreeSet::new(),
            running: 0,
            peak: 0,
        }
    }

    pub(super) fn begin(&mut self, target: &Target, query: &str, mut headers: HeaderMap) -> Ticket {
        headers.remove("authorization");
        headers.remove("x-amz-security-token");
        self.requests.push(Request {
            operation: target.operation,
            key: target.key.clone(),
            query: query.to_owned(),
            headers,
            status: 0,
            bytes_in: 0,
            bytes_out: 0,
            faulty: false,
            began: self.start.elapsed(),
            ended: None,
        });
        self.running += 1;
        self.peak = self.peak.max(self.running);
        let at = self.requests.len() - 1;
        self.open.insert(at);
        Ticket { age: self.age, at }
    }

    pub(super) fn change(&mut self, ticket: Ticket, change: impl FnOnce(&mut Request)) {
        if ticket.age == self.age {
            change(&mut self.requests[ticket.at]);
        }
    }

    pub(super) fn end(&mut self, ticket: Ticket) {
        self.running -= 1;
        let now = self.start.elapsed();
        self.change(ticket, |request| request.ended = Some(now));
        if ticket.age == self.age {
            self.open.remove(&ticket.at);
        }
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.clone()
    }

    pub(super) fn count(&self) -> usize {
        self.requests.len()
    }

    pub(super) fn counts(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for request in &self.requests {
            *counts.entry(request.operation).or_default() += 1;
        }
        counts
    }

    /// The number of requests about keys with this part, and those of them that run. A request that ran at `since`
    /// and whose keys are not known yet may be one. `looked` is kept from look to look: a log of thousands of
    /// requests is read once.
    pub(super) fn activity(
        &self,
        part: &str,
        since: Duration,
        looked: &mut Looked,
    ) -> (usize, Vec<&'static str>) {
        if looked.age != self.age {
            *looked = Looked { age: self.age, ..Looked::default() };
        }
        let is_about = |request: &&Request| request.key.contains(part);
        // Until a request has ended its keys may become known.
        let ended = self.open.first().copied().unwrap_or(self.requests.len());
        looked.about += self.requests[looked.next..ended].iter().filter(is_about).count();
        looked.next = ended;
        let count = looked.about + self.requests[ended..].iter().filter(is_about).count();
        let open = self.open.iter().map(|&at| &self.requests[at]);
        let may_be = |request: &&Request| request.key.is_empty() && request.began < since;
        let running = open.filter(|request| is_about(request) || may_be(request));
        (count, running.map(|request| request.operation).collect())
    }

    pub(super) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    pub(super) fn peak(&self) -> usize {
        self.peak
    }

    pub(super) fn forget(&mut self) {
        self.age += 1;
        self.requests.clear();
        self.open.clear();
        self.peak = self.running;
    }
}
