//! Commands that read make no request that writes: counted at a store of which nothing is known.

use plugin_registry_emulator::s3::Server;
use serde_json::json;

use crate::{
    Files,
    common::{Ran, run},
};

struct Bucket {
    server: Server,
    files: Files,
    from: Vec<String>,
}

impl Bucket {
    /// With what the quickstart backs up.
    fn filled() -> Self {
        let (server, files) = (Server::start(), Files::new());
        let location = files.location("aws", server.bucket(), &server.endpoint());
        let cloud = files.cloud(&server.access_key(), &server.secret_key());
        let from = ["--location", &location, "--credentials", &cloud].map(str::to_owned).to_vec();
        let bucket = Self { server, files, from };
        bucket.run(&["quickstart", "--yes"]).ok();
        bucket.server.forget();
        bucket
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        run(arguments.iter().copied().chain(self.from.iter().map(String::as_str)))
    }
}

#[test]
fn commands_that_read_make_no_write() {
    let bucket = Bucket::filled();
    let restored = format!("oci:{}", bucket.files.path("restored"));
    let mut commands: Vec<&[&str]> = vec![
        &["ls"],
        &["tags", "quickstart/app"],
        &["inspect", "quickstart/app:1.0"],
        &["verify", "--all"],
        &["verify", "quickstart/app"],
        &["purge", "--dry-run", "--older-than", "0s"],
        &["location", "check", "--read-only"],
        &["location", "show"],
    ];
    let copy = ["copy", "registry:quickstart/app:1.0", restored.as_str()];
    commands.push(&copy);
    for command in commands {
        bucket.server.forget();
        bucket.run(command).ok();
        assert_eq!(bucket.server.writes(), [""; 0], "{command:?}");
        assert_eq!(bucket.server.count() == 0, command.starts_with(&["location", "show"]), "{command:?}");
    }
}

/// A location with `accessMode: ReadOnly` is read, and every write is refused before the store is asked.
#[test]
fn a_read_only_location_is_never_written() {
    let bucket = Bucket::filled();
    let text = std::fs::read_to_string(&bucket.from[1]).unwrap();
    std::fs::write(&bucket.from[1], format!("{text}  accessMode: ReadOnly\n")).unwrap();
    bucket.run(&["ls"]).ok();
    bucket.run(&["location", "check"]).ok();
    for command in [
        &["purge", "--older-than", "0s"][..],
        &["rm", "quickstart/app:1.0"],
        &["copy", "registry:quickstart/app:1.0", "registry:other/app:1.0"],
    ] {
        let ran = bucket.run(command);
        assert_ne!(ran.code, 0, "{ran:?}");
    }
    assert!(bucket.server.count() > 0);
    assert_eq!(bucket.server.writes(), [""; 0]);
}

/// Damage of the right size in a bucket, which the store may notice itself, is mended by the command that `verify`
/// prints. The object is replaced, and nothing is deleted.
#[test]
fn damage_in_a_bucket_is_mended_by_one_command() {
    let bucket = Bucket::filled();
    let good = format!("oci:{}", bucket.files.path("good"));
    bucket.run(&["copy", "registry:quickstart/app:1.0", &good]).ok();
    let blobs = bucket.server.objects().into_iter().filter(|(key, _)| key.contains("/blobs/"));
    let (key, whole) = blobs.max_by_key(|(_, bytes)| bytes.len()).unwrap();
    bucket.server.corrupt(&key, 100);
    let ran = bucket.run(&["verify", "--all", "--quiet"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    let line = ran.err.lines().find(|line| line.contains("plugin-registry copy --repair SRC ")).unwrap();
    let command = line.trim().replace("SRC", &good);
    bucket.server.forget();
    run(command.split(' ').skip(1)).ok();
    assert_eq!(bucket.server.object(&key).unwrap().data.to_bytes(), whole);
    // The driver asks a store that it does not know with an object of its own, and deletes that.
    let deleted = bucket.server.requests_of("DeleteObject").into_iter().map(|request| request.key);
    let deleted: Vec<String> = deleted.filter(|key| !key.contains("/gc/probe/")).collect();
    assert_eq!(deleted, [""; 0]);
    assert_eq!(bucket.server.count_of("DeleteObjects"), 0);
    bucket.run(&["verify", "--all"]).ok();
    bucket.run(&["verify", "quickstart/copy:stable"]).ok();
    // A second repair reads, and finds nothing to replace.
    bucket.server.forget();
    let again = run(command.split(' ').skip(1).chain(["--format", "json"])).ok().json();
    assert_eq!((&again["blobsCopied"], &again["blobsMended"]), (&json!(0), &json!(0)), "{again}");
}

/// An empty bucket and a wrong prefix are no registries, and name the bucket. Stages that were left there are purged.
#[test]
fn a_bucket_without_a_registry_is_2() {
    let (server, files) = (Server::start(), Files::new());
    let location = files.location("aws", server.bucket(), &server.endpoint());
    let cloud = files.cloud(&server.access_key(), &server.secret_key());
    let from = ["--location", &location, "--credentials", &cloud];
    let place = format!("`{location}` with `{cloud}`");
    server.put_raw("backups/one/velero-backup.json", "{}");
    server.put_raw("prefix/docker/registry/v2/blobs/x", "x");
    for arguments in [&["ls"][..], &["verify", "--all"], &["inspect", "a:1"], &["purge"], &["rm", "a:1"]] {
        server.forget();
        let ran = run(arguments.iter().chain(&from));
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{arguments:?}: {ran:?}");
        let message = format!(
            "error: {place}: no registry here: no blobs and no repositories at `docker/registry/v2` in bucket `{}`\n  \
             Check the bucket (`objectStorage.bucket`).",
            server.bucket()
        );
        assert!(ran.err.starts_with(&message), "{ran:?}");
        assert_eq!(server.writes(), [""; 0], "{arguments:?}");
    }
    let _ = server.begin_raw("docker/registry/v2/blobs/sha256/aa/a/data");
    let ran = run(["purge", "--dry-run"].iter().chain(&from)).ok();
    assert!(ran.out.starts_with("would delete 0 uploads and 0 staged files"), "{ran:?}");
    assert!(ran.out.contains("\nkept 0 uploads and 1 staged file younger than 7days"), "{ran:?}");
}
