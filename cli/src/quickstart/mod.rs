//! `quickstart`: an image goes in, an image comes out.

mod compare;
mod consent;
mod image;

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use bytes::Bytes as Content;
use futures::{StreamExt, stream};
use plugin_registry::{Registry, verify::VerifyScope};
use plugin_registry_copy::{
    BlobContent, CopyOptions, CopyReport, Destination, LayoutImage, LayoutReference, OciLayout,
    RegistryImage, Role, copy,
};
use plugin_registry_core::{Metrics, OperationCounts, Reference, RepositoryName, Tag};
use serde::Serialize;

use self::image::Image;
use crate::{
    args::Quickstart,
    failure::{Failure, Outcome},
    output::{Bytes, Output, count},
    store::{self, Place},
};

/// The two names of the image in the registry.
const NAMES: [(&str, &str); 2] = [("quickstart/app", "1.0"), ("quickstart/copy", "stable")];
const LAYOUT_NAME: &str = "1.0";

/// The output.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    digest: String,
    platforms: Vec<String>,
    blobs: usize,
    manifests: usize,
    /// The image's bytes, each content once.
    image_bytes: u64,
    /// The bytes of both names, each content as often as a manifest names it.
    named_bytes: u64,
    /// Of these, what was not written because it was there.
    deduplicated_bytes: u64,
    steps: Vec<Step>,
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    registry: Option<String>,
    image: PathBuf,
    restored: PathBuf,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Step {
    what: &'static str,
    detail: String,
    bytes: u64,
    milliseconds: u128,
    #[serde(skip_serializing_if = "Option::is_none")]
    driver_calls: Option<u64>,
}

pub(crate) async fn run(options: Quickstart) -> Result<(), Failure> {
    if let Some(place) = Place::of(options.root.as_deref(), &options.source).filter(|_| !options.yes) {
        consent::require(place)?;
    }
    let work = tempfile::Builder::new()
        .prefix("plugin-registry-quickstart-")
        .tempdir()
        .map_err(|error| Failure::failed(format!("a temporary directory cannot be created: {error}")))?
        .keep();
    let configured = options.source;
    let root = options.root.or_else(|| (!configured.is_given()).then(|| work.join("registry")));
    let place = Place::of(root.as_deref(), &configured).unwrap_or_default();
    let mut steps = Steps::default();

    let made = blocking(Image::make).await?;
    let directory = work.join("image");
    let source = layout(&directory, true).await?;
    write(&source, &made).await?;
    steps.done("make an image", "from files of this machine".to_owned(), made.size(), None);

    // The first registry lives only for the backup.
    let (first, second) = back_up(place, &source, &mut steps).await?;

    let registry = place.open().await?.builder().build();
    let mut calls = Calls::of(registry.metrics());
    let report = registry.verify(VerifyScope::All, |_| {}).await?;
    let detail = format!("{}, {}", count(report.manifests, "manifest"), count(report.blobs, "blob"));
    steps.done("verify", detail, report.bytes, Some(calls.taken()));
    if let Some(finding) = report.findings.first() {
        return Err(Failure::new(Outcome::Damaged, finding.to_string()));
    }

    let restored = work.join("restored");
    let target = layout(&restored, true).await?;
    let image = named(&registry, 0)?;
    let report = copy(&image, &target, &CopyOptions::default(), &()).await?;
    steps.done("restore", "into an OCI layout".to_owned(), report.bytes_copied, Some(calls.taken()));

    let (one, other) = (directory.clone(), restored.clone());
    let compared = blocking(move || compare::directories(&one, &other)).await?.map_err(|difference| {
        Failure::new(Outcome::Damaged, format!("the restored image is not the one backed up: {difference}"))
    })?;
    steps.done("compare", count(compared.files, "file") + " equal", compared.bytes, None);

    let named_bytes = made.named_size() * 2;
    let document = Document {
        digest: made.index.digest().to_string(),
        platforms: vec!["linux/amd64".to_owned(), "linux/arm64".to_owned()],
        blobs: made.blobs.len(),
        manifests: made.manifests.len() + 1,
        image_bytes: made.size(),
        named_bytes,
        deduplicated_bytes: named_bytes.saturating_sub(first.bytes_copied + second.bytes_copied),
        steps: steps.done,
        root,
        registry: configured.options(),
        image: directory,
        restored,
    };
    Output::new(options.printing.format).print(&document, |out| print(&document, out))
}

/// Backs the image up under both names, with a registry that ends here.
async fn back_up(
    place: Place<'_>,
    source: &LayoutImage,
    steps: &mut Steps,
) -> Result<(CopyReport, CopyReport), Failure> {
    let opened = place.make().await?;
    if opened.driver.name() == "inmemory" {
        return Err(consent::no_memory());
    }
    let registry = opened.builder().build();
    let mut calls = Calls::of(registry.metrics());
    let mut reports = Vec::new();
    for (position, what) in ["back up", "back up again"].into_iter().enumerate() {
        let report = copy(source, &named(&registry, position)?, &CopyOptions::default(), &()).await?;
        let (name, tag) = NAMES.get(position).copied().unwrap_or_default();
        steps.done(what, format!("as {name}:{tag}"), report.bytes_copied, Some(calls.taken()));
        reports.push(report);
    }
    match <[CopyReport; 2]>::try_from(reports) {
        Ok([first, second]) => Ok((first, second)),
        Err(_) => Err(Failure::failed("a backup has no report")),
    }
}

