//! Endpoints that are used without encryption.

use std::net::IpAddr;

use plugin_registry_core::{go_bool, store_url};

use super::{Config, Warning, WarningKind};

/// The text about http: what others on the network can then do.
pub(crate) const CLEARTEXT: &str = "uses http to another machine: anyone on the network path can read and \
                                    change images, and copy signatures and session tokens; use https";

/// The parameters that name an endpoint.
const ENDPOINTS: &[&str] = &["endpoint", "regionendpoint", "serviceurl", "stsendpoint"];

/// Whether requests to this URL can be read on their way. Requests that never leave the machine cannot.
pub(crate) fn is_cleartext(text: &str) -> bool {
    let Some(url) = store_url(text).filter(|url| url.scheme() == "http") else { return false };
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let is_loopback = match address {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    };
    !is_loopback
}

impl Config {
    /// Returns warnings for the user who set this up. The registry still works. Warnings about a location are
    /// in [`BackupStorageLocation::warnings`](crate::BackupStorageLocation::warnings).
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        let value = |key: &str| self.parameters.get(key).unwrap_or_default();
        let secure = go_bool(value("secure")) != Some(false);
        let is_open = |key: &&&str| {
            let text = value(key);
            let has_scheme = text.contains("://");
            let is_without = **key == "regionendpoint" && !has_scheme && !text.is_empty() && !secure;
            is_cleartext(text) || (is_without && is_cleartext(&format!("http://{text}")))
        };
        let warning = |key: &&str| Warning::new(WarningKind::Cleartext, format!("`{key}` {CLEARTEXT}"));
        ENDPOINTS.iter().filter(is_open).map(warning).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_the_machine_in_clear() {
        for text in [
            "http://minio:9000",
            "HTTP://minio",
            "http://10.0.0.1",
            "http://[fd00::1]:1",
            "http://localhost.example",
        ] {
            assert!(is_cleartext(text), "{text}");
        }
        for text in [
            "https://minio",
            "http://127.0.0.1:9000",
            "http://127.9.9.9",
            "http://[::1]:9000",
            "http://[::ffff:127.0.0.1]",
            "http://localhost:9000",
            "http://store.localhost",
            "minio:9000",
            "",
            "ftp://minio",
        ] {
            assert!(!is_cleartext(text), "{text}");
        }
    }

    #[test]
    fn of_a_file_and_of_variables() {
        let of = |pairs: &[(&str, &str)]| {
            let pairs =
                pairs.iter().map(|(name, value)| (format!("REGISTRY_STORAGE_{name}"), (*value).to_owned()));
            let driver = ("REGISTRY_STORAGE".to_owned(), "s3".to_owned());
            Config::from_env(pairs.chain([driver])).unwrap().warnings()
        };
        for pairs in [
            &[("S3_REGIONENDPOINT", "http://minio:9000")][..],
            &[("S3_REGIONENDPOINT", "minio:9000"), ("S3_SECURE", "false")],
        ] {
            let found = of(pairs);
            let text = found[0].to_string();
            assert!(text.starts_with("`regionendpoint` uses http to another machine"), "{found:?}");
            assert_eq!(found[0].kind, WarningKind::Cleartext);
        }
        for pairs in [
            &[("S3_REGIONENDPOINT", "minio:9000")][..],
            &[("S3_REGIONENDPOINT", "127.0.0.1:9000"), ("S3_SECURE", "false")],
            &[("S3_REGIONENDPOINT", "https://minio:9000"), ("S3_SECURE", "false")],
            &[("S3_SECURE", "false")],
        ] {
            assert_eq!(of(pairs), [], "{pairs:?}");
        }
        assert_eq!(of(&[("S3_STSENDPOINT", "http://sts")]).len(), 1);
    }
}
