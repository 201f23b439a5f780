//! The calls.

use std::fmt;

use plugin_registry_core::Algorithm;
/// A repository or a tag.
pub(super) type Name = &'static str;

/// One call.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// The registry that makes it.
    pub(super) on: usize,
    /// Where its future is dropped, if it gets that far.
    pub(super) cut: Option<Cut>,
    pub(super) what: What,
}

/// Where a call is dropped: before or after its change of the store with this number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    pub(super) change: usize,
    pub(super) done: bool,
}

/// A call to the registry, with its arguments.
#[derive(Clone, Debug)]
pub(super) enum What {
    Push {
        to: Name,
        blob: usize,
        by: Algorithm,
        size: Size,
        body: Body,
    },
    Start {
        to: Name,
        blob: usize,
        by: Algorithm,
    },
    Append {
        session: Pick,
        at: At,
        length: Size,
        content: Chunk,
        body: Body,
    },
    Finish {
        session: Pick,
        at: At,
        length: Size,
        content: Chunk,
        body: Body,
        digest: Named,
    },
    Status {
        session: Pick,
    },
    Cancel {
        session: Pick,
    },
    Mount {
        from: Name,
        to: Name,
        blob: usize,
        by: Algorithm,
    },
    MountAny {
        to: Name,
        blob: usize,
        by: Algorithm,
    },
    Stat {
        of: Name,
        blob: usize,
        by: Algorithm,
    },
    Open {
        of: Name,
        blob: usize,
        by: Algorithm,
        offset: u64,
        length: Option<u64>,
    },
    Get {
        of: Name,
        blob: usize,
        by: Algorithm,
        limit: usize,
    },
    Missing {
        of: Name,
        by: Algorithm,
    },
    DeleteBlob {
        of: Name,
        blob: usize,
        by: Algorithm,
    },
    PutManifest {
        to: Name,
        document: usize,
        by: PutBy,
        media_type: Media,
    },
    GetManifest {
        of: Name,
        by: By,
    },
    ManifestExists {
        of: Name,
        by: By,
    },
    DeleteManifest {
        of: Name,
        by: By,
    },
    Resolve {
        of: Name,
        tag: Name,
    },
    ListTags {
        of: Name,
        last: Option<Name>,
        limit: usize,
    },
    DeleteTag {
        of: Name,
        tag: Name,
    },
    Catalog {
        last: Option<Name>,
        limit: usize,
    },
    Referrers {
        of: Name,
        document: usize,
        by: Algorithm,
        filter: Option<Name>,
    },
    Verify {
        of: Option<Name>,
    },
    /// The registry is dropped, and another one is opened in its place.
    Reopen(Mode),
}

/// The size that is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    Right,
    Unsaid,
    OneMore,
    OneLess,
}

/// How a body arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Whole,
    /// It has pieces without bytes before, between and after the others.
    Untidy,
    /// One byte is wrong, or there is one byte instead of none.
    Wrong,
    /// It fails before its first byte.
    FailsAtOnce,
    /// It fails after half of its bytes.
    FailsMidway,
}

/// A session: the youngest, the one before it, …
#[derive(Clone, Copy, Debug)]
pub(super) struct Pick {
    pub(super) back: usize,
    /// Asked for in another repository than its own.
    pub(super) elsewhere: bool,
}

/// Where the caller believes that a session stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum At {
    Unsaid,
    Right,
    Zero,
    OneMore,
    OneLess,
}

/// The bytes of a request of a session.
#[derive(Clone, Copy, Debug)]
pub(super) enum Chunk {
    Nothing,
    /// This many quarters of what the session lacks.
    Quarters(usize),
    /// All bytes, from the first.
    Everything,
    Rubbish,
}

/// The digest with which a session is finished.
#[derive(Clone, Copy, Debug)]
pub(super) enum Named {
    /// The digest of its content.
    Right(Algorithm),
    /// The digest of this blob.
    Blob(usize),
}

/// The reference under which a manifest is put.
#[derive(Clone, Debug)]
pub(super) enum PutBy {
    Tag(Name),
    Digest(Algorithm),
    /// The digest of another document.
    OtherDigest,
    Both(Algorithm, Vec<Name>),
}

/// The media type with which a manifest is put.
#[derive(Clone, Copy, Debug)]
pub(super) enum Media {
    Right,
    Unsaid,
    Json,
    /// The media type of another kind of document.
    Other,
    Text,
}

/// The reference by which a manifest is asked for.
#[derive(Clone, Debug)]
pub(super) enum By {
    Tag(Name),
    Digest(usize, Algorithm),
}

/// How a registry is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Default,
    /// It asks the store each time (`blob_cache_ttl` zero).
    Forgetful,
    ReadOnly,
    /// Deletes are off.
    Keeping,
}

impl What {
    /// The name of the call.
    pub(super) fn name(&self) -> String {
        let text = format!("{self:?}");
        text.split(|c: char| !c.is_alphanumeric()).next().unwrap().to_owned()
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "registry {}: {:?}", self.on, self.what)?;
        match self.cut {
            Some(cut) => {
                write!(f, ", dropped {} change {}", if cut.done { "after" } else { "before" }, cut.change)
            }
            None => Ok(()),
        }
    }
}
