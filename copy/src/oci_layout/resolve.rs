//! Finds the image of a layout that is meant.

use std::collections::{HashMap, HashSet};

use plugin_registry_core::{Descriptor, Digest, shown};

use super::LayoutEntry;
use crate::{
    error::{CopyError, Result},
    reference::LayoutReference,
};

/// Further images are counted, not listed.
const MAX_LISTED: usize = 10;

/// Returns the image that `reference` names, or the only image if there is no reference.
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

/// Returns what to write after the directory for each of some images.
///
/// This is a name without its colon, or `@` and the digest if no name belongs to one image alone. Takes linear
/// time, however many there are.
fn listed<'a>(some: impl Iterator<Item = &'a LayoutEntry>, all: &'a [LayoutEntry]) -> Vec<String> {
    // The digest of each name, or `None` if several images have it.
    let mut owners: HashMap<&str, Option<Digest>> = HashMap::new();
    for entry in all {
        if let Some(name) = &entry.name {
            let owner = owners.entry(name).or_insert(Some(entry.descriptor.digest));
            *owner = owner.filter(|digest| *digest == entry.descriptor.digest);
        }
    }
    let (mut names, mut seen) = (Vec::new(), HashSet::new());
    for entry in some {
        let digest = entry.descriptor.digest;
        let own = entry.name.as_deref().filter(|name| owners.get(name).is_some_and(Option::is_some));
        // Images with the same line are listed once.
        let full = entry.full_name.as_deref().filter(|_| own.is_none());
        if !seen.insert((own, own.is_none().then_some(digest), full)) || names.len() == MAX_LISTED {
            continue;
        }
        names.push(match (own, full) {
            (Some(name), _) => shown(name),
            (None, Some(full)) => format!("@{digest} ({})", shown(full)),
            (None, None) => format!("@{digest}"),
        });
    }
    let more = seen.len().saturating_sub(MAX_LISTED);
    if more > 0 {
        names.push(format!("{more} others"));
    }
    names
}
