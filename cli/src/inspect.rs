//! `inspect`.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use plugin_registry::{
    Repository,
    manifest::{Manifest, ManifestEntry, ManifestKind},
};
use plugin_registry_copy::RegistryImage;
use plugin_registry_core::{Descriptor, Digest, MediaType, Reference, docker, shown_line};
use serde::Serialize;

use crate::{
    args::Inspect,
    failure::Failure,
    missing,
    output::{Bytes, Output},
};

/// How many referrers are listed at a time.
const PAGE: usize = 1000;

/// The parts of an image, with the field names of the image specification.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    name: String,
    reference: String,
    digest: String,
    media_type: String,
    size: u64,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<Entry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    layers: Vec<Entry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    manifests: Vec<Entry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<Entry>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    referrers: Vec<Entry>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    digest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    urls: Vec<String>,
}

pub(crate) async fn run(options: Inspect) -> Result<(), Failure> {
    let registry = options.root.place().existing().await?.builder().read_only(true).build();
    let repository = registry.repository(options.image.repository.clone());
    let given = options.image.reference;
    let image = RegistryImage::named(repository.clone(), given.clone())?;
    let reference = image.reference();
    let manifest = match repository.manifests().get(reference).await {
        Ok(manifest) => manifest,
        Err(error) => return Err(missing::failure(&registry, error, given.as_ref()).await),
    };
    if options.raw {
        let mut out = io::stdout().lock();
        out.write_all(manifest.bytes())?;
        return Ok(out.flush()?);
    }
    let document = describe(&repository, reference, &manifest).await?;
    Output::new(options.printing.format).print(&document, |out| print(&document, out))
}

async fn describe(
    repository: &Repository,
    reference: &Reference,
    manifest: &Manifest,
) -> Result<Document, Failure> {
    let mut document = Document {
        name: repository.name().to_string(),
        reference: reference.to_string(),
        digest: manifest.digest().to_string(),
        media_type: manifest.media_type().to_string(),
        size: manifest.bytes().len() as u64,
        kind: "other",
        artifact_type: None,
        config: None,
        layers: Vec::new(),
        manifests: Vec::new(),
        subject: manifest.subject().map(Entry::of),
        annotations: manifest.annotations().clone(),
        referrers: Vec::new(),
    };
    let mut last: Option<String> = None;
    loop {
        let page = repository.referrers(&manifest.digest(), None, last.as_deref(), PAGE).await?;
        last = page.referrers.last().map(|referrer| referrer.digest.clone());
        document.referrers.extend(page.referrers.into_iter().map(|referrer| Entry {
            digest: referrer.digest,
            media_type: Some(referrer.artifact_type.unwrap_or(referrer.media_type)),
            size: Some(referrer.size),
            platform: None,
            urls: Vec::new(),
        }));
        if !page.has_more {
            break;
        }
    }
    match manifest.kind() {
        ManifestKind::Image { config, layers } => {
            document.kind = "image";
            document.config = config.as_ref().map(Entry::from);
            let is_image =
                config.as_ref().is_some_and(|config| is_image_config(&config.descriptor.media_type));
            document.artifact_type = manifest.artifact_type().filter(|_| !is_image).map(str::to_owned);
            document.layers = layers.iter().map(Entry::from).collect();
        }
        ManifestKind::Index { manifests } => {
            document.kind = "index";
            document.artifact_type = manifest.artifact_type().map(str::to_owned);
            document.manifests = manifests.iter().map(Entry::from).collect();
        }
        ManifestKind::Schema1 { layers } => {
            document.kind = "schema1";
            document.layers = layers.iter().map(Entry::of_digest).collect();
        }
        _ => {}
    }
    Ok(document)
}

fn print(document: &Document, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "name        {}", document.name)?;
    writeln!(out, "reference   {}", document.reference)?;
    writeln!(out, "digest      {}", document.digest)?;
    // The text of a manifest is foreign: its control characters do not reach the terminal.
    writeln!(out, "media type  {}", shown_line(&document.media_type))?;
    writeln!(out, "size        {}", Bytes(document.size))?;
    if let Some(artifact_type) = &document.artifact_type {
        writeln!(out, "artifact    {}", shown_line(artifact_type))?;
    }
    for (label, entries) in [
        ("config", document.config.as_slice()),
        ("layer", &document.layers),
        ("manifest", &document.manifests),
        ("subject", document.subject.as_slice()),
        ("referrer", &document.referrers),
    ] {
        for entry in entries {
            let size = entry.size.map(|size| Bytes(size).to_string()).unwrap_or_default();
            let words = entry.platform.as_ref().or(entry.media_type.as_ref());
            writeln!(
                out,
                "{label:<11} {} {size:>10}  {}",
                entry.digest,
                words.map(|words| shown_line(words)).unwrap_or_default()
            )?;
        }
    }
    document.annotations.iter().try_for_each(|(key, value)| {
        writeln!(out, "annotation  {}={}", key.escape_debug(), value.escape_debug())
    })
}

/// Whether this is a container image: everything else is an artifact.
fn is_image_config(media_type: &MediaType) -> bool {
    *media_type == MediaType::ImageConfig || media_type.as_ref() == docker::CONFIG
}

impl Entry {
    fn of(descriptor: &Descriptor) -> Self {
        Self {
            digest: descriptor.digest.to_string(),
            media_type: Some(descriptor.media_type.to_string()).filter(|media_type| !media_type.is_empty()),
            size: Some(descriptor.size),
            platform: None,
            urls: Vec::new(),
        }
    }

    fn of_digest(digest: &Digest) -> Self {
        Self { digest: digest.to_string(), media_type: None, size: None, platform: None, urls: Vec::new() }
    }
}

impl From<&ManifestEntry> for Entry {
    fn from(entry: &ManifestEntry) -> Self {
        let ManifestEntry { descriptor, urls, platform, .. } = entry;
        Self { platform: platform.clone(), urls: urls.clone(), ..Self::of(descriptor) }
    }
}
