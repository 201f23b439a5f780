//! The report of a verification.

use std::fmt;

use plugin_registry_core::{Digest, Reference, RepositoryName, StoragePath};

/// What [`Registry::verify`](crate::Registry::verify) looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifyScope {
    /// One image: its manifest or index, and everything that this names.
    Image(ImageName),
    /// One repository.
    Repository(RepositoryName),
    /// All of them.
    All,
}

/// An image of a repository, by a tag or a digest.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ImageName {
    /// The repository.
    pub repository: RepositoryName,
    /// The tag or digest.
    pub reference: Reference,
}

impl ImageName {
    /// Names an image.
    #[must_use]
    pub fn new(repository: RepositoryName, reference: impl Into<Reference>) -> Self {
        Self { repository, reference: reference.into() }
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = match &self.reference {
            Reference::Tag(_) => ':',
            Reference::Digest(_) => '@',
        };
        write!(f, "{}{separator}{}", self.repository, self.reference)
    }
}

/// An event of a verification.
#[derive(Debug)]
#[non_exhaustive]
pub enum VerifyEvent<'a> {
    /// It begins with a repository.
    Repository(&'a RepositoryName),
    /// It read content and found it sound.
    Content {
        /// The digest.
        digest: Digest,
        /// The size in bytes.
        size: u64,
    },
    /// It found damage.
    Damage(&'a Finding),
    /// It found something that is not damage but is worth a note.
    Note(&'a Note),
}

/// Damage: something that was stored cannot be read as it was, or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The repository that needs what is damaged.
    pub repository: RepositoryName,
    /// Where it is, or should be.
    pub path: StoragePath,
    /// The problem.
    pub problem: String,
    /// An image that needs what is damaged, by a tag if it has one. A copy of this image from a good source, with
    /// repair, mends the finding, and nothing has to be removed before.
    ///
    /// `None` if a copy does not mend it: no image needs it, it cannot be read, or the manifest itself is wrong.
    /// Always `None` in a [`VerifyEvent`], since the image is known at the end of its repository.
    pub image: Option<ImageName>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.repository, self.path, self.problem)
    }
}

/// Something that is not damage: everything that was stored can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Note {
    /// The repository.
    pub repository: RepositoryName,
    /// Where it is: a path, or the escaped text of a name that no path can have.
    pub path: String,
    /// The kind of the content.
    pub kind: NoteKind,
    /// The text of the note.
    pub text: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.repository, self.path, self.text)
    }
}

/// The kinds of notes. More may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NoteKind {
    /// Layer links whose bytes are gone and that no manifest needs, as a garbage collection of distribution 2.8
    /// leaves them. One note per repository. A pull by them fails, and a push heals them.
    DanglingLinks,
    /// A file or directory that no registry puts where it is. It is left alone.
    ForeignName,
    /// A whole manifest that a push would be refused for today ([`Flaw`](crate::integrity::Flaw)).
    Flaw,
}

impl NoteKind {
    /// Returns a name for programs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DanglingLinks => "dangling_links",
            Self::ForeignName => "foreign_name",
            Self::Flaw => "flaw",
        }
    }
}

/// The findings of a verification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Repositories looked at.
    pub repositories: usize,
    /// Revisions whose bytes are sound.
    pub manifests: usize,
    /// Distinct blobs whose bytes are sound, not counting manifests.
    pub blobs: usize,
    /// Bytes read and found sound. Blobs shared by repositories are read once, manifests once for each of them.
    pub bytes: u64,
    /// All damage.
    pub findings: Vec<Finding>,
    /// Everything that is not damage but is worth a note.
    pub notes: Vec<Note>,
    /// Layer links whose bytes are gone and that no manifest needs, in all repositories.
    pub dangling_links: usize,
    /// Directories that hold a repository by their content, but whose names are not repository names. The run
    /// did not look below them, and no call can reach their content. distribution accepts upper-case letters
    /// in a first component.
    pub unknown: Vec<StoragePath>,
    /// Why the run did not look at everything, if it did not. The store failed, a directory that is not a
    /// repository's could not be listed, or there were more than 100,000 directories to list one by one. The
    /// report still holds what was found.
    pub unfinished: Option<String>,
}

impl VerifyReport {
    /// Returns whether everything was looked at and no damage was found.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty() && self.unfinished.is_none()
    }

    /// Returns whether there is nothing to report at all: no damage, no notes, no repository without a name.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.is_sound() && self.notes.is_empty() && self.unknown.is_empty()
    }
}
