//! Arbitrary requests to a registry over a store in memory.
//!
//! Memory is bounded by what goes to the store and comes out of bodies and answers, which the harness
//! counts. Counting the process's own memory would need our own allocator, which is unsafe code. A request
//! puts at most what was taken from its body into the store, and [`OVERHEAD`] for links and times. The end
//! of an upload may also write again everything that was staged. A body that is not wanted is not read. An
//! answer is no longer than the store and the request together. The fuzzer's own limit on resident memory
//! applies as well.

pub(in crate::fuzz) mod answer;
mod build;
mod check;
mod content;
mod deliver;
mod meter;
mod plan;
mod seeds;

use std::{future::poll_fn, sync::Arc, task::Poll};

use arbitrary::Unstructured;
use futures::FutureExt;
use plugin_registry::{ReferencePolicy, Registry};
use plugin_registry_core::Secret;
use plugin_registry_drivers_memory::MemoryDriver;

use self::plan::Plan;
pub(super) use self::seeds::plans;
use self::{
    answer::{Answer, read, send},
    build::{Built, Live, build},
    meter::Gauge,
};
use super::block_on;
use plugin_registry_conformance::intercept::Intercepted;

/// Bytes that a request may put into the store without having brought them: links of at most 135 bytes, two
/// per tag, and the time of an upload's beginning.
const OVERHEAD: u64 = 1024;
const TAG_OVERHEAD: u64 = 2 * 135;

/// Any sequence of requests, of which one may meet a failing store, keeps the promises of the API.
///
/// There is no panic, and no 5xx except for that failure. Every answer is well-formed, all served content
/// hashes to its digest, and memory is bounded.
pub fn service(data: &[u8]) {
    if let Ok(plan) = Unstructured::new(data).arbitrary() {
        block_on(run(&plan));
    }
}

/// A store in memory with a gauge.
type Metered = Intercepted<Gauge>;

/// The registry under fuzz, and what is known about it.
struct Session {
    metered: Metered,
    registry: Registry,
    live: Live,
    /// Bytes taken from bodies, and the overhead of all requests so far.
    brought: u64,
}

async fn run(plan: &Plan) {
    let driver = MemoryDriver::new();
    let metered = Intercepted::over(Arc::new(driver.clone()), Gauge::new());
    let mut session =
        Session { registry: open(&metered, plan.options), metered, live: Live::default(), brought: 0 };
    for (index, step) in plan.steps.iter().enumerate() {
        if step.name >= 224 {
            // Another instance takes over.
            session.registry = open(&session.metered, plan.options);
        }
        let fault = Some((plan.fault.1, plan.fault.2)).filter(|_| usize::from(plan.fault.0) == index);
        session.step(step, fault).await;
    }
    check::store(&driver, session.brought).await;
}

fn open(metered: &Metered, options: u8) -> Registry {
    let has = |bit: u8| options & (1 << bit) != 0;
    let references = match options & 3 {
        0 | 1 => ReferencePolicy::Complete,
        2 => ReferencePolicy::SparseIndexes,
        _ => ReferencePolicy::Sparse,
    };
    let mut builder = Registry::builder(metered.clone())
        .references(references)
        .delete(!has(2))
        .automatic_crossmount(!has(3))
        .redirect(has(4))
        .max_page_size(if has(5) { 1 } else { 1000 })
        .read_only(options == u8::MAX);
    if has(6) {
        builder = builder.upload_key(Secret::new("a key"));
    }
    if has(7) {
        builder = builder.blob_cache_ttl(std::time::Duration::ZERO);
    }
    builder.build()
}

impl Session {
    async fn step(&mut self, step: &plan::Step, fault: Option<(u8, u8)>) {
        let Some(built) = build(step, &self.live) else { return };
        let gauge = self.metered.intercept().clone();
        let written = gauge.written();
        if let Some((calls, kind)) = fault {
            gauge.arm(calls, kind);
        }
        let Built { request, body, content, is_whole } = built;
        let (parts, stream) = request.into_parts();
        let request = http::Request::from_parts(parts.clone(), stream);
        // A request that waits for bytes that never come is dropped, as by a server whose client is gone.
        let mut answer = Box::pin(async {
            let response = send(&self.registry, request).await;
            read(&parts.method, response).await
        });
        let answer: Option<Answer> = poll_fn(|cx| match answer.poll_unpin(cx) {
            Poll::Pending if body.is_stuck() => Poll::Ready(None),
            answer => answer.map(Some),
        })
        .await;
        let has_failed = gauge.disarm();
        let tags = parts.uri.query().map_or(0, |query| query.matches("tag=").count() as u64);
        let overhead = OVERHEAD + TAG_OVERHEAD * tags;
        let written = gauge.written() - written;
        let is_finish = parts.method == http::Method::PUT && parts.uri.path().contains("/blobs/uploads/");
        let again = if is_finish { self.brought + body.taken() } else { 0 };
        assert!(
            written <= body.taken() + overhead + again,
            "{written} bytes stored of {} brought",
            body.taken()
        );
        self.brought += written.max(body.taken() + overhead);
        let asked = check::Asked { parts: &parts, body: &body, content: &content, is_whole, has_failed };
        let Some(answer) = answer else { return };
        check::answer(&asked, &answer, self.brought);
        if !has_failed {
            check::follow(&self.registry, &asked, &answer).await;
        } else if answer.status == 404 {
            check::still_missing(&self.registry, &asked).await;
        }
        if answer.header("docker-upload-uuid").is_some() {
            let location = answer.header("location").map(str::to_owned);
            self.live.locations.extend(location);
        }
    }
}
