//! Commands that read make no request that writes: counted at a store of which nothing is known.

use plugin_registry_emulator::s3::Server;

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
