//! What a verification says about content that changes while it runs, and about content that is named often.

#![allow(clippy::unwrap_used, reason = "a test")]

use bytes::Bytes;
use futures::{FutureExt, stream};
use plugin_registry::{
    Registry, RegistryError, Repository, layout,
    verify::{ImageName, VerifyEvent, VerifyReport, VerifyScope},
};
use plugin_registry_core::{
    Algorithm, Descriptor, Digest, PutMode, Reference, RepositoryName, StorageDriver, Tag,
};
use plugin_registry_drivers_memory::MemoryDriver;
use serde_json::{Value, json};

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

struct Bench {
    store: MemoryDriver,
    repository: Repository,
    registry: Registry,
}

impl Bench {
    fn new() -> Self {
        let store = MemoryDriver::new();
        let registry = Registry::builder(store.clone()).build();
        let repository = registry.repository(name());
        Self { store, repository, registry }
    }

    /// Pushes a blob under a digest, which may be an alias.
    async fn blob(&self, content: &'static [u8], digest: Digest) -> Value {
        let media_type = "application/vnd.oci.image.layer.v1.tar";
        let descriptor = Descriptor::new(media_type.into(), digest, content.len() as u64);
        let pieces = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(content))]);
        self.repository.blobs().push(&descriptor, pieces).await.unwrap();
        json!({ "mediaType": media_type, "digest": digest.to_string(), "size": content.len() })
    }

    async fn manifest(&self, media_type: &str, tag: Option<&str>, document: &Value) -> Digest {
        let bytes = Bytes::from(serde_json::to_vec(document).unwrap());
        let digest = Digest::sha256(&bytes);
        let reference = match tag {
            Some(tag) => Reference::Tag(tag.parse().unwrap()),
            None => Reference::Digest(digest),
        };
        self.repository.manifests().put(&reference, Some(media_type), bytes).await.unwrap();
        digest
    }

    async fn image(&self, tag: Option<&str>, config: &'static [u8], layer: &Value) -> Digest {
        let config = self.blob(config, Digest::sha256(config)).await;
        let document = json!({ "schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": [layer] });
        self.manifest(IMAGE, tag, &document).await
    }

    async fn verify(
        &self,
        scope: VerifyScope,
        observer: impl FnMut(VerifyEvent<'_>) + Send,
    ) -> Result<VerifyReport, RegistryError> {
        self.registry.verify(scope, observer).await
    }
}

fn name() -> RepositoryName {
    "a".parse().unwrap()
}

fn tagged() -> VerifyScope {
    VerifyScope::Image(ImageName::new(name(), "t".parse::<Tag>().unwrap()))
}

/// The hint after damage is to mend the tag from an older copy. So a tag that was moved must not be damage.
#[tokio::test]
async fn a_tag_that_is_moved_meanwhile_is_not_damage() {
    for scope in [tagged(), VerifyScope::Repository(name()), VerifyScope::All] {
        let bench = Bench::new();
        let layer = bench.blob(b"layer", Digest::sha256(b"layer")).await;
        bench.image(Some("t"), b"{}", &layer).await;
        let mut is_moved = false;
        let observer = |event: VerifyEvent<'_>| {
            if matches!(event, VerifyEvent::Content { .. }) && !is_moved {
                is_moved = true;
                // The memory driver answers at once.
                bench.image(Some("t"), b"{ }", &layer).now_or_never().unwrap();
            }
        };
        let report = bench.verify(scope.clone(), observer).await.unwrap();
        assert!(report.is_sound() && report.findings.is_empty(), "{scope:?}: {report:?}");
        assert!(is_moved);
    }
}

#[tokio::test]
async fn an_image_that_is_deleted_meanwhile_is_unknown() {
    let bench = Bench::new();
    let layer = bench.blob(b"layer", Digest::sha256(b"layer")).await;
    let digest = bench.image(None, b"{}", &layer).await;
    let scope = VerifyScope::Image(ImageName::new(name(), digest));
    let revision = layout::revision_link(&name(), &digest);
    let observer = |event: VerifyEvent<'_>| {
        if matches!(event, VerifyEvent::Repository(_)) {
            bench.store.delete(&revision).now_or_never().unwrap().unwrap();
        }
    };
    let unknown = bench.verify(scope, observer).await;
    assert!(matches!(unknown, Err(RegistryError::ManifestUnknown { .. })), "{unknown:?}");
}

#[tokio::test]
async fn a_shared_layer_is_reported_once() {
    let bench = Bench::new();
    let digest = Digest::sha256(b"layer");
    let layer = bench.blob(b"layer", digest).await;
    let mut children = Vec::new();
    for config in [&b"{}"[..], b"{ }", b"{  }"] {
        let child = bench.image(None, config, &layer).await;
        let size = bench.store.stat(&layout::blob_data(&child)).await.unwrap().size;
        children.push(json!({ "mediaType": IMAGE, "digest": child.to_string(), "size": size }));
    }
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": children });
    bench.manifest(INDEX, Some("t"), &index).await;
    let link = layout::layer_link(&name(), &digest);
    bench.store.put_content(&link, Bytes::new(), PutMode::Overwrite).await.unwrap();
    let report = bench.verify(tagged(), |_| ()).await.unwrap();
    let empty = report.findings.iter().filter(|found| found.problem.starts_with("the link is empty")).count();
    assert_eq!(empty, 1, "{report:?}");
}

/// A read by the alias ends as damaged, so a verification says so, too.
#[tokio::test]
async fn an_alias_that_leads_to_other_content_is_damage() {
    let bench = Bench::new();
    let alias = Digest::of(Algorithm::Sha512, b"layer");
    let layer = bench.blob(b"layer", alias).await;
    bench.blob(b"LAYER", Digest::sha256(b"LAYER")).await;
    bench.image(Some("t"), b"{}", &layer).await;
    let link = layout::layer_link(&name(), &alias);
    for scope in [tagged(), VerifyScope::All] {
        let sound = bench.verify(scope.clone(), |_| ()).await.unwrap();
        assert!(sound.findings.is_empty(), "{sound:?}");
    }
    let other = Digest::sha256(b"LAYER").to_string();
    bench.store.put_content(&link, other.into(), PutMode::Overwrite).await.unwrap();
    for scope in [tagged(), VerifyScope::All] {
        let report = bench.verify(scope.clone(), |_| ()).await.unwrap();
        assert!(report.findings.iter().any(|found| found.path == link), "{scope:?}: {report:?}");
    }
}
