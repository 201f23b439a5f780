//! The expected content of a store, and whether a server shows it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use plugin_registry_conformance::registry::fixture::{Image, digest};
use plugin_registry_core::Algorithm;

use crate::{
    client::{Client, Flow, assert_digest},
    programs::Program,
};

/// One repository.
#[derive(Clone, Debug, Default)]
pub(crate) struct Repository {
    /// Tag to the digest of its manifest.
    pub(crate) tags: BTreeMap<String, String>,
    /// Digest to type and bytes.
    pub(crate) manifests: BTreeMap<String, (String, Bytes)>,
    /// Digest to bytes.
    pub(crate) blobs: BTreeMap<String, Bytes>,
    /// Tags, digests of manifests and of blobs that were deleted.
    pub(crate) gone: BTreeSet<String>,
}

impl Repository {
    /// The digests in a manifest.
    fn names(&self, digest: &str) -> Vec<String> {
        let Some((_, content)) = self.manifests.get(digest) else { return Vec::new() };
        let manifest: serde_json::Value = serde_json::from_slice(content).unwrap();
        let list = |key: &str| manifest[key].as_array().cloned().unwrap_or_default();
        let named = [vec![manifest["config"].clone()], list("layers"), list("manifests")].concat();
        named.iter().filter_map(|named| named["digest"].as_str().map(str::to_owned)).collect()
    }

    /// A manifest and everything below it.
    fn collect(&self, digest: &str, needed: &mut BTreeSet<String>) {
        if needed.insert(digest.to_owned()) {
            self.names(digest).iter().for_each(|child| self.collect(child, needed));
        }
    }
}

/// A store, by repository.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected(pub(crate) BTreeMap<String, Repository>);

/// Pushes, and keeps the books.
pub(crate) struct Writer<'a> {
    pub(crate) program: Program,
    pub(crate) client: &'a Client,
    pub(crate) expected: &'a mut Expected,
    /// Where deletes of manifests go instead, for another writer to do.
    pub(crate) deferred: Option<&'a mut Vec<Delete>>,
}

/// A delete of a manifest that is still to be done.
#[derive(Debug)]
pub(crate) struct Delete {
    pub(crate) name: String,
    pub(crate) digest: String,
}

impl Writer<'_> {
    fn repository(&mut self, name: &str) -> &mut Repository {
        self.expected.0.entry(name.to_owned()).or_default()
    }

    pub(crate) fn blob(&mut self, name: &str, content: &Bytes, flow: Flow) -> String {
        self.blob_as(Algorithm::Sha256, name, content, flow)
    }

    pub(crate) fn blob_as(
        &mut self,
        algorithm: Algorithm,
        name: &str,
        content: &Bytes,
        flow: Flow,
    ) -> String {
        let digest = self.client.push(name, algorithm, content, flow);
        self.repository(name).blobs.insert(digest.clone(), content.clone());
        digest
    }

    pub(crate) fn mount(&mut self, name: &str, content: &Bytes, from: &str) {
        assert!(self.client.mount(name, &digest(content), from), "{} mounts", self.program);
        self.repository(name).blobs.insert(digest(content), content.clone());
    }

    /// Puts a manifest under a tag, or under its digest when that is the reference.
    pub(crate) fn manifest(
        &mut self,
        name: &str,
        reference: &str,
        media_type: &str,
        content: &Bytes,
    ) -> String {
        let answer = self.client.put_manifest(name, reference, media_type, content).expect(201);
        let digest = if reference.contains(':') { reference.to_owned() } else { digest(content) };
        assert_eq!(answer.header("docker-content-digest"), Some(&*digest), "{}", self.program);
        let repository = self.repository(name);
        repository.manifests.insert(digest.clone(), (media_type.to_owned(), content.clone()));
        repository.gone.remove(&digest);
        if digest != reference {
            repository.tags.insert(reference.to_owned(), digest.clone());
            repository.gone.remove(reference);
        }
        digest
    }

    /// Blobs and manifest; the first blob whole, the others in chunks.
    pub(crate) fn image(&mut self, name: &str, reference: &str, image: &Image) -> String {
        for (index, blob) in image.blobs.iter().enumerate() {
            self.blob(name, blob, if index == 0 { Flow::Whole } else { Flow::Chunks(1000) });
        }
        self.manifest(name, reference, image.media_type, &image.manifest)
    }

    /// An image under its digest alone.
    pub(crate) fn child(&mut self, name: &str, image: &Image) -> String {
        self.image(name, &image.digest(), image)
    }

    pub(crate) fn delete_manifest(&mut self, name: &str, digest: &str) {
        if let Some(deferred) = &mut self.deferred {
            deferred.push(Delete { name: name.to_owned(), digest: digest.to_owned() });
            return;
        }
        let _ = self.client.delete(&format!("/v2/{name}/manifests/{digest}")).expect(202);
        let repository = self.repository(name);
        repository.manifests.remove(digest).unwrap();
        let dead: Vec<String> = repository
            .tags
            .iter()
            .filter(|(_, named)| *named == digest)
            .map(|(tag, _)| tag.clone())
            .collect();
        for tag in dead {
            repository.tags.remove(&tag);
            repository.gone.insert(tag);
        }
        repository.gone.insert(digest.to_owned());
    }

    pub(crate) fn delete_tag(&mut self, name: &str, tag: &str) {
        let _ = self.client.delete(&format!("/v2/{name}/manifests/{tag}")).expect(202);
        let repository = self.repository(name);
        repository.tags.remove(tag).unwrap();
        repository.gone.insert(tag.to_owned());
    }

    pub(crate) fn delete_blob(&mut self, name: &str, digest: &str) {
        let _ = self.client.delete(&format!("/v2/{name}/blobs/{digest}")).expect(202);
        let repository = self.repository(name);
        repository.blobs.remove(digest).unwrap();
        repository.gone.insert(digest.to_owned());
    }
}

