//! `rm`.

mod plan;

use std::io::{self, Write};

use plugin_registry::{Registry, RegistryError, layout};
use plugin_registry_core::{Digest, Reference, RepositoryName, StorageDriverExt, Tag};
use serde::Serialize;

use self::plan::Plan;
use crate::{
    args::Rm,
    failure::Failure,
    missing,
    named::Image,
    output::{Bytes, Output, count},
    store::Opened,
};

/// What to remove.
#[derive(Clone, Debug)]
pub(super) enum Target {
    Tag(Tag),
    Manifest(Digest),
    Repository,
}

/// The output.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    removed: Option<String>,
    kind: &'static str,
    dry_run: bool,
    /// The tags that go.
    tags: Vec<String>,
    stays: Stays,
}

/// What the store keeps.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stays {
    /// The manifest that the tag named. The image can still be pulled by this digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    /// The other tags that name it.
    tags: Vec<String>,
    /// The platforms of an index, each under its own digest.
    children: Vec<String>,
    /// Manifests whose bytes stay; `None` if the image cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    manifests: Option<usize>,
    /// Blobs whose bytes stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    blobs: Option<usize>,
    /// Bytes of both; `None` for a repository, whose manifests are not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
}

pub(crate) async fn run(options: Rm) -> Result<(), Failure> {
    let target = Target::of(&options.image, options.all)?;
    let name = options.image.repository;
    let registry = writable(options.root.place().existing().await?)?;
    let plan = match Plan::of(&registry, &name, &target).await {
        Ok(plan) => plan,
        Err(error) => return Err(missing::failure(&registry, error, options.image.reference.as_ref()).await),
    };
    if !options.dry_run {
        remove(&registry, &name, &target).await?;
    }
    let document = Document::new(&name, &target, &plan, options.dry_run);
    Output::new(options.printing.format).print(&document, |out| document.print(out))
}

/// The registry with deletes on. The settings for clients do not bind the person who runs this command, except
/// that a registry is read-only; `location show` says the same.
fn writable(opened: Opened) -> Result<Registry, Failure> {
    let registry = opened.builder().delete(true).build();
    if registry.is_read_only() {
        let hint = "The location (`accessMode`) or the configuration file (`storage.maintenance.readonly`) \
                    says so.";
        return Err(Failure::from(RegistryError::ReadOnly).with_hint(hint));
    }
    Ok(registry)
}

async fn remove(registry: &Registry, name: &RepositoryName, target: &Target) -> Result<(), Failure> {
    let manifests = registry.repository(name.clone()).manifests();
    match target {
        Target::Tag(tag) => Ok(manifests.delete(&tag.clone().into()).await?),
        Target::Manifest(digest) => Ok(manifests.delete(&(*digest).into()).await?),
        Target::Repository => remove_repository(registry, name).await,
    }
}

/// Tags first, so that a crash between leaves no tag that leads nowhere; other repositories below the same
/// directory (`ns/app` below `ns`) are left alone.
async fn remove_repository(registry: &Registry, name: &RepositoryName) -> Result<(), Failure> {
    let directory = layout::repository(name);
    for part in ["_manifests/tags", "_manifests", "_layers", "_uploads"] {
        registry.driver().delete_if_exists(&directory.join(part)?).await?;
    }
    Ok(())
}

impl Target {
    fn of(image: &Image, all: bool) -> Result<Self, Failure> {
        let usage = |message: &str| {
            let hint = "Write NAME:TAG, NAME@DIGEST, or NAME --all for the whole repository.";
            Err(Failure::usage(message).with_hint(hint))
        };
        match (&image.reference, all) {
            (None, false) => usage("a name alone does not say what to remove"),
            (Some(_), true) => usage("--all removes a whole repository, not one image"),
            (None, true) => Ok(Self::Repository),
            (Some(Reference::Tag(tag)), false) => Ok(Self::Tag(tag.clone())),
            (Some(Reference::Digest(digest)), false) => Ok(Self::Manifest(*digest)),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Tag(_) => "tag",
            Self::Manifest(_) => "manifest",
            Self::Repository => "repository",
        }
    }
}

impl Document {
    fn new(name: &RepositoryName, target: &Target, plan: &Plan, dry_run: bool) -> Self {
        let texts = |tags: &[Tag]| tags.iter().map(ToString::to_string).collect();
        let content = plan.content.as_ref();
        let mut stays = Stays {
            digest: None,
            tags: Vec::new(),
            children: plan.children.iter().map(ToString::to_string).collect(),
            manifests: content.map(|content| content.manifests),
            blobs: content.map(|content| content.blobs),
            bytes: content.and_then(|content| content.bytes),
        };
        let (removed, tags) = match target {
            Target::Tag(tag) => {
                stays.digest = plan.digest.as_ref().map(ToString::to_string);
                stays.tags = texts(&plan.tags);
                (Some(tag.to_string()), vec![tag.to_string()])
            }
            Target::Manifest(digest) => (Some(digest.to_string()), texts(&plan.tags)),
            Target::Repository => (None, texts(&plan.tags)),
        };
        Self { name: name.to_string(), removed, kind: target.kind(), dry_run, tags, stays }
    }

    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { name, removed, kind, .. } = self;
        let verb = if self.dry_run { "would remove" } else { "removed" };
        match removed {
            Some(removed) => write!(out, "{verb} {kind} {removed} of {name}")?,
            None => write!(out, "{verb} {kind} {name}")?,
        }
        match (*kind, self.tags.as_slice()) {
            ("tag", _) => writeln!(out)?,
            (_, []) => writeln!(out, ", which had no tag")?,
            (_, tags) => writeln!(out, " with {}: {}", count(tags.len(), "tag"), tags.join(", "))?,
        }
        self.stays.print(out)
    }
}

impl Stays {
    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        if let Some(digest) = &self.digest {
            match self.tags.as_slice() {
                [] => writeln!(out, "stays: the manifest, under its digest {digest}")?,
                tags => {
                    writeln!(out, "stays: the manifest {digest}, which other tags hold: {}", tags.join(", "))?
                }
            }
        }
        for child in &self.children {
            writeln!(out, "stays: the manifest of a platform, under its digest {child}")?;
        }
        let (Some(manifests), Some(blobs)) = (self.manifests, self.blobs) else {
            return writeln!(
                out,
                "stays: the bytes of its blobs, which cannot be counted: the image is damaged or incomplete"
            );
        };
        let what = format!("{} and {}", count(manifests, "manifest"), count(blobs, "blob"));
        let size = self.bytes.map(|bytes| format!(", {}", Bytes(bytes))).unwrap_or_default();
        writeln!(out, "stays: the bytes of {what}{size}; only a garbage collection frees what nothing names")
    }
}
