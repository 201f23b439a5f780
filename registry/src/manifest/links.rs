//! What a manifest needs to be whole, and which flaws it has by itself.

use std::collections::HashMap;

use plugin_registry_core::{Descriptor, Digest, is_non_distributable};

use super::{Manifest, ManifestEntry, ManifestKind};
use crate::integrity::{ContentKind, Flaw, named_size};

/// What a manifest needs to be whole. Push, verify and copy all ask this one planner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Links {
    /// Blobs that need a layer link and data in the same repository: config and layers, each once.
    pub blobs: Vec<Descriptor>,
    /// Blobs that may stay at their source: layers that occur only as non-distributable ones.
    pub optional_blobs: Vec<Descriptor>,
    /// Manifests that need a revision in the same repository: the children of an index, each once.
    pub manifests: Vec<Descriptor>,
    /// Sizes that are missing or that contradict each other.
    pub flaws: Vec<Flaw>,
    /// Whether the sizes above come from the document; schema 1 names none.
    pub is_sized: bool,
}

/// Returns what `manifest` needs.
///
/// A `subject` is not needed (distribution-spec, "Pushing Manifests with Subject").
#[must_use]
pub fn links_of(manifest: &Manifest) -> Links {
    let part = if matches!(manifest.kind(), ManifestKind::Index { .. }) {
        ContentKind::Manifest
    } else {
        ContentKind::Blob
    };
    let mut plan = Plan { part, planned: Vec::new(), places: HashMap::new(), contradictions: Vec::new() };
    let mut links = Links { is_sized: true, ..Links::default() };
    match manifest.kind() {
        ManifestKind::Image { config, layers } => {
            if let Some(config) = config {
                plan.add(&config.descriptor, true);
            }
            for layer in layers {
                plan.add(&layer.descriptor, !may_stay_away(layer));
            }
            (links.blobs, links.optional_blobs) = plan.finish(&mut links.flaws);
        }
        ManifestKind::Index { manifests } => {
            for child in manifests {
                plan.add(&child.descriptor, true);
            }
            (links.manifests, _) = plan.finish(&mut links.flaws);
        }
        ManifestKind::Schema1 { layers } => {
            let octets = plugin_registry_core::MediaType::Other("application/octet-stream".to_owned());
            for digest in layers {
                plan.add(&Descriptor::new(octets.clone(), *digest, 0), true);
            }
            (links.blobs, _) = plan.finish(&mut Vec::new());
            links.is_sized = false;
        }
        ManifestKind::Other => {}
    }
    links
}

/// Whether a layer may be where its URLs say, and nowhere else.
fn may_stay_away(layer: &ManifestEntry) -> bool {
    let media_type = &layer.descriptor.media_type;
    let is_docker_foreign = matches!(media_type, plugin_registry_core::MediaType::Other(_));
    // A Docker foreign layer without URLs is available nowhere else, so it has to be here.
    is_non_distributable(media_type) && (!is_docker_foreign || !layer.urls.is_empty())
}

/// Descriptors by digest, in the order of their first entries. Content that any entry needs is needed, and
/// every named size counts, so that no entry hides another.
struct Plan {
    part: ContentKind,
    planned: Vec<Planned>,
    places: HashMap<Digest, usize>,
    contradictions: Vec<Flaw>,
}

struct Planned {
    descriptor: Descriptor,
    is_needed: bool,
    lacks_size: bool,
}

impl Plan {
    fn add(&mut self, descriptor: &Descriptor, is_needed: bool) {
        let size = named_size(descriptor);
        let place = *self.places.entry(descriptor.digest).or_insert(self.planned.len());
        let Some(planned) = self.planned.get_mut(place) else {
            let descriptor = descriptor.clone();
            return self.planned.push(Planned { descriptor, is_needed, lacks_size: size.is_none() });
        };
        planned.lacks_size |= size.is_none();
        match (named_size(&planned.descriptor), size) {
            (Some(first), Some(second)) if first != second => {
                let (part, digest) = (self.part, descriptor.digest);
                self.contradictions.push(Flaw::TwoSizes { part, digest, first, second });
            }
            (None, Some(size)) => planned.descriptor.size = size,
            _ => {}
        }
        if is_needed && !planned.is_needed {
            planned.is_needed = true;
            planned.descriptor.media_type = descriptor.media_type.clone();
        }
    }

    fn finish(self, flaws: &mut Vec<Flaw>) -> (Vec<Descriptor>, Vec<Descriptor>) {
        let unsized_ones = self.planned.iter().filter(|planned| planned.lacks_size);
        flaws.extend(unsized_ones.map(|planned| Flaw::NoSize { digest: planned.descriptor.digest }));
        flaws.extend(self.contradictions);
        let (needed, others): (Vec<_>, Vec<_>) =
            self.planned.into_iter().partition(|planned| planned.is_needed);
        let descriptors = |planned: Vec<Planned>| planned.into_iter().map(|one| one.descriptor).collect();
        (descriptors(needed), descriptors(others))
    }
}

/// Returns everything that a manifest itself shows to be wrong: its form, missing sizes, and sizes that
/// contradict each other. [`judge`](crate::integrity::judge) says whether content is there, and of which size.
#[must_use]
pub fn flaws_of(manifest: &Manifest) -> Vec<Flaw> {
    let mut flaws = manifest.flaws().to_vec();
    // A document that cannot be read has a flaw for it.
    if let Err(error) = manifest.check_kind()
        && !flaws.iter().any(Flaw::is_damage)
    {
        flaws.push(Flaw::Kind { problem: error.to_string() });
    }
    flaws.extend(links_of(manifest).flaws);
    flaws
}
