//! Reading manifest documents: strictly from clients, leniently from stores.

use std::collections::BTreeMap;

use plugin_registry_core::{Descriptor, Digest, DigestError, MediaType, docker};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{ManifestEntry, ManifestKind, is_manifest_type, strict::UniqueKeys};

/// Why a pushed manifest is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Not JSON, nested deeper than 128, or an object with the same key twice.
    #[error("not a JSON document that can be trusted: {0}")]
    Json(String),
    /// The media type is none that a registry takes.
    #[error("the media type `{0}` is not one of an OCI or Docker image manifest, index or list")]
    MediaType(String),
    /// The body's `mediaType` is not the request's.
    #[error("the body says mediaType `{body}`, the request `{request}`")]
    MediaTypeMismatch {
        /// In the body.
        body: String,
        /// In the request.
        request: String,
    },
    /// The document lacks what its type needs or has what its type must not have.
    #[error("{0}")]
    Shape(&'static str),
    /// A descriptor's digest does not parse.
    #[error("descriptor with digest `{digest}`: {source}")]
    Digest {
        /// The text in the document.
        digest: String,
        /// Why it does not parse.
        source: DigestError,
    },
    /// A descriptor's size is not that of the content in the repository.
    #[error("the manifest says that {digest} has {named} bytes, it has {actual}")]
    Size {
        /// The content.
        digest: Digest,
        /// In the manifest.
        named: u64,
        /// In the store.
        actual: u64,
    },
    /// A layer names URLs that the registry's policy does not allow.
    #[error("a layer names the URL `{0}`, which this registry does not allow")]
    Url(String),
}

