//! The options with which a server is started.

use std::time::Duration;

use super::server::Server;

/// The limits of the store. By default those of AWS. Tests scale them down.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The largest object of one PutObject (`EntityTooLarge` above).
    pub single_put: u64,
    /// The smallest part that is not the last (`EntityTooSmall` at completion).
    pub min_part: u64,
    /// The largest part, sent or copied.
    pub max_part: u64,
    /// The largest part number.
    pub max_parts: i32,
    /// The largest source of CopyObject (`InvalidRequest` above; U25).
    pub copy_source: u64,
    /// The largest object of all parts together.
    pub max_object: u64,
    /// The longest page of every list, whatever the request asks for.
    pub page: usize,
    /// The most keys of one DeleteObjects.
    pub delete: usize,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: u64 = 1 << 20;
        const GIB: u64 = 1 << 30;
        Self {
            single_put: 5 * GIB,
            min_part: 5 * MIB,
            max_part: 5 * GIB,
            max_parts: 10_000,
            copy_source: 5 * GIB,
            max_object: 5 << 40,
            page: 1000,
            delete: 1000,
        }
    }
}

/// What the server does with a delimiter of more than one character.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DelimiterRule {
    /// It is one string, as on AWS.
    #[default]
    Whole,
    /// Only its first character counts.
    FirstCharacter,
    /// It is ignored: every key is listed by itself.
    Ignored,
    /// The server fails on it, as NooBaa does on a file system (noobaa-core issue 7940).
    Refused,
    /// A page after the first begins at the last common prefix again (minio issue 20682).
    Restarts,
}

/// What the server does with `start-after` if a delimiter folds keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartAfterRule {
    /// A common prefix is listed if it is greater itself.
    #[default]
    Items,
    /// A common prefix is listed if any of its keys is greater.
    Keys,
    /// `start-after` is ignored.
    Ignored,
}

/// Deviations of servers that call themselves compatible, for every request until they are turned off.
#[derive(Clone, Debug, Default)]
pub struct Quirks {
    /// F13: `If-Match` and `If-None-Match` are ignored on writes.
    pub conditions_ignored: bool,
    /// F13: `x-amz-copy-source-if-match` and similar headers are ignored.
    pub copy_conditions_ignored: bool,
    /// Delimiters of more than one character.
    pub delimiter: DelimiterRule,
    /// `start-after` of a folded list.
    pub start_after: StartAfterRule,
    /// ETags have no quotes, in headers and in XML.
    pub unquoted_etags: bool,
    /// A batch of deletes needs `Content-MD5`, whatever other digest it has (minio issue 20849).
    pub md5_required: bool,
    /// Bodies in `aws-chunked` coding, and so trailing checksums, are refused.
    pub trailers_refused: bool,
    /// The caller lacks the permission to list: a missing key gives 403 instead of 404.
    pub missing_is_forbidden: bool,
    /// F12: lists show the state before the latest write.
    pub stale_lists: bool,
    /// Checksums other than `Content-MD5` are refused, in headers and after bodies: 400 `InvalidArgument`,
    /// as on Backblaze (velero issue 7534).
    pub checksums_refused: bool,
    /// A batch of deletes is not implemented: 501 `NotImplemented`, as on GCS (minio/mc issue 4778).
    pub no_batches: bool,
    /// The bucket has versions: what is overwritten stays, and a delete makes a marker, even for a key that
    /// never existed. See [`Server::markers`](super::Server::markers).
    pub versions: bool,
    /// Object Lock with a default retention, which implies `versions`: objects and parts need `Content-MD5` or a
    /// checksum (s3cmd issue 1436), and no version can be deleted.
    pub retention: bool,
    /// The store accepts every object once. Writing to it again or deleting it is refused, as on WORM stores
    /// without versions.
    pub write_once: bool,
    /// The value of the header `Server`. `emulator` if not set.
    pub server: Option<&'static str>,
}

impl Quirks {
    pub(super) fn has_versions(&self) -> bool {
        self.versions || self.retention
    }
}

/// Prepares a [`Server`].
#[derive(Clone, Debug)]
pub struct Builder {
    pub(super) bucket: String,
    pub(super) region: String,
    pub(super) access_key: String,
    pub(super) secret_key: String,
    pub(super) auth: bool,
    pub(super) orphans: bool,
    pub(super) opaque_etags: bool,
    pub(super) latency: Duration,
    pub(super) limits: Limits,
    pub(super) quirks: Quirks,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            bucket: "registry".to_owned(),
            region: "us-east-1".to_owned(),
            access_key: "AKIAEMULATOR00000001".to_owned(),
            secret_key: "emulator/secret+key/of+the+tests/0000001".to_owned(),
            auth: true,
            orphans: false,
            opaque_etags: false,
            latency: Duration::ZERO,
            limits: Limits::default(),
            quirks: Quirks::default(),
        }
    }
}

impl Builder {
    /// Names the bucket.
    pub fn bucket(mut self, bucket: &str) -> Self {
        bucket.clone_into(&mut self.bucket);
        self
    }

    /// Names the region. Requests signed for another one are answered as well.
    pub fn region(mut self, region: &str) -> Self {
        region.clone_into(&mut self.region);
        self
    }

    /// Sets the first pair of keys.
    pub fn keys(mut self, access: &str, secret: &str) -> Self {
        access.clone_into(&mut self.access_key);
        secret.clone_into(&mut self.secret_key);
        self
    }

    /// With `false`, requests without a signature are served too. A signature is checked either way.
    pub fn auth(mut self, required: bool) -> Self {
        self.auth = required;
        self
    }

    /// With `true`, a request that was read whole is carried out even if its client left meanwhile.
    pub fn orphans(mut self, finished: bool) -> Self {
        self.orphans = finished;
        self
    }

    /// With `true`, ETags are not the MD5 of the bytes, as for objects that are encrypted by KMS. That is
    /// cheap, for measurements of clients on the same machine.
    pub fn opaque_etags(mut self, opaque: bool) -> Self {
        self.opaque_etags = opaque;
        self
    }

    /// Sets a wait before each request is handled.
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Replaces the quirks.
    pub fn with_quirks(mut self, quirks: Quirks) -> Self {
        self.quirks = quirks;
        self
    }

    /// Sets the longest page of every list.
    pub fn page_size(mut self, page: usize) -> Self {
        self.limits.page = page;
        self
    }

    /// Sets the smallest part that is not the last.
    pub fn min_part(mut self, bytes: u64) -> Self {
        self.limits.min_part = bytes;
        self
    }

    /// Changes the limits in place.
    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    /// Changes the quirks in place.
    pub fn quirks(mut self, change: impl FnOnce(&mut Quirks)) -> Self {
        change(&mut self.quirks);
        self
    }

    /// Starts the server. Panics if loopback has no free port.
    pub fn start(self) -> Server {
        Server::run(self)
    }
}
