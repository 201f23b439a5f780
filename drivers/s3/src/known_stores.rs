//! Stores whose behaviour is documented or was measured, so that the driver does not have to ask them.
//!
//! A store is known by the host of its endpoint, or by the `Server` header of any answer. A header alone does
//! not identify AWS: stores that imitate it send `AmazonS3`, too.

use url::Url;

/// How a store differs from S3, as far as known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PartialFeatures {
    pub(crate) conditional_writes: Option<bool>,
    pub(crate) directories: Option<bool>,
    pub(crate) conditional_copies: Option<bool>,
}

/// A store, and what is known about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KnownStore {
    pub(crate) name: &'static str,
    pub(crate) traits: PartialFeatures,
}

/// Keys in byte order, without directories.
const PLAIN: PartialFeatures =
    PartialFeatures { conditional_writes: None, directories: Some(false), conditional_copies: None };

/// S3 as AWS documents it.
pub(crate) const AWS: KnownStore = KnownStore {
    name: "AWS",
    traits: PartialFeatures {
        conditional_writes: Some(true),
        directories: Some(false),
        conditional_copies: Some(true),
    },
};

/// By the end of the endpoint's host.
const HOSTS: &[(&str, KnownStore)] = &[
    (".amazonaws.com", AWS),
    (".amazonaws.com.cn", AWS),
    // Conditional operations of PutObject and CopyObject: developers.cloudflare.com/r2/api/s3/api.
    (".r2.cloudflarestorage.com", KnownStore { name: "Cloudflare R2", ..AWS }),
    ("storage.googleapis.com", KnownStore { name: "Google Cloud Storage", traits: PLAIN }),
    (".backblazeb2.com", KnownStore { name: "Backblaze B2", traits: PLAIN }),
];

/// The first release of SeaweedFS that is known to honour conditions: 4.48 was measured (ADR 0017).
const SEAWEEDFS: u32 = 4;

impl KnownStore {
    /// The store of an endpoint. AWS if there is none.
    pub(crate) fn of_endpoint(endpoint: Option<&Url>) -> Option<Self> {
        let Some(endpoint) = endpoint else { return Some(AWS) };
        let host = endpoint.host_str()?;
        let is_of = |end: &str| {
            host.strip_suffix(end.trim_start_matches('.'))
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        HOSTS.iter().find(|(end, _)| is_of(end)).map(|(_, known)| *known)
    }

    /// The store that its answers name.
    pub(crate) fn of_server(header: &str) -> Option<Self> {
        if let Some(rest) = header.strip_prefix("SeaweedFS") {
            let version = rest.split_whitespace().last().unwrap_or_default();
            let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
            let is_measured = major.is_some_and(|major| major >= SEAWEEDFS).then_some(true);
            let traits = PartialFeatures {
                conditional_writes: is_measured,
                directories: Some(true),
                conditional_copies: is_measured,
            };
            return Some(Self { name: "SeaweedFS", traits });
        }
        match header {
            // Which conditions it honours depends on its release (minio PR 19448, issue 21526).
            _ if header.starts_with("MinIO") => Some(Self { name: "MinIO", traits: PLAIN }),
            // It reads the condition of a copy under another name, and so ignores it (ADR 0039).
            _ if header.starts_with("Ceph Object Gateway") => Some(Self {
                name: "Ceph",
                traits: PartialFeatures { conditional_copies: Some(false), ..PLAIN },
            }),
            _ => None,
        }
    }
}

impl PartialFeatures {
    /// These traits, completed by those of `other`.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            conditional_writes: self.conditional_writes.or(other.conditional_writes),
            directories: self.directories.or(other.directories),
            conditional_copies: self.conditional_copies.or(other.conditional_copies),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_host(url: &str) -> Option<&'static str> {
        KnownStore::of_endpoint(Some(&url.parse().unwrap())).map(|known| known.name)
    }

    #[test]
    fn hosts_are_known_by_their_end() {
        for (url, name) in [
            ("https://s3.eu-central-1.amazonaws.com", Some("AWS")),
            ("https://bucket.vpce-1.s3.us-east-1.vpce.amazonaws.com", Some("AWS")),
            ("https://s3.cn-north-1.amazonaws.com.cn", Some("AWS")),
            ("https://id.r2.cloudflarestorage.com", Some("Cloudflare R2")),
            ("https://storage.googleapis.com", Some("Google Cloud Storage")),
            ("https://s3.eu-central-003.backblazeb2.com", Some("Backblaze B2")),
            ("https://evilamazonaws.com", None),
            ("https://amazonaws.com.example", None),
            ("http://127.0.0.1:9000", None),
        ] {
            assert_eq!(of_host(url), name, "{url}");
        }
        assert_eq!(KnownStore::of_endpoint(None), Some(AWS));
    }

    #[test]
    fn servers_are_known_by_their_header() {
        let of =
            |header| KnownStore::of_server(header).map(|known| (known.name, known.traits.conditional_writes));
        assert_eq!(of("SeaweedFS 30GB 4.48"), Some(("SeaweedFS", Some(true))));
        assert_eq!(of("SeaweedFS 30GB 3.97"), Some(("SeaweedFS", None)));
        assert_eq!(of("SeaweedFS"), Some(("SeaweedFS", None)));
        assert_eq!(of("MinIO"), Some(("MinIO", None)));
        assert_eq!(of("Ceph Object Gateway (squid)"), Some(("Ceph", None)));
        // Said by others as well.
        for header in ["AmazonS3", "nginx", "cloudflare", ""] {
            assert_eq!(of(header), None, "{header}");
        }
    }
}
