//! Which image needs what is damaged, so that a copy of that image mends it.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use plugin_registry_core::{Digest, Reference, RepositoryName, Tag};

use super::{ImageName, Linked, Verification};
use crate::error::RegistryError;

/// What a finding says about the image that needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// A copy of an image does not mend it.
    Other,
    /// These bytes are missing or damaged. Any repository may have an image that needs them.
    Content(Digest),
    /// The layer link of this repository is missing or damaged.
    Layer(Digest),
    /// A manifest of this repository, its link, or the link of a child.
    Manifest(Digest),
    /// What the tag names.
    Tag(Tag),
}

impl Cause {
    /// What an error says about the bytes that could not be read.
    pub(super) fn of_content(error: &RegistryError, digest: Digest) -> Self {
        if error.is_damage() { Self::Content(digest) } else { Self::Other }
    }
}

/// What one repository needs of what is damaged, and the names of its images.
#[derive(Debug, Default)]
pub(super) struct Needs {
    manifests: HashMap<Digest, BTreeSet<Digest>>,
    /// The first tag of each manifest that has one.
    tags: HashMap<Digest, Tag>,
}

impl Needs {
    /// A manifest needs a blob that is damaged, missing or not linked.
    pub(super) fn add(&mut self, blob: Digest, manifest: Digest) {
        self.manifests.entry(blob).or_default().insert(manifest);
    }

    pub(super) fn tag(&mut self, canonical: Digest, tag: &Tag) {
        self.tags.entry(canonical).or_insert_with(|| tag.clone());
    }
}

impl Verification<'_> {
    /// Names the image of each finding, once all of a repository is known. Bytes that none of its images needs
    /// may be needed by those of a later repository.
    pub(super) fn attribute(&mut self, name: &RepositoryName, linked: &Linked) {
        if self.causes.is_empty() {
            return;
        }
        let images = Images::of(linked);
        let mut open = Vec::new();
        for (position, cause) in std::mem::take(&mut self.causes) {
            let reference = match &cause {
                Cause::Other => None,
                Cause::Tag(tag) => Some(Reference::Tag(tag.clone())),
                Cause::Manifest(manifest) => Some(images.with(manifest)),
                Cause::Content(blob) | Cause::Layer(blob) => images.with_blob(blob),
            };
            match (reference, &cause) {
                (Some(reference), _) => self.name_image(position, ImageName::new(name.clone(), reference)),
                (None, Cause::Content(_)) => open.push((position, cause)),
                (None, _) => {}
            }
        }
        self.causes = open;
    }

    pub(super) fn name_image(&mut self, position: usize, image: ImageName) {
        if let Some(finding) = self.report.findings.get_mut(position) {
            finding.image = Some(image);
        }
    }
}

/// The images of a repository, by what is in them.
struct Images<'a> {
    linked: &'a Linked,
    /// The indexes that name a manifest.
    parents: HashMap<Digest, BTreeSet<Digest>>,
}

impl<'a> Images<'a> {
    fn of(linked: &'a Linked) -> Self {
        let mut images = Self { linked, parents: HashMap::new() };
        for (index, child) in &linked.children {
            images.parents.entry(images.canonical(&child.digest)).or_default().insert(*index);
        }
        images
    }

    fn canonical(&self, digest: &Digest) -> Digest {
        self.linked.revisions.get(digest).copied().unwrap_or(*digest)
    }

    /// Returns the image that a manifest belongs to: the nearest one with a tag, or else one that no index names.
    fn with(&self, manifest: &Digest) -> Reference {
        let mut open = VecDeque::from([self.canonical(manifest)]);
        let (mut seen, mut top) = (HashSet::new(), None);
        while let Some(digest) = open.pop_front() {
            if !seen.insert(digest) {
                continue;
            }
            if let Some(tag) = self.linked.needs.tags.get(&digest) {
                return Reference::Tag(tag.clone());
            }
            match self.parents.get(&digest) {
                Some(parents) => open.extend(parents),
                None => top = top.or(Some(digest)),
            }
        }
        Reference::Digest(top.unwrap_or(*manifest))
    }

    /// Returns an image that needs a blob, with a tag if one has.
    fn with_blob(&self, blob: &Digest) -> Option<Reference> {
        let manifests = self.linked.needs.manifests.get(blob)?;
        let images: Vec<Reference> = manifests.iter().map(|manifest| self.with(manifest)).collect();
        let tagged = images.iter().find(|image| matches!(image, Reference::Tag(_)));
        tagged.or(images.first()).cloned()
    }
}
