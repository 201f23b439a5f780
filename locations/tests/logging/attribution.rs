//! Whose an event is.

use std::{
    sync::Barrier,
    task::{Context, Poll, Waker},
    thread,
};

use futures::{StreamExt, stream};
use plugin_registry_locations::{config::LogSettings, logging::InstanceLogs};
use tracing::{Dispatch, Instrument, dispatcher};
use tracing_subscriber::{filter::LevelFilter, fmt, prelude::*};

use crate::{Host, Output, operation};

#[test]
fn two_threads_at_once() {
    let host = Host::with_filter();
    let (_loud, _quiet) = (host.insert("loud", LevelFilter::DEBUG), host.insert("quiet", LevelFilter::WARN));
    let (run, together) = (&host, &Barrier::new(2));
    thread::scope(|scope| {
        for instance in ["loud", "quiet"] {
            scope.spawn(move || {
                run.run(|| {
                    let _entered = operation(instance).entered();
                    for number in 0..100 {
                        together.wait();
                        tracing::debug!(number, "of {instance}");
                        tracing::info!(number, "of {instance}");
                        tracing::warn!(number, "of {instance}");
                    }
                });
            });
        }
    });
    let lines = host.output.take();
    let count = |level: &str, instance: &str| {
        let start = format!("{level} operation{{location=\"velero/default\" instance=\"{instance}\"}}: ");
        let of = format!("of {instance} number=");
        lines.iter().filter(|line| line.starts_with(&start) && line.contains(&of)).count()
    };
    assert_eq!(["DEBUG", "INFO", "WARN"].map(|level| count(level, "loud")), [100, 100, 100]);
    assert_eq!(["DEBUG", "INFO", "WARN"].map(|level| count(level, "quiet")), [0, 0, 100]);
    assert_eq!(lines.len(), 400, "nothing else");
}

#[test]
fn interleaved_in_one_task() {
    let host = Host::with_filter();
    let (_loud, _quiet) = (host.insert("loud", LevelFilter::DEBUG), host.insert("quiet", LevelFilter::WARN));
    let work = |name: &'static str| {
        let steps = async move {
            for step in 0..3 {
                tracing::debug!("{name} {step}");
                pause().await;
            }
            tracing::warn!("{name} ends");
        };
        steps.instrument(operation(name))
    };
    host.run(|| {
        futures::executor::block_on(futures::future::join(work("loud"), work("quiet")));
    });
    assert_eq!(
        host.output.take(),
        [
            r#"DEBUG operation{location="velero/default" instance="loud"}: loud 0"#,
            r#"DEBUG operation{location="velero/default" instance="loud"}: loud 1"#,
            r#"DEBUG operation{location="velero/default" instance="loud"}: loud 2"#,
            r#"WARN operation{location="velero/default" instance="loud"}: loud ends"#,
            r#"WARN operation{location="velero/default" instance="quiet"}: quiet ends"#,
        ]
    );
}

#[test]
fn in_a_stream_that_somebody_else_polls() {
    let host = Host::with_filter();
    let (_loud, _quiet) = (host.insert("loud", LevelFilter::DEBUG), host.insert("quiet", LevelFilter::WARN));
    host.run(|| {
        let streams = ["loud", "quiet"].map(|name| {
            let (span, mut left) = (operation(name), 2);
            stream::poll_fn(move |_| {
                span.in_scope(|| tracing::debug!("piece {left} of {name}"));
                left -= 1;
                Poll::Ready((left > 0).then_some(()))
            })
        });
        let _mine = operation("quiet").entered();
        futures::executor::block_on(stream::select_all(streams).count());
        tracing::debug!("of the reader");
    });
    assert_eq!(
        host.output.take().iter().map(|line| line.rsplit(": ").next().unwrap()).collect::<Vec<_>>(),
        ["piece 2 of loud", "piece 1 of loud"]
    );
}

