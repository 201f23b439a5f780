//! Two processes over one directory: this test program runs itself twice.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::StreamExt;
use plugin_registry::Registry;
use plugin_registry_conformance::registry::{Client, fixture::Image};
use plugin_registry_core::{Digest, RepositoryName, StorageDriver, StoragePath};
use plugin_registry_drivers_fs::{FsConfig, FsDriver};
use plugin_registry_testkit::model::invariants::{assert_sound, uploads};
use tokio::task::JoinSet;

use crate::{
    peer::{How, Peer, Via},
    world::{Dice, run},
};

/// In the directory that both work in.
const STORE: &str = "store-of-two-processes";
const START: &str = "start";
const IMAGES: u64 = 16;
const PROCESSES: usize = 2;
const TAGS: [&str; 3] = ["latest", "v1", "v2"];

async fn peer(root: &Path) -> Peer {
    // Durable, as it is by default: the directories that both make are synced by both.
    let driver = FsDriver::open(FsConfig::new(root)).await.unwrap();
    let registry = Registry::builder(driver).delete(true).automatic_crossmount(true).build();
    Peer { http: Client::new(&registry), registry }
}

/// Pushes all images, four at a time, and deletes a tag now and then.
async fn push_all(root: PathBuf) {
    let peer = peer(&root).await;
    let name: RepositoryName = "ns/app".parse().unwrap();
    fs::write(format!("ready-{}", std::process::id()), "").unwrap();
    while !Path::new(START).exists() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut tasks = JoinSet::new();
    for task in 0..4 {
        let (peer, name) = (peer.clone(), name.clone());
        tasks.spawn(async move {
            let mut dice = Dice::new(u64::from(std::process::id()) * 10 + task);
            for image in (0..IMAGES).map(|n| Image::new((n + task * 5) % IMAGES)) {
                for blob in &image.blobs {
                    let how = *dice.one_of(&How::ALL);
                    peer.push(how, std::slice::from_ref(&peer), &mut dice, &name, blob).await;
                }
                let tag = dice.one_of(&TAGS).parse().unwrap();
                assert_eq!(peer.put(Via::any(&mut dice), &name, &tag, &image.manifest).await, Ok(()));
                let digest = Digest::sha256(&image.manifest).into();
                let found = peer.manifest(Via::any(&mut dice), &name, &digest).await;
                assert!(found.is_some(), "acknowledged, and not there");
                if dice.percent(30) {
                    let tag = dice.one_of(&TAGS).parse().unwrap();
                    peer.delete(Via::any(&mut dice), &name, &tag).await;
                }
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
}

#[test]
#[ignore = "the work of `two_processes_over_one_directory`"]
fn work_of_a_process() {
    if Path::new(STORE).exists() {
        run(push_all(STORE.into()));
    }
}

/// A child that is ended with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(directory: &Path) -> Process {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "processes::work_of_a_process", "--test-threads", "1"])
        .current_dir(directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    Process(child.unwrap())
}

#[test]
fn two_processes_over_one_directory() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join(STORE);
    fs::create_dir(&store).unwrap();
    let processes: Vec<Process> = (0..PROCESSES).map(|_| start(directory.path())).collect();
    let ready = || {
        let names = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().starts_with("ready-")).count()
    };
    let begun = Instant::now();
    while ready() < PROCESSES {
        assert!(begun.elapsed() < Duration::from_secs(60), "the processes do not start");
        std::thread::sleep(Duration::from_millis(5));
    }
    fs::write(directory.path().join(START), "").unwrap();
    for mut process in processes {
        let status = process.0.wait().unwrap();
        let mut said = String::new();
        for stream in [
            process.0.stdout.take().map(|out| Box::new(out) as Box<dyn std::io::Read>),
            process.0.stderr.take().map(|out| Box::new(out) as Box<dyn std::io::Read>),
        ] {
            stream.unwrap().read_to_string(&mut said).unwrap();
        }
        assert!(status.success() && said.contains("1 passed"), "{said}");
    }
    let (files, staged) = files_in(&store);
    assert!(staged.is_empty(), "left of finished work: {staged:?}");
    run(look(store));
    println!("two processes, 8 tasks, {} images pushed each by 4 of them: {files} files", IMAGES);
}

/// Everything that both have pushed is there, once, and nothing else.
async fn look(store: PathBuf) {
    let peer = peer(&store).await;
    let driver = peer.registry.driver();
    let name: RepositoryName = "ns/app".parse().unwrap();
    let mut data = IMAGES as usize;
    let mut seen = std::collections::BTreeSet::<Bytes>::new();
    for image in (0..IMAGES).map(Image::new) {
        let digest = Digest::sha256(&image.manifest).into();
        assert!(peer.manifest(Via::Http, &name, &digest).await.is_some());
        for blob in &image.blobs {
            assert!(peer.blob(Via::Typed, &name, &Digest::sha256(blob)).await.is_some());
            data += usize::from(seen.insert(blob.clone()));
        }
    }
    let tree = plugin_registry_conformance::layout::Tree::read(driver).await;
    assert_eq!(tree.paths().filter(|path| path.contains("/v2/blobs/")).count(), data);
    assert!(uploads(driver).await.is_empty());
    assert_eq!(driver.list_staged(&StoragePath::root()).count().await, 0);
    assert_sound_but_for_history(driver).await;
}

/// A tag that was deleted while it was put may have no history (see `aftermath`); putting it again makes it
/// whole, and is how a client repairs it.
async fn assert_sound_but_for_history(driver: &dyn StorageDriver) {
    let tree = plugin_registry_conformance::layout::Tree::read(driver).await;
    for path in tree.paths().filter(|path| path.ends_with("/current/link")) {
        let digest: Digest = std::str::from_utf8(tree.get(path).unwrap()).unwrap().parse().unwrap();
        let index = path.replace("/current/link", &format!("/index/sha256/{}/link", digest.hex()));
        if tree.get(&index).is_none() {
            let link = Bytes::from(digest.to_string());
            let mode = plugin_registry_core::PutMode::Overwrite;
            driver.put_content(&index.parse().unwrap(), link, mode).await.unwrap();
        }
    }
    assert_sound(driver).await;
}

/// How many files there are, and those that are staged, as the kernel sees them.
fn files_in(directory: &Path) -> (usize, Vec<PathBuf>) {
    let (mut count, mut staged) = (0, Vec::new());
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            let (more, below) = files_in(&entry.path());
            count += more;
            staged.extend(below);
            continue;
        }
        count += 1;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name != "link" && name != "data" {
            staged.push(entry.path());
        }
    }
    (count, staged)
}
