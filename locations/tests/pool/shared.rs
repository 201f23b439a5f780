//! Which caller gets which instance.

use std::time::Duration;

use futures::{FutureExt, future::join_all};
use plugin_registry_core::{Descriptor, ErrorKind, MediaType};
use plugin_registry_locations::{Location, pool::EvictionCause};

use crate::lab::{Evictions, Lab, location, secret, with};

#[tokio::test]
async fn nothing_changed_is_the_same_instance() {
    let lab = Lab::default();
    let pool = lab.pool().build();
    let first = pool.get_or_open(&location("a")).await.unwrap();
    for _ in 0..1000 {
        let again = pool.get_or_open(&location("a")).await.unwrap();
        assert_eq!(again.transport(), first.transport());
    }
    assert_eq!((lab.opened(), pool.stats().hits, pool.stats().opened), (1, 1000, 1));
    // Another name is another location, even if everything else is equal.
    let other = Location::new("velero", "other", location("a").config);
    assert_ne!(pool.get_or_open(&other).await.unwrap().transport(), first.transport());
    let other = Location::new("elsewhere", "a", location("a").config);
    assert_ne!(pool.get_or_open(&other).await.unwrap().transport(), first.transport());
    assert_eq!((lab.opened(), pool.stats().open, pool.stats().alive), (3, 3, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_ask_at_once_share_one_open() {
    let lab = Lab::default();
    let pool = lab.pool().build();
    let asks = (0..64).map(|_| {
        let pool = pool.clone();
        async move { pool.get_or_open(&with("a", "    wait: 50\n")).await.unwrap().transport().to_owned() }
    });
    let names = join_all(asks).await;
    assert!(names.iter().all(|name| *name == names[0]));
    assert_eq!(lab.opened(), 1);
}

#[tokio::test]
async fn a_failed_open_is_shared_and_not_remembered() {
    let lab = Lab::default();
    let pool = lab.pool().build();
    let wrong = with("a", "    wait: 50\n    secretkey: wrong\n");
    let errors = join_all((0..8).map(|_| pool.get_or_open(&wrong))).await;
    for error in errors {
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        assert_eq!(error.to_string(), "location `velero/a` cannot be opened: lab driver: not authenticated");
        assert!(std::error::Error::source(&error).is_none(), "the text has the cause");
    }
    assert_eq!((lab.opened(), pool.stats().failed), (1, 1));
    assert!(pool.get_or_open(&wrong).await.is_err());
    assert_eq!((lab.opened(), pool.stats().failed, pool.stats().open), (2, 2, 0));
    pool.get_or_open(&secret("a", "right")).await.unwrap();
    assert_eq!(lab.alive(), 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_gives_up_waiting_stops_nobody() {
    let lab = Lab::default();
    let pool = lab.pool().build();
    let slow = with("a", "    wait: 1000\n");
    let mut leader = Box::pin(pool.get_or_open(&slow));
    assert!(leader.as_mut().now_or_never().is_none());
    let mut waiter = Box::pin(pool.get_or_open(&slow));
    assert!(waiter.as_mut().now_or_never().is_none());
    drop(leader);
    waiter.await.unwrap();
    assert_eq!((lab.opened(), lab.alive()), (2, 1));
}

#[tokio::test]
async fn a_rotated_secret_is_a_new_instance_and_the_old_one_finishes() {
    let (lab, evictions) = (Lab::default(), Evictions::default());
    let pool = evictions.of(lab.pool()).build();
    let old = pool.get_or_open(&secret("a", "one")).await.unwrap();
    let session = old.repository("ns/app".parse().unwrap()).uploads().start().unwrap();
    let bytes = |text: &'static str| futures::stream::iter([Ok::<_, std::io::Error>(text.into())]);
    session.append(Some(0), None, bytes("abc")).await.unwrap();

    let new = pool.get_or_open(&secret("a", "two")).await.unwrap();
    assert_ne!(new.transport(), old.transport());
    assert_eq!(evictions.take(), [("velero/a".to_owned(), EvictionCause::Replaced)]);
    assert_eq!((pool.stats().open, pool.stats().alive, lab.alive()), (1, 2, 2));

    // The old one's session goes on, and so it does through the new one.
    drop(old);
    assert_eq!(session.append(Some(3), None, bytes("def")).await.unwrap(), 6);
    let id = session.id();
    drop(session);
    assert_eq!((pool.stats().alive, lab.alive()), (1, 1), "nobody has the old one any more");
    let uploads = new.repository("ns/app".parse().unwrap()).uploads();
    let descriptor = Descriptor::of(MediaType::ImageLayer, b"abcdefghi");
    let session = uploads.resume(id).await.unwrap();
    session.finish(Some(6), None, &descriptor.digest, bytes("ghi")).await.unwrap();
    assert_eq!(evictions.take(), []);
}

#[tokio::test]
async fn an_old_secret_does_not_come_back_by_itself() {
    let lab = Lab::default();
    let pool = lab.pool().build();
    let one = pool.get_or_open(&secret("a", "one")).await.unwrap().transport().to_owned();
    let two = pool.get_or_open(&secret("a", "two")).await.unwrap().transport().to_owned();
    assert_eq!((lab.opened(), lab.alive()), (2, 1));
    // A caller that asks for it gets it, opened again: the pool does not know which one is right.
    let again = pool.get_or_open(&secret("a", "one")).await.unwrap();
    assert!(again.transport() != one && again.transport() != two);
    assert_eq!((lab.opened(), lab.alive()), (3, 1));
}

#[tokio::test]
async fn transport_names_are_found_until_the_instance_is_closed() {
    let lab = Lab::default();
    let pool = lab.pool().build();
    let (a, b) =
        (pool.get_or_open(&location("a")).await.unwrap(), pool.get_or_open(&location("b")).await.unwrap());
    let name = a.transport().to_owned();
    let uuid = name.strip_prefix("registry-lab-").unwrap();
    assert_eq!(uuid.len(), 36, "{name}");
    assert_eq!(pool.resolve(&name).unwrap().location(), "velero/a");
    assert_eq!(pool.resolve(b.transport()).unwrap().location(), "velero/b");
    assert!(pool.resolve("registry-lab-").is_none() && pool.resolve("").is_none());

    // Evicted, but in use.
    assert_eq!(pool.invalidate("velero", "a").await, 1);
    let found = pool.resolve(&name).unwrap();
    drop(a);
    assert_eq!(found.transport(), name);
    drop(found);
    assert!(pool.resolve(&name).is_none());
    assert_eq!(lab.alive(), 1);
    // Another pool has its own table.
    assert!(lab.pool().build().resolve(b.transport()).is_none());
}

#[tokio::test]
async fn what_was_invalidated_is_opened_anew_while_it_is_in_use() {
    let lab = Lab::default();
    let pool = lab.pool().build();
    let (a, b) =
        (pool.get_or_open(&location("a")).await.unwrap(), pool.get_or_open(&location("b")).await.unwrap());
    assert_eq!(pool.invalidate("velero", "a").await, 1);
    let anew = pool.get_or_open(&location("a")).await.unwrap();
    assert_ne!(anew.transport(), a.transport());
    assert_eq!(pool.get_or_open(&location("b")).await.unwrap().transport(), b.transport());
    assert_eq!(pool.resolve(a.transport()).unwrap().transport(), a.transport());
    drop(a);
    assert_eq!(pool.get_or_open(&location("a")).await.unwrap().transport(), anew.transport());

    assert_eq!(pool.invalidate_all().await, 2);
    assert_ne!(pool.get_or_open(&location("b")).await.unwrap().transport(), b.transport());
    assert_eq!((lab.opened(), pool.stats().revived), (4, 0));
}

#[tokio::test]
async fn what_is_invalidated_while_it_is_opened_is_for_those_who_wait_alone() {
    let lab = Lab::default();
    let pool = lab.pool().build();
    tokio::time::pause();
    let slow = with("a", "    wait: 1000\n");
    let invalidated = async {
        while lab.opened() == 0 {
            tokio::task::yield_now().await;
        }
        pool.invalidate("velero", "a").await
    };
    let (first, count) = tokio::join!(pool.get_or_open(&slow), invalidated);
    let first = first.unwrap();
    assert_eq!(count, 0, "it was not in the pool yet");
    let second = pool.get_or_open(&slow).await.unwrap();
    assert_ne!(first.transport(), second.transport());
    assert_eq!(lab.opened(), 2);
}

#[tokio::test]
async fn names_with_slashes_are_no_other_locations() {
    let lab = Lab::default();
    let pool = lab.pool().build();
    let config = location("a").config;
    let one = Location::new("a/b", "c", config.clone());
    let other = Location::new("a", "b/c", config.clone());
    let escaped = Location::new("a%2Fb", "c", config);
    let names = join_all([&one, &other, &escaped].map(|location| pool.get_or_open(location))).await;
    let names: std::collections::HashSet<_> =
        names.into_iter().map(|registry| registry.unwrap().location().to_owned()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
}

#[tokio::test]
async fn a_registry_is_built_as_its_location_says_and_the_host_adds() {
    let lab = Lab::default();
    let pool = lab
        .pool()
        .configure(|location, builder| builder.read_only(location.name == "a"))
        .time_to_idle(Duration::from_secs(1))
        .build();
    let digest = Descriptor::of(MediaType::ImageLayer, b"x").digest;
    for (bucket, expected) in [("a", "the registry is read-only"), ("b", "deletes are switched off")] {
        let registry = pool.get_or_open(&location(bucket)).await.unwrap();
        let blobs = registry.repository("ns/app".parse().unwrap()).blobs();
        let error = blobs.delete(&digest).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
