//! How a body arrives: in which frames, and with which end.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};
use std::task::Poll;

use bytes::Bytes;
use futures::{StreamExt, future::ready, stream};
use http::{HeaderMap, HeaderValue};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use plugin_registry::blob::BoxError;

use plugin_registry_conformance::registry::body::RequestBody;

/// How a body arrived.
pub(super) struct Delivered {
    taken: Arc<AtomicU64>,
    is_stuck: Arc<AtomicBool>,
    /// Whether it ends cleanly.
    pub(super) is_whole: bool,
    /// Bytes of the largest frame.
    pub(super) largest: u64,
}

impl Delivered {
    /// Bytes that were taken from it.
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Relaxed)
    }

    /// Whether its reader waits for a frame that never comes.
    pub(super) fn is_stuck(&self) -> bool {
        self.is_stuck.load(Relaxed)
    }
}

/// A part of some content.
pub(super) fn part(content: &Bytes, part: u8) -> Bytes {
    let (length, half) = (content.len(), content.len() / 2);
    match part % 6 {
        0 | 1 => content.clone(),
        2 => content.slice(..half),
        3 => content.slice(half..),
        4 => content.slice(..length.saturating_sub(1)),
        _ => content.slice(length.saturating_sub(1)..),
    }
}

/// A body that brings `content`.
pub(super) fn deliver(content: &Bytes, delivery: u8) -> (RequestBody, Delivered) {
    // At most 64 frames and a rest. Small content comes byte by byte.
    let piece = match delivery >> 4 {
        0..8 => content.len(),
        8..12 => content.len() / 64,
        _ => content.len() / 3,
    };
    let mut frames = Vec::new();
    let mut rest = content.clone();
    while !rest.is_empty() {
        frames.push(rest.split_to(piece.clamp(1, rest.len())));
    }
    let largest = frames.iter().map(|frame| frame.len() as u64).max().unwrap_or(0);
    let kind = delivery % 8;
    if kind == 2 {
        // Frames without bytes are not the end.
        frames = frames.into_iter().flat_map(|frame| [Bytes::new(), frame, Bytes::new()]).collect();
        frames.push(Bytes::new());
    }
    let taken = Arc::<AtomicU64>::default();
    let count = taken.clone();
    let frames = stream::iter(frames).map(move |frame| {
        count.fetch_add(frame.len() as u64, Relaxed);
        Ok::<_, BoxError>(Frame::data(frame))
    });
    let is_stuck = Arc::<AtomicBool>::default();
    let flag = is_stuck.clone();
    let body = match kind {
        3 => {
            let mut trailers = HeaderMap::new();
            trailers.insert("x-checksum", HeaderValue::from_static("none"));
            StreamBody::new(frames.chain(stream::once(ready(Ok(Frame::trailers(trailers)))))).boxed_unsync()
        }
        4 | 5 => {
            let gone = BoxError::from("the client is gone");
            StreamBody::new(frames.chain(stream::once(ready(Err(gone))))).boxed_unsync()
        }
        6 => {
            let never = stream::poll_fn(move |_| {
                flag.store(true, Relaxed);
                Poll::Pending
            });
            StreamBody::new(frames.chain(never)).boxed_unsync()
        }
        _ => StreamBody::new(frames).boxed_unsync(),
    };
    (body, Delivered { taken, is_stuck, is_whole: !matches!(kind, 4..=6), largest })
}