#[derive(Clone, Debug)]
pub(super) struct Document {
    pub(super) kind: ManifestKind,
    pub(super) subject: Option<Descriptor>,
    pub(super) artifact_type: Option<String>,
    pub(super) annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    schema_version: Option<i64>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<RawEntry>,
    layers: Option<Vec<RawEntry>>,
    manifests: Option<Vec<RawEntry>>,
    subject: Option<RawEntry>,
    annotations: Option<BTreeMap<String, String>>,
    fs_layers: Option<Vec<RawFsLayer>>,
    signatures: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawEntry {
    #[serde(default)]
    media_type: String,
    digest: String,
    #[serde(default)]
    size: u64,
    urls: Option<Vec<String>>,
    platform: Option<RawPlatform>,
}

#[derive(Deserialize)]
struct RawPlatform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    variant: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawFsLayer {
    blob_sum: String,
}

pub(super) fn strictly(
    requested: Option<&str>,
    bytes: &[u8],
) -> Result<(MediaType, Document), ManifestError> {
    let requested = requested.map(str::trim).filter(|t| !t.is_empty() && *t != "application/json");
    if let Some(requested) = requested.filter(|requested| !is_manifest_type(requested)) {
        return Err(ManifestError::MediaType(requested.to_owned()));
    }
    let json = |error: serde_json::Error| ManifestError::Json(error.to_string());
    serde_json::from_slice::<UniqueKeys>(bytes).map_err(json)?;
    let raw: Raw = serde_json::from_slice(bytes).map_err(json)?;

    let in_body = raw.media_type.as_deref().filter(|media_type| !media_type.is_empty());
    if let (Some(body), Some(request)) = (in_body, requested)
        && body != request
    {
        return Err(ManifestError::MediaTypeMismatch { body: body.to_owned(), request: request.to_owned() });
    }
    let media_type = in_body.or(requested).unwrap_or_else(|| derive_media_type(&raw)).to_owned();
    if !is_manifest_type(&media_type) {
        return Err(ManifestError::MediaType(media_type));
    }
    if in_body.is_none() && media_type.starts_with("application/vnd.docker.") {
        // Nothing else would tell a reader that these bytes are Docker's.
        return Err(ManifestError::Shape("a Docker manifest names its mediaType"));
    }
    if raw.schema_version != Some(2) {
        return Err(ManifestError::Shape("schemaVersion is not 2"));
    }
    let is_index = is_index_type(&media_type);
    if is_index {
        if raw.config.is_some() || raw.layers.is_some() {
            return Err(ManifestError::Shape("an index has no config and no layers"));
        }
        if raw.manifests.is_none() && in_body.is_none() {
            // Stored, nothing would tell it from an image: only the bytes are kept.
            return Err(ManifestError::Shape("an index has manifests, or a mediaType at least"));
        }
    } else if raw.manifests.is_some() {
        return Err(ManifestError::Shape("an image manifest has no manifests"));
    } else if raw.config.is_none() {
        return Err(ManifestError::Shape("an image manifest has a config"));
    }
    if raw.fs_layers.is_some() {
        return Err(ManifestError::Shape("only schema 1 has fsLayers"));
    }
    let document = document(raw, is_index, |digest, source| Err(ManifestError::Digest { digest, source }))?;
    Ok((MediaType::from(media_type.as_str()), document))
}

pub(super) fn leniently(bytes: &[u8]) -> (MediaType, Document) {
    let nothing = Document {
        kind: ManifestKind::Other,
        subject: None,
        artifact_type: None,
        annotations: BTreeMap::new(),
    };
    let Some(raw) = serde_json::from_slice::<Raw>(bytes).ok().or_else(|| field_by_field(bytes)) else {
        return (MediaType::Other("application/octet-stream".to_owned()), nothing);
    };
    let own = raw.media_type.as_deref().filter(|media_type| is_header_safe(media_type));
    let media_type = MediaType::from(own.unwrap_or_else(|| derive_media_type(&raw)));
    // One without manifests is an index only as long as nothing would be lost by it.
    let is_empty = raw.config.is_none() && raw.layers.is_none() && raw.fs_layers.is_none();
    let is_index = raw.manifests.is_some() || (is_empty && is_index_type(media_type.as_ref()));
    // A descriptor that does not parse is left out: the bytes are served as they are.
    let document = document::<()>(raw, is_index, |_, _| Ok(None)).unwrap_or(nothing);
    (media_type, document)
}

/// Reads what can be read of a document with a field of an unexpected form; the rest counts as absent.
fn field_by_field(bytes: &[u8]) -> Option<Raw> {
    let Ok(Value::Object(mut fields)) = serde_json::from_slice(bytes) else { return None };
    let mut field = |name: &str| fields.remove(name).filter(|value| !value.is_null());
    fn read<T: DeserializeOwned>(value: Option<Value>) -> Option<T> {
        serde_json::from_value(value?).ok()
    }
    /// Entries that can be read; an array stays an array, as it tells the document's kind.
    fn entries<T: DeserializeOwned>(value: Option<Value>) -> Option<Vec<T>> {
        let Value::Array(entries) = value? else { return None };
        Some(entries.into_iter().filter_map(|entry| serde_json::from_value(entry).ok()).collect())
    }
    Some(Raw {
        schema_version: read(field("schemaVersion")),
        media_type: read(field("mediaType")),
        artifact_type: read(field("artifactType")),
        config: read(field("config")),
        layers: entries(field("layers")),
        manifests: entries(field("manifests")),
        subject: read(field("subject")),
        annotations: read(field("annotations")),
        fs_layers: entries(field("fsLayers")),
        signatures: read(field("signatures")),
    })
}

fn is_index_type(media_type: &str) -> bool {
    matches!(media_type, docker::MANIFEST_LIST | "application/vnd.oci.image.index.v1+json")
}

fn derive_media_type(raw: &Raw) -> &'static str {
    match raw {
        Raw { schema_version: Some(1), signatures: Some(_), .. } => docker::SCHEMA1_SIGNED,
        Raw { schema_version: Some(1), .. } => docker::SCHEMA1,
        Raw { manifests: Some(_), .. } => "application/vnd.oci.image.index.v1+json",
        _ => "application/vnd.oci.image.manifest.v1+json",
    }
}

/// A stored media type goes into a response header, so its characters are limited.
fn is_header_safe(media_type: &str) -> bool {
    !media_type.is_empty()
        && media_type.len() <= 255
        && media_type.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+/".contains(&b))
}

type BadDigest<E> = fn(String, DigestError) -> Result<Option<Descriptor>, E>;

