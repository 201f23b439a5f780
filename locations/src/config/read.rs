//! From texts to values: the checks are the same for every source.

use std::time::Duration;

use plugin_registry_core::{ParameterReader, Result, go_duration};
use tracing::level_filters::LevelFilter;

use super::{Config, LogFormatter, LogSettings, PurgeSettings, keys, principal, raw::Found};
use plugin_registry::ReferencePolicy;

/// The levels of distribution, and the other levels of its logger.
const LEVELS: &[&str] = &["error", "warn", "info", "debug", "warning", "trace", "fatal", "panic"];

impl Config {
    /// Reads what was found. Every source ends here.
    pub(super) fn read(found: Found) -> Result<Self> {
        let Found { raw, mistakes } = found;
        let mut reader = raw.settings.reader();
        mistakes.report(&mut reader);
        let version = reader.required(keys::VERSION);
        if !matches!(version.as_str(), "" | "0.1") {
            reader.mistake(keys::VERSION, "has to be 0.1");
        }
        let driver = raw.driver.as_ref().map(|driver| driver.name.clone()).unwrap_or_default();
        if driver.is_empty() {
            reader.note("`storage`: a driver is required, such as `s3` or `filesystem`");
        }
        let mut page = |key| reader.number(key, 0..=u64::from(u32::MAX)).filter(|entries| *entries > 0);
        let max_page_size = [page(keys::MAX_ENTRIES), page(keys::MAX_TAGS)].into_iter().flatten().min();
        let references = reader.choice(keys::PLATFORMS, &["all", "none", "list"]).map(|word| match word {
            "none" => ReferencePolicy::SparseIndexes,
            _ => ReferencePolicy::Complete,
        });
        let mut ignored = raw.ignored.clone();
        let config = Self {
            driver,
            parameters: principal::resolved(&raw, &mut ignored),
            delete: reader.flag(keys::DELETE).unwrap_or_default(),
            redirect: reader.flag(keys::NO_REDIRECT).map(|disabled| !disabled),
            read_only: reader.flag(keys::READ_ONLY).unwrap_or_default(),
            max_page_size: max_page_size.and_then(|entries| usize::try_from(entries).ok()),
            references,
            addr: reader.text(keys::ADDR),
            secret: reader.is_given(keys::SECRET).then(|| reader.secret(keys::SECRET)).flatten(),
            log: LogSettings { fields: raw.fields.clone(), ..log(&mut reader) },
            purge: purge(&mut reader),
            ignored,
            raw: raw.clone(),
        };
        reader.finish()?;
        Ok(config)
    }
}

fn log(reader: &mut ParameterReader<'_>) -> LogSettings {
    let level = reader.choice(keys::LEVEL, LEVELS);
    let old = reader.choice(keys::OLD_LEVEL, LEVELS);
    let level = level.or(old).map(|word| match word {
        "warn" | "warning" => LevelFilter::WARN,
        "info" => LevelFilter::INFO,
        "debug" => LevelFilter::DEBUG,
        "trace" => LevelFilter::TRACE,
        // There is no level above: what ends distribution is an error here.
        _ => LevelFilter::ERROR,
    });
    let formatter = match reader.choice(keys::FORMATTER, &["text", "json", "logstash"]) {
        Some("json") => LogFormatter::Json,
        Some("logstash") => LogFormatter::Logstash,
        _ => LogFormatter::Text,
    };
    LogSettings { level, formatter, ..LogSettings::default() }
}

fn purge(reader: &mut ParameterReader<'_>) -> Option<PurgeSettings> {
    const KEYS: [&str; 5] =
        [keys::PURGE, keys::PURGE_ENABLED, keys::PURGE_AGE, keys::PURGE_INTERVAL, keys::PURGE_DRY_RUN];
    // All keys are asked for, so that none counts as unknown.
    let given = KEYS.map(|key| reader.is_given(key));
    let is_enabled = reader.flag(keys::PURGE_ENABLED).unwrap_or(true);
    let usual = PurgeSettings::default();
    let settings = PurgeSettings {
        older_than: time(reader, keys::PURGE_AGE).unwrap_or(usual.older_than),
        interval: time(reader, keys::PURGE_INTERVAL).unwrap_or(usual.interval),
        dry_run: reader.flag(keys::PURGE_DRY_RUN).unwrap_or(usual.dry_run),
    };
    (is_enabled && given.contains(&true)).then_some(settings)
}

