//! State that the parts of a running server share.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use s3s::{S3Result, s3_error};

use super::{
    auth::Keys,
    content::Content,
    fault::Fault,
    log::Log,
    options::{Builder, Limits, Quirks},
    store::{Object, Store},
    text::moved,
};

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) bucket: String,
    pub(super) region: String,
    pub(super) limits: Limits,
    pub(super) auth: bool,
    pub(super) orphans: bool,
    opaque_etags: bool,
    etags: AtomicU64,
    pub(super) keys: Mutex<Keys>,
    pub(super) store: Mutex<Store>,
    pub(super) log: Mutex<Log>,
    pub(super) faults: Mutex<Vec<Fault>>,
    pub(super) denied: Mutex<BTreeSet<String>>,
    pub(super) quirks: Mutex<Quirks>,
    pub(super) latency: Mutex<Duration>,
    /// Seconds by which the server's clock is ahead.
    pub(super) skew: AtomicI64,
}

impl Shared {
    /// The ETag of new bytes. Must not be called under the store's lock, because it takes time.
    pub(super) fn etag(&self, data: &Content) -> String {
        if self.opaque_etags {
            return format!("{:032x}", self.etags.fetch_add(1, Ordering::Relaxed));
        }
        data.md5()
    }

    pub(super) fn new(builder: Builder) -> Self {
        Self {
            keys: Mutex::new(Keys::new(&builder.access_key, &builder.secret_key)),
            bucket: builder.bucket,
            region: builder.region,
            limits: builder.limits,
            auth: builder.auth,
            orphans: builder.orphans,
            opaque_etags: builder.opaque_etags,
            etags: AtomicU64::new(1),
            store: Mutex::default(),
            log: Mutex::new(Log::new()),
            faults: Mutex::default(),
            denied: Mutex::default(),
            quirks: Mutex::new(builder.quirks),
            latency: Mutex::new(builder.latency),
            skew: AtomicI64::new(0),
        }
    }

    pub(super) fn now(&self) -> SystemTime {
        moved(SystemTime::now(), self.skew.load(Ordering::Relaxed))
    }

    /// Applies the rules for this kind of bucket before a write to a key.
    pub(super) fn before_write(&self, store: &mut Store, key: &str) -> S3Result<()> {
        let quirks = self.quirks.lock().unwrap();
        if quirks.write_once && store.objects.contains_key(key) {
            return Err(retained());
        }
        if quirks.has_versions() {
            store.keep_version(key);
        }
        Ok(())
    }

    /// Writes an object, by the rules for this kind of bucket.
    pub(super) fn replace(&self, store: &mut Store, key: &str, object: Object) -> S3Result<()> {
        self.before_write(store, key)?;
        store.put(key, object);
        Ok(())
    }

    /// Deletes an object, by the rules for this kind of bucket.
    pub(super) fn remove(&self, store: &mut Store, key: &str) -> S3Result<()> {
        let quirks = self.quirks.lock().unwrap();
        if quirks.write_once && store.objects.contains_key(key) {
            return Err(retained());
        }
        if quirks.has_versions() {
            store.mark_deleted(key);
        } else {
            store.remove(key);
        }
        Ok(())
    }

    pub(super) fn check_bucket(&self, bucket: &str) -> S3Result<()> {
        if bucket == self.bucket {
            return Ok(());
        }
        Err(s3_error!(NoSuchBucket, "The specified bucket does not exist"))
    }
}

fn retained() -> s3s::S3Error {
    s3_error!(AccessDenied, "Access Denied because object protected by object lock.")
}
