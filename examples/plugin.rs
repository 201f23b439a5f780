//! A backup plugin in one file: `plugin IMAGES RESTORED LOCATION…`
//!
//! It copies the images of the OCI layout IMAGES into every location. Then it verifies and lists what each location
//! has, and restores it into an OCI layout in the directory RESTORED. A LOCATION is one of
//!
//! - `bsl.yaml=cloud`: a BackupStorageLocation of Velero, and the value of its Secret,
//! - `disk.yml`: a configuration file of CNCF distribution, for a directory or any other store.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::{env, error, fs, iter, path::Path, process::ExitCode, sync::Arc};

use futures::{TryFutureExt, future::try_join_all};
use plugin_registry::{Tag, verify::VerifyScope};
use plugin_registry_copy::{
    CopyEvent, CopyOptions, LayoutImage, LayoutReference, OciLayout, RegistryImage, copy,
};
use plugin_registry_drivers::Drivers;
use plugin_registry_drivers_fs::{FsConfig, FsDriver};
use plugin_registry_locations::{BackupStorageLocation, Config, Location, LocationCredentials, RegistryPool};

type Error = Box<dyn error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Error>;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let Err(error) = run(&arguments).await else { return ExitCode::SUCCESS };
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

async fn run(arguments: &[String]) -> Result<()> {
    let [images, restored, places @ ..] = arguments else {
        return Err("usage: plugin IMAGES RESTORED LOCATION...".into());
    };
    // One pool for the process: it keeps the registry of each location open between requests.
    let pool = RegistryPool::builder(Drivers::new()).build();

    // A request to back up: all locations side by side.
    let locations = read_locations(places)?;
    let back_up = |location| back_up(&pool, location, images).map_err(move |error| at(location, &error));
    try_join_all(locations.iter().map(back_up)).await?;
    println!("backed up");

    // A later request to restore. The pool notices a rotated Secret and opens that location again.
    let locations = read_locations(places)?;
    let restore = |location| restore(&pool, location, restored).map_err(move |error| at(location, &error));
    try_join_all(locations.iter().map(restore)).await?;
    Ok(())
}

/// Reads the locations and Secrets as they are now. A plugin gets them from the cluster for each request.
fn read_locations(places: &[String]) -> Result<Vec<Location>> {
    let read = |path: &str| fs::read_to_string(path).map_err(|error| format!("{path}: {error}"));
    let location = |place: &String| {
        if let Some((resource, secret)) = place.split_once('=') {
            let resource = BackupStorageLocation::from_text(&read(resource)?)?;
            let credentials = LocationCredentials::from_contents(read(secret)?);
            return Ok(Location::from_backup_location(&resource, &credentials)?);
        }
        let name = Path::new(place).file_stem().unwrap_or_default().to_string_lossy();
        Ok(Location::new("velero", name, Config::from_yaml(&read(place)?)?))
    };
    places.iter().map(location).collect()
}

/// Copies every named image of a layout into a location, all of them side by side.
async fn back_up(pool: &RegistryPool, location: &Location, images: &str) -> Result<()> {
    let registry = pool.get_or_open(location).await?;
    let repository = registry.repository("cluster-a/images".parse()?);
    let directory = FsDriver::open(FsConfig::new(images).with_create_root(false)).await?;
    let layout = OciLayout::open(Arc::new(directory), images).await?;
    let names = layout.entries().await?.into_iter().filter_map(|entry| entry.name);
    let copies = names.map(async |name| {
        let (total, done) = (AtomicU64::new(0), AtomicU64::new(0));
        let progress = |event: CopyEvent<'_>| match event {
            CopyEvent::BlobStarted(blob) => {
                total.fetch_add(blob.size, Relaxed);
            }
            CopyEvent::BlobEnded(blob, _) => {
                let done = done.fetch_add(blob.size, Relaxed) + blob.size;
                println!("{location} {name}: {done} of {} bytes", total.load(Relaxed));
            }
            _ => {}
        };
        let destination = RegistryImage::new(repository.clone(), name.parse::<Tag>()?);
        let source = LayoutImage::new(layout.clone(), Some(LayoutReference::Name(name.clone())));
        let report = copy(&source, &destination, &CopyOptions::default(), &progress).await?;
        println!("{location} {name}: {}, {} blobs copied", report.root.digest, report.blobs_copied);
        Ok::<(), Error>(())
    });
    try_join_all(copies).await?;
    Ok(())
}

/// Verifies all content of a location, lists its images, and restores each into a layout.
async fn restore(pool: &RegistryPool, location: &Location, restored: &str) -> Result<()> {
    let registry = pool.get_or_open(location).await?;
    let report = registry.verify(VerifyScope::All, |_| {}).await?;
    if !report.is_sound() {
        return Err(format!("damaged: {:?} {:?}", report.findings, report.unfinished).into());
    }
    println!("{location}: sound, {} manifests and {} blobs", report.manifests, report.blobs);

    let directory = Path::new(restored).join(&location.name);
    let driver = FsDriver::open(FsConfig::new(&directory)).await?;
    let layout = OciLayout::create(Arc::new(driver), directory.display()).await?.with_directory(&directory);
    // A host with longer lists asks again, after the last entry, while `has_more` is set.
    for name in registry.catalog(None, 10_000).await?.entries {
        let repository = registry.repository(name);
        for tag in repository.tags().list(None, 10_000).await?.entries {
            println!("{location}: {}:{tag}", repository.name());
            let destination = LayoutImage::new(layout.clone(), Some(LayoutReference::Name(tag.to_string())));
            let source = RegistryImage::new(repository.clone(), tag);
            copy(&source, &destination, &CopyOptions::default(), &()).await?;
        }
    }
    Ok(())
}

/// Says where an error was and what led to it, each once: some errors quote their cause.
fn at(location: &Location, error: &Error) -> Error {
    let causes = iter::successors(error.source(), |cause| cause.source()).map(ToString::to_string);
    let text = causes.fold(format!("{location}: {error}"), |text, cause| {
        if text.contains(&cause) { text } else { format!("{text}: {cause}") }
    });
    text.into()
}
