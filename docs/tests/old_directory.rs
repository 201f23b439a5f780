//! What "Serve an old registry's directory" says of directories that a delete or a killed push left, and that no
//! suite holds, because only a filesystem has them.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::{convert::Infallible, fs, path::Path};

use bytes::Bytes;
use futures::stream;
use plugin_registry::{
    Registry,
    verify::{VerifyReport, VerifyScope},
};
use plugin_registry_core::{Descriptor, Digest, MediaType};
use plugin_registry_drivers_fs::{FsConfig, FsDriver};

/// A registry in a directory, with one artifact.
async fn filled(root: &Path) -> Registry {
    let registry = Registry::builder(FsDriver::open(FsConfig::new(root)).await.unwrap()).build();
    let repository = registry.repository("old/app".parse().unwrap());
    let config = Descriptor::of(MediaType::EmptyJSON, b"{}");
    let content = stream::iter([Ok::<_, Infallible>(Bytes::from("{}"))]);
    let _ = repository.blobs().push(&config, content).await.unwrap();
    let manifest = format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"{}","digest":"{}","size":2}},"layers":[]}}"#,
        config.media_type, config.digest
    );
    let media_type = Some("application/vnd.oci.image.manifest.v1+json");
    repository.manifests().put(&"1.0".parse().unwrap(), media_type, manifest.into()).await.unwrap();
    registry
}

async fn verify(registry: &Registry) -> VerifyReport {
    registry.verify(VerifyScope::All, |_| {}).await.unwrap()
}

#[tokio::test]
async fn directories_that_a_delete_left_are_no_damage() {
    let place = tempfile::tempdir().unwrap();
    let registry = filled(place.path()).await;
    assert!(verify(&registry).await.is_sound());

    // distribution deletes a link and leaves its directory; a killed push leaves a stage in it.
    let base = place.path().join("docker/registry/v2/repositories/old/app");
    let gone = Digest::sha256(b"gone");
    for links in ["_manifests/revisions/sha256", "_layers/sha256"] {
        let directory = base.join(links).join(gone.hex());
        fs::create_dir(&directory).unwrap();
        assert!(verify(&registry).await.is_sound(), "an empty directory in {links}");
        let stage = directory.join("link.6f0f3c9e-0b1a-4c6e-9b68-0e3a2f1d4c5b.tmp");
        fs::write(stage, &gone.to_string()[..20]).unwrap();
        assert!(verify(&registry).await.is_sound(), "a stage in {links}");
    }

    // A link that says nothing is damage, and so is one that something needs.
    fs::write(base.join("_layers/sha256").join(gone.hex()).join("link"), "").unwrap();
    assert_eq!(verify(&registry).await.findings.len(), 1);
    fs::remove_file(base.join("_manifests/tags/1.0/current/link")).unwrap();
    assert_eq!(verify(&registry).await.findings.len(), 2);
    let config = base.join("_layers/sha256").join(Digest::sha256(b"{}").hex()).join("link");
    fs::remove_file(config).unwrap();
    assert_eq!(verify(&registry).await.findings.len(), 3);
}