/// Reads a duration of Go that is longer than 0.
fn time(reader: &mut ParameterReader<'_>, key: &'static str) -> Option<Duration> {
    let text = reader.text(key)?;
    let time = go_duration(&text).filter(|time| !time.is_zero());
    if time.is_none() {
        reader.mistake(key, "has to be a duration longer than 0, such as `168h` or `1h30m`");
    }
    time
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(lines: &str) -> Result<Config> {
        Config::from_yaml(&format!("version: 0.1\nstorage:\n  inmemory:\n{lines}"))
    }

    fn purge(lines: &str) -> Option<PurgeSettings> {
        config(&format!("  maintenance:\n{lines}")).unwrap().purge
    }

    fn refusal(lines: &str) -> String {
        let error = config(lines).unwrap_err().to_string();
        error.strip_prefix("invalid configuration: ").unwrap().to_owned()
    }

    #[test]
    fn levels() {
        for (word, level) in [
            ("error", LevelFilter::ERROR),
            ("warn", LevelFilter::WARN),
            ("info", LevelFilter::INFO),
            ("debug", LevelFilter::DEBUG),
            ("Warning", LevelFilter::WARN),
            ("TRACE", LevelFilter::TRACE),
            ("fatal", LevelFilter::ERROR),
            ("panic", LevelFilter::ERROR),
        ] {
            assert_eq!(
                config(&format!("log: {{level: {word}}}\n")).unwrap().log.level,
                Some(level),
                "{word}"
            );
            assert_eq!(config(&format!("loglevel: {word}\n")).unwrap().log.level, Some(level), "{word}");
        }
        for (lines, level) in [
            ("", None),
            ("log:\n", None),
            ("log: {level: }\nloglevel: warn\n", Some(LevelFilter::WARN)),
            ("log: {level: error}\nloglevel: debug\n", Some(LevelFilter::ERROR)),
            ("loglevel: debug\nlog: {level: error}\n", Some(LevelFilter::ERROR)),
        ] {
            assert_eq!(config(lines).unwrap().log.level, level, "{lines}");
        }
    }

    #[test]
    fn formatters_and_fields() {
        for (word, formatter) in
            [("text", LogFormatter::Text), ("JSON", LogFormatter::Json), ("logstash", LogFormatter::Logstash)]
        {
            let log = config(&format!("log: {{formatter: {word}}}\n")).unwrap().log;
            assert_eq!(log, LogSettings::default().with_formatter(formatter), "{word}");
        }
        let log =
            config("log:\n  fields:\n    Service: 007\n    k8s: {pod: a, node: {name: b}}\n    none: ~\n")
                .unwrap()
                .log;
        let expected = LogSettings::default()
            .with_field("Service", "007")
            .with_field("k8s.pod", "a")
            .with_field("k8s.node.name", "b");
        assert_eq!(log, expected);
    }

    #[test]
    fn trap_6_each_key_of_uploadpurging_has_a_default() {
        const HOUR: u64 = 3600;
        let of = |hours: u64, minutes: u64, dry_run| {
            Some(PurgeSettings {
                older_than: Duration::from_secs(hours * HOUR),
                interval: Duration::from_secs(minutes * 60),
                dry_run,
            })
        };
        for (lines, expected) in [
            ("    uploadpurging: {}\n", of(168, 1440, false)),
            ("    uploadpurging: {enabled: true}\n", of(168, 1440, false)),
            ("    uploadpurging: {age: 1h}\n", of(1, 1440, false)),
            ("    uploadpurging: {interval: 90m}\n", of(168, 90, false)),
            ("    uploadpurging: {dryrun: true}\n", of(168, 1440, true)),
            ("    uploadpurging: {enabled: true, age: 72h, interval: 1h30m, dryrun: t}\n", of(72, 90, true)),
            ("    uploadpurging: {enabled: false, age: 72h}\n", None),
            ("    uploadpurging:\n", None),
            ("    uploadpurging: ~\n", None),
            ("    readonly: {enabled: false}\n", None),
        ] {
            assert_eq!(purge(lines), expected, "{lines}");
        }
    }

    #[test]
    fn mistakes() {
        for (lines, expected) in [
            (
                "log: {level: verbose, formatter: xml}\nloglevel: 3\n",
                "3 mistakes: `log.level` (line 4): has to be one of error, warn, info, debug, warning, trace, fatal, \
                 panic; `loglevel` (line 5): has to be one of error, warn, info, debug, warning, trace, \
                 fatal, panic; `log.formatter` (line 4): has to be one of text, json, logstash",
            ),
            ("log: debug\n", "`log` (line 4): has to be a section of keys and values"),
            ("log: {levl: debug}\n", "`log.levl` (line 4): unknown, did you mean `log.level`?"),
            ("log: {fields: [a]}\n", "`log.fields` (line 4): has to be a section of keys and values"),
            ("log: {fields: {a: [b]}}\n", "`log.fields.a` (line 4): has to be a single value"),
            ("log:\n  fields:\n    a.b: c\n    a: {b: d}\n", "`log.fields.a.b` (line 7): is set twice"),
            (
                "  maintenance: {uploadpurging: false}\n",
                "`storage.maintenance.uploadpurging` (line 4): has to be a section of keys and values",
            ),
            (
                "  maintenance:\n    uploadpurging:\n      age: 168\n      interval: 0s\n      dryrun: maybe\n      enabld: true\n",
                "4 mistakes: `storage.maintenance.uploadpurging.enabld` (line 9): unknown, did you mean \
                 `storage.maintenance.uploadpurging.enabled`?; `storage.maintenance.uploadpurging.age` (line \
                 6): has to be a duration longer than 0, such as `168h` or `1h30m`; \
                 `storage.maintenance.uploadpurging.interval` (line 7): has to be a duration longer than 0, \
                 such as `168h` or `1h30m`; `storage.maintenance.uploadpurging.dryrun` (line 8): has to be \
                 true or false",
            ),
            (
                "  maintenance: {uploadpurging: {age: -1h, interval: a-secret-in-the-wrong-place}}\n",
                "2 mistakes: `storage.maintenance.uploadpurging.age` (line 4): has to be a duration longer \
                 than 0, such as `168h` or `1h30m`; `storage.maintenance.uploadpurging.interval` (line 4): \
                 has to be a duration longer than 0, such as `168h` or `1h30m`",
            ),
        ] {
            assert_eq!(refusal(lines), expected, "{lines}");
        }
    }
}
