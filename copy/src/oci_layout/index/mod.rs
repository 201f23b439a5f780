//! `oci-layout` and `index.json`.

mod entry;
mod text;

use bytes::Bytes;
use plugin_registry::manifest::Manifest;
use plugin_registry_core::{Descriptor, MediaType};
use serde::{Deserialize, de::IgnoredAny};

use self::text::{items, key_of, members};
use super::MAX_INDEX_SIZE;

/// The most members that `index.json` may have besides its images; the image-spec has five.
const MAX_MEMBERS: usize = 1000;
/// The most images that a layout may hold: as many typical entries as fit.
const MAX_IMAGES: usize = 1 << 16;
/// The longest entry that is changed, in bytes. Changing one takes a tree of its values.
const MAX_CHANGED: usize = 256 << 10;

/// An image of a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayoutEntry {
    /// Its name in the layout, if it has one.
    pub name: Option<String>,
    /// Its name with its repository (`io.containerd.image.name`), if a tool wrote one. It is for people to
    /// read: several images of one `name` differ by it.
    pub full_name: Option<String>,
    /// Its manifest or index.
    pub descriptor: Descriptor,
}

/// `index.json`, including its unknown members, as text. Takes the file's bytes and about 250 for each image.
pub(super) struct Index {
    /// Each key, with its quotes, and its value.
    members: Vec<(String, String)>,
    images: Vec<Image>,
}

struct Image {
    text: String,
    entry: LayoutEntry,
}

/// The flaw of a document.
#[derive(Debug, thiserror::Error)]
pub(super) enum IndexError {
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("it is not UTF-8")]
    NoText,
    #[error("it is not a JSON object")]
    NoObject,
    #[error("its `manifests` is not a list")]
    NoList,
    #[error("it has more than {MAX_MEMBERS} members besides `manifests`")]
    ManyMembers,
    #[error("it has more than {MAX_IMAGES} images")]
    ManyImages,
    #[error("with one more image it would be longer than {} MiB or have more than {MAX_IMAGES}: use another directory",
        MAX_INDEX_SIZE >> 20)]
    Full,
    #[error("the entry of an image whose name changes is longer than {} KiB", MAX_CHANGED >> 10)]
    LongEntry,
    #[error("digest `{}`: {error}", plugin_registry_core::shown(digest))]
    Digest { digest: String, error: plugin_registry_core::DigestError },
}

/// Returns the version in `oci-layout`.
pub(super) fn layout_version(bytes: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Marker {
        image_layout_version: String,
    }
    serde_json::from_slice(bytes).ok().map(|marker: Marker| marker.image_layout_version)
}

impl Default for Index {
    fn default() -> Self {
        let member = |key: &str, value: String| (format!("\"{key}\""), value);
        let media_type = format!("\"{}\"", MediaType::ImageIndex.as_ref());
        let members = vec![member("schemaVersion", "2".to_owned()), member("mediaType", media_type)];
        Self { members, images: Vec::new() }
    }
}

impl Index {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, IndexError> {
        let text = std::str::from_utf8(bytes).map_err(|_| IndexError::NoText)?;
        serde_json::from_str::<IgnoredAny>(text)?;
        let (mut index, mut manifests) = (Self { members: Vec::new(), images: Vec::new() }, None);
        for (key, value) in members(text).ok_or(IndexError::NoObject)? {
            if key_of(key)? == "manifests" {
                manifests = Some(value);
            } else if index.members.len() < MAX_MEMBERS {
                index.members.push((key.to_owned(), value.to_owned()));
            } else {
                return Err(IndexError::ManyMembers);
            }
        }
        if let Some(list) = manifests.filter(|list| *list != "null") {
            for text in items(list).ok_or(IndexError::NoList)? {
                if index.images.len() == MAX_IMAGES {
                    return Err(IndexError::ManyImages);
                }
                index.images.push(Image { entry: entry::read(text)?, text: text.to_owned() });
            }
        }
        Ok(index)
    }

    pub(super) fn to_bytes(&self) -> Result<Bytes, IndexError> {
        let members = self.members.iter().map(|(key, value)| key.len() + value.len() + 2);
        let images = self.images.iter().map(|image| image.text.len() + 1);
        let mut text = String::with_capacity(members.chain(images).sum::<usize>() + 32);
        text.push('{');
        for (key, value) in &self.members {
            text.extend([key, ":", value, ","]);
        }
        text.push_str("\"manifests\":[");
        for (at, image) in self.images.iter().enumerate() {
            text.push_str(if at == 0 { "" } else { "," });
            text.push_str(&image.text);
        }
        text.push_str("]}");
        // A longer one could not be read again.
        if text.len() as u64 > MAX_INDEX_SIZE { Err(IndexError::Full) } else { Ok(text.into()) }
    }

