//! Tells one configuration from another without keeping it.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use uuid::Uuid;

use super::Config;

/// A keyed hash of everything that a registry is made of, secrets included. The key is random and stays in the
/// process, so that secrets cannot be guessed from a fingerprint in a log or a dump.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint([u8; 32]);

/// The key of fingerprints that are compared with each other.
pub(crate) struct FingerprintKey([u8; 32]);

impl FingerprintKey {
    pub(crate) fn random() -> Self {
        let mut key = [0; 32];
        let halves = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()];
        for (place, byte) in key.iter_mut().zip(halves.into_iter().flatten()) {
            *place = byte;
        }
        Self(key)
    }

    /// Returns the fingerprint of a configuration. Sources of values and ignored keys do not count.
    pub(crate) fn of(&self, config: &Config) -> Fingerprint {
        let Config { driver, parameters, delete, redirect, read_only, max_page_size, references, .. } =
            config;
        let Config { secret, log, purge, addr: _, ignored: _, .. } = config;
        let mut hash = Hash::new(&self.0);
        hash.text(&driver.to_lowercase());
        for key in parameters.keys() {
            hash.text(key);
            hash.text(parameters.get(key).unwrap_or_default());
        }
        // Their `Debug` forms show everything. That of `log` hides the fields, which are hashed as they are.
        let switches =
            (delete, redirect, read_only, max_page_size, references, log.level, log.formatter, purge);
        hash.text(&format!("{switches:?} {}", log.fields.len()));
        for (name, value) in &log.fields {
            hash.text(name);
            hash.text(value);
        }
        hash.text(secret.as_ref().map_or("", |secret| secret.expose()));
        hash.finish()
    }
}

/// Hashes texts with their lengths, so that no two sequences look the same.
struct Hash(Option<Hmac<Sha256>>);

impl Hash {
    fn new(key: &[u8]) -> Self {
        // HMAC takes a key of any length.
        Self(Hmac::new_from_slice(key).ok())
    }

    fn text(&mut self, text: &str) {
        if let Some(hash) = &mut self.0 {
            hash.update(&(text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        }
    }

    fn finish(self) -> Fingerprint {
        Fingerprint(self.0.map(|hash| hash.finalize().into_bytes().into()).unwrap_or_default())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(…)")
    }
}

impl fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FingerprintKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use plugin_registry_core::{Parameters, Secret};

    use super::*;
    use crate::config::{LogFormatter, LogSettings, PurgeSettings};

    fn config(keys: &[(&str, &str)]) -> Config {
        let text = "version: 0.1\nstorage: s3\n";
        Config { parameters: keys.iter().copied().collect(), ..Config::from_yaml(text).unwrap() }
    }

    #[test]
    fn whatever_makes_another_registry_makes_another_fingerprint() {
        let key = FingerprintKey::random();
        let usual = config(&[("bucket", "b"), ("secretkey", "hunter2")]);
        let changed: Vec<Config> = vec![
            Config { driver: "gcs".to_owned(), ..usual.clone() },
            config(&[("bucket", "b"), ("secretkey", "hunter3")]),
            config(&[("bucket", "bs"), ("secretkey", "hunter2")]),
            config(&[("bucket", "b"), ("secretkey", "hunter2"), ("region", "")]),
            config(&[("bucket", "b")]),
            Config { delete: true, ..usual.clone() },
            Config { redirect: Some(true), ..usual.clone() },
            Config { redirect: Some(false), ..usual.clone() },
            Config { read_only: true, ..usual.clone() },
            Config { max_page_size: Some(5), ..usual.clone() },
            Config { references: Some(plugin_registry::ReferencePolicy::Sparse), ..usual.clone() },
            Config { secret: Some(Secret::new("x")), ..usual.clone() },
            Config { log: LogSettings::default().with_field("a", "b"), ..usual.clone() },
            Config { log: LogSettings::default().with_field("a", "c"), ..usual.clone() },
            Config { log: LogSettings::default().with_field("a b", "b"), ..usual.clone() },
            Config { log: LogSettings::default().with_field("a\tb", "b"), ..usual.clone() },
            Config { log: LogSettings::default().with_formatter(LogFormatter::Json), ..usual.clone() },
            Config { purge: Some(PurgeSettings::default()), ..usual.clone() },
        ];
        let mut seen = vec![key.of(&usual)];
        for config in &changed {
            let fingerprint = key.of(config);
            assert!(!seen.contains(&fingerprint), "{config:?}");
            seen.push(fingerprint);
        }
        // In any order, from anywhere, in capitals or not.
        let same = Parameters::new().with_from("SecretKey", "hunter2", "line 7").with("bucket", "b");
        let same = Config { driver: "S3".to_owned(), parameters: same, ..usual.clone() };
        assert_eq!(key.of(&same), key.of(&usual));
        assert_eq!(key.of(&Config { addr: Some(":5000".to_owned()), ..usual.clone() }), key.of(&usual));
    }

    #[test]
    fn a_fingerprint_says_nothing_outside_its_pool() {
        let (config, one) = (config(&[("secretkey", "hunter2")]), FingerprintKey::random());
        assert_eq!(one.of(&config), one.of(&config));
        assert_ne!(one.of(&config), FingerprintKey::random().of(&config));
        assert_eq!(format!("{:?} {one:?}", one.of(&config)), "Fingerprint(…) FingerprintKey(…)");
    }
}
