//! Purges of uploads, hosted by the pool.

use std::{io, time::Duration};

use futures::stream;
use plugin_registry_locations::{Location, RegistryPool};
use tokio::time::advance;

use crate::lab::{Lab, location};

const MINUTE: Duration = Duration::from_secs(60);

const HOUR: Duration = Duration::from_secs(3600);

/// A location whose uploads are purged each day, whatever their age.
fn purged(bucket: &str, dry_run: bool) -> Location {
    let mut location = location(bucket);
    let mut settings = plugin_registry_locations::config::PurgeSettings::default();
    (settings.older_than, settings.dry_run) = (Duration::ZERO, dry_run);
    location.config.purge = Some(settings);
    location
}

/// An abandoned upload.
async fn leave_upload(pool: &RegistryPool, location: &Location) {
    let registry = pool.get_or_open(location).await.unwrap();
    let session = registry.repository("ns/app".parse().unwrap()).uploads().start().unwrap();
    session.append(Some(0), None, stream::iter([Ok::<_, io::Error>("abc".into())])).await.unwrap();
}

async fn found(pool: &RegistryPool) -> Vec<(String, usize)> {
    let report = pool.sweep().await;
    let mut found: Vec<_> = report
        .purged
        .iter()
        .map(|purge| (purge.location.to_string(), purge.purged.as_ref().unwrap().uploads.len()))
        .collect();
    found.sort();
    found
}

#[tokio::test(start_paused = true)]
async fn uploads_are_purged_when_their_location_is_due() {
    let lab = Lab::default();
    let pool = lab.pool().time_to_idle(100 * 24 * HOUR).time_to_live(100 * 24 * HOUR).build();
    let (a, b, never) = (purged("a", false), purged("b", true), location("c"));
    for location in [&a, &b, &never] {
        leave_upload(&pool, location).await;
    }
    advance(HOUR).await;
    assert_eq!(found(&pool).await, [("velero/a".to_owned(), 1), ("velero/b".to_owned(), 1)]);
    leave_upload(&pool, &a).await;
    assert_eq!(found(&pool).await, [], "once each interval");
    advance(21 * HOUR).await;
    assert_eq!(found(&pool).await, []);
    advance(3 * HOUR).await;
    // A dry run has deleted nothing.
    assert_eq!(found(&pool).await, [("velero/a".to_owned(), 1), ("velero/b".to_owned(), 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_plan_outlives_the_instance() {
    let lab = Lab::default();
    let pool = lab.pool().build();
    leave_upload(&pool, &purged("a", true)).await;
    advance(2 * HOUR).await;
    assert_eq!(found(&pool).await, [], "closed, because it was idle, and so not purged");
    assert_eq!(lab.alive(), 0);
    leave_upload(&pool, &purged("a", true)).await;
    assert_eq!(found(&pool).await, [("velero/a".to_owned(), 2)], "due since");
}

#[tokio::test(start_paused = true)]
async fn a_purge_that_fails_is_reported_and_comes_again() {
    let lab = Lab::default();
    let pool = lab.pool().time_to_idle(100 * HOUR).time_to_live(100 * HOUR).build();
    pool.get_or_open(&purged("a", false)).await.unwrap();
    lab.break_down();
    for wait in [HOUR, 24 * HOUR] {
        advance(wait).await;
        let report = pool.sweep().await;
        let error = report.purged[0].purged.as_ref().unwrap_err().to_string();
        assert!(error.contains("unavailable"), "{error}");
        assert!(pool.sweep().await.purged.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_written_is_not_purged() {
    let lab = Lab::default();
    let pool = lab
        .pool()
        .time_to_idle(100 * HOUR)
        .time_to_live(100 * HOUR)
        .configure(|_, builder| builder.read_only(true))
        .build();
    pool.get_or_open(&purged("a", false)).await.unwrap();
    pool.get_or_open(&purged("b", true)).await.unwrap();
    advance(2 * HOUR).await;
    assert_eq!(found(&pool).await, [("velero/b".to_owned(), 0)], "a dry run writes nothing");
}

#[tokio::test(start_paused = true)]
async fn two_sweeps_at_once_purge_once() {
    let lab = Lab::default();
    let pool = lab.pool().time_to_idle(100 * HOUR).time_to_live(100 * HOUR).build();
    leave_upload(&pool, &purged("a", false)).await;
    advance(HOUR).await;
    let (one, other) = futures::join!(pool.sweep(), pool.sweep());
    assert_eq!(one.purged.len() + other.purged.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_stops_no_other_location() {
    let lab = Lab::default();
    let pool = lab.pool().time_to_idle(10 * HOUR).time_to_live(10 * HOUR).purge_timeout(5 * MINUTE).build();
    // Fewer silent ones than are purged side by side.
    let buckets = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
    let silent = ["b", "c", "h"];
    for bucket in buckets {
        leave_upload(&pool, &purged(bucket, false)).await;
    }
    let idle = pool.get_or_open(&location("idle")).await.unwrap();
    drop(idle);
    silent.iter().for_each(|bucket| lab.silence(bucket));
    advance(HOUR).await;
    let begin = tokio::time::Instant::now();
    let report = pool.sweep().await;
    assert_eq!(begin.elapsed(), 5 * MINUTE, "all silent ones at once");
    assert_eq!(lab.unanswered(), silent.len());
    let mut failed = Vec::new();
    for purge in &report.purged {
        match &purge.purged {
            Ok(purged) => assert_eq!(purged.uploads.len(), 1, "{}", purge.location),
            Err(error) => {
                assert!(error.to_string().contains("did not finish within 300 s"), "{error}");
                failed.push(purge.location.to_string());
            }
        }
    }
    failed.sort();
    assert_eq!((report.purged.len(), failed), (12, silent.map(|bucket| format!("velero/{bucket}")).to_vec()));
    assert!(pool.sweep().await.purged.is_empty(), "once each interval");
}

/// The purges of other locations end first, and idle instances leave before any of them.
#[tokio::test(start_paused = true)]
async fn instances_leave_before_anything_is_purged() {
    let lab = Lab::default();
    let pool = lab.pool().time_to_idle(2 * HOUR).time_to_live(100 * HOUR).build();
    pool.get_or_open(&location("idle")).await.unwrap();
    advance(90 * MINUTE).await;
    pool.get_or_open(&purged("silent", false)).await.unwrap();
    lab.silence("silent");
    advance(HOUR).await;
    let mut sweep = Box::pin(pool.sweep());
    while lab.unanswered() == 0 {
        assert!(futures::poll!(&mut sweep).is_pending());
    }
    assert_eq!((lab.alive(), pool.stats().idle), (1, 1));
}
