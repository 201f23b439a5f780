//! Distribution's lines.

use plugin_registry_core::Secret;
use plugin_registry_locations::config::{LogFormatter, LogSettings};
use tracing::field::Empty;
use tracing_subscriber::filter::LevelFilter;

use crate::{Host, operation, timeless};

fn settings(formatter: LogFormatter) -> LogSettings {
    LogSettings::default()
        .with_formatter(formatter)
        .with_field("service", "registry")
        .with_field("environment", "test")
}

#[test]
fn each_instance_in_its_own_form() {
    let host = Host::with_layer();
    let forms = [LogFormatter::Text, LogFormatter::Json, LogFormatter::Logstash];
    let _logs = forms.map(|form| host.logs.insert(format!("{form:?}"), settings(form)));
    host.run(|| {
        for form in forms {
            let _entered = operation(&format!("{form:?}")).entered();
            tracing::warn!(bytes = 3, ok = false, ratio = 0.5, r#type = "link", "damaged: {}", "a\nb");
        }
    });
    let lines = host.output.take();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!(
        timeless(&lines[0]),
        concat!(
            r#"level=warning msg="damaged: a\nb" bytes=3 environment=test instance=Text location=velero/default "#,
            "ok=false ratio=0.5 service=registry type=link",
        )
    );
    let (before, after) = lines[1].split_once(r#""time":""#).unwrap();
    assert_eq!(
        before,
        concat!(
            r#"{"bytes":3,"environment":"test","instance":"Json","level":"warning","location":"velero/default","#,
            r#""msg":"damaged: a\nb","ok":false,"ratio":0.5,"service":"registry","#,
        )
    );
    let (time, after) = after.split_once('"').unwrap();
    assert!(time.len() == 30 && time.parse::<jiff::Timestamp>().is_ok(), "{time}");
    assert_eq!(after, r#","type":"link"}"#);
    let (_, after) = lines[2].strip_prefix(r#"{"@timestamp":""#).unwrap().split_once('"').unwrap();
    assert_eq!(
        after,
        concat!(
            r#","@version":"1","bytes":3,"environment":"test","instance":"Logstash","level":"warning","#,
            r#""location":"velero/default","message":"damaged: a\nb","ok":false,"ratio":0.5,"#,
            r#""service":"registry","type":"link"}"#,
        )
    );
}

#[test]
fn the_innermost_field_wins() {
    let host = Host::with_layer();
    let fields = ["setting", "span", "event"];
    let settings =
        fields.into_iter().fold(LogSettings::default(), |all, name| all.with_field(name, "setting"));
    let _log = host.logs.insert("one", settings);
    host.run(|| {
        let _host = tracing::info_span!("backup", name = "nightly", span = "outer").entered();
        let _operation = operation("one").entered();
        let inner =
            tracing::info_span!("inner", span = "inner", event = "span", later = Empty, other = 1).entered();
        inner.record("later", 2);
        tracing::info!(event = "event", "text");
    });
    assert_eq!(
        host.output.take().iter().map(|line| timeless(line)).collect::<Vec<_>>(),
        [concat!(
            "level=info msg=text event=event instance=one later=2 location=velero/default name=nightly other=1 ",
            "setting=setting span=inner",
        )]
    );
}

#[test]
fn an_instance_without_a_level_logs_from_info_on_and_nothing_else_is_written() {
    let host = Host::with_layer();
    let one = host.logs.insert("one", LogSettings::default());
    let _loud = host.insert("loud", LevelFilter::TRACE);
    host.run(|| {
        tracing::error!("dropped: nobody's");
        operation("unknown").in_scope(|| tracing::error!("dropped: of none that is known"));
        let _entered = operation("one").entered();
        tracing::debug!("dropped: debug");
        tracing::info!("kept");
        drop(one);
        tracing::error!("dropped: of one that is gone");
    });
    assert_eq!(
        host.output.take().iter().map(|line| timeless(line)).collect::<Vec<_>>(),
        ["level=info msg=kept instance=one location=velero/default"]
    );
}

#[test]
fn a_forged_line_stays_a_value() {
    let host = Host::with_layer();
    let _log = host.logs.insert("one", LogSettings::default().with_field("a b\n", "\u{1b}[2J"));
    let forged = "x\ntime=\"2026-01-01T00:00:00Z\" level=error msg=forged";
    host.run(|| {
        let span = tracing::error_span!("operation", instance = "one", reference = %forged);
        span.in_scope(|| tracing::info!(path = forged, "{forged}"));
    });
    let lines = host.output.take();
    assert_eq!(lines.len(), 1, "{lines:?}");
    let quoted = r#""x\ntime=\"2026-01-01T00:00:00Z\" level=error msg=forged""#;
    assert_eq!(
        timeless(&lines[0]),
        format!(r#"level=info msg={quoted} "a b\n"="\x1b[2J" instance=one path={quoted} reference={quoted}"#)
    );
}

#[test]
fn no_secret_is_written() {
    let host = Host::with_layer();
    let _log = host.insert("one", LevelFilter::TRACE);
    let secret = Secret::new("hunter2");
    host.run(|| {
        let _entered = tracing::error_span!("operation", instance = "one", ?secret).entered();
        tracing::error!(?secret, pair = ?("key", &secret), "with {secret:?}");
    });
    let lines = host.output.take();
    assert_eq!(lines.len(), 1);
    assert!(lines[0].contains("Secret(") && !lines[0].contains("hunter2"), "{lines:?}");
}
