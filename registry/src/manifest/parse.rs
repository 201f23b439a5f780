//! Reading manifest documents: strictly from clients, leniently from stores.

use std::collections::BTreeMap;

use plugin_registry_core::{Descriptor, Digest, DigestError, MediaType, docker};

use super::{
    ManifestEntry, ManifestKind,
    decode::{Faults, List, Raw, RawEntry, decode, decode_known},
    is_manifest_type,
};
use crate::integrity::Flaw;

/// Why a pushed manifest is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The bytes are not JSON, not an object, or nested deeper than 128.
    #[error("not a JSON document that can be read: {0}")]
    Json(String),
    /// Its readers would disagree on what it says, or it contradicts the content that it names.
    #[error(transparent)]
    Flaw(#[from] Flaw),
    /// The media type is not one that a registry takes.
    #[error("the media type `{0}` is not one of an OCI or Docker image manifest, index or list")]
    MediaType(String),
    /// The body's `mediaType` differs from the request's.
    #[error("the body says mediaType `{body}`, the request `{request}`")]
    MediaTypeMismatch {
        /// In the body.
        body: String,
        /// In the request.
        request: String,
    },
    /// The document lacks something that its type needs, or has something that its type must not have.
    #[error("{0}")]
    Shape(&'static str),
    /// A descriptor's digest does not parse.
    #[error("descriptor with digest `{digest}`: {error}")]
    Digest {
        /// The text in the document.
        digest: String,
        /// Why it does not parse.
        error: DigestError,
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
    pub(super) flaws: Vec<Flaw>,
}

pub(super) fn strictly(
    requested: Option<&str>,
    bytes: &[u8],
) -> Result<(MediaType, Document), ManifestError> {
    let requested = requested.map(str::trim).filter(|t| !t.is_empty() && *t != "application/json");
    if let Some(requested) = requested.filter(|requested| !is_manifest_type(requested)) {
        return Err(ManifestError::MediaType(requested.to_owned()));
    }
    let (raw, faults) = decode(bytes).map_err(|error| ManifestError::Json(error.to_string()))?;
    let Some(raw) = raw else { return Err(ManifestError::Json("it is not an object".to_owned())) };
    if let Some(flaw) = flaws_of(faults).into_iter().next() {
        return Err(flaw.into());
    }

    let in_body = Some(raw.media_type.as_str()).filter(|media_type| !media_type.is_empty());
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
        // Otherwise a reader could not know that these bytes are a Docker manifest.
        return Err(ManifestError::Shape("a Docker manifest names its mediaType"));
    }
    if raw.schema_version != 2 {
        return Err(ManifestError::Shape("schemaVersion is not 2"));
    }
    let is_index = is_index_type(&media_type);
    if is_index {
        if raw.config.is_some() || raw.layers.is_there() {
            return Err(ManifestError::Shape("an index has no config and no layers"));
        }
        if !raw.manifests.is_there() && in_body.is_none() {
            // Only the bytes are stored, and nothing in them would distinguish it from an image.
            return Err(ManifestError::Shape("an index has manifests, or a mediaType at least"));
        }
    } else if raw.manifests.is_there() {
        return Err(ManifestError::Shape("an image manifest has no manifests"));
    } else if raw.config.is_none() {
        return Err(ManifestError::Shape("an image manifest has a config"));
    }
    if raw.fs_layers.is_there() {
        return Err(ManifestError::Shape("only schema 1 has fsLayers"));
    }
    let mut unreadable = None;
    let document = document(raw, is_index, Vec::new(), &mut |_, digest, error| {
        unreadable.get_or_insert(ManifestError::Digest { digest, error });
    });
    unreadable.map_or(Ok((MediaType::from(media_type.as_str()), document)), Err)
}

pub(super) fn leniently(bytes: &[u8]) -> (MediaType, Document) {
    let read = decode(bytes).map(|read| (read, None));
    let read = read.or_else(|_| decode_known(bytes).map(|read| (read, Some(Flaw::UnreadValue))));
    let Ok(((Some(raw), faults), unread)) = read else {
        let flaws = vec![Flaw::Unreadable { problem: "it is no JSON object" }];
        let nothing = document(Raw::default(), false, flaws, &mut |_, _, _| ());
        return (MediaType::Other("application/octet-stream".to_owned()), nothing);
    };
    let own = Some(raw.media_type.as_str()).filter(|media_type| is_header_safe(media_type));
    let media_type = MediaType::from(own.unwrap_or_else(|| derive_media_type(&raw)));
    // A document without manifests is an index only if nothing is lost by that.
    let is_empty = raw.config.is_none() && !raw.layers.is_there() && !raw.fs_layers.is_there();
    let is_index = raw.manifests.is_there() || (is_empty && is_index_type(media_type.as_ref()));
    let is_schema1 = raw.fs_layers.is_there();
    let is_known = is_index || is_schema1 || raw.config.is_some() || raw.layers.is_there();
    let is_two = (is_index && !is_empty) || (is_schema1 && raw.layers.is_there());
    let mut is_cut = faults.content.is_some();
    let mut flaws = flaws_of(faults);
    flaws.extend(unread);
    // A descriptor that cannot be read is left out: the bytes are served as they are.
    let mut document = document(raw, is_index, flaws, &mut |part, _, _| is_cut |= part == Part::Content);
    if !is_known {
        let problem = "its form is not known, so nobody can say what belongs to it";
        document.flaws.insert(0, Flaw::Unreadable { problem });
    } else if is_two || is_cut {
        let problem = "it is of two forms, or a descriptor in it cannot be read";
        document.flaws.insert(0, Flaw::Unreadable { problem });
    }
    (media_type, document)
}

fn flaws_of(faults: Faults) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    let problem = "it has lists that are longer than those of any manifest";
    flaws.extend(faults.is_beyond.then_some(Flaw::Unreadable { problem }));
    flaws.extend(faults.long.map(|field| Flaw::TooLong { field }));
    flaws.extend(faults.twice.map(|key| Flaw::KeyTwice { key }));
    flaws.extend(faults.case.map(|(key, field)| Flaw::KeyCase { key, field }));
    flaws.extend(faults.value.map(|field| Flaw::ValueType { field }));
    flaws
}