fn document<E>(raw: Raw, is_index: bool, bad: BadDigest<E>) -> Result<Document, E> {
    let entries = |list: Option<Vec<RawEntry>>| -> Result<Vec<ManifestEntry>, E> {
        list.unwrap_or_default().into_iter().filter_map(|entry| entry_of(entry, bad).transpose()).collect()
    };
    let kind = if is_index {
        ManifestKind::Index { manifests: entries(raw.manifests)? }
    } else if let Some(layers) = raw.fs_layers {
        let layers = layers.into_iter().filter_map(|layer| layer.blob_sum.parse().ok()).collect();
        ManifestKind::Schema1 { layers }
    } else if raw.config.is_some() || raw.layers.is_some() {
        let config = raw.config.map(|config| entry_of(config, bad)).transpose()?.flatten();
        ManifestKind::Image { config, layers: entries(raw.layers)? }
    } else {
        ManifestKind::Other
    };
    let subject = raw.subject.map(|subject| entry_of(subject, bad)).transpose()?.flatten();
    Ok(Document {
        kind,
        subject: subject.map(|entry| entry.descriptor),
        artifact_type: raw.artifact_type.filter(|artifact_type| !artifact_type.is_empty()),
        annotations: raw.annotations.unwrap_or_default(),
    })
}

