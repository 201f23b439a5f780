//! Uploads whose body is cut off (design, decision 14).
//!
//! Wherever the body is cut, what the registry offers afterwards leads to the right blob, and nothing that a
//! client may do leads to a wrong one.

use std::{fmt, future::poll_fn, task::Poll};

use bytes::Bytes;
use futures::FutureExt;

use super::{
    Answer, Call, Client, Lab, body,
    client::and,
    fixture::{content, digest},
};
use crate::driver::Store;

const MIB: usize = 1 << 20;

/// The request that is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Patch,
    Put,
}

/// How it is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// The body fails after this many bytes.
    Break(usize),
    /// The body ends as if it were complete.
    End(usize),
    /// The body gives no more bytes, and the request is dropped.
    Stall(usize),
    /// The request is dropped after this many polls.
    Drop(usize),
}

/// The client's next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// Asks for the status, and resumes there with a PATCH and an empty PUT.
    Patch,
    /// Asks for the status, and resumes there with a PUT.
    Put,
    /// Sends the same request again.
    Repeat,
}

/// One upload that is cut in one way.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    size: usize,
    /// Bytes that an earlier PATCH brought and that were acknowledged.
    begun: usize,
    method: Method,
    piece: usize,
    with_length: bool,
    with_range: bool,
    cut: Cut,
    then: Then,
    /// Whether the next request goes to another instance on the same store.
    elsewhere: bool,
}

#[derive(Default)]
struct Counts {
    right: usize,
    /// Those of them that started again.
    anew: usize,
    refused: usize,
    wrong: Vec<String>,
    /// Right, but something of the upload is left in the store.
    left: Vec<String>,
}

enum Outcome {
    /// 201, and the right bytes were read back.
    Right,
    /// The same, although the session lost what an earlier request had acknowledged, and was offered from
    /// its beginning: a PUT was dropped after its bytes had left the session for the blob.
    Anew,
    /// 4xx, and only the right bytes can be read, if any.
    Refused,
}

/// The error describes what must not happen.
type Checked<T> = Result<T, String>;

macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(format!($($message)+));
        }
    };
}

impl Case {
    /// Whether its upload is smaller than 1 MiB.
    #[must_use]
    pub fn is_small(&self) -> bool {
        self.size < MIB
    }
}

/// One store with two instances, and the session of a case.
struct Upload<'a> {
    case: Case,
    blob: &'a Bytes,
    digest: &'a str,
    here: Client,
    next: Client,
}

