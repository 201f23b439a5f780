//! The programs, where they are, and how they are started.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{LazyLock, OnceLock},
};

use plugin_registry_conformance::report;
use plugin_registry_testkit::program::{Server, build_server};

use crate::place::Place;

/// A registry that writes to a store and serves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// `plugin-registry serve`.
    Ours,
    /// docker-registry 2.8.2, of Debian.
    V2,
    /// distribution 3.1.1.
    V3,
}

/// The programs that are compared with ours.
pub(crate) const OTHERS: [Program; 2] = [Program::V2, Program::V3];
pub(crate) const ALL: [Program; 3] = [Program::Ours, Program::V2, Program::V3];

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ours => "plugin-registry",
            Self::V2 => "docker-registry 2.8.2",
            Self::V3 => "distribution 3.1.1",
        })
    }
}

/// Where `./test` installs what no package manager does: beside the build's output.
fn tools() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("tools")
}

/// The executable of this workspace, built once.
pub(crate) fn ours() -> &'static Path {
    static OURS: LazyLock<PathBuf> = LazyLock::new(|| build_server().unwrap());
    &OURS
}

/// Whether everything is there; says what is not, once a test.
pub(crate) fn are_installed(test: &str) -> bool {
    static MISSING: OnceLock<Option<String>> = OnceLock::new();
    let missing = MISSING.get_or_init(|| {
        let wanted = [
            (PathBuf::from("docker-registry"), "--version", "2.8.2"),
            (PathBuf::from("skopeo"), "--version", "1.9.3"),
            (tools().join("registry"), "--version", "3.1.1"),
            (tools().join("purge-2.8"), "", "usage"),
            (tools().join("purge-3.1"), "", "usage"),
        ];
        let missing = wanted.into_iter().filter(|(program, argument, version)| {
            let output =
                Command::new(program).args([argument].iter().filter(|text| !text.is_empty())).output();
            !output.is_ok_and(|Output { stdout, stderr, .. }| {
                String::from_utf8_lossy(&[stdout, stderr].concat()).contains(version)
            })
        });
        let missing: Vec<String> =
            missing.map(|(program, _, version)| format!("{} {version}", program.display())).collect();
        (!missing.is_empty()).then(|| missing.join(", "))
    });
    if let Some(missing) = missing {
        report::skip("interop", test, &format!("not installed: {missing}; ./test does"), "programs");
    }
    missing.is_none()
}

/// A command that gets nothing from the environment but what every program needs; configuration least of all.
fn command(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    command.env_clear().stdin(Stdio::null());
    for name in ["PATH", "HOME", "TMPDIR"] {
        #[expect(clippy::disallowed_methods, reason = "a harness hands its own surroundings on")]
        command.envs(std::env::var_os(name).map(|value| (name, value)));
    }
    command
}

impl Program {
    /// Starts it on the store in `root`; its log goes to `work`.
    pub(crate) fn start<'a>(self, root: impl Into<Place<'a>>, work: &Path) -> Server {
        let root = root.into();
        let log = work.join(format!("{self:?}.log"));
        match self {
            Self::Ours => {
                let mut serve = command(ours());
                serve.args(["serve", "--delete"]).args(root.arguments(work));
                Server::serve(&mut serve, &log).unwrap()
            }
            Self::V2 | Self::V3 => {
                let mut serve = self.registry("serve", root, work);
                Server::distribution(&mut serve, &log).unwrap()
            }
        }
    }

    /// A command of distribution with a configuration for this store; deletes are on, nothing is purged.
    fn registry(self, subcommand: &str, root: Place<'_>, work: &Path) -> Command {
        let config = work.join(format!("{self:?}.yaml"));
        // Only 2.8 knows schema 1. Foreign layers have URLs.
        let schema1 = if self == Self::V2 { "compatibility: {schema1: {enabled: true}}\n" } else { "" };
        let text = format!(
            "version: 0.1\nlog: {{level: info, accesslog: {{disabled: true}}}}\nstorage:\n  {}\n  \
             delete: {{enabled: true}}\n  maintenance: {{uploadpurging: {{enabled: false}}}}\nhttp: {{addr: '127.0.0.1:0', secret: interop}}\nvalidation: {{manifests: {{urls: \
             {{allow: ['^https?://']}}}}}}\n{schema1}",
            root.driver()
        );
        fs::write(&config, text).unwrap();
        let mut command = match self {
            Self::V3 => command(tools().join("registry")),
            _ => command("docker-registry"),
        };
        command.arg(subcommand);
        if subcommand == "garbage-collect" {
            command.arg("--dry-run");
        }
        command.arg(config);
        command
    }

    /// The digests that its garbage collection would delete from a store, and how many blobs it marked.
    pub(crate) fn garbage<'a>(self, root: impl Into<Place<'a>>, work: &Path) -> Garbage {
        let output = run(&mut self.registry("garbage-collect", root.into(), work));
        let digests = |begin: &str| {
            let lines = output.lines().filter_map(|line| line.split_once(begin));
            lines.map(|(_, rest)| rest.split_whitespace().next().unwrap_or_default().to_owned()).collect()
        };
        // `3 blobs marked, 1 blobs and 0 manifests eligible for deletion`
        let summary = output.lines().find(|line| line.contains(" blobs marked, ")).expect(&output);
        let marked = summary.split_whitespace().next().unwrap().parse().unwrap();
        Garbage { marked, eligible: digests("blob eligible for deletion: ") }
    }

    /// Lets it purge every upload that began before the next hour; gives the directories that it deleted.
    pub(crate) fn purge(self, root: &Path) -> Vec<String> {
        let name = if self == Self::V2 { "purge-2.8" } else { "purge-3.1" };
        let output = run(command(tools().join(name)).arg(root));
        output.lines().map(str::to_owned).collect()
    }
}

/// The result of a garbage collection.
#[derive(Debug)]
pub(crate) struct Garbage {
    pub(crate) marked: usize,
    pub(crate) eligible: Vec<String>,
}

/// `plugin-registry` with these arguments; its standard output.
pub(crate) fn plugin_registry(arguments: &[&str]) -> String {
    run(command(ours()).args(arguments))
}

/// Lets ours check a whole store.
pub(crate) fn verify(root: Place<'_>, work: &Path) {
    run(command(ours()).args(["verify", "--all", "--quiet"]).args(root.arguments(work)));
}

/// `skopeo` without signature policies and TLS; its standard output.
pub(crate) fn skopeo(arguments: &[&str]) -> String {
    run(&mut skopeo_command(arguments))
}

/// The same, not started yet.
pub(crate) fn skopeo_command(arguments: &[&str]) -> Command {
    let mut skopeo = command("skopeo");
    skopeo.arg("--insecure-policy").args(arguments);
    match arguments.first() {
        Some(&"copy" | &"sync") => skopeo.args(["--src-tls-verify=false", "--dest-tls-verify=false"]),
        _ => skopeo.arg("--tls-verify=false"),
    };
    skopeo
}

fn run(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {status}\n{out}\n{err}");
    out.into_owned()
}