    pub(super) fn into_entries(self) -> Vec<LayoutEntry> {
        self.images.into_iter().map(|image| image.entry).collect()
    }

    fn entries(&self) -> impl Iterator<Item = &LayoutEntry> {
        self.images.iter().map(|image| &image.entry)
    }

    /// Returns whether an image that was entered is still there. It is not a loss if its name has gone to
    /// another image since.
    pub(super) fn kept(&self, name: Option<&str>, manifest: &Manifest) -> bool {
        let is_there = self.entries().any(|entry| entry.descriptor.digest == manifest.digest());
        let is_named = name.is_none() || self.entries().any(|entry| entry.name.as_deref() == name);
        is_there && is_named
    }

    /// Adds an image, or names one that is there. Returns whether anything changed.
    pub(super) fn enter(&mut self, name: Option<&str>, manifest: &Manifest) -> Result<bool, IndexError> {
        let digest = manifest.digest();
        let same = |entry: &LayoutEntry| entry.descriptor.digest == digest;
        let is_there = |entry: &LayoutEntry| same(entry) && (name.is_none() || entry.name.as_deref() == name);
        let is_taken = |entry: &LayoutEntry| name.is_some() && entry.name.as_deref() == name && !same(entry);
        let was_there = self.entries().any(is_there);
        if was_there && !self.entries().any(is_taken) {
            return Ok(false);
        }
        // An entry without a name gets it. An entry with another name stays beside the new one.
        let unnamed = self.entries().position(|entry| same(entry) && entry.name.is_none());
        for image in self.images.iter_mut().filter(|image| is_taken(&image.entry)) {
            image.text = entry::renamed(&image.text, None)?;
            image.entry.name = None;
        }
        let is_full = self.images.len() >= MAX_IMAGES;
        match (unnamed.and_then(|position| self.images.get_mut(position)), name) {
            (Some(image), Some(name)) => {
                image.text = entry::renamed(&image.text, Some(name))?;
                image.entry.name = Some(name.to_owned());
            }
            (Some(_), None) => {}
            (None, _) if was_there => {}
            (None, _) if is_full => return Err(IndexError::Full),
            (None, _) => {
                let text = entry::new(name, manifest);
                self.images.push(Image { entry: entry::read(&text)?, text });
            }
        }
        Ok(true)
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
        index.entries().map(|entry| (entry.name.clone(), entry.descriptor.digest)).collect()
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
            assert!(Index::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_too_long_is_named() {
        let members: String = (0..1001).map(|at| format!(r#""{at}":0,"#)).collect();
        let refused = Index::parse(format!(r#"{{{members}"manifests":[]}}"#).as_bytes());
        assert!(refused.err().unwrap().to_string().contains("more than 1000 members"));

        let digest = Digest::sha256(b"");
        let long = "x".repeat(300 << 10);
        let text = format!(
            r#"{{"manifests":[{{"digest":"{digest}","size":0,"x":"{long}","annotations":{{"{0}":"n"}}}}]}}"#,
            "org.opencontainers.image.ref.name"
        );
        let mut index = Index::parse(text.as_bytes()).unwrap();
        assert!(index.enter(Some("other"), &manifest("1")).unwrap());
        let refused = index.enter(Some("n"), &manifest("1")).unwrap_err();
        assert!(refused.to_string().contains("longer than 256 KiB"), "{refused}");

        let long = "x".repeat((16 << 20) - 100);
        let mut index = Index::parse(format!(r#"{{"x":"{long}"}}"#).as_bytes()).unwrap();
        assert!(index.enter(None, &manifest("1")).unwrap());
        assert!(index.to_bytes().unwrap_err().to_string().contains("longer than 16 MiB"));
    }

    #[test]
    fn names_are_texts_and_keys_are_read_as_they_mean() {
        let digest = Digest::sha256(b"");
        for (annotations, expected) in [
            (r#"{"org.opencontainers.image.ref.name":"a\"b"}"#, Some("a\"b")),
            (r#"{"org.opencontainers.image.ref.n\u0061me":"n"}"#, Some("n")),
            (r#"{"org.opencontainers.image.ref.name":""}"#, None),
            (r#"{"org.opencontainers.image.ref.name":["n"]}"#, None),
            (r#"["org.opencontainers.image.ref.name"]"#, None),
            ("null", None),
        ] {
            let text = format!(
                r#" {{ "x": 1 , "manifests" : [ {{ "size":1, "dig\u0065st":"{digest}" , "annotations": {annotations} }} ] }} "#
            );
            let index = Index::parse(text.as_bytes()).unwrap();
            assert_eq!(names(&index), [(expected.map(str::to_owned), digest)], "{annotations}");
        }
    }
}