pub(super) fn is_index_type(media_type: &str) -> bool {
    matches!(media_type, docker::MANIFEST_LIST | "application/vnd.oci.image.index.v1+json")
}

fn derive_media_type(raw: &Raw) -> &'static str {
    match raw.schema_version {
        1 if raw.signatures.0 => docker::SCHEMA1_SIGNED,
        1 => docker::SCHEMA1,
        _ if raw.manifests.is_there() => "application/vnd.oci.image.index.v1+json",
        _ => "application/vnd.oci.image.manifest.v1+json",
    }
}

/// A stored media type goes into a response header, so its characters are limited.
fn is_header_safe(media_type: &str) -> bool {
    !media_type.is_empty()
        && media_type.len() <= 255
        && media_type.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+/".contains(&b))
}

/// Where a descriptor is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Content,
    Subject,
}

/// Takes a digest that does not parse.
type Unreadable<'a> = &'a mut dyn FnMut(Part, String, DigestError);

/// Builds a document, without the descriptors that have no digest.
fn document(raw: Raw, is_index: bool, flaws: Vec<Flaw>, unreadable: Unreadable<'_>) -> Document {
    fn entries(list: List<RawEntry>, unreadable: Unreadable<'_>) -> Vec<ManifestEntry> {
        let entries = list.into_vec().into_iter();
        entries.filter_map(|entry| entry_of(entry, Part::Content, unreadable)).collect()
    }
    let kind = if is_index {
        ManifestKind::Index { manifests: entries(raw.manifests, unreadable) }
    } else if raw.fs_layers.is_there() {
        let layers = raw.fs_layers.into_vec().into_iter();
        let layers = layers.filter_map(|layer| digest_of(layer.blob_sum, Part::Content, unreadable));
        ManifestKind::Schema1 { layers: layers.collect() }
    } else if raw.config.is_some() || raw.layers.is_there() {
        let config = raw.config.and_then(|config| entry_of(config, Part::Content, unreadable));
        ManifestKind::Image { config, layers: entries(raw.layers, unreadable) }
    } else {
        ManifestKind::Other
    };
    let subject = raw.subject.0.and_then(|subject| entry_of(subject, Part::Subject, unreadable));
    Document {
        kind,
        subject: subject.map(|entry| entry.descriptor),
        artifact_type: Some(raw.artifact_type).filter(|artifact_type| !artifact_type.is_empty()),
        annotations: raw.annotations,
        flaws,
    }
}

fn digest_of(text: String, part: Part, unreadable: Unreadable<'_>) -> Option<Digest> {
    text.parse().map_err(|error| unreadable(part, text, error)).ok()
}

