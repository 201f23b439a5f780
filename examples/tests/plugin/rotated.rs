//! A directory and a bucket of SeaweedFS, whose key is replaced while the plugin runs.

use std::{
    fs::{self, OpenOptions},
    io::{BufRead, BufReader, ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::Child,
    thread::sleep,
    time::{Duration, Instant},
};

use plugin_registry_conformance::report;
use plugin_registry_emulator::programs::SeaweedFs;
use plugin_registry_locations::{BackupStorageLocation, Location, LocationCredentials, probe};
use rustix::{
    fs::{CWD, FileType, Mode, OFlags, mknodat},
    io::Errno,
};

use super::{Images, check_disk, check_restored, check_said, disk, images, program, program::Ran};

/// How long anything here may take. The first write to a new bucket takes long.
const LIMIT: Duration = Duration::from_secs(120);

/// Two keys of one user, one after the other.
const KEYS: [&str; 2] = ["first", "second"];

/// The value of the Secret with one of the keys.
fn secret(key: &str) -> String {
    format!("[default]\naws_access_key_id = {key}-key\naws_secret_access_key = {key}-secret\n")
}

fn resource(program: &SeaweedFs) -> String {
    let (bucket, url) = (program.bucket(), program.endpoint());
    format!(
        "apiVersion: velero.io/v1
kind: BackupStorageLocation
metadata: {{name: bucket, namespace: velero}}
spec:
  provider: aws
  credential: {{name: cloud-credentials, key: cloud}}
  objectStorage: {{bucket: {bucket}, prefix: velero}}
  config: {{region: us-east-1, s3Url: '{url}', s3ForcePathStyle: 'true'}}
"
    )
}

/// Waits until the bucket can be used with this key, or no longer.
fn wait_until_usable(resource: &str, key: &str, wanted: bool) {
    let resource = BackupStorageLocation::from_text(resource).unwrap();
    let credentials = LocationCredentials::from_contents(secret(key));
    let config = Location::from_backup_location(&resource, &credentials).unwrap().config;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let begun = Instant::now();
    loop {
        let report = runtime.block_on(async {
            let driver = plugin_registry_drivers::open(&config.storage()).await.unwrap();
            probe(&config.builder(driver).build()).await
        });
        if report.is_usable() == wanted {
            return;
        }
        assert!(begun.elapsed() < LIMIT, "{key}: {report}");
        sleep(Duration::from_millis(200));
    }
}

/// Makes a pipe in the file system: what is read from it is written at that moment.
fn pipe(path: PathBuf) -> PathBuf {
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    path
}

/// Writes the Secret as soon as the plugin opens its file.
fn hand_over(pipe: &Path, secret: &str, process: &mut Child) {
    let begun = Instant::now();
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap();
    loop {
        match OpenOptions::new().write(true).custom_flags(flags).open(pipe) {
            Ok(mut file) => return file.write_all(secret.as_bytes()).unwrap(),
            // No process reads it yet.
            Err(error) if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => {}
            Err(error) => panic!("{error}"),
        }
        assert!(process.try_wait().unwrap().is_none(), "the plugin ended without its Secret");
        assert!(begun.elapsed() < LIMIT, "the plugin does not read its Secret");
        sleep(Duration::from_millis(10));
    }
}

/// Reads what it prints until it has backed up everything.
fn read_backup(process: &mut Child) -> String {
    let mut out = String::new();
    let mut lines = BufReader::new(process.stdout.as_mut().unwrap());
    while !out.ends_with("backed up\n") {
        match lines.read_line(&mut out) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert!(lines.buffer().is_empty(), "it went on without reading its Secret again: {out}");
    out
}

#[test]
fn a_directory_and_a_bucket_whose_key_is_rotated() {
    let seaweed = match SeaweedFs::shared() {
        Ok(seaweed) => seaweed,
        Err(missing) => {
            let name = "a_directory_and_a_bucket_whose_key_is_rotated";
            return report::skip("examples", name, &missing.to_string(), "plugin");
        }
    };
    let [first, second] = KEYS;
    let add = |key: &str| {
        format!(
            "s3.configure -user=plugin -access_key={key}-key -secret_key={key}-secret -buckets={} \
             -actions=Read,Write,List,Tagging -apply\n",
            seaweed.bucket()
        )
    };
    let resource = resource(seaweed);
    seaweed.shell(&add(first));
    wait_until_usable(&resource, first, true);

    let place = tempfile::tempdir().unwrap();
    let images = Images::write(&place.path().join("images"));
    let bsl = place.path().join("bsl.yaml");
    fs::write(&bsl, &resource).unwrap();
    let cloud = pipe(place.path().join("cloud"));
    let bucket = |secret: &Path| format!("{}={}", bsl.display(), secret.display());
    let locations = [disk(place.path(), "disk"), bucket(&cloud)];

    let mut process = program::start(place.path(), &locations);
    hand_over(&cloud, &secret(first), &mut process);
    let out = read_backup(&mut process);
    seaweed
        .shell(&format!("{}s3.configure -user=plugin -access_key={first}-key -delete -apply\n", add(second)));
    wait_until_usable(&resource, second, true);
    wait_until_usable(&resource, first, false);
    hand_over(&cloud, &secret(second), &mut process);
    let ran = Ran::end(process, out).ok();

    for name in ["disk", "bucket"] {
        check_said(&ran, &format!("velero/{name}"), &images);
        check_restored(&place.path().join("restored").join(name), &images);
    }
    check_disk(place.path(), "disk", &images);
    images::assert_same(&seaweed.objects("docker/registry/v2/", |_| true), &images.store());

    // The old key is worth nothing, and no key is in a message.
    let old = place.path().join("old");
    fs::write(&old, secret(first)).unwrap();
    let refused = program::run(place.path(), &[bucket(&old)]);
    assert_eq!(refused.code, Some(1), "{}", refused.out);
    assert!(refused.err.starts_with("error: velero/bucket: "), "{}", refused.err);
    assert!(refused.err.contains("not authenticated: InvalidAccessKeyId"), "{}", refused.err);
    assert!(!KEYS.iter().any(|key| refused.err.contains(&format!("{key}-secret"))), "{}", refused.err);
}
