//! An image in `index.json`: what is read of its descriptor, and how it is named.

use plugin_registry::manifest::Manifest;
use plugin_registry_core::{Descriptor, MediaType, shown_line};
use serde::de::{DeserializeOwned, Error as _};
use serde_json::{Value, json};

use super::{
    IndexError, LayoutEntry, MAX_CHANGED,
    text::{key_of, members},
};

/// image-spec, "Annotations": the name of an image in a layout.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The name with its repository, which containerd and docker also write.
const FULL_NAME: &str = "io.containerd.image.name";

/// Reads the fields that are needed and skips all others.
pub(super) fn read(text: &str) -> Result<LayoutEntry, IndexError> {
    let fields = members(text).ok_or_else(|| wrong("an image is not an object"))?;
    let (mut media_type, mut digest, mut size) = (String::new(), None, None);
    let (mut name, mut full_name) = (None, None);
    for (key, value) in fields {
        match key_of(key)?.as_str() {
            "mediaType" => media_type = field("mediaType", value)?,
            "digest" => digest = Some(field::<String>("digest", value)?),
            "size" => size = Some(field("size", value)?),
            "annotations" => (name, full_name) = names(value)?,
            _ => {}
        }
    }
    let digest = digest.ok_or_else(|| wrong("an image has no `digest`"))?;
    let size = size.ok_or_else(|| wrong("an image has no `size`"))?;
    let digest = digest.parse().map_err(|error| IndexError::Digest { digest, error })?;
    let descriptor = Descriptor::new(MediaType::from(media_type.as_str()), digest, size);
    Ok(LayoutEntry { name, full_name, descriptor })
}

fn field<T: DeserializeOwned>(name: &str, value: &str) -> Result<T, IndexError> {
    // Some errors repeat the whole value.
    let told = |error: serde_json::Error| shown_line(&error.to_string());
    serde_json::from_str(value).map_err(|error| wrong(&format!("`{name}` of an image: {}", told(error))))
}

fn wrong(problem: &str) -> IndexError {
    IndexError::Json(serde_json::Error::custom(problem))
}

/// Returns the annotations that are names. A value that is not a text, or is empty, does not count.
fn names(annotations: &str) -> Result<(Option<String>, Option<String>), IndexError> {
    let (mut name, mut full_name) = (None, None);
    for (key, value) in members(annotations).into_iter().flatten() {
        let text = || match value.starts_with('"') {
            true => Ok(Some(key_of(value)?).filter(|text| !text.is_empty())),
            false => Ok::<_, IndexError>(None),
        };
        match key_of(key)?.as_str() {
            REF_NAME => name = text()?,
            FULL_NAME => full_name = text()?,
            _ => {}
        }
    }
    Ok((name, full_name))
}

/// Returns the text of a new entry.
pub(super) fn new(name: Option<&str>, manifest: &Manifest) -> String {
    let mut entry = json!({
        "mediaType": manifest.media_type().as_ref(),
        "digest": manifest.digest().to_string(),
        "size": manifest.bytes().len(),
    });
    if let Some(name) = name {
        rename(&mut entry, name);
    }
    entry.to_string()
}

/// Returns the text of an entry with another name, or without one. Everything else is kept.
pub(super) fn renamed(text: &str, name: Option<&str>) -> Result<String, IndexError> {
    if text.len() > MAX_CHANGED {
        return Err(IndexError::LongEntry);
    }
    let mut entry: Value = serde_json::from_str(text)?;
    match name {
        Some(name) => rename(&mut entry, name),
        None => unname(&mut entry),
    }
    Ok(entry.to_string())
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