fn entry_of(raw: RawEntry, part: Part, unreadable: Unreadable<'_>) -> Option<ManifestEntry> {
    let digest = digest_of(raw.digest, part, unreadable)?;
    // A negative size says as little as zero.
    let size = u64::try_from(raw.size).unwrap_or_default();
    let descriptor = Descriptor::new(MediaType::from(raw.media_type.as_str()), digest, size);
    let platform = raw.platform.0.map(|platform| {
        let variant = Some(platform.variant).filter(|variant| !variant.is_empty());
        let variant = variant.map(|variant| format!("/{variant}")).unwrap_or_default();
        format!("{}/{}{variant}", platform.os, platform.architecture)
    });
    Some(ManifestEntry { descriptor, urls: raw.urls.into_vec(), platform })
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
    fn stored_values_that_nobody_reads_are_in_nobodys_way() {
        let config = entry("x/y");
        let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
        for value in [r#""\ud800""#, "1e999", r#"{"a":["\udc00",-1e999]}"#, deep.as_str()] {
            for body in [
                format!(r#"{{"schemaVersion":2,"x":{value},"config":{config},"layers":[{config}]}}"#),
                format!(
                    r#"{{"schemaVersion":2,"config":{config},"layers":[{config}],"signatures":[{value}]}}"#
                ),
                format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{}]}}"#, {
                    config.replacen('{', &format!(r#"{{"data":{value},"#), 1)
                }),
            ] {
                assert!(matches!(parse(Some(OCI), body.clone()), Err(ManifestError::Json(_))), "{body}");
                let stored = Manifest::from_stored(Digest::sha256(b""), body.clone().into());
                assert_eq!(stored.media_type(), &MediaType::ImageManifest, "{body}");
                assert!(
                    matches!(stored.kind(), ManifestKind::Image { config: Some(_), layers } if layers.len() == 1)
                );
                assert_eq!(stored.flaws(), [Flaw::UnreadValue], "{body}");
                assert!(!Flaw::UnreadValue.is_damage());
            }
        }
        // The fields that are read have to be readable.
        for body in [
            format!(r#"{{"schemaVersion":2,"config":{config},"layers":["\ud800"]}}"#),
            format!(r#"{{"schemaVersion":2,"x":1e999,"config":{config}"#),
        ] {
            let stored = Manifest::from_stored(Digest::sha256(b""), body.into());
            assert!(stored.flaws().iter().any(Flaw::is_damage));
        }
    }

    #[test]
    fn of_a_long_key_a_part_is_kept() {
        let (small, large) = ("x".repeat(100_000), "X".repeat(100_000));
        let body = format!(r#"{{"layers":[],"{small}":1,"{large}":2,"LAYERS{0}":[],"a\"":1,"a\"":1}}"#, "");
        let stored = Manifest::from_stored(Digest::sha256(b""), body.into());
        let keys = stored.flaws().iter().filter_map(|flaw| match flaw {
            Flaw::KeyTwice { key } | Flaw::KeyCase { key, .. } => Some(key.len()),
            _ => None,
        });
        assert!(keys.clone().count() == 2 && keys.sum::<usize>() < 1000, "{} flaws", stored.flaws().len());
    }

    #[test]
    fn lists_longer_than_any_are_passed_over() {
        let long = |item: &str| vec![item; 70_000].join(",");
        for (body, is_damage) in [
            (format!(r#"{{"schemaVersion":2,"layers":[{}]}}"#, long("0")), true),
            (format!(r#"{{"schemaVersion":2,"layers":[],"manifests":[{}]}}"#, long("{}")), true),
            (format!(r#"{{"schemaVersion":1,"fsLayers":[{}]}}"#, long("null")), true),
            (
                format!(r#"{{"schemaVersion":2,"layers":[],"annotations":{{{}}}}}"#, {
                    let entries: Vec<String> = (0..70_000).map(|at| format!(r#""{at}":"""#)).collect();
                    entries.join(",")
                }),
                false,
            ),
        ] {
            assert!(parse(Some(OCI), body.clone()).is_err());
            let stored = Manifest::from_stored(Digest::sha256(b""), body.into());
            assert_eq!(stored.flaws().iter().any(Flaw::is_damage), is_damage, "{:?}", stored.flaws());
            assert!(!stored.flaws().is_empty());
        }
        // As many as there can be.
        let layers: Vec<String> = (0..49_000)
            .map(|at| format!(r#"{{"digest":"{}"}}"#, Digest::sha256(at.to_string().as_bytes())))
            .collect();
        let body = format!(r#"{{"schemaVersion":2,"layers":[{}]}}"#, layers.join(","));
        let stored = Manifest::from_stored(Digest::sha256(b""), body.into());
        assert!(matches!(stored.kind(), ManifestKind::Image { layers, .. } if layers.len() == 49_000));
        assert_eq!(stored.flaws(), []);
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
