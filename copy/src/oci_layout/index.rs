//! `oci-layout` and `index.json`.

use bytes::Bytes;
use plugin_registry::Manifest;
use plugin_registry_core::{Descriptor, MediaType};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// image-spec, "Annotations": the name of an image in a layout.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// What containerd and docker write besides: the name with its repository.
const FULL_NAME: &str = "io.containerd.image.name";

/// An image of a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayoutEntry {
    /// Its name there, if it has one.
    pub name: Option<String>,
    /// Its name with its repository (`io.containerd.image.name`), where a tool wrote one. For people to read:
    /// several images of one `name` differ by it.
    pub full_name: Option<String>,
    /// Its manifest or index.
    pub descriptor: Descriptor,
}

/// `index.json`, with everything in it that we do not know.
pub(super) struct Index(Map<String, Value>);

/// What is wrong with a document.
#[derive(Debug, thiserror::Error)]
pub(super) enum IndexError {
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("it is no JSON object")]
    NoObject,
    #[error("its `manifests` is no list")]
    NoList,
    #[error("digest `{}`: {source}", plugin_registry_core::shown(digest))]
    Digest { digest: String, source: plugin_registry_core::DigestError },
}

/// The version in `oci-layout`.
pub(super) fn layout_version(bytes: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Marker {
        image_layout_version: String,
    }
    serde_json::from_slice(bytes).ok().map(|marker: Marker| marker.image_layout_version)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawEntry {
    #[serde(default)]
    media_type: String,
    digest: String,
    size: u64,
}

impl Default for Index {
    fn default() -> Self {
        let mut index = Map::new();
        index.insert("schemaVersion".to_owned(), json!(2));
        index.insert("mediaType".to_owned(), json!(MediaType::ImageIndex.as_ref()));
        Self(index)
    }
}

impl Index {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, IndexError> {
        match serde_json::from_slice(bytes)? {
            Value::Object(index) => Ok(Self(index)),
            _ => Err(IndexError::NoObject),
        }
    }

    pub(super) fn to_bytes(&self) -> Result<Bytes, IndexError> {
        Ok(serde_json::to_vec(&self.0)?.into())
    }

    pub(super) fn entries(&self) -> Result<Vec<LayoutEntry>, IndexError> {
        let manifests = match self.0.get("manifests") {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(manifests)) => manifests,
            Some(_) => return Err(IndexError::NoList),
        };
        manifests.iter().map(entry).collect()
    }

    /// Whether an image that was entered is still there. That its name went to another image since is not a loss.
    pub(super) fn kept(&self, name: Option<&str>, manifest: &Manifest) -> Result<bool, IndexError> {
        let entries = self.entries()?;
        let is_there = entries.iter().any(|entry| entry.descriptor.digest == manifest.digest());
        let is_named = name.is_none() || entries.iter().any(|entry| entry.name.as_deref() == name);
        Ok(is_there && is_named)
    }

    /// Adds an image, or gives one that is there its name; whether anything changed.
    pub(super) fn enter(&mut self, name: Option<&str>, manifest: &Manifest) -> Result<bool, IndexError> {
        let entries = self.entries()?;
        let digest = manifest.digest();
        let same = |entry: &LayoutEntry| entry.descriptor.digest == digest;
        let is_there = |entry: &LayoutEntry| same(entry) && (name.is_none() || entry.name.as_deref() == name);
        let is_taken = |entry: &LayoutEntry| name.is_some() && entry.name.as_deref() == name && !same(entry);
        if entries.iter().any(is_there) && !entries.iter().any(is_taken) {
            return Ok(false);
        }
        let list = self.0.entry("manifests").or_insert_with(|| json!([]));
        if list.is_null() {
            *list = json!([]);
        }
        let list = list.as_array_mut().ok_or(IndexError::NoList)?;
        for (value, entry) in list.iter_mut().zip(&entries) {
            if is_taken(entry) {
                unname(value);
            }
        }
        // An entry without a name gets it; the entry of another name stays beside the new one.
        let unnamed = entries.iter().position(|entry| same(entry) && entry.name.is_none());
        match (unnamed.and_then(|position| list.get_mut(position)), name) {
            (Some(value), Some(name)) => rename(value, name),
            (Some(_), None) => {}
            (None, _) if entries.iter().any(is_there) => {}
            (None, _) => list.push(new_entry(name, manifest)),
        }
        Ok(true)
    }
}

