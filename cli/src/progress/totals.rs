//! How much there is to do, found out before the work begins. Errors are left to the work itself, which meets
//! them again and reports them.

use std::collections::{HashMap, HashSet};

use futures::{StreamExt, TryStreamExt, stream};
use plugin_registry::{
    Registry, layout,
    manifest::{Manifest, links_of},
    verify::VerifyScope,
};
use plugin_registry_copy::{RegistryImage, Source};
use plugin_registry_core::{Algorithm, Digest, RepositoryName, StorageDriver, StoragePath};

use super::meter::Meter;

/// Requests at a time.
const PARALLEL: usize = 8;

/// The blobs of an image, with all its platforms. Reads each manifest once.
pub(super) async fn of_image(source: &dyn Source) -> Meter {
    let (mut blobs, mut named, mut next) = (HashMap::new(), HashMap::new(), Vec::new());
    let mut current: Option<Manifest> = source.root().await.ok();
    loop {
        if let Some(manifest) = current {
            let links = links_of(&manifest);
            let contents = || links.blobs.iter().chain(&links.optional_blobs);
            let below = contents().chain(&links.manifests).map(|content| content.digest);
            named.insert(manifest.digest(), below.collect());
            blobs.extend(contents().map(|blob| (blob.digest, blob.size)));
            next.extend(links.manifests);
        }
        // One manifest at a time is held, and each is read once.
        let Some(child) = next.pop() else { return Meter::of(blobs).with_named(named) };
        current = if named.contains_key(&child.digest) { None } else { source.manifest(&child).await.ok() };
    }
}

/// The content that a verification reads: what is stored, also what nothing names. Reads sizes only.
pub(super) async fn of_scope(registry: &Registry, scope: &VerifyScope) -> Meter {
    match scope {
        VerifyScope::Image(image) => {
            let repository = registry.repository(image.repository.clone());
            of_image(&RegistryImage::new(repository, image.reference.clone())).await
        }
        VerifyScope::Repository(name) => Meter::of(of_repository(registry, name).await),
        _ => Meter::of(of_store(registry).await),
    }
}

async fn of_store(registry: &Registry) -> HashMap<Digest, u64> {
    let root = layout::blobs();
    let files = registry.driver().walk(&root, None);
    let sized = files.filter_map(|file| async move {
        let file = file.ok()?;
        Some((stored(&file.path)?, file.size))
    });
    sized.collect().await
}

/// The digest of a blob's file, `…/sha256/ab/ab…/data`.
fn stored(path: &StoragePath) -> Option<Digest> {
    let mut components = path.as_str().rsplit('/');
    let (_, hex) = (components.next()?, components.next()?);
    let digest: Digest = format!("{}:{hex}", components.nth(1)?).parse().ok()?;
    (layout::blob_data(&digest) == *path).then_some(digest)
}

async fn of_repository(registry: &Registry, name: &RepositoryName) -> HashMap<Digest, u64> {
    let mut digests = HashSet::new();
    // Content under another algorithm is an alias of content under this one (ADR 0013).
    for directory in [layout::revisions(name, Algorithm::Sha256), layout::layers(name, Algorithm::Sha256)] {
        let names = registry.driver().list(&directory, None);
        let found = names.try_filter_map(|entry| async move {
            Ok(format!("{}:{}", Algorithm::Sha256, entry.name).parse::<Digest>().ok())
        });
        digests.extend(found.filter_map(|digest| async move { digest.ok() }).collect::<Vec<_>>().await);
    }
    let sized = stream::iter(digests).map(|digest| async move {
        let size = registry.driver().stat(&layout::blob_data(&digest)).await.ok()?.size;
        Some((digest, size))
    });
    sized.buffer_unordered(PARALLEL).filter_map(|sized| async move { sized }).collect().await
}
