//! The facts in manifests, and the contents of lists.

use std::collections::BTreeSet;

use plugin_registry_core::{Algorithm, Digest, RepositoryName};

use super::{
    call::{By, Name},
    outcome::{Outcome, Refusal},
    state::Model,
    step::Step,
    world::{Document, REPOSITORIES, WORLD},
};

/// Digest, media type, size, and whether the bytes are right.
pub(super) type Manifest = (String, String, u64, bool);
/// Digest, media type, size, artifact type, and whether there are annotations.
pub(super) type Referrer = (String, String, u64, Option<String>, bool);
/// Repositories, manifests, blobs, and where damage was found.
pub(super) type Verified = (usize, usize, usize, Vec<String>);

impl Model {
    /// Checks that everything that a manifest names is in its repository.
    ///
    /// Bytes of another size than it states are absent to a registry that has not hashed them: they may have
    /// been cut (ADR 0020).
    pub(super) fn check_references(
        &self,
        to: Name,
        document: &Document,
        has_hashed: bool,
    ) -> Result<(), Refusal> {
        let is_here = |digest: &Digest| self.blob(to, digest).is_some();
        let is_right = |(digest, size): &(Digest, u64)| {
            self.blob(to, digest).is_none_or(|canonical| WORLD.content(&canonical).len() as u64 == *size)
        };
        if has_hashed && !document.blobs.iter().all(is_right) {
            return Err(Refusal::InvalidManifest);
        }
        let absent = document.blobs.iter().filter(|blob| !is_here(&blob.0) || !is_right(blob));
        let missing: Vec<Digest> = absent
            .map(|(digest, _)| *digest)
            .chain(document.children.iter().copied().filter(|child| self.manifest(to, child).is_none()))
            .collect();
        if missing.is_empty() { Ok(()) } else { Err(Refusal::references(missing)) }
    }

    pub(super) fn resolve(&self, of: Name, tag: Name) -> Option<Digest> {
        self.of(of).tags.get(tag)?.current
    }

    pub(super) fn get_manifest(&self, of: Name, by: &By) -> Result<Manifest, Refusal> {
        let (asked, digest) = match by {
            By::Tag(tag) => ((*tag).to_owned(), self.resolve(of, tag)),
            By::Digest(..) => (by.digest().to_string(), Some(by.digest())),
        };
        let found = digest.and_then(|digest| Some((digest, self.manifest(of, &digest)?)));
        let (digest, canonical) = found.ok_or(Refusal::Manifest(of.to_owned(), asked))?;
        let Document { bytes, media_type, .. } = WORLD.document(&canonical);
        Ok((digest.to_string(), (*media_type).to_owned(), bytes.len() as u64, true))
    }

    /// A page of tags, and whether more follow.
    ///
    /// A tag whose put was dropped before its last write is listed, as in distribution: a list only looks at
    /// names.
    pub(super) fn tags(
        &self,
        of: Name,
        last: Option<Name>,
        limit: usize,
    ) -> Result<(Vec<String>, bool), Refusal> {
        let repository = self.of(of);
        if !repository.exists() {
            return Err(Refusal::Repository(of.to_owned()));
        }
        let after = repository.tags.keys().filter(|tag| last.is_none_or(|last| **tag > last));
        Ok(page(after.map(|tag| (*tag).to_owned()), limit))
    }

    pub(super) fn referrers(
        &self,
        of: Name,
        document: usize,
        by: Algorithm,
        filter: Option<Name>,
    ) -> Vec<Referrer> {
        let subject = WORLD.manifest(document, by);
        let revisions = self.of(of).revisions.iter().filter(|revision| revision.is_canonical());
        let mut found: Vec<Referrer> = revisions
            .map(|revision| (revision.to_string(), WORLD.document(revision)))
            .filter(|(_, document)| document.subject == Some(subject))
            .filter(|(_, document)| filter.is_none() || document.artifact_type == filter)
            .map(|(digest, document)| {
                let artifact_type = document.artifact_type.map(str::to_owned);
                let size = document.bytes.len() as u64;
                (digest, document.media_type.to_owned(), size, artifact_type, document.annotated)
            })
            .collect();
        found.sort();
        found
    }
}

impl Step {
    /// The repositories that hold something, even if only an upload (ADR 0005).
    fn repositories(&mut self) -> Vec<Name> {
        let mut names = Vec::new();
        for name in REPOSITORIES {
            let holds = self.model.of(name).exists() || self.model.has_uploads(name);
            if holds || (self.model.littered.contains(name) && self.choose()) {
                names.push(name);
            }
        }
        names.sort_by(|a, b| a.split('/').cmp(b.split('/')));
        names
    }

    pub(super) fn catalog(&mut self, last: Option<Name>, limit: usize) -> Outcome {
        let parse = |name: &str| name.parse::<RepositoryName>().unwrap();
        let names = self.repositories();
        let after = names.into_iter().filter(|name| {
            last.is_none_or(|last| parse(name).components().cmp(parse(last).components()).is_gt())
        });
        Outcome::of(page(after.map(str::to_owned), limit))
    }

    /// The findings of a verification.
    ///
    /// Damage is what a deleted blob or manifest leaves of those that name it, and a tag whose put was
    /// dropped before its last write.
    pub(super) fn verify(&mut self, of: Option<Name>) -> Result<Verified, Refusal> {
        let names = match of {
            None => self.repositories(),
            Some(name) => vec![name],
        };
        let (mut repositories, mut manifests) = (0, 0);
        let (mut blobs, mut damage) = (BTreeSet::new(), Vec::new());
        for name in names {
            let repository = self.model.of(name).clone();
            if !repository.exists() {
                let may_be_seen = self.model.littered.contains(name);
                let is_upload =
                    self.model.has_uploads(name) || may_be_seen && (of.is_none() || self.choose());
                if is_upload {
                    continue;
                }
                return Err(Refusal::Repository(name.to_owned()));
            }
            repositories += 1;
            blobs.extend(repository.layers.iter().filter_map(|layer| self.model.blob(name, layer)));
            for revision in repository.revisions.iter().filter(|revision| revision.is_canonical()) {
                manifests += 1;
                let document = WORLD.document(revision);
                let lost = document.blobs.iter().filter(|(blob, _)| self.model.blob(name, blob).is_none());
                damage.extend(lost.map(|(blob, _)| format!("{name} {blob}")));
                let lost =
                    document.children.iter().filter(|child| self.model.manifest(name, child).is_none());
                damage.extend(lost.map(|child| format!("{name} {child}")));
            }
            let halves = repository.tags.iter().filter(|(_, tag)| tag.current.is_none());
            damage.extend(halves.map(|(tag, _)| format!("{name} {tag}")));
        }
        damage.sort();
        Ok((repositories, manifests, blobs.len(), damage))
    }
}

fn page(all: impl Iterator<Item = String>, limit: usize) -> (Vec<String>, bool) {
    let mut entries: Vec<String> = all.collect();
    let more = entries.len() > limit;
    entries.truncate(limit);
    (entries, more)
}
