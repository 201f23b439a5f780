//! The driver's assumptions about its store before it has asked the store.

use super::{Checksums, S3Config};
use crate::{features::configured, known_stores::KnownStore};

impl S3Config {
    /// Lists what is assumed about the store, and what the first write asks, one sentence each, for people.
    /// Makes no request: an answer of the store may reveal more (ADR 0025).
    #[must_use]
    pub fn assumptions(&self) -> Vec<String> {
        let said = configured(self);
        let mut all = Vec::new();
        if let Some(known) = KnownStore::of_endpoint(self.endpoint.as_ref()) {
            all.push(format!("the store is {}", known.name));
        }
        let asked = "until the store is known; the first write finds out, with at most 6 requests";
        all.push(match said.conditional_writes {
            Some(true) => "conditions on writes are honoured".to_owned(),
            Some(false) => "conditions on writes are not honoured and not sent".to_owned(),
            None => format!("conditions on writes are honoured, {asked}"),
        });
        all.push(match said.directories {
            Some(true) => "keys are in directories".to_owned(),
            Some(false) => "keys are not in directories".to_owned(),
            None => format!("keys are in directories, {asked}"),
        });
        all.push(
            match self.checksums {
                Checksums::Automatic => "uploads carry a CRC32 until the store refuses it",
                Checksums::Required => "uploads carry no checksum",
                Checksums::Supported => "uploads carry a CRC32",
            }
            .to_owned(),
        );
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_assumed_is_said() {
        let minio = S3Config::new("b").with_endpoint("http://minio:9000".parse().unwrap());
        assert_eq!(
            minio.assumptions(),
            [
                "conditions on writes are honoured, until the store is known; the first write finds out, \
                 with at most 6 requests",
                "keys are in directories, until the store is known; the first write finds out, with at most \
                 6 requests",
                "uploads carry a CRC32 until the store refuses it",
            ]
        );
        let said = minio.with_conditional_writes(false).with_directories(false);
        let said = said.with_checksums(Checksums::Required).assumptions();
        assert_eq!(
            said,
            [
                "conditions on writes are not honoured and not sent",
                "keys are not in directories",
                "uploads carry no checksum",
            ]
        );
        assert_eq!(S3Config::new("b").assumptions().first().map(String::as_str), Some("the store is AWS"));
    }
}
