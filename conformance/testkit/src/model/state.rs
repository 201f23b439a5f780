//! The model: maps and sets, and nothing of what a registry does to keep them.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use plugin_registry::{layout, upload::UploadId};
use plugin_registry_core::{Algorithm, Digest};

use super::{
    call::{Mode, Name},
    world::{REPOSITORIES, WORLD},
};

/// Everything that a store has, as far as a caller can tell, and what each registry over it may know besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Model {
    /// Canonical digests of all content.
    pub(super) data: BTreeSet<Digest>,
    pub(super) repositories: BTreeMap<Name, Repository>,
    pub(super) sessions: Vec<Session>,
    pub(super) instances: Vec<Instance>,
    /// Repositories that may have a directory with only the staged bytes of a dropped push. A store may or
    /// may not show it (`writer_is_invisible_before_commit`).
    pub(super) littered: BTreeSet<Name>,
    /// The number of stages so far, to tell them apart.
    pub(super) stages: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Repository {
    /// Layer links, including those of aliases.
    pub(super) layers: BTreeSet<Digest>,
    /// Revision links, including those of aliases.
    pub(super) revisions: BTreeSet<Digest>,
    pub(super) tags: BTreeMap<Name, Tag>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) current: Option<Digest>,
    /// The digests that it has named.
    pub(super) index: BTreeSet<Digest>,
}

/// An upload session, as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) repository: Name,
    /// The blob for which it is meant.
    pub(super) blob: usize,
    /// Whether `startedat` exists. Then every registry knows the session.
    pub(super) started: bool,
    pub(super) stage: Stage,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Empty,
    Staged {
        stage: u64,
        bytes: Bytes,
    },
    /// An interrupted finish has made the bytes visible inside the upload.
    Visible(Bytes),
}

/// The memory of one registry beside the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Instance {
    pub(super) mode: Mode,
    /// Digests of other algorithms that it has computed itself (`Blobs::mount_any`).
    pub(super) hashed: BTreeSet<Digest>,
    /// Sessions that it has begun or met (`Uploads::start` writes nothing).
    pub(super) slots: BTreeMap<usize, Slot>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// The algorithm with which it hashes besides sha256.
    pub(super) algorithm: Algorithm,
    /// It began here and, as far as this registry knows, nothing of it is stored.
    pub(super) fresh: bool,
    /// This registry may have written something of it.
    pub(super) touched: bool,
    pub(super) ended: bool,
    /// The stage and the number of bytes whose hash it has.
    pub(super) hashed: Option<(u64, usize)>,
}

/// Files and their contents; `None` for any content.
pub(super) type Files = BTreeMap<String, Option<Bytes>>;

impl Model {
    /// An empty store with this many registries over it.
    pub(super) fn new(instances: usize) -> Self {
        Self {
            data: BTreeSet::new(),
            repositories: REPOSITORIES.iter().map(|name| (*name, Repository::default())).collect(),
            sessions: Vec::new(),
            instances: vec![Instance::new(Mode::Default); instances],
            littered: BTreeSet::new(),
            stages: 0,
        }
    }

    /// The contents of a repository.
    pub(super) fn of(&self, name: Name) -> &Repository {
        &self.repositories[name]
    }

    /// The canonical digest of a blob in a repository.
    pub(super) fn blob(&self, of: Name, digest: &Digest) -> Option<Digest> {
        find(&self.of(of).layers, digest)
    }

    /// The canonical digest of a manifest in a repository.
    pub(super) fn manifest(&self, of: Name, digest: &Digest) -> Option<Digest> {
        find(&self.of(of).revisions, digest)
    }

    /// Whether the store has something of a session of a repository.
    pub(super) fn has_uploads(&self, of: Name) -> bool {
        self.sessions.iter().any(|session| session.repository == of && session.is_stored())
    }

    /// Every file that must be in the store. No other file may be.
    pub(super) fn files(&self, ids: &[UploadId]) -> Files {
        let mut files = Files::new();
        for digest in &self.data {
            files.insert(layout::blob_data(digest).to_string(), Some(WORLD.content(digest).clone()));
        }
        let link = |digest: &Digest| Some(layout::link_content(digest));
        for (name, repository) in &self.repositories {
            let name = name.parse().unwrap();
            for digest in &repository.layers {
                let path = layout::layer_link(&name, digest);
                files.insert(path.to_string(), link(&WORLD.canonical(digest)));
            }
            for digest in &repository.revisions {
                let path = layout::revision_link(&name, digest);
                files.insert(path.to_string(), link(&WORLD.canonical(digest)));
            }
            for (tag, Tag { current, index }) in &repository.tags {
                let tag = tag.parse().unwrap();
                if let Some(digest) = current {
                    files.insert(layout::tag_current(&name, &tag).to_string(), link(digest));
                }
                for digest in index {
                    files.insert(layout::tag_index(&name, &tag, digest).to_string(), link(digest));
                }
            }
        }
        for (session, id) in self.sessions.iter().zip(ids) {
            let name = session.repository.parse().unwrap();
            if session.started {
                files.insert(layout::upload_started_at(&name, id).to_string(), None);
            }
            if let Stage::Visible(bytes) = &session.stage {
                files.insert(layout::upload_data(&name, id).to_string(), Some(bytes.clone()));
            }
        }
        files
    }
}

impl Repository {
    /// Whether it holds anything but uploads.
    pub(super) fn exists(&self) -> bool {
        !(self.layers.is_empty() && self.revisions.is_empty() && self.tags.is_empty())
    }
}

impl Session {
    /// The offset at which it stands.
    pub(super) fn offset(&self) -> u64 {
        self.bytes().map_or(0, |bytes| bytes.len() as u64)
    }

    pub(super) fn bytes(&self) -> Option<&Bytes> {
        match &self.stage {
            Stage::Empty => None,
            Stage::Staged { bytes, .. } | Stage::Visible(bytes) => Some(bytes),
        }
    }

    pub(super) fn is_stored(&self) -> bool {
        self.started || self.stage != Stage::Empty
    }
}

impl Instance {
    pub(super) fn new(mode: Mode) -> Self {
        Self { mode, hashed: BTreeSet::new(), slots: BTreeMap::new() }
    }
}

/// An alias counts only if the canonical link is there too (ADR 0013).
fn find(links: &BTreeSet<Digest>, digest: &Digest) -> Option<Digest> {
    let canonical = WORLD.canonical(digest);
    (links.contains(digest) && links.contains(&canonical)).then_some(canonical)
}