impl Upload<'_> {
    /// The request as it was intended.
    fn request(&self, client: &Client, location: &str) -> Call {
        let rest = self.case.size - self.case.begun;
        let mut call = match self.case.method {
            Method::Patch => client.patch(location),
            Method::Put => client.put(and(location, &format!("digest={}", self.digest))),
        };
        if self.case.with_length {
            call = call.header("content-length", rest);
        }
        if self.case.with_range && rest > 0 {
            call = call.header("content-range", format!("{}-{}", self.case.begun, self.case.size - 1));
        }
        call
    }

    fn is_announced(&self) -> bool {
        self.case.with_length || (self.case.with_range && self.case.size > self.case.begun)
    }

    /// Sends the request and cuts it. `None` if it was dropped.
    async fn send_cut(&self, location: &str) -> Option<Answer> {
        let rest = self.blob.slice(self.case.begun..);
        let call = self.request(&self.here, location);
        let piece = self.case.piece;
        match self.case.cut {
            Cut::Break(at) => Some(call.stream(body::broken(&rest.slice(..at), piece)).send().await),
            Cut::End(at) => Some(call.stream(body::pieces(&rest.slice(..at), piece)).send().await),
            Cut::Stall(at) => {
                let (body, stalled) = body::stalled(&rest.slice(..at), piece);
                stalled.drive(Box::pin(call.stream(body).send())).await
            }
            Cut::Drop(polls) => drop_after(call.stream(body::pieces(&rest, piece)).send(), polls).await,
        }
    }

    async fn run(&self) -> Checked<Outcome> {
        let mut location = self.here.begin("a").await;
        if self.case.begun > 0 {
            location = self.here.append(&location, &self.blob.slice(..self.case.begun)).await;
        }
        let rest = self.case.size - self.case.begun;
        let sent = match self.case.cut {
            Cut::Break(at) | Cut::End(at) | Cut::Stall(at) => at,
            Cut::Drop(_) => rest,
        };
        let mut acknowledged = self.case.begun;
        let answer = self.send_cut(&location).await;
        if let Some(answer) = &answer {
            let is_whole = match self.case.cut {
                Cut::Break(_) => false,
                Cut::End(at) => at == rest || (self.case.method == Method::Patch && !self.is_announced()),
                Cut::Stall(_) => return Err(format!("an answer to a request that is not over: {answer}")),
                Cut::Drop(_) => true,
            };
            match (is_whole, self.case.method) {
                (true, Method::Patch) => {
                    ensure!(answer.status() == 202, "expected 202: {answer}");
                    location = answer.location();
                    acknowledged += sent;
                }
                (true, Method::Put) => {
                    ensure!(answer.status() == 201, "expected 201: {answer}");
                    return self.read_back().await;
                }
                (false, _) => ensure!(answer.is_refusal(), "expected a refusal: {answer}"),
            }
        }
        if self.case.then == Then::Repeat
            && let Some(outcome) = self.repeat(&location).await?
        {
            return Ok(outcome);
        }
        self.resume(&location, acknowledged, self.case.begun + sent, answer.as_ref()).await
    }

    /// Sends the same request again, whole. `None` if the client has to go on by the status.
    async fn repeat(&self, location: &str) -> Checked<Option<Outcome>> {
        let rest = self.blob.slice(self.case.begun..);
        let again = self.request(&self.next, location).stream(body::pieces(&rest, self.case.piece));
        let answer = again.send().await;
        match (answer.status(), self.case.method) {
            (201, Method::Put) => return self.read_back().await.map(Some),
            (202, Method::Patch) => {
                let done = self.next.finish(&answer.location(), self.digest, "").await;
                if done.status() == 201 {
                    return self.read_back().await.map(Some);
                }
                ensure!(done.is_refusal(), "expected 201 or a refusal: {done}");
                // A client that repeats a chunk against all rules may have spoilt the session.
                self.nothing_wrong().await?;
                return Ok(Some(Outcome::Refused));
            }
            _ => ensure!(answer.is_refusal(), "expected a success or a refusal: {answer}"),
        }
        Ok(None)
    }

    /// Asks for the status and goes on exactly there.
    async fn resume(
        &self,
        location: &str,
        acknowledged: usize,
        most: usize,
        cut: Option<&Answer>,
    ) -> Checked<Outcome> {
        let status = self.next.get(location).send().await;
        if status.status() == 404 {
            // Only a PUT ends a session: one refused for its digest, or dropped after its end.
            let is_ended =
                self.case.method == Method::Put && cut.is_none_or(|answer| answer.code() == "DIGEST_INVALID");
            ensure!(is_ended, "the session is lost: {status}");
            self.nothing_wrong().await?;
            return Ok(Outcome::Refused);
        }
        ensure!(status.status() == 204, "expected 204: {status}");
        let last: usize = status.header("range").strip_prefix("0-").unwrap().parse().unwrap();
        // `0-0` can mean no byte or one byte.
        let offered = if last > 0 { vec![last + 1] } else { vec![0, 1] };
        let is_anew = last == 0
            && acknowledged > 1
            && self.case.method == Method::Put
            && matches!(self.case.cut, Cut::Drop(_));
        let least = if is_anew { 0 } else { acknowledged };
        let in_bounds = |offset: &usize| least <= *offset && *offset <= most;
        let offered: Vec<usize> = offered.into_iter().filter(in_bounds).collect();
        ensure!(!offered.is_empty(), "{last} is outside of {acknowledged} to {most}: {status}");
        let mut refusal = None;
        for offset in offered {
            let mut answer = self.go_on(&status.location(), offset).await;
            if answer.status() == 416 && matches!(self.case.cut, Cut::Drop(_)) {
                // A dropped request had sent this to a store over a network, and it took effect only now.
                let status = self.next.get(location.split('?').next().unwrap()).send().await;
                let last: usize = status.header("range").strip_prefix("0-").unwrap().parse().unwrap();
                if last > 0 && last < most {
                    answer = self.go_on(&status.location(), last + 1).await;
                }
            }
            if answer.status() == 201 {
                let outcome = self.read_back().await?;
                return Ok(if is_anew { Outcome::Anew } else { outcome });
            }
            ensure!(answer.status() == 416 && last == 0, "offered {offset}: {answer}");
            refusal = Some(answer);
        }
        Err(format!("no offset that was offered is taken: {}", refusal.unwrap()))
    }

    async fn go_on(&self, location: &str, offset: usize) -> Answer {
        let rest = self.blob.slice(offset..);
        let range = (!rest.is_empty()).then(|| format!("{offset}-{}", self.case.size - 1));
        let mut location = location.to_owned();
        if self.case.then == Then::Patch {
            let mut call = self.next.patch(&location).body(rest);
            if let Some(range) = range {
                call = call.header("content-range", range);
            }
            let answer = call.send().await;
            if answer.status() != 202 {
                return answer;
            }
            location = answer.location();
            return self.next.finish(&location, self.digest, "").await;
        }
        let mut call = self.next.put(and(&location, &format!("digest={}", self.digest))).body(rest);
        if let Some(range) = range {
            call = call.header("content-range", range);
        }
        call.send().await
    }

    async fn read_back(&self) -> Checked<Outcome> {
        let uri = format!("/v2/a/blobs/{}", self.digest);
        for client in [&self.here, &self.next] {
            let answer = client.get(&uri).send().await;
            ensure!(answer.status() == 200, "201, and then: {answer}");
            ensure!(answer.broken().is_none(), "201 with other bytes: {answer}");
            ensure!(answer.body() == self.blob, "201 with {} other bytes", answer.body().len());
        }
        Ok(Outcome::Right)
    }

    async fn nothing_wrong(&self) -> Checked<()> {
        let answer = self.next.get(format!("/v2/a/blobs/{}", self.digest)).send().await;
        let is_right = answer.status() == 200 && answer.broken().is_none() && answer.body() == self.blob;
        ensure!(is_right || answer.status() == 404, "refused, and then: {answer}");
        Ok(())
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { right, anew, refused, wrong, left } = self;
        let all = right + refused + wrong.len();
        write!(f, "{all} cases, {right} right, {refused} refused, {} wrong", wrong.len())?;
        if *anew > 0 {
            write!(f, " ({anew} of the right ones began anew)")?;
        }
        if left.is_empty() { Ok(()) } else { write!(f, ", {} left something", left.len()) }
    }
}

