//! A line, in the three forms of CNCF distribution 2.8.
//!
//! Sources: `registry/registry.go`, `configureLogging`; logrus 1.9, `text_formatter.go`, `json_formatter.go`
//! and `formatter.go` (names that clash); logrus-logstash-hook 0.4 and 1.0 (version and type). Distribution 3.1
//! sets its `logstash` up without names and version, so that it writes what `json` does. This is the form of
//! 2.8.

use std::{borrow::Cow, collections::BTreeMap};

use jiff::Timestamp;
use tracing::Level;

use super::{
    fields::{Fields, Value},
    quote::{push_json, push_text},
};
use crate::config::LogFormatter;

const TEXT_KEYS: [&str; 4] = ["time", "level", "msg", "logrus_error"];
const LOGSTASH_KEYS: [&str; 4] = ["@timestamp", "@version", "level", "message"];

/// The content of a line. Later fields replace earlier ones of the same name.
pub(super) struct Line<'a> {
    time: Timestamp,
    level: Level,
    message: &'a str,
    fields: BTreeMap<&'a str, Part<'a>>,
}

/// A borrowed value.
#[derive(Clone, Copy)]
enum Part<'a> {
    Bare(&'a str),
    Text(&'a str),
}

impl<'a> Line<'a> {
    pub(super) fn new(time: Timestamp, level: Level, message: &'a str) -> Self {
        Self { time, level, message, fields: BTreeMap::new() }
    }

    pub(super) fn add_settings(&mut self, fields: &'a BTreeMap<String, String>) {
        self.fields.extend(fields.iter().map(|(name, value)| (name.as_str(), Part::Text(value))));
    }

    pub(super) fn add(&mut self, fields: &'a Fields) {
        self.fields.extend(fields.0.iter().map(|(name, value)| (*name, Part::from(value))));
    }

    /// The line with its end.
    pub(super) fn format(&self, formatter: LogFormatter) -> String {
        match formatter {
            LogFormatter::Text => self.text(),
            LogFormatter::Json => self.json(),
            LogFormatter::Logstash => self.logstash(),
        }
    }

    /// The line's own keys come first, in their order, then the fields by name.
    fn text(&self) -> String {
        let mut line = String::from("time=");
        push_text(&mut line, &self.time());
        line.push_str(" level=");
        line.push_str(self.level());
        if !self.message.is_empty() {
            line.push_str(" msg=");
            push_text(&mut line, self.message);
        }
        for (key, part) in self.fields(&TEXT_KEYS) {
            line.push(' ');
            push_text(&mut line, &key);
            line.push('=');
            match part {
                Part::Bare(value) => line.push_str(value),
                Part::Text(value) => push_text(&mut line, value),
            }
        }
        line.push('\n');
        line
    }

    fn json(&self) -> String {
        let time = self.time();
        let mut object = self.fields(&TEXT_KEYS);
        object.insert("time".into(), Part::Text(&time));
        object.insert("level".into(), Part::Text(self.level()));
        object.insert("msg".into(), Part::Text(self.message));
        to_json(&object)
    }

    fn logstash(&self) -> String {
        let time = self.time();
        let mut object = self.fields(&LOGSTASH_KEYS);
        object.entry("type".into()).or_insert(Part::Text("log"));
        object.insert("@timestamp".into(), Part::Text(&time));
        object.insert("@version".into(), Part::Text("1"));
        object.insert("level".into(), Part::Text(self.level()));
        object.insert("message".into(), Part::Text(self.message));
        to_json(&object)
    }

    /// Returns the fields, renamed where they clash with the line's own keys.
    fn fields(&self, own: &[&str]) -> BTreeMap<Cow<'a, str>, Part<'a>> {
        let key = |name: &'a str| match own.contains(&name) {
            true => Cow::Owned(format!("fields.{name}")),
            false => Cow::Borrowed(name),
        };
        self.fields.iter().map(|(name, part)| (key(name), *part)).collect()
    }

    fn time(&self) -> String {
        format!("{:.9}", self.time)
    }

    fn level(&self) -> &'static str {
        match self.level {
            Level::ERROR => "error",
            Level::WARN => "warning",
            Level::INFO => "info",
            Level::DEBUG => "debug",
            Level::TRACE => "trace",
        }
    }
}

impl<'a> From<&'a Value> for Part<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Bare(text) => Self::Bare(text),
            Value::Text(text) => Self::Text(text),
        }
    }
}