fn entry_of<E>(raw: RawEntry, bad: BadDigest<E>) -> Result<Option<ManifestEntry>, E> {
    let media_type = MediaType::from(raw.media_type.as_str());
    let descriptor = match raw.digest.parse() {
        Ok(digest) => Descriptor::new(media_type, digest, raw.size),
        Err(error) => match bad(raw.digest, error)? {
            Some(descriptor) => descriptor,
            None => return Ok(None),
        },
    };
    let platform = raw.platform.map(|platform| {
        let variant = platform.variant.filter(|variant| !variant.is_empty());
        let variant = variant.map(|variant| format!("/{variant}")).unwrap_or_default();
        format!("{}/{}{variant}", platform.os, platform.architecture)
    });
    Ok(Some(ManifestEntry { descriptor, urls: raw.urls.unwrap_or_default(), platform }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Manifest;

    const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
    const INDEX: &str = "application/vnd.oci.image.index.v1+json";

    fn entry(media_type: &str) -> String {
        format!(r#"{{"mediaType":"{media_type}","digest":"{}","size":0}}"#, Digest::sha256(b""))
    }

    fn parse(media_type: Option<&str>, body: String) -> Result<Manifest, ManifestError> {
        Manifest::parse(media_type, body.into())
    }

    #[test]
    fn accepts_the_four_types() {
        let config = entry("application/vnd.oci.image.config.v1+json");
        let oci = format!(r#"{{"schemaVersion":2,"config":{config},"layers":[]}}"#);
        assert_eq!(parse(Some(OCI), oci.clone()).unwrap().media_type(), &MediaType::ImageManifest);
        assert_eq!(parse(None, oci.clone()).unwrap().media_type(), &MediaType::ImageManifest);
        assert_eq!(parse(Some("application/json"), oci).unwrap().media_type(), &MediaType::ImageManifest);
        let docker = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","config":{config},"layers":[{config}]}}"#,
            docker::MANIFEST
        );
        assert_eq!(parse(Some(docker::MANIFEST), docker).unwrap().media_type().as_ref(), docker::MANIFEST);
        let index = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entry(OCI));
        assert_eq!(parse(Some(INDEX), index.clone()).unwrap().media_type(), &MediaType::ImageIndex);
        assert_eq!(parse(None, index).unwrap().media_type(), &MediaType::ImageIndex);
        assert!(parse(Some(INDEX), r#"{"schemaVersion":2,"mediaType":"","manifests":[]}"#.into()).is_ok());
    }

    #[test]
    fn refuses_confused_documents() {
        let config = entry("x/y");
        let list = docker::MANIFEST_LIST;
        let nested = format!(r#"{{"a":{}1{}}}"#, "[".repeat(200), "]".repeat(200));
        for (media_type, body) in [
            (OCI, "{".to_owned()),
            (OCI, "[]".to_owned()),
            (OCI, nested),
            ("text/plain", "{}".to_owned()),
            (docker::SCHEMA1_SIGNED, r#"{"schemaVersion":1}"#.to_owned()),
            (OCI, r#"{"schemaVersion":2}"#.to_owned()),
            (OCI, format!(r#"{{"schemaVersion":1,"config":{config}}}"#)),
            (OCI, format!(r#"{{"schemaVersion":2,"config":{config},"manifests":[]}}"#)),
            (INDEX, format!(r#"{{"schemaVersion":2,"config":{config},"manifests":[]}}"#)),
            (INDEX, r#"{"schemaVersion":2,"layers":[],"manifests":[]}"#.to_owned()),
            (OCI, format!(r#"{{"schemaVersion":2,"mediaType":"{list}","config":{config}}}"#)),
            (list, r#"{"schemaVersion":2,"manifests":[]}"#.to_owned()),
            (INDEX, r#"{"schemaVersion":2}"#.to_owned()),
            (INDEX, r#"{"schemaVersion":2,"manifests":null}"#.to_owned()),
            (OCI, format!(r#"{{"schemaVersion":2,"schemaVersion":2,"config":{config}}}"#)),
            (OCI, format!(r#"{{"schemaVersion":2,"x":{{"k":1,"k":2}},"config":{config}}}"#)),
            (
                OCI,
                r#"{"schemaVersion":2,"config":{"mediaType":"a/b","digest":"sha256:ab","size":1}}"#
                    .to_owned(),
            ),
            (OCI, r#"{"schemaVersion":2,"config":{"mediaType":"a/b","digest":"x","size":-1}}"#.to_owned()),
        ] {
            assert!(parse(Some(media_type), body.clone()).is_err(), "{body}");
        }
    }

    #[test]
    fn what_was_pushed_is_read_again() {
        let config = entry("x/y");
        for body in [
            format!(r#"{{"schemaVersion":2,"config":{config}}}"#),
            format!(r#"{{"schemaVersion":2,"mediaType":"{OCI}","config":{config},"layers":[{config}]}}"#),
            r#"{"schemaVersion":2,"manifests":[]}"#.to_owned(),
            // As Go writes an empty list.
            format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":null}}"#),
            format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}"}}"#),
        ] {
            let pushed = parse(None, body.clone()).unwrap();
            let stored = Manifest::from_stored(pushed.digest(), body.clone().into());
            assert_eq!((pushed.media_type(), pushed.kind()), (stored.media_type(), stored.kind()), "{body}");
        }
        let confused = format!(r#"{{"mediaType":"{INDEX}","config":{config}}}"#);
        let confused = Manifest::from_stored(Digest::sha256(b""), confused.into());
        assert!(matches!(confused.kind(), ManifestKind::Image { config: Some(_), .. }), "nothing is lost");
    }

    #[test]
    fn stored_documents_of_every_age_are_read() {
        let digest = Digest::sha256(b"");
        let stored = |body: String| Manifest::from_stored(digest, body.into());
        let schema1 = stored(format!(
            r#"{{"schemaVersion":1,"name":"a","tag":"b","fsLayers":[{{"blobSum":"{digest}"}}],"signatures":[]}}"#
        ));
        assert_eq!(schema1.media_type().as_ref(), docker::SCHEMA1_SIGNED);
        assert_eq!(schema1.kind(), &ManifestKind::Schema1 { layers: vec![digest] });
        let broken = stored("not json".to_owned());
        assert_eq!(broken.media_type().as_ref(), "application/octet-stream");
        let injected = stored(r#"{"mediaType":"a/b\r\nX: y","manifests":[]}"#.to_owned());
        assert_eq!(injected.media_type(), &MediaType::ImageIndex);
    }

    #[test]
    fn artifact_type_falls_back_to_the_config() {
        let config = entry("application/example");
        let subject = entry(OCI);
        let image = parse(
            Some(OCI),
            format!(r#"{{"schemaVersion":2,"config":{config},"layers":[],"subject":{subject}}}"#),
        );
        let image = image.unwrap();
        assert_eq!(image.artifact_type(), Some("application/example"));
        assert_eq!(image.subject().unwrap().digest, Digest::sha256(b""));
        let own = format!(r#"{{"schemaVersion":2,"artifactType":"a/b","config":{config},"layers":[]}}"#);
        assert_eq!(parse(Some(OCI), own).unwrap().artifact_type(), Some("a/b"));
        let index = r#"{"schemaVersion":2,"manifests":[]}"#;
        assert_eq!(parse(Some(INDEX), index.into()).unwrap().artifact_type(), None);
    }
}
