//! Texts of a request that become identifiers.

use std::fmt::{Debug, Display};

use plugin_registry::{fuzz as door, upload::UploadId};
use plugin_registry_core::{Algorithm, Digest, Reference, RepositoryName, StoragePath, Tag};

use super::{oracle, paths};

/// A request's path is read as if segment by segment from the left.
///
/// The identifiers in it make only sound paths in the store.
pub fn route(data: &[u8]) {
    let path = String::from_utf8_lossy(data);
    let parsed = door::route(&path);
    let expected = oracle::route(&path);
    let expected = expected.map(|(endpoint, name, argument)| (endpoint.to_owned(), name, argument));
    assert_eq!(parsed, expected, "{path:?}");
    let Some((endpoint, name, argument)) = parsed else { return };
    let Ok(name) = name.parse::<RepositoryName>() else {
        assert!(!oracle::is_name(&name), "{name:?}");
        return;
    };
    assert!(oracle::is_name(name.as_str()), "{name:?}");
    paths::check_repository(&name);
    match &*endpoint {
        "Manifest" => match argument.parse() {
            Ok(Reference::Tag(tag)) => paths::check_tag(&name, &tag),
            Ok(Reference::Digest(digest)) => paths::check_digest(&name, &digest),
            Err(_) => {}
        },
        "Blob" | "Referrers" => {
            argument.parse().iter().for_each(|digest| paths::check_digest(&name, digest));
        }
        "Upload" => argument.parse().iter().for_each(|id| paths::check_upload(&name, id)),
        _ => assert_eq!(argument, ""),
    }
}

/// A reference, and everything else that such a text can be: a name, a tag, an upload id, a path.
pub fn reference(data: &[u8]) {
    let text = &*String::from_utf8_lossy(data);
    let is_digest = oracle::algorithm_of(text).is_some();
    let reference = accepted::<Reference>(text, is_digest || oracle::is_tag(text));
    assert_eq!(matches!(reference, Some(Reference::Digest(_))), is_digest, "{text:?}");
    let tag = accepted::<Tag>(text, oracle::is_tag(text));
    let name = accepted::<RepositoryName>(text, oracle::is_name(text));
    let id = text.parse::<UploadId>().ok();
    assert_eq!(id.is_some(), oracle::is_upload_id(text), "{text:?}");
    if let Some(id) = id {
        assert_eq!(id.to_string(), text);
    }
    let path = text.parse::<StoragePath>().ok();
    assert_eq!(path.is_some(), oracle::is_storage_path(text), "{text:?}");
    if let Some(path) = path {
        paths::check_path(&path);
    }
    if let Some(name) = name {
        paths::check_repository(&name);
        let parts: Vec<&str> = name.components().collect();
        assert_eq!(parts.join("/"), text);
        let prefix: RepositoryName = parts[0].parse().unwrap();
        assert_eq!(name.catalog_cmp(&prefix).is_eq(), parts.len() == 1);
        assert_eq!(prefix.catalog_cmp(&name).is_lt(), parts.len() > 1, "a name comes after its beginning");
        tag.iter().for_each(|tag| paths::check_tag(&name, tag));
    }
}

/// A digest.
pub fn digest(data: &[u8]) {
    let text = &*String::from_utf8_lossy(data);
    let algorithm = oracle::algorithm_of(text);
    let Some(digest) = accepted::<Digest>(text, algorithm.is_some()) else { return };
    assert_eq!(Some(digest.algorithm().as_str()), algorithm);
    assert_eq!(Some(&*digest.hex()), text.split(':').nth(1));
    let bytes = digest.as_bytes();
    assert_eq!(bytes.len() * 2, digest.hex().len());
    assert!(bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).eq(digest.hex().bytes().map(|digit| {
        let digit = char::from(digit).to_digit(16).unwrap();
        u8::try_from(digit).unwrap()
    })));
    assert_eq!(digest.is_canonical(), algorithm == Some("sha256"));
    // A neighbour, one digit away, is another digest, and sorts like the texts.
    let (most, last) = text.split_at(text.len() - 1);
    let other = format!("{most}{}", if last == "0" { '1' } else { '0' });
    let neighbour: Digest = other.parse().unwrap();
    assert_eq!(digest.cmp(&neighbour), text.cmp(&*other));
    // Content does not have a digest only because that digest parses.
    let own = Digest::of(digest.algorithm(), data);
    assert!(own != digest && Algorithm::ALL.contains(&own.algorithm()));
}

/// Parses a text. It must be accepted as the grammar says, and print as it was written.
fn accepted<T: std::str::FromStr + Display + PartialEq + Debug>(text: &str, expected: bool) -> Option<T> {
    let value = text.parse::<T>().ok();
    assert_eq!(value.is_some(), expected, "{text:?} as {}", std::any::type_name::<T>());
    if let Some(value) = &value {
        assert_eq!(value.to_string(), text);
        assert_eq!(value.to_string().parse::<T>().ok().as_ref(), Some(value));
    }
    value
}