/// Writes an object and the end of its line, with the keys in their order, as Go writes a map.
fn to_json(object: &BTreeMap<Cow<'_, str>, Part<'_>>) -> String {
    let mut line = String::new();
    for (key, part) in object {
        line.push(if line.is_empty() { '{' } else { ',' });
        push_json(&mut line, key);
        line.push(':');
        match part {
            Part::Bare(value) => line.push_str(value),
            Part::Text(value) => push_json(&mut line, value),
        }
    }
    line.push_str("}\n");
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(values: &[(&'static str, Value)]) -> Fields {
        Fields(values.iter().cloned().collect())
    }

    fn text(value: &str) -> Value {
        Value::Text(value.to_owned())
    }

    fn bare(value: &str) -> Value {
        Value::Bare(value.to_owned())
    }

    fn forms(level: Level, message: &str, fields: &Fields) -> [String; 3] {
        let settings = BTreeMap::from([("service".to_owned(), "registry".to_owned())]);
        let mut line = Line::new("2026-01-01T00:00:00.5Z".parse().unwrap(), level, message);
        line.add_settings(&settings);
        line.add(fields);
        [LogFormatter::Text, LogFormatter::Json, LogFormatter::Logstash].map(|form| line.format(form))
    }

    #[test]
    fn a_line_in_each_form() {
        let fields = fields(&[
            ("path", text("/docker/a b")),
            ("bytes", bare("42")),
            ("whole", bare("true")),
            ("error", text("it said \"no\"")),
            ("empty", text("")),
        ]);
        assert_eq!(
            forms(Level::WARN, "damaged link", &fields),
            [
                concat!(
                    "time=\"2026-01-01T00:00:00.500000000Z\" level=warning msg=\"damaged link\" bytes=42 empty= ",
                    "error=\"it said \\\"no\\\"\" path=\"/docker/a b\" service=registry whole=true\n",
                ),
                concat!(
                    r#"{"bytes":42,"empty":"","error":"it said \"no\"","level":"warning","msg":"damaged link","#,
                    r#""path":"/docker/a b","service":"registry","time":"2026-01-01T00:00:00.500000000Z","#,
                    "\"whole\":true}\n",
                ),
                concat!(
                    r#"{"@timestamp":"2026-01-01T00:00:00.500000000Z","@version":"1","bytes":42,"empty":"","#,
                    r#""error":"it said \"no\"","level":"warning","message":"damaged link","#,
                    r#""path":"/docker/a b","service":"registry","type":"log","whole":true}"#,
                    "\n",
                ),
            ]
        );
    }

    #[test]
    fn every_level_has_the_name_of_logrus() {
        let names = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE].map(|level| {
            let [text, ..] = forms(level, "", &Fields::default());
            text.split(' ').nth(1).unwrap().to_owned()
        });
        assert_eq!(names, ["level=error", "level=warning", "level=info", "level=debug", "level=trace"]);
    }

    #[test]
    fn a_line_without_a_message() {
        let [text, json, logstash] = forms(Level::INFO, "", &Fields::default());
        assert_eq!(text, "time=\"2026-01-01T00:00:00.500000000Z\" level=info service=registry\n");
        assert!(json.contains(r#""msg":"""#));
        assert!(logstash.contains(r#""message":"""#));
    }

    #[test]
    fn fields_cannot_take_the_place_of_the_lines_own_keys() {
        let fields = fields(&[
            ("level", text("error")),
            ("time", text("then")),
            ("msg", text("m")),
            ("message", text("n")),
            ("@timestamp", text("t")),
            ("@version", text("2")),
            ("type", text("mine")),
        ]);
        let [text, json, logstash] = forms(Level::INFO, "true", &fields);
        assert_eq!(
            text,
            concat!(
                "time=\"2026-01-01T00:00:00.500000000Z\" level=info msg=true @timestamp=t @version=2 ",
                "fields.level=error fields.msg=m fields.time=then message=n service=registry type=mine\n",
            )
        );
        assert_eq!(
            json,
            concat!(
                r#"{"@timestamp":"t","@version":"2","fields.level":"error","fields.msg":"m","#,
                r#""fields.time":"then","level":"info","message":"n","msg":"true","service":"registry","#,
                r#""time":"2026-01-01T00:00:00.500000000Z","type":"mine"}"#,
                "\n",
            )
        );
        assert_eq!(
            logstash,
            concat!(
                r#"{"@timestamp":"2026-01-01T00:00:00.500000000Z","@version":"1","fields.@timestamp":"t","#,
                r#""fields.@version":"2","fields.level":"error","fields.message":"n","level":"info","#,
                r#""message":"true","msg":"m","service":"registry","time":"then","type":"mine"}"#,
                "\n",
            )
        );
    }

    #[test]
    fn nobody_can_forge_a_line() {
        let forged = "x\ntime=\"2026-01-01T00:00:00Z\" level=error msg=\"forged\"\r\u{85}\u{2028}\u{1b}[31m";
        let settings = BTreeMap::from([("a\nlevel=error b".to_owned(), forged.to_owned())]);
        let fields = fields(&[("value", text(forged)), ("na\nme", text("\\\"}\n{\"level\":\"error\"}"))]);
        let mut line = Line::new("2026-01-01T00:00:00Z".parse().unwrap(), Level::INFO, forged);
        line.add_settings(&settings);
        line.add(&fields);
        for form in [LogFormatter::Text, LogFormatter::Json, LogFormatter::Logstash] {
            let line = line.format(form);
            let body = line.strip_suffix('\n').unwrap();
            assert!(!body.contains(|c: char| c.is_control() || c == '\u{2028}'), "{body}");
            if form != LogFormatter::Text {
                // All of it is one object, and says what was said.
                let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(body).unwrap();
                assert_eq!(object["level"], "info");
                assert_eq!(object["value"], forged);
                assert_eq!(object["a\nlevel=error b"], forged);
                assert_eq!(object["na\nme"], "\\\"}\n{\"level\":\"error\"}");
            }
        }
        let text = line.format(LogFormatter::Text);
        assert!(
            text.starts_with("time=\"2026-01-01T00:00:00.000000000Z\" level=info msg=\"x\\ntime=\\\"2026")
        );
        assert!(text.contains(" \"a\\nlevel=error b\"=\"x\\n"), "{text}");
        assert!(text.contains(" \"na\\nme\"=\"\\\\\\\"}\\n{"), "{text}");
    }
}
