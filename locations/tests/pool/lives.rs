//! When instances leave. tokio's clock stands still but where a test moves it.

use std::{io, time::Duration};

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{Request, header::RANGE};
use plugin_registry::Body;
use plugin_registry_core::{ByteRange, Descriptor, MediaType};
use plugin_registry_locations::pool::EvictionCause::{Capacity, Expired, Idle, Invalidated};
use tokio::time::advance;
use tower_service::Service;

use crate::lab::{Evictions, Lab, location};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn idle_instances_leave() {
    let (lab, evictions) = (Lab::default(), Evictions::default());
    let pool = evictions.of(lab.pool().time_to_idle(10 * MINUTE)).build();
    let first = pool.get_or_open(&location("a")).await.unwrap().transport().to_owned();
    advance(9 * MINUTE).await;
    assert_eq!(pool.sweep().await.evicted, 0);
    assert_eq!(pool.get_or_open(&location("a")).await.unwrap().transport(), first);
    // Asking restarted the time.
    advance(9 * MINUTE).await;
    assert_eq!((pool.sweep().await.evicted, lab.alive()), (0, 1));
    advance(MINUTE).await;
    assert_eq!((pool.sweep().await.evicted, lab.alive()), (1, 0));
    assert_eq!(evictions.take(), [("velero/a".to_owned(), Idle)]);
    assert_eq!((pool.stats().open, pool.stats().alive, pool.stats().idle), (0, 0, 1));
    assert_ne!(pool.get_or_open(&location("a")).await.unwrap().transport(), first);
}

#[tokio::test(start_paused = true)]
async fn without_sweeps_they_leave_when_anything_is_opened_or_they_are_asked_for() {
    let lab = Lab::default();
    let pool = lab.pool().time_to_idle(10 * MINUTE).build();
    let first = pool.get_or_open(&location("a")).await.unwrap().transport().to_owned();
    advance(10 * MINUTE).await;
    pool.get_or_open(&location("b")).await.unwrap();
    assert_eq!((lab.alive(), pool.stats().idle), (1, 1));
    let second = pool.get_or_open(&location("a")).await.unwrap().transport().to_owned();
    assert_ne!(first, second);
    advance(10 * MINUTE).await;
    assert_ne!(pool.get_or_open(&location("a")).await.unwrap().transport(), second);
    assert_eq!((lab.opened(), lab.alive()), (4, 1));
}

