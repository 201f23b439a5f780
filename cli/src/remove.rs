//! `rm`.

use plugin_registry::{Registry, RegistryError, layout};
use plugin_registry_core::{Reference, RepositoryName, StorageDriverExt};
use serde::Serialize;

use crate::{args::Rm, failure::Failure, output::Output};

#[derive(Serialize)]
struct Document {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    removed: Option<String>,
    kind: &'static str,
}

pub(crate) async fn run(options: Rm) -> Result<(), Failure> {
    let name = options.image.repository;
    let usage = |message: &str| {
        let hint = "Write NAME:TAG, NAME@DIGEST, or NAME --all for the whole repository.";
        Err(Failure::failed(message).with_hint(hint))
    };
    let kind = match (&options.image.reference, options.all) {
        (None, false) => return usage("a name alone does not say what to remove"),
        (Some(_), true) => return usage("--all removes a whole repository, not one image"),
        (None, true) => "repository",
        (Some(Reference::Tag(_)), false) => "tag",
        (Some(Reference::Digest(_)), false) => "manifest",
    };
    let registry = options.root.place().existing().await?.builder().delete(true).build();
    match &options.image.reference {
        Some(reference) => registry.repository(name.clone()).manifests().delete(reference).await?,
        None => remove_repository(&registry, &name).await?,
    }
    let removed = options.image.reference.map(|reference| reference.to_string());
    let document = Document { name: name.to_string(), removed, kind };
    Output::new(options.printing.format).print(&document, |out| {
        let Document { name, removed, kind } = &document;
        match removed {
            Some(removed) => writeln!(out, "removed {kind} {removed} of {name}"),
            None => writeln!(out, "removed {kind} {name}"),
        }
    })
}

/// Tags first, so that a crash between leaves no tag that leads nowhere; other repositories below the same
/// directory (`ns/app` below `ns`) are left alone.
async fn remove_repository(registry: &Registry, name: &RepositoryName) -> Result<(), Failure> {
    // A repository that holds nothing is an error here.
    match registry.repository(name.clone()).tags().list(None, 1).await {
        Err(RegistryError::RepositoryUnknown(_)) if has_uploads(registry, name).await? => {}
        page => {
            page?;
        }
    }
    let directory = layout::repository(name);
    for part in ["_manifests/tags", "_manifests", "_layers", "_uploads"] {
        registry.driver().delete_if_exists(&directory.join(part)?).await?;
    }
    Ok(())
}

async fn has_uploads(registry: &Registry, name: &RepositoryName) -> Result<bool, Failure> {
    Ok(registry.driver().exists(&layout::uploads(name)).await?)
}
