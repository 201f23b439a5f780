//! Levels, and changes of them.

use plugin_registry_locations::config::LogSettings;
use tracing::Dispatch;
use tracing_subscriber::{Layer, filter::LevelFilter, fmt, prelude::*};

use crate::{Host, Output, operation};

fn debug(text: &str) {
    tracing::debug!("{text}");
}

#[test]
fn an_instance_that_comes_later_is_heard_at_callsites_known_before() {
    fn callsite(text: &str) {
        tracing::debug!("{text}");
    }
    let host = Host::with_filter();
    host.run(|| {
        let quiet = host.insert("quiet", LevelFilter::WARN);
        operation("quiet").in_scope(|| callsite("dropped"));
        callsite("dropped outside");
        let loud = host.insert("loud", LevelFilter::DEBUG);
        operation("loud").in_scope(|| callsite("heard"));
        operation("quiet").in_scope(|| callsite("dropped still"));
        callsite("dropped outside still");
        drop((quiet, loud));
    });
    assert_eq!(host.output.take(), [r#"DEBUG operation{location="velero/default" instance="loud"}: heard"#]);
}

#[test]
fn outside_and_without_a_level_the_hosts_counts() {
    let host = Host::with_filter();
    let _loud = host.insert("loud", LevelFilter::TRACE);
    let _plain = host.logs.insert("plain", LogSettings::default());
    host.run(|| {
        tracing::info!("dropped");
        tracing::warn!("outside");
        let _entered = operation("plain").entered();
        tracing::info!("dropped");
        tracing::warn!("plain");
    });
    assert_eq!(
        host.output.take(),
        ["WARN outside", r#"WARN operation{location="velero/default" instance="plain"}: plain"#]
    );
}

#[test]
fn an_instance_may_be_quieter_than_the_host_or_off() {
    let host = Host::with_filter();
    let (_quiet, _off) = (host.insert("quiet", LevelFilter::ERROR), host.insert("off", LevelFilter::OFF));
    host.run(|| {
        operation("quiet").in_scope(|| {
            tracing::warn!("dropped");
            tracing::error!("kept");
        });
        operation("off").in_scope(|| tracing::error!("dropped"));
        tracing::warn!("outside");
    });
    let lines = host.output.take();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].ends_with("kept") && lines[1].ends_with("outside"), "{lines:?}");
}

#[test]
fn an_instance_is_found_where_the_levels_around_it_are_off() {
    let logs = plugin_registry_locations::logging::InstanceLogs::new();
    let output = Output::default();
    let writer = output.clone();
    let layer = fmt::layer().with_writer(move || writer.clone()).with_ansi(false).without_time();
    let layer = layer.with_target(false).with_filter(logs.filter(LevelFilter::OFF));
    let _loud = logs.insert("loud", LogSettings::default().with_level(LevelFilter::DEBUG));
    let _off = logs.insert("off", LogSettings::default().with_level(LevelFilter::OFF));
    tracing::dispatcher::with_default(&Dispatch::new(tracing_subscriber::registry().with(layer)), || {
        tracing::error!("dropped");
        operation("loud").in_scope(|| debug("heard"));
        let _entered = operation("off").entered();
        operation("loud").in_scope(|| debug("heard too"));
    });
    let lines = output.take();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].ends_with(": heard") && lines[1].ends_with(": heard too"), "{lines:?}");
}

#[test]
fn a_level_changes_while_a_span_is_open() {
    let host = Host::with_filter();
    host.run(|| {
        let log = host.insert("one", LevelFilter::WARN);
        let _entered = operation("one").entered();
        debug("dropped");
        log.set_level(LevelFilter::DEBUG);
        debug("heard");
        log.set_level(LevelFilter::INFO);
        debug("dropped");
        log.set_level(LevelFilter::DEBUG);
        debug("heard again");
        log.set_level(None);
        debug("dropped");
    });
    let lines = host.output.take();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].ends_with(": heard") && lines[1].ends_with(": heard again"), "{lines:?}");
}

#[test]
fn what_a_removed_instance_logs_is_the_hosts() {
    let host = Host::with_filter();
    host.run(|| {
        let log = host.insert("one", LevelFilter::DEBUG);
        let _other = host.insert("other", LevelFilter::DEBUG);
        let _entered = operation("one").entered();
        debug("heard");
        drop(log);
        debug("dropped in the open span");
        operation("one").in_scope(|| debug("dropped in a new one"));
        tracing::warn!("kept");
    });
    let lines = host.output.take();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].ends_with(": heard") && lines[1].ends_with(": kept"), "{lines:?}");
}

/// One instance's lines do not change because another is verbose.
#[test]
fn spans_are_seen_as_the_level_around_them_allows() {
    let host = Host::with_filter();
    let (_loud, _quiet) = (host.insert("loud", LevelFilter::DEBUG), host.insert("quiet", LevelFilter::WARN));
    host.run(|| {
        for instance in ["loud", "quiet"] {
            let _entered = operation(instance).entered();
            let _storage = tracing::debug_span!("storage", path = "/a").entered();
            tracing::warn!("from the driver");
        }
    });
    assert_eq!(
        host.output.take(),
        [
            r#"WARN operation{location="velero/default" instance="loud"}:storage{path="/a"}: from the driver"#,
            r#"WARN operation{location="velero/default" instance="quiet"}: from the driver"#,
        ]
    );
}

/// Layers beside ours see what they see without it, and ours does not see more for it.
#[test]
fn other_layers_are_left_alone() {
    let (beside, behind) = (Output::default(), Output::default());
    let (out, log) = (beside.clone(), behind.clone());
    let plain = fmt::layer().with_writer(move || out.clone()).with_ansi(false).without_time();
    let logs = plugin_registry_locations::logging::InstanceLogs::new();
    let ours = fmt::layer().with_writer(move || log.clone()).with_ansi(false).without_time();
    let subscriber = tracing_subscriber::registry()
        .with(plain.with_target(false).with_filter(LevelFilter::TRACE))
        .with(ours.with_target(false).with_filter(logs.filter(LevelFilter::WARN)).boxed());
    tracing::dispatcher::with_default(&Dispatch::new(subscriber), || {
        let _quiet = logs.insert("quiet", LogSettings::default().with_level(LevelFilter::WARN));
        let _entered = operation("quiet").entered();
        // Our filter does not pass this one, and looks beyond it.
        let _storage = tracing::debug_span!("storage").entered();
        tracing::trace!("fine");
        tracing::warn!("bad");
    });
    let operation = r#"operation{location="velero/default" instance="quiet"}"#;
    assert_eq!(
        beside.take(),
        [format!("TRACE {operation}:storage: fine"), format!("WARN {operation}:storage: bad")]
    );
    assert_eq!(behind.take(), [format!("WARN {operation}: bad")]);
}
