//! Manifests: which are accepted, and what is made of them.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::HeaderValue;
use plugin_registry::manifest::{MAX_MANIFEST_SIZE, Manifest, ManifestKind, is_manifest_type, links_of};
use plugin_registry_core::{Digest, docker};
use serde_json::Value;

use super::oracle;

/// A media type in a request.
const TYPES: [Option<&str>; 8] = [
    None,
    Some("application/json"),
    Some("application/vnd.oci.image.manifest.v1+json"),
    Some("application/vnd.oci.image.index.v1+json"),
    Some(docker::MANIFEST),
    Some(docker::MANIFEST_LIST),
    Some(docker::SCHEMA1_SIGNED),
    Some("text/plain"),
];

/// A document with a media type, which the first byte selects, as a client pushes it and as a store has it.
pub fn manifest(data: &[u8]) {
    let Some((media_type, document)) = data.split_first() else { return };
    let media_type = TYPES[usize::from(*media_type) % TYPES.len()];
    let bytes = Bytes::copy_from_slice(document);
    let stored = Manifest::from_stored(Digest::sha256(document), bytes.clone());
    check_stored(&stored, document);
    let pushed = Manifest::parse(media_type, bytes.clone());
    let again = Manifest::parse(media_type, bytes);
    match (pushed, again) {
        (Ok(pushed), Ok(again)) => {
            assert_same(&pushed, &again);
            // A client that pulls it gets what was pushed: the store keeps only the bytes.
            assert_same(&pushed, &stored);
            check_pushed(&pushed, media_type, document);
        }
        (Err(pushed), Err(again)) => assert_eq!(pushed.to_string(), again.to_string()),
        verdicts => panic!("two verdicts on the same bytes: {verdicts:?}"),
    }
}

fn assert_same(one: &Manifest, other: &Manifest) {
    assert_eq!(one.digest(), other.digest());
    assert_eq!(one.media_type(), other.media_type());
    assert_eq!(one.bytes(), other.bytes());
    assert_eq!(one.kind(), other.kind());
    assert_eq!(one.subject(), other.subject());
    assert_eq!(one.artifact_type(), other.artifact_type());
    assert_eq!(one.annotations(), other.annotations());
    assert_eq!(links_of(one), links_of(other));
}

/// Checks what holds for any bytes in a store.
fn check_stored(manifest: &Manifest, document: &[u8]) {
    assert_eq!(manifest.bytes(), document);
    assert_eq!(manifest.digest(), Digest::sha256(document));
    let media_type = manifest.media_type().to_string();
    assert!(!media_type.is_empty() && HeaderValue::try_from(&media_type).is_ok(), "{media_type:?}");
    // An unread field may be nested more deeply than this second reader goes.
    if serde_json::from_slice::<Value>(document).is_err() {
        return;
    }
    let texts = texts(document).into_iter();
    let written: BTreeSet<String> = texts.filter(|text| oracle::algorithm_of(text).is_some()).collect();
    let links = links_of(manifest);
    let all = links.blobs.iter().chain(&links.optional_blobs).chain(&links.manifests);
    let named: Vec<String> = all.map(|descriptor| descriptor.digest.to_string()).collect();
    let different: BTreeSet<&String> = named.iter().collect();
    assert_eq!(different.len(), named.len(), "a link twice");
    assert!(named.iter().all(|digest| written.contains(digest)), "a link to what the document does not name");
    let subject = manifest.subject().map(|subject| subject.digest.to_string());
    assert!(subject.is_none_or(|subject| written.contains(&subject)));
}

/// Checks what holds for a document that was accepted.
fn check_pushed(manifest: &Manifest, requested: Option<&str>, document: &[u8]) {
    assert!(document.len() as u64 <= MAX_MANIFEST_SIZE);
    let media_type = manifest.media_type().to_string();
    assert!(is_manifest_type(&media_type));
    assert!(requested.is_none_or(|requested| [&media_type, "application/json"].contains(&requested)));
    let json: Value = serde_json::from_slice(document).unwrap();
    let fields = json.as_object().unwrap();
    let present = |name: &str| fields.get(name).is_some_and(|value| !value.is_null());
    assert_eq!(fields["schemaVersion"], 2);
    assert!(!present("mediaType") || fields["mediaType"] == media_type || fields["mediaType"] == "");
    // Each key has one value, at every depth: the text has as many colons as the tree has keys.
    let outline = Outline::of(document);
    assert_eq!(outline.colons, keys_in(&json), "a key occurs twice");
    assert!(outline.depth <= 128, "{} levels", outline.depth);
    let links = links_of(manifest);
    let set = |links: &[plugin_registry_core::Descriptor]| -> BTreeSet<String> {
        links.iter().map(|link| link.digest.to_string()).collect()
    };
    let digests = |name: &str| -> BTreeSet<String> {
        let entries = match &json[name] {
            Value::Array(entries) => entries.clone(),
            Value::Null => Vec::new(),
            one => vec![one.clone()],
        };
        entries.iter().map(|entry| entry["digest"].as_str().unwrap().to_owned()).collect()
    };
    let is_index = media_type.contains(".index.") || media_type.contains(".list.");
    if is_index {
        assert!(
            !present("config") && !present("layers") && matches!(manifest.kind(), ManifestKind::Index { .. })
        );
        assert_eq!(set(&links.manifests), digests("manifests"));
        assert!(links.blobs.is_empty() && links.optional_blobs.is_empty());
    } else {
        assert!(
            present("config")
                && !present("manifests")
                && matches!(manifest.kind(), ManifestKind::Image { .. })
        );
        let blobs = &set(&links.blobs) | &set(&links.optional_blobs);
        assert_eq!(blobs, &digests("config") | &digests("layers"));
        assert!(links.manifests.is_empty());
        // A config is always needed.
        assert!(digests("config").is_subset(&set(&links.blobs)));
    }
    let subject = manifest.subject().map(|subject| subject.digest.to_string());
    assert_eq!(subject.as_deref(), json["subject"]["digest"].as_str());
}

/// The texts of a document, including repeated keys, which no tree can hold.
fn texts(document: &[u8]) -> Vec<String> {
    let (mut texts, mut begin, mut escaped) = (Vec::new(), None, false);
    for (at, byte) in document.iter().enumerate() {
        match (byte, begin) {
            _ if escaped => escaped = false,
            (b'\\', Some(_)) => escaped = true,
            (b'"', Some(start)) => {
                texts.extend(serde_json::from_slice::<String>(&document[start..=at]));
                begin = None;
            }
            (b'"', None) => begin = Some(at),
            _ => {}
        }
    }
    texts
}

fn keys_in(json: &Value) -> usize {
    match json {
        Value::Object(fields) => fields.len() + fields.values().map(keys_in).sum::<usize>(),
        Value::Array(values) => values.iter().map(keys_in).sum(),
        _ => 0,
    }
}

/// Facts about a document that can be seen without understanding it.
#[derive(Default)]
struct Outline {
    colons: usize,
    depth: usize,
}

impl Outline {
    fn of(document: &[u8]) -> Self {
        let (mut outline, mut open, mut in_text, mut escaped) = (Self::default(), 0_usize, false, false);
        for byte in document {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_text => escaped = true,
                b'"' => in_text = !in_text,
                _ if in_text => {}
                b'{' | b'[' => open += 1,
                b'}' | b']' => open -= 1,
                b':' => outline.colons += 1,
                _ => {}
            }
            outline.depth = outline.depth.max(open);
        }
        outline
    }
}
