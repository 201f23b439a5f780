//! Facts that answers reveal beside the requested data: which store it is, and which kind of bucket.

use std::sync::{
    OnceLock,
    atomic::{AtomicBool, Ordering},
};

use aws_sdk_s3::{
    config::{
        ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeDeserializationInterceptorContextRef,
    },
    error::BoxError,
};
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;

use crate::known_stores::KnownStore;

/// Learnt from any answer, and never forgotten.
#[derive(Debug, Default)]
pub(crate) struct ObservedFeatures {
    store: OnceLock<KnownStore>,
    versions: AtomicBool,
    objects: AtomicBool,
    retention: AtomicBool,
    hidden: AtomicBool,
}

impl ObservedFeatures {
    /// The store, if its `Server` header names one that is known.
    pub(crate) fn store(&self) -> Option<KnownStore> {
        self.store.get().copied()
    }

    /// Whether the bucket keeps versions.
    pub(crate) fn has_versions(&self) -> bool {
        self.versions.load(Ordering::Relaxed)
    }

    /// Whether an object has been seen, but no version of one: then deleting a missing key leaves nothing.
    pub(crate) fn has_no_versions(&self) -> bool {
        self.objects.load(Ordering::Relaxed) && !self.has_versions()
    }

    /// Whether the bucket retains its objects (Object Lock).
    pub(crate) fn has_retention(&self) -> bool {
        self.retention.load(Ordering::Relaxed)
    }

    /// Whether a missing key looks forbidden.
    pub(crate) fn hides_missing(&self) -> bool {
        self.hidden.load(Ordering::Relaxed)
    }

    pub(super) fn hid_a_missing_key(&self) {
        if !self.hidden.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "the store answers 403 for a missing object, so each such answer costs a list request: allow \
                 s3:ListBucket on the bucket without a condition on the prefix"
            );
        }
    }

    fn note(&self, header: &dyn Fn(&'static str) -> bool, server: Option<&str>) {
        if self.store.get().is_none()
            && let Some(known) = server.and_then(KnownStore::of_server)
        {
            // A faster answer said the same.
            let _ = self.store.set(known);
        }
        if header("x-amz-object-lock-mode") {
            self.retention.store(true, Ordering::Relaxed);
        }
        if header("x-amz-version-id") {
            self.versions.store(true, Ordering::Relaxed);
        } else if header("etag") {
            self.objects.store(true, Ordering::Relaxed);
        }
    }
}

/// Records the facts from each answer.
#[derive(Debug)]
pub(super) struct ObserveResponses(pub(super) std::sync::Arc<ObservedFeatures>);

#[dyn_dispatch_hint]
impl Intercept for ObserveResponses {
    fn name(&self) -> &'static str {
        "plugin-registry watch"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _settings: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.response().headers();
        // In a bucket with suspended versions, it is `null`.
        let has = |name| headers.get(name).is_some_and(|value| !value.is_empty() && value != "null");
        self.0.note(&has, headers.get("server"));
        Ok(())
    }
}
