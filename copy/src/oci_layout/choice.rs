//! Which image of a layout is meant.

use plugin_registry_core::{Descriptor, shown};

use super::LayoutEntry;
use crate::{
    error::{CopyError, Result},
    reference::LayoutReference,
};

/// More images are counted, not listed.
const MAX_LISTED: usize = 10;

/// The image that `reference` names; without one, the only image.
pub(super) fn resolve(
    place: &str,
    entries: &[LayoutEntry],
    reference: Option<&LayoutReference>,
) -> Result<Descriptor> {
    let fits = |entry: &&LayoutEntry| match reference {
        None => true,
        Some(LayoutReference::Name(name)) => entry.name.as_ref() == Some(name),
        Some(LayoutReference::Digest(digest)) => entry.descriptor.digest == *digest,
    };
    let mut fitting = entries.iter().filter(fits);
    let Some(first) = fitting.next() else {
        let what = match reference {
            None => "image".to_owned(),
            Some(LayoutReference::Name(name)) => format!("image named `{}`", shown(name)),
            Some(LayoutReference::Digest(digest)) => format!("image {digest}"),
        };
        let what = match listed(entries.iter(), entries) {
            names if names.is_empty() => what,
            names => format!("{what}; there are: {}", names.join(", ")),
        };
        return Err(CopyError::NotFound { place: place.to_owned(), what });
    };
    if fitting.all(|entry| entry.descriptor.digest == first.descriptor.digest) {
        return Ok(first.descriptor.clone());
    }
    let names = listed(entries.iter().filter(fits), entries);
    Err(CopyError::Ambiguous { place: place.to_owned(), names })
}

/// What to write behind the directory for each of some images: a name without its colon, or `@` and the digest
/// where no name belongs to one image alone.
fn listed<'a>(some: impl Iterator<Item = &'a LayoutEntry>, all: &[LayoutEntry]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for entry in some {
        let digest = entry.descriptor.digest;
        let others = |name| all.iter().filter(move |other| other.name.as_ref() == Some(name));
        let own =
            entry.name.as_ref().filter(|name| others(name).all(|other| other.descriptor.digest == digest));
        let name = match (own, &entry.full_name) {
            (Some(name), _) => shown(name),
            (None, Some(full)) => format!("@{digest} ({})", shown(full)),
            (None, None) => format!("@{digest}"),
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let more = names.len().saturating_sub(MAX_LISTED);
    if more > 0 {
        names.truncate(MAX_LISTED);
        names.push(format!("{more} others"));
    }
    names
}