fn entry(value: &Value) -> Result<LayoutEntry, IndexError> {
    let raw = RawEntry::deserialize(value)?;
    let digest = raw.digest.parse();
    let digest = digest.map_err(|source| IndexError::Digest { digest: raw.digest, source })?;
    let annotation = |key| {
        let text = value.pointer("/annotations")?.get(key)?.as_str()?;
        (!text.is_empty()).then(|| text.to_owned())
    };
    Ok(LayoutEntry {
        name: annotation(REF_NAME),
        full_name: annotation(FULL_NAME),
        descriptor: Descriptor::new(MediaType::from(raw.media_type.as_str()), digest, raw.size),
    })
}

fn new_entry(name: Option<&str>, manifest: &Manifest) -> Value {
    let mut entry = json!({
        "mediaType": manifest.media_type().as_ref(),
        "digest": manifest.digest().to_string(),
        "size": manifest.bytes().len(),
    });
    if let Some(name) = name {
        rename(&mut entry, name);
    }
    entry
}

fn rename(entry: &mut Value, name: &str) {
    let Some(entry) = entry.as_object_mut() else { return };
    let annotations = entry.entry("annotations").or_insert_with(|| json!({}));
    if !annotations.is_object() {
        *annotations = json!({});
    }
    if let Some(annotations) = annotations.as_object_mut() {
        annotations.insert(REF_NAME.to_owned(), json!(name));
    }
}

fn unname(entry: &mut Value) {
    if let Some(annotations) = entry.pointer_mut("/annotations").and_then(Value::as_object_mut) {
        annotations.remove(REF_NAME);
        if annotations.is_empty()
            && let Some(entry) = entry.as_object_mut()
        {
            entry.remove("annotations");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_registry_core::Digest;

    fn manifest(text: &str) -> Manifest {
        let body = format!(r#"{{"schemaVersion":2,"manifests":[],"annotations":{{"a":"{text}"}}}}"#);
        Manifest::from_stored(Digest::sha256(body.as_bytes()), body.into())
    }

    fn names(index: &Index) -> Vec<(Option<String>, Digest)> {
        let entries = index.entries().unwrap();
        entries.into_iter().map(|entry| (entry.name, entry.descriptor.digest)).collect()
    }

    #[test]
    fn a_name_moves_and_what_had_it_stays() {
        let (one, two) = (manifest("1"), manifest("2"));
        let latest = Some("latest".to_owned());
        let mut index = Index::default();
        assert!(index.enter(None, &one).unwrap());
        assert!(!index.enter(None, &one).unwrap());
        assert!(index.enter(Some("latest"), &one).unwrap());
        assert!(!index.enter(Some("latest"), &one).unwrap());
        assert_eq!(names(&index), [(latest.clone(), one.digest())]);
        assert!(index.enter(Some("latest"), &two).unwrap());
        assert_eq!(names(&index), [(None, one.digest()), (latest.clone(), two.digest())]);
        assert!(index.enter(Some("other"), &two).unwrap());
        assert!(!index.enter(Some("latest"), &two).unwrap());
        assert!(index.enter(Some("latest"), &one).unwrap());
        let expected =
            [(latest, one.digest()), (None, two.digest()), (Some("other".to_owned()), two.digest())];
        assert_eq!(names(&index), expected);
    }

    #[test]
    fn what_is_not_known_is_kept() {
        let digest = Digest::sha256(b"");
        let text = format!(
            r#"{{"schemaVersion":2,"x":[1],"manifests":[{{"digest":"{digest}","size":0,"annotations":{{"k":"v"}},"y":{{}}}}]}}"#
        );
        let mut index = Index::parse(text.as_bytes()).unwrap();
        assert!(index.enter(Some("n"), &manifest("1")).unwrap());
        let text = String::from_utf8(index.to_bytes().unwrap().to_vec()).unwrap();
        for kept in [r#""x":[1]"#, r#""y":{}"#, r#""k":"v""#] {
            assert!(text.contains(kept), "{kept} in {text}");
        }
    }

    #[test]
    fn hostile_documents_are_refused() {
        for text in [
            "",
            "[]",
            "1",
            r#"{"manifests":{}}"#,
            r#"{"manifests":[1]}"#,
            r#"{"manifests":[{"digest":"sha256:../../../etc/passwd","size":1}]}"#,
            r#"{"manifests":[{"digest":"../../x","size":1}]}"#,
            r#"{"manifests":[{"digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":-1}]}"#,
            r#"{"manifests":[{"digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}]}"#,
        ] {
            assert!(Index::parse(text.as_bytes()).and_then(|index| index.entries()).is_err(), "{text}");
        }
    }
}