impl Expected {
    /// The sha256 digests of all that a manifest names: no program may take them for garbage. What is named
    /// by sha512 is left out: distribution does not look behind such a name, and would delete the layer from
    /// its own stores too (`subjects::sha512`).
    pub(crate) fn live(&self) -> BTreeSet<String> {
        let mut live = BTreeSet::new();
        for repository in self.0.values() {
            repository.manifests.keys().for_each(|digest| repository.collect(digest, &mut live));
            live.retain(|digest| digest.starts_with("sha256:"));
        }
        live
    }

    /// A manifest and everything that it names, by digest.
    pub(crate) fn needed(&self, name: &str, digest: &str) -> BTreeSet<String> {
        let mut needed = BTreeSet::new();
        self.0[name].collect(digest, &mut needed);
        needed
    }

    /// Both together.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// The images that skopeo 1.9.3 can push: everything that is reached from a tag, except for indexes of
    /// indexes (it refuses them) and content named by sha512 (it stores everything by sha256).
    pub(crate) fn for_skopeo(&self) -> Self {
        let mut kept = Self::default();
        for (name, repository) in &self.0 {
            let mut all = BTreeSet::new();
            let mut kept_repository = repository.clone();
            kept_repository.tags.retain(|_, digest| {
                let needed = self.needed(name, digest);
                let can = self.inner_indexes(name, digest).is_empty()
                    && needed.iter().all(|digest| digest.starts_with("sha256:"));
                if can {
                    all.extend(needed);
                }
                can
            });
            kept_repository.manifests.retain(|digest, _| all.contains(digest));
            kept_repository.blobs.retain(|digest, _| all.contains(digest));
            kept_repository.gone.clear();
            if !kept_repository.tags.is_empty() {
                kept.0.insert(name.clone(), kept_repository);
            }
        }
        kept
    }

    /// The indexes that an index names, and those that they name.
    pub(crate) fn inner_indexes(&self, name: &str, digest: &str) -> Vec<String> {
        let repository = &self.0[name];
        let mut found = Vec::new();
        for child in repository.names(digest) {
            if repository.manifests.get(&child).is_some_and(|(media_type, _)| media_type.contains("index")) {
                found.extend(self.inner_indexes(name, &child));
                found.push(child);
            }
        }
        found
    }

    /// The catalog has every repository with a manifest, and no other than these. One whose last manifest was
    /// deleted is listed or not: 3.1.1 finds repositories by `_manifests`, which we leave only while it holds
    /// something.
    pub(crate) fn check_catalog(&self, reader: Program, client: &Client) {
        let listed: BTreeSet<String> = client.catalog().into_iter().collect();
        let known: BTreeSet<String> = self.0.keys().cloned().collect();
        let with_manifests = self.0.iter().filter(|(_, repository)| !repository.manifests.is_empty());
        let needed: BTreeSet<String> = with_manifests.map(|(name, _)| name.clone()).collect();
        assert!(listed.is_subset(&known), "{reader}: {listed:?} has more than {known:?}");
        assert!(needed.is_subset(&listed), "{reader}: {listed:?} has less than {needed:?}");
    }

    /// Compares everything with what a server shows; gives how many digests were compared.
    pub(crate) fn check(&self, reader: Program, client: &Client) -> usize {
        self.check_catalog(reader, client);
        self.check_repositories(reader, client)
    }

    /// The same, where there may be more repositories.
    pub(crate) fn check_repositories(&self, reader: Program, client: &Client) -> usize {
        let mut compared = 0;
        for (name, repository) in &self.0 {
            let tags: Vec<String> = repository.tags.keys().cloned().collect();
            client.check_tags(name, &tags);
            for (tag, digest) in &repository.tags {
                let (media_type, content) = &repository.manifests[digest];
                let answer = client.get(&format!("/v2/{name}/manifests/{tag}")).expect(200);
                assert_eq!(answer.header("docker-content-digest"), Some(&**digest), "{reader}: {name}:{tag}");
                assert_eq!(answer.header("content-type"), Some(&**media_type), "{reader}: {name}:{tag}");
                assert!(answer.body == *content, "{reader}: {name}:{tag}");
                compared += 1;
            }
            for (digest, (media_type, content)) in &repository.manifests {
                let answer = client.get(&format!("/v2/{name}/manifests/{digest}")).expect(200);
                assert_eq!(answer.header("content-type"), Some(&**media_type), "{reader}: {name}@{digest}");
                assert!(answer.body == *content, "{reader}: {name}@{digest}");
                assert_digest(&answer.body, digest);
                compared += 1;
            }
            for (digest, content) in &repository.blobs {
                let answer = client.get(&format!("/v2/{name}/blobs/{digest}")).expect(200);
                assert!(answer.body == *content, "{reader}: {name}: blob {digest}");
                assert_digest(&answer.body, digest);
                compared += 1;
            }
            for gone in &repository.gone {
                let kinds: &[&str] =
                    if gone.contains(':') { &["manifests", "blobs"] } else { &["manifests"] };
                let is_there = |kind: &str| match kind {
                    "blobs" => repository.blobs.contains_key(gone),
                    _ => repository.manifests.contains_key(gone),
                };
                for kind in kinds.iter().filter(|kind| !is_there(kind)) {
                    let _ = client.get(&format!("/v2/{name}/{kind}/{gone}")).expect(404);
                }
            }
        }
        compared
    }
}