async fn drop_after<F: Future>(request: F, polls: usize) -> Option<F::Output> {
    let mut request = Box::pin(request);
    let mut left = polls;
    poll_fn(move |cx| match request.poll_unpin(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => {
            left -= 1;
            if left == 0 { Poll::Ready(None) } else { Poll::Pending }
        }
    })
    .await
}

/// Where a body of `length` bytes is cut.
fn places(length: usize) -> Vec<usize> {
    let mut places = vec![0, 1, length.saturating_sub(1), length];
    for power in 0..usize::BITS - 1 {
        let power = 1_usize << power;
        places.extend([power - 1, power, power + 1]);
    }
    for border in 1..=4 {
        places.extend([border * MIB - 1, border * MIB, border * MIB + 1]);
    }
    places.retain(|place| *place <= length);
    places.sort_unstable();
    places.dedup();
    places
}

/// All cuts of all requests for a blob of `size` bytes, with `turns` of the other circumstances each.
///
/// Each size of pieces has 24 circumstances. With fewer `turns` than all, each cut gets other ones.
#[must_use]
pub fn cases(size: usize, pieces: &[usize], turns: usize) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut turn = 0;
    let begun = if size > 1 { vec![0, size / 3] } else { vec![0] };
    for begun in begun {
        for method in [Method::Patch, Method::Put] {
            let places = places(size - begun);
            let cuts = places.iter().flat_map(|at| [Cut::Break(*at), Cut::End(*at), Cut::Stall(*at)]);
            for cut in cuts.chain((1..=48).map(Cut::Drop)) {
                let all = 24 * pieces.len();
                for _ in 0..turns.min(all) {
                    let then = [Then::Patch, Then::Put, Then::Repeat][turn % 3];
                    let [with_length, with_range, elsewhere] = [3, 6, 12].map(|step| turn / step % 2 == 1);
                    let piece = pieces[turn / 24 % pieces.len()];
                    cases.push(Case {
                        size,
                        begun,
                        method,
                        piece,
                        with_length,
                        with_range,
                        cut,
                        then,
                        elsewhere,
                    });
                    turn += if turns >= all { 1 } else { 5 };
                }
            }
        }
    }
    cases
}

/// Runs these cases on one store and prints how they ended.
///
/// # Panics
/// If one leads to wrong bytes, or leaves something in the store.
#[expect(clippy::print_stdout, reason = "the counts are the test's result")]
pub async fn check_all(driver: &str, store: Store, cases: impl IntoIterator<Item = Case>) {
    let lab = Lab::open(store).await;
    let mut counts = Counts::default();
    let mut blob = Bytes::new();
    let mut digest = digest(&blob);
    for case in cases {
        if blob.len() != case.size {
            blob = content(case.size as u64, case.size);
            digest = self::digest(&blob);
        }
        lab.clear().await;
        let here = lab.another().await;
        let next = if case.elsewhere { lab.another().await } else { here.clone() };
        let upload = Upload { case, blob: &blob, digest: &digest, here, next };
        match upload.run().await {
            Ok(outcome @ (Outcome::Right | Outcome::Anew)) => {
                counts.right += 1;
                counts.anew += usize::from(matches!(outcome, Outcome::Anew));
                let tree = lab.tree().await;
                if tree.len() != 2 {
                    let paths: Vec<&str> = tree.paths().collect();
                    counts.left.push(format!("{case:?}: something is left: {paths:?}"));
                }
            }
            Ok(Outcome::Refused) => counts.refused += 1,
            Err(problem) => counts.wrong.push(format!("{case:?}: {problem}")),
        }
    }
    println!("{driver}: torn uploads: {counts}");
    let faults: Vec<&str> = counts.wrong.iter().chain(&counts.left).map(String::as_str).collect();
    assert!(faults.is_empty(), "{}", faults[..faults.len().min(10)].join("\n"));
    assert!(counts.right > 0);
}

/// Cuts of uploads of 0 bytes, of one byte, of some pieces and of 3 MiB.
pub fn every_size(turns: usize) -> impl Iterator<Item = Case> {
    let small = [0, 1].into_iter().flat_map(move |size| cases(size, &[1024], 24));
    let middle = cases(70_000, &[1024, 65_536, 300 << 10], turns);
    let large = cases(3 * MIB + 5, &[300 << 10, 65_536], turns.div_ceil(4));
    small.chain(middle).chain(large)
}