#[test]
fn the_nearest_instance_counts() {
    let host = Host::with_filter();
    let (_loud, _quiet) = (host.insert("loud", LevelFilter::DEBUG), host.insert("quiet", LevelFilter::WARN));
    host.run(|| {
        let _outer = operation("quiet").entered();
        tracing::info!("dropped: quiet");
        {
            let _inner = operation("loud").entered();
            let _step = tracing::debug_span!("step").entered();
            tracing::debug!("loud in quiet");
            {
                let _innermost = operation("quiet").entered();
                tracing::info!("dropped: quiet again");
            }
            tracing::debug!("loud again");
        }
        tracing::info!("dropped: quiet at last");
    });
    let lines = host.output.take();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].ends_with("step: loud in quiet") && lines[1].ends_with("step: loud again"), "{lines:?}");
}

#[test]
fn parents_that_are_named_count_instead_of_the_current_span() {
    let host = Host::with_filter();
    let (_loud, _quiet) = (host.insert("loud", LevelFilter::DEBUG), host.insert("quiet", LevelFilter::WARN));
    host.run(|| {
        let loud = operation("loud");
        tracing::debug!(parent: &loud, "from outside");
        let _entered = operation("quiet").entered();
        tracing::debug!(parent: &loud, "from another");
        let _entered = loud.entered();
        tracing::info!(parent: None, "dropped: nobody's");
        tracing::warn!(parent: None, "nobody's");
    });
    assert_eq!(
        host.output.take(),
        [
            r#"DEBUG operation{location="velero/default" instance="loud"}: from outside"#,
            r#"DEBUG operation{location="velero/default" instance="loud"}: from another"#,
            "WARN nobody's",
        ]
    );
}

#[test]
fn a_span_without_a_value_has_no_instance_until_it_is_recorded() {
    let host = Host::with_filter();
    let (_loud, _quiet) = (host.insert("loud", LevelFilter::DEBUG), host.insert("quiet", LevelFilter::WARN));
    host.run(|| {
        let _outer = operation("loud").entered();
        let inner = tracing::error_span!("inner", instance = tracing::field::Empty).entered();
        tracing::debug!("of the outer");
        inner.record("instance", "quiet");
        tracing::info!("dropped: of the inner");
    });
    let lines = host.output.take();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].ends_with("inner: of the outer"));
}

#[test]
fn an_instance_of_nobody_ends_that_of_others() {
    let host = Host::with_filter();
    let _loud = host.insert("loud", LevelFilter::DEBUG);
    host.run(|| {
        let _outer = operation("loud").entered();
        let _inner = operation("unknown").entered();
        tracing::info!("dropped: the host's level");
        tracing::warn!("kept: the host's level");
    });
    let lines = host.output.take();
    assert_eq!(lines.len(), 1, "{lines:?}");
}

#[test]
fn two_tables_in_one_subscriber() {
    let (one, other) = (InstanceLogs::new(), InstanceLogs::new());
    let outputs = [Output::default(), Output::default()];
    let layers = [&one, &other].into_iter().zip(outputs.clone()).map(|(logs, output)| {
        let layer = fmt::layer().with_writer(move || output.clone()).with_ansi(false).without_time();
        layer.with_target(false).with_filter(logs.filter(LevelFilter::WARN))
    });
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layers.collect::<Vec<_>>()));
    let _one = one.insert("one", LogSettings::default().with_level(LevelFilter::DEBUG));
    let _other = other.insert("other", LogSettings::default().with_level(LevelFilter::INFO));
    dispatcher::with_default(&dispatch, || {
        operation("one").in_scope(|| tracing::debug!("of one"));
        operation("other").in_scope(|| tracing::info!("of the other"));
        tracing::warn!("of both");
    });
    let ends = |output: &Output| {
        let lines = output.take();
        lines.iter().map(|line| line.rsplit(": ").next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ends(&outputs[0]), ["of one", "WARN of both"]);
    assert_eq!(ends(&outputs[1]), ["of the other", "WARN of both"]);
}

/// Ready at the second poll.
async fn pause() {
    let mut is_ready = false;
    std::future::poll_fn(|context: &mut Context<'_>| {
        if std::mem::replace(&mut is_ready, true) {
            return Poll::Ready(());
        }
        Waker::wake_by_ref(context.waker());
        Poll::Pending
    })
    .await;
}
