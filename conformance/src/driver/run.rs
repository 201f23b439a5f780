//! Runs one behavior on one store.

use std::time::Duration;

use super::{BEHAVIORS, Context, Store};
use crate::report;

/// Longer than any behavior takes on a slow disk, so that a call that waits forever fails by name.
const DEADLINE: Duration = Duration::from_secs(15 * 60);

/// Runs a behavior on its own store, or reports why it is skipped. The tests that
/// [`driver_suite!`](crate::driver_suite) makes call it.
///
/// # Panics
/// If the behavior does not hold, takes more than a quarter of an hour, or leaves something behind.
pub fn run(
    suite: &str,
    behavior: &'static str,
    unsupported: &[(&str, &str)],
    open: impl AsyncFnOnce() -> Store,
    check: impl AsyncFnOnce(&Context),
) {
    if let Some((_, reason)) = unsupported.iter().find(|(name, _)| *name == behavior) {
        report::skip("driver", behavior, reason, suite);
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let done = runtime.block_on(async {
        tokio::time::timeout(DEADLINE, async {
            let store = open().await;
            if let Some(reason) = store.why_missing() {
                return report::skip("driver", behavior, reason, suite);
            }
            let context = Context::new(store, behavior, suite).await;
            check(&context).await;
            context.clean().await;
        })
        .await
    });
    assert!(
        done.is_ok(),
        "{behavior} [{suite}] has not ended after {DEADLINE:?}: a call of the driver never returns"
    );
}

/// Checks that each behavior named as unsupported exists, so that a skip does not outlive a rename.
///
/// # Panics
/// If one does not exist or has no reason.
pub fn check_unsupported(unsupported: &[(&str, &str)]) {
    for (name, reason) in unsupported {
        assert!(BEHAVIORS.contains(name), "unknown behavior `{name}` in `unsupported`");
        assert!(!reason.is_empty(), "`{name}` in `unsupported` has no reason");
    }
}
