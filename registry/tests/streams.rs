//! Streams that must not be asked again after their end, as those of `futures::stream::unfold`.

#![allow(clippy::unwrap_used, reason = "a test harness: a failed check is a panic")]

use std::io;

use bytes::Bytes;
use futures::{Stream, executor::block_on, stream};
use plugin_registry::Registry;
use plugin_registry_core::{Descriptor, MediaType};
use plugin_registry_drivers_memory::MemoryDriver;

/// These pieces; asked once more, it panics.
fn once(pieces: &'static [&'static str]) -> impl Stream<Item = io::Result<Bytes>> + Send + Unpin {
    Box::pin(stream::unfold(pieces.iter(), |mut pieces| async move {
        let piece = pieces.next()?;
        Some((Ok(Bytes::from_static(piece.as_bytes())), pieces))
    }))
}

#[test]
fn the_end_of_a_stream_is_met_once() {
    block_on(async {
        let (driver, name) =
            (MemoryDriver::new(), "ns/app".parse::<plugin_registry_core::RepositoryName>().unwrap());
        let digest = Descriptor::of(MediaType::ImageLayer, b"abcdef").digest;
        // With the last bytes in the last call and without; through the same instance and through another one.
        for (appended, last) in [
            (&["abc"][..], &["", "def"][..]),
            (&["abc", "def"], &[]),
            (&["abcdef"], &[""]),
            (&[], &["abcdef"]),
        ] {
            for is_other in [false, true] {
                let registry = Registry::builder(driver.clone()).build();
                let session = registry.repository(name.clone()).uploads().start().unwrap();
                session.append(Some(0), None, once(appended)).await.unwrap();
                let other = Registry::builder(driver.clone()).build();
                let session = if is_other && !appended.is_empty() {
                    other.repository(name.clone()).uploads().resume(session.id()).await.unwrap()
                } else {
                    session
                };
                session.finish(None, None, &digest, once(last)).await.unwrap();
            }
        }
    });
}