fn named(registry: &Registry, position: usize) -> Result<RegistryImage, Failure> {
    let (name, tag) = NAMES.get(position).copied().unwrap_or_default();
    let wrong = |error| Failure::failed(format!("`{name}:{tag}`: {error}"));
    let name: RepositoryName = name.parse().map_err(wrong)?;
    let tag: Tag = tag.parse().map_err(wrong)?;
    Ok(RegistryImage::new(registry.repository(name), Reference::Tag(tag)))
}

async fn layout(directory: &Path, create: bool) -> Result<LayoutImage, Failure> {
    let driver = store::layout(directory, create).await?;
    let layout = OciLayout::create(driver, directory.display()).await?;
    Ok(LayoutImage::new(layout, Some(LayoutReference::Name(LAYOUT_NAME.to_owned()))))
}

async fn write(layout: &LayoutImage, image: &Image) -> Result<(), Failure> {
    for (descriptor, content) in &image.blobs {
        let stream = stream::iter([Ok::<Content, _>(content.clone())]).boxed();
        let place = "the image".to_owned();
        let content = BlobContent::verified(place, descriptor.digest, Some(descriptor.size), stream);
        layout.put_blob(descriptor, content).await?;
    }
    for manifest in &image.manifests {
        layout.put_manifest(manifest, Role::Child).await?;
    }
    layout.put_manifest(&image.index, Role::Root).await?;
    Ok(())
}

/// Work that computes or blocks.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(|error| Failure::failed(format!("a file cannot be read: {error}"))),
        Err(error) => Err(Failure::failed(format!("the task was cut off: {error}"))),
    }
}

/// The steps, timed from one to the next.
struct Steps {
    done: Vec<Step>,
    since: Instant,
}

impl Default for Steps {
    fn default() -> Self {
        Self { done: Vec::new(), since: Instant::now() }
    }
}

impl Steps {
    fn done(&mut self, what: &'static str, detail: String, bytes: u64, driver_calls: Option<u64>) {
        let milliseconds = self.since.elapsed().as_millis();
        self.done.push(Step { what, detail, bytes, milliseconds, driver_calls });
        self.since = Instant::now();
    }
}

/// The driver calls between two questions.
struct Calls {
    metrics: Arc<Metrics>,
    before: OperationCounts,
}

impl Calls {
    fn of(metrics: &Arc<Metrics>) -> Self {
        Self { metrics: metrics.clone(), before: metrics.snapshot() }
    }

    fn taken(&mut self) -> u64 {
        let now = self.metrics.snapshot();
        let calls = now.since(&self.before).driver_calls();
        self.before = now;
        calls
    }
}

fn print(document: &Document, out: &mut dyn Write) -> io::Result<()> {
    let Document { digest, blobs, manifests, image_bytes, .. } = document;
    writeln!(out, "image     {digest}")?;
    writeln!(
        out,
        "          {}; {} and {}, {}",
        document.platforms.join(" and "),
        count(*manifests, "manifest"),
        count(*blobs, "blob"),
        Bytes(*image_bytes)
    )?;
    writeln!(out)?;
    writeln!(out, "{:<15} {:<28} {:>10} {:>9} {:>13}", "step", "", "bytes", "time", "driver calls")?;
    for step in &document.steps {
        let calls = step.driver_calls.map(|calls| calls.to_string()).unwrap_or_default();
        let (bytes, time) = (Bytes(step.bytes), format!("{} ms", step.milliseconds));
        writeln!(out, "{:<15} {:<28} {bytes:>10} {time:>9} {calls:>13}", step.what, step.detail)?;
    }
    writeln!(out)?;
    writeln!(
        out,
        "Both names together refer to {}; {} of that was deduplicated.",
        Bytes(document.named_bytes),
        Bytes(document.deduplicated_bytes)
    )?;
    writeln!(out, "The restored image is the original, byte for byte. No port was opened.")?;
    writeln!(out)?;
    writeln!(out, "Look at it:")?;
    let place = match (&document.root, &document.registry) {
        (_, Some(options)) => options.clone(),
        (Some(root), None) => format!("--root {}", root.display()),
        (None, None) => String::new(),
    };
    writeln!(out, "  plugin-registry ls {place}")?;
    writeln!(out, "  plugin-registry inspect quickstart/app:1.0 {place}")?;
    if let Some(root) = &document.root {
        writeln!(out, "  {}/docker/registry/v2    the registry's files", root.display())?;
    }
    writeln!(out, "  {}    the image that went in", document.image.display())?;
    writeln!(out, "  {}    the image that came out", document.restored.display())?;
    if document.registry.is_some() {
        writeln!(out)?;
        writeln!(out, "Remove the images from the registry:")?;
        for (name, _) in NAMES {
            writeln!(out, "  plugin-registry rm {name} --all {place}")?;
        }
    }
    Ok(())
}