#[tokio::test(start_paused = true)]
async fn what_is_in_use_is_not_idle() {
    let lab = Lab::default();
    let pool = lab.pool().time_to_idle(MINUTE).time_to_live(1000 * MINUTE).build();
    let content = Bytes::from_static(b"layer");
    let descriptor = Descriptor::of(MediaType::ImageLayer, &content);
    let piece = || stream::iter([Ok::<_, io::Error>(content.clone())]);
    let name = "ns/app".parse::<plugin_registry_core::RepositoryName>().unwrap();

    let handle = pool.get_or_open(&location("a")).await.unwrap();
    let transport = handle.transport().to_owned();
    let is_kept = async || {
        for _ in 0..3 {
            advance(5 * MINUTE).await;
            assert_eq!(pool.sweep().await.evicted, 0);
        }
        assert_eq!(lab.alive(), 1);
    };
    is_kept().await;
    let registry = handle.registry().clone();
    drop(handle);
    is_kept().await;
    let blobs = registry.repository(name.clone()).blobs();
    drop(registry);
    is_kept().await;
    blobs.push(&descriptor, piece()).await.unwrap();
    drop(blobs);
    assert_eq!(pool.sweep().await.evicted, 0, "the time begins when the last one lets go");

    let registry = pool.get_or_open(&location("a")).await.unwrap();
    let session = registry.repository(name.clone()).uploads().start().unwrap();
    drop(registry);
    is_kept().await;
    session.append(Some(0), None, piece()).await.unwrap();
    drop(session);
    let registry = pool.get_or_open(&location("a")).await.unwrap();
    assert_eq!(registry.transport(), transport);
    drop(registry);
    // A stream, whole or of a part, before its first piece and behind it; an answer's body.
    for range in [ByteRange::full(), ByteRange::new(1, 3)] {
        let registry = pool.get_or_open(&location("a")).await.unwrap();
        let reader = registry.repository(name.clone()).blobs().open(&descriptor.digest, range).await.unwrap();
        drop(registry);
        is_kept().await;
        let mut stream = reader.into_stream();
        is_kept().await;
        assert!(stream.next().await.unwrap().is_ok());
        is_kept().await;
        assert!(stream.next().await.is_none());
    }
    for range in ["bytes=0-", "bytes=1-2", "bytes=0-0,2-3"] {
        let registry = pool.get_or_open(&location("a")).await.unwrap();
        let request = Request::get(format!("/v2/{name}/blobs/{}", descriptor.digest)).header(RANGE, range);
        let answer = registry.service().call(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), 206);
        drop(registry);
        is_kept().await;
        drop(answer);
    }
    assert_eq!(pool.sweep().await.evicted, 0, "the time begins when the last one lets go");
    advance(MINUTE).await;
    assert_eq!((pool.sweep().await.evicted, lab.alive()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn after_its_time_an_instance_is_not_given_out_and_ends_with_its_last_user() {
    let (lab, evictions) = (Lab::default(), Evictions::default());
    let pool = evictions.of(lab.pool().time_to_live(60 * MINUTE)).build();
    let old = pool.get_or_open(&location("a")).await.unwrap();
    for _ in 0..59 {
        advance(MINUTE).await;
        assert_eq!(pool.get_or_open(&location("a")).await.unwrap().transport(), old.transport());
    }
    advance(MINUTE).await;
    let new = pool.get_or_open(&location("a")).await.unwrap();
    assert_ne!(new.transport(), old.transport());
    assert_eq!(evictions.take(), [("velero/a".to_owned(), Expired)]);
    assert_eq!((lab.alive(), pool.stats().open, pool.stats().alive), (2, 1, 2));
    assert!(old.catalog(None, 10).await.unwrap().entries.is_empty());
    drop(old);
    assert_eq!((lab.alive(), pool.stats().alive), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn of_too_many_the_one_used_longest_ago_leaves() {
    let (lab, evictions) = (Lab::default(), Evictions::default());
    let pool = evictions.of(lab.pool().max_open(3)).build();
    for bucket in ["a", "b", "c", "a", "d"] {
        pool.get_or_open(&location(bucket)).await.unwrap();
        assert!(lab.alive() <= 3);
    }
    assert_eq!(evictions.take(), [("velero/b".to_owned(), Capacity)]);
    assert_eq!((pool.stats().open, lab.alive(), pool.stats().capacity), (3, 3, 1));
    let one = lab.pool().max_open(0).build();
    one.get_or_open(&location("a")).await.unwrap();
    one.get_or_open(&location("b")).await.unwrap();
    assert_eq!(one.stats().open, 1, "there is always room for one");
}

#[tokio::test(start_paused = true)]
async fn what_left_for_lack_of_room_while_in_use_is_taken_back() {
    let lab = Lab::default();
    let pool = lab.pool().max_open(1).build();
    let first = pool.get_or_open(&location("a")).await.unwrap();
    pool.get_or_open(&location("b")).await.unwrap();
    assert_eq!((pool.stats().open, lab.alive()), (1, 2));
    let again = pool.get_or_open(&location("a")).await.unwrap();
    assert_eq!(again.transport(), first.transport());
    assert_eq!((lab.opened(), lab.alive(), pool.stats().revived), (2, 1, 1));
    // But not after its time.
    advance(60 * MINUTE).await;
    assert_ne!(pool.get_or_open(&location("a")).await.unwrap().transport(), first.transport());
}

#[tokio::test]
async fn the_host_can_close_everything() {
    let (lab, evictions) = (Lab::default(), Evictions::default());
    let pool = evictions.of(lab.pool()).build();
    for bucket in ["a", "b", "c"] {
        pool.get_or_open(&location(bucket)).await.unwrap();
    }
    assert_eq!(pool.invalidate("velero", "none").await, 0);
    assert_eq!(pool.invalidate("velero", "a").await, 1);
    assert_eq!((lab.alive(), evictions.take()), (2, vec![("velero/a".to_owned(), Invalidated)]));
    assert_eq!((pool.invalidate_all().await, lab.alive(), pool.stats().invalidated), (2, 0, 3));
    pool.get_or_open(&location("a")).await.unwrap();
    assert_eq!(lab.alive(), 1);
    let clone = pool.clone();
    drop(pool);
    assert_eq!(lab.alive(), 1);
    drop(clone);
    assert_eq!(lab.alive(), 0, "a pool closes what nobody uses");
}
