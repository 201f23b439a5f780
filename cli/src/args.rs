//! The arguments of the commands.

use std::{path::PathBuf, time::Duration};

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use plugin_registry::ReferencePolicy;
use plugin_registry_copy::ImageReference;
use plugin_registry_core::RepositoryName;

use crate::{
    named::{Image, image, repository},
    outcome::Outcome,
    source::{SOURCES, Source},
    store::Place,
};

const EXAMPLES: &str = "Examples:
  plugin-registry quickstart
  plugin-registry copy oci:./image:1.0 registry:ns/app:1.0 --root ./backup
  plugin-registry verify --all --root ./backup
  plugin-registry ls --config /etc/docker/registry/config.yml
  plugin-registry location check --location bsl.yaml --credentials cloud";

/// An OCI registry in a directory: no deployment, no route, no port
#[derive(Debug, Parser)]
#[command(
    name = "plugin-registry",
    version,
    arg_required_else_help = true,
    after_help = format!("{EXAMPLES}\n\n{}", Outcome::table())
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Quickstart(Quickstart),
    Copy(Copy),
    Ls(Ls),
    Tags(Tags),
    Inspect(Inspect),
    Rm(Rm),
    Verify(Verify),
    Purge(Purge),
    Location(Location),
    Serve(Serve),
    Completion(Completion),
}

/// Shows a backup and a restore of a real image that is made on the spot
///
/// Makes an image of two platforms from files of this machine, backs it up into a directory under two names,
/// drops the registry, opens a new one, verifies it, restores the image and compares every byte. Opens no
/// port and needs no network. The directories are kept, so that you can look at them. Asks before it writes
/// into anything but a new or empty directory; without a terminal, --yes has to answer.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  plugin-registry quickstart
  plugin-registry quickstart --root ./backup --format json
  plugin-registry quickstart --config ./s3.yml --yes")]
pub(crate) struct Quickstart {
    /// The directory of the registry; default: a new one in the system's temporary directory
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with_all = SOURCES)]
    pub(crate) root: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) source: Source,
    /// Do not ask before writing into a registry that is not a new directory
    #[arg(long, short)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) printing: Printing,
}

/// Copies an image in or out, byte for byte
///
/// An image is `oci:DIR[:NAME|@DIGEST]`, an OCI image layout directory, or
/// `registry:NAME[:TAG|@DIGEST]`, an image in the registry of --root, --config or --location. Without a tag
/// or digest, this is the tag `latest`. An index is copied with all its platforms. Content that the
/// destination already has is not read again. Everything else is verified on the way. The tag is set last.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  plugin-registry copy oci:./image:1.0 registry:ns/app:1.0 --root ./backup
  plugin-registry copy registry:ns/app:1.0 oci:./restored:1.0 --root ./backup
  plugin-registry copy oci:./image:1.0 registry:ns/app:1.0 --config ./s3.yml
  plugin-registry copy registry:ns/app:1.0 registry:other/app:1.0 --root ./backup --format json")]
pub(crate) struct Copy {
    /// The image to copy
    #[arg(value_name = "SRC")]
    pub(crate) source: ImageReference,
    /// Where to copy it
    #[arg(value_name = "DST")]
    pub(crate) destination: ImageReference,
    /// The directory of the registry; created if it is missing and DST is in it
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with_all = SOURCES)]
    pub(crate) root: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) registry: Source,
    /// How many blobs to copy at the same time
    #[arg(long, value_name = "N", value_hint = ValueHint::Other, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) parallel: u8,
    /// Also copy what refers to the image, such as signatures and attestations
    #[arg(long)]
    pub(crate) referrers: bool,
    /// Skip platforms of an index that SRC does not have
    #[arg(long)]
    pub(crate) sparse: bool,
    /// Read what DST already has of the image, and replace what is missing or damaged there
    #[arg(long)]
    pub(crate) repair: bool,
    /// Fail if DST has no registry or layout yet, instead of creating one
    #[arg(long)]
    pub(crate) no_create: bool,
    /// Do not print progress
    #[arg(long, short)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) printing: Printing,
}

/// Lists the repositories
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  plugin-registry ls --root ./backup
  plugin-registry ls --root ./backup --format json
  plugin-registry ls --config /etc/docker/registry/config.yml")]
pub(crate) struct Ls {
    #[command(flatten)]
    pub(crate) root: Root,
    #[command(flatten)]
    pub(crate) printing: Printing,
}

/// Lists the tags of a repository
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  plugin-registry tags ns/app --root ./backup")]
pub(crate) struct Tags {
    /// The repository
    #[arg(value_name = "NAME", value_hint = ValueHint::Other, value_parser = repository)]
    pub(crate) name: RepositoryName,
    #[command(flatten)]
    pub(crate) root: Root,
    #[command(flatten)]
    pub(crate) printing: Printing,
}

/// Shows what an image is made of
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  plugin-registry inspect ns/app:1.0 --root ./backup
  plugin-registry inspect ns/app@sha256:… --root ./backup --format json
  plugin-registry inspect ns/app:1.0 --raw --root ./backup | sha256sum")]
pub(crate) struct Inspect {
    /// The image; without a tag or digest, the tag `latest`
    #[arg(value_name = "NAME[:TAG|@DIGEST]", value_hint = ValueHint::Other, value_parser = image)]
    pub(crate) image: Image,
    /// Print the manifest's bytes, exactly as they are stored
    #[arg(long, conflicts_with = "format")]
    pub(crate) raw: bool,
    #[command(flatten)]
    pub(crate) root: Root,
    #[command(flatten)]
    pub(crate) printing: Printing,
}

/// Removes a tag, a manifest with its tags, or a repository
///
/// NAME:TAG removes only the tag: the image stays under its digest. NAME@DIGEST removes the manifest and
/// every tag that names it. NAME with --all removes the repository. The bytes of manifests and blobs stay in
/// the store, since other repositories may share them; what stays is printed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  plugin-registry rm ns/app:1.0 --root ./backup
  plugin-registry rm ns/app@sha256:… --root ./backup
  plugin-registry rm ns/app --all --root ./backup --dry-run")]
pub(crate) struct Rm {
    /// What to remove
    #[arg(value_name = "NAME[:TAG|@DIGEST]", value_hint = ValueHint::Other, value_parser = image)]
    pub(crate) image: Image,
    /// Remove the whole repository, but not the repositories below it (NAME/…)
    #[arg(long)]
    pub(crate) all: bool,
    /// Only print what would be removed, and what would stay
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) root: Root,
    #[command(flatten)]
    pub(crate) printing: Printing,
}

/// Reads everything and checks every link, size and digest
///
/// NAME:TAG and NAME@DIGEST check one image, NAME a repository. Changes nothing. Exits with 3 if something is damaged or missing. Oddities that do not prevent reading are
/// notes: layer links that a garbage collection left, files of other programs, wrong sizes in a manifest.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  plugin-registry verify ns/app --root ./backup
  plugin-registry verify ns/app:1.0 --root ./backup
  plugin-registry verify --all --root ./backup --format json")]
pub(crate) struct Verify {
    /// The repository, or one of its images
    #[arg(
        value_name = "NAME[:TAG|@DIGEST]",
        value_parser = image,
        value_hint = ValueHint::Other,
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    pub(crate) name: Option<Image>,
    /// All repositories
    #[arg(long)]
    pub(crate) all: bool,
    /// Content that a manifest may name although it is missing
    #[arg(long, value_enum, default_value_t = References::Complete)]
    pub(crate) references: References,
    /// Also exit with 3 if nothing is damaged but there are notes
    #[arg(long)]
    pub(crate) strict: bool,
    /// Do not print progress
    #[arg(long, short)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) root: Root,
    #[command(flatten)]
    pub(crate) printing: Printing,
}

/// Deletes stale uploads, including those of other programs that write to the registry
///
/// An upload is stale if it has not changed for --older-than. This includes uploads of this program and of
/// CNCF distribution that broke off, and bytes that killed writers left. Images are never touched. Anything
/// that is not an upload is reported and left alone.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  plugin-registry purge --root ./backup --dry-run
  plugin-registry purge --root ./backup --older-than 2days --format json")]
pub(crate) struct Purge {
    /// How long an upload must be unchanged: 168h, 7days, 90min; be generous, deleted uploads cannot continue
    #[arg(long, value_name = "TIME", value_hint = ValueHint::Other, default_value = "168h", value_parser = humantime::parse_duration)]
    pub(crate) older_than: Duration,
    /// Only print what would be deleted
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) root: Root,
    #[command(flatten)]
    pub(crate) printing: Printing,
}

/// Serves a registry over HTTP on loopback, for clients that only speak HTTP
///
/// The first line on standard output is the URL. Anyone who can reach the address can read and write: there
/// is no authentication, so keep it on loopback or on a unix socket. After SIGTERM or SIGINT, open requests
/// have at most 10 seconds to finish.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  plugin-registry serve --root ./backup
  plugin-registry serve --memory --listen 127.0.0.1:5000 --delete
  plugin-registry serve --config /etc/docker/registry/config.yml
  plugin-registry serve --root ./backup --read-only --listen unix:/run/user/1000/registry.sock")]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) store: Store,
    /// Where to listen: HOST:PORT (port 0 is any free one) or unix:/PATH; default: `http.addr` of the
    /// configuration file if that is a loopback address, otherwise 127.0.0.1:0
    #[arg(long, value_name = "ADDR", value_hint = ValueHint::Other)]
    pub(crate) listen: Option<String>,
    /// Refuse every change
    #[arg(long)]
    pub(crate) read_only: bool,
    /// Allow clients to delete tags, manifests, blobs and upload sessions
    #[arg(long, conflicts_with = "read_only")]
    pub(crate) delete: bool,
    /// Content that a manifest may name although it is missing; default: as in the configuration file,
    /// otherwise complete
    #[arg(long, value_enum)]
    pub(crate) references: Option<References>,
    /// Maximum entries in a page of tags, repositories or referrers; default: as in the configuration file,
    /// otherwise 1000
    #[arg(long, value_name = "N", value_hint = ValueHint::Other)]
    pub(crate) max_page: Option<usize>,
    /// Do not wait for the disk: faster, but a power cut may lose or damage acknowledged content
    #[arg(long, requires = "root", conflicts_with_all = SOURCES, conflicts_with = "memory")]
    pub(crate) no_durable: bool,
    /// End a request if its client sends no more of the body, or reads no more of the answer, for this long;
    /// 0 waits forever
    #[arg(
        long,
        value_name = "SECONDS",
        value_hint = ValueHint::Other,
        default_value_t = 300,
        value_parser = clap::value_parser!(u64).range(0..=86_400)
    )]
    pub(crate) body_timeout: u64,
    /// How much to log on standard error; default: as in the configuration, otherwise warn
    #[arg(long, value_enum, value_name = "LEVEL")]
    pub(crate) log: Option<Level>,
}

/// Prints a completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  plugin-registry completion bash > ~/.local/share/bash-completion/completions/plugin-registry
  plugin-registry completion zsh > ~/.zfunc/_plugin-registry")]
pub(crate) struct Completion {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

/// Checks or shows the registry of a location before a backup relies on it
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  plugin-registry location show --location bsl.yaml --credentials cloud
  plugin-registry location check --location bsl.yaml --credentials cloud")]
pub(crate) struct Location {
    #[command(subcommand)]
    pub(crate) command: LocationCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LocationCommand {
    Check(LocationCheck),
    Show(LocationShow),
}

/// Tries everything that a backup needs: list, write, read, delete, uploads in pieces
///
/// Writes a small object beside the images and deletes it again. Reports which permissions are missing, what
/// the store already holds and which program wrote it. Exits with 1 if backups cannot be made or restored.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  plugin-registry location check --location bsl.yaml --credentials cloud
  plugin-registry location check --config ./s3.yml --format json
  plugin-registry location check --location bsl.yaml --credentials cloud --env-file extra.env")]
pub(crate) struct LocationCheck {
    #[command(flatten)]
    pub(crate) root: Root,
    /// Write nothing: only list and read
    #[arg(long)]
    pub(crate) read_only: bool,
    #[command(flatten)]
    pub(crate) printing: Printing,
}

/// Prints the settings that a registry is opened with, without secrets
///
/// Opens nothing. Shows the driver, its parameters, and which settings of the file are ignored and why.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  plugin-registry location show --location bsl.yaml --credentials cloud
  plugin-registry location show --from-env --format json")]
pub(crate) struct LocationShow {
    #[command(flatten)]
    pub(crate) source: Source,
    #[command(flatten)]
    pub(crate) printing: Printing,
}

// No doc comments on what is flattened: they would become the command's description.

// Where the registry of `serve` lives.
#[derive(Debug, Args)]
#[command(group(places().arg("memory")))]
pub(crate) struct Store {
    /// The directory of the registry, created if missing
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with_all = SOURCES)]
    pub(crate) root: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) source: Source,
    /// Keep everything in memory until the process ends
    #[arg(long, conflicts_with_all = SOURCES, conflicts_with = "root")]
    pub(crate) memory: bool,
}

// Where the registry of most commands lives.
#[derive(Debug, Args)]
#[command(group(places()))]
pub(crate) struct Root {
    /// The directory of the registry
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with_all = SOURCES)]
    pub(crate) root: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) source: Source,
}

/// The options that name a registry's place. At least one is required. Several may be combined, such as a
/// location and variables; options that may not are declared as conflicts.
fn places() -> ArgGroup {
    ArgGroup::new("place")
        .args(["root", "config", "location", "env_file", "from_env"])
        .required(true)
        .multiple(true)
}

impl Root {
    /// One of them, which the arguments require.
    pub(crate) fn place(&self) -> Place<'_> {
        Place::of(self.root.as_deref(), &self.source).unwrap_or_default()
    }
}

#[derive(Debug, Args)]
pub(crate) struct Printing {
    /// How to print the result: lines for people, or one JSON document
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum References {
    /// Nothing may be missing: config, layers and children come first
    Complete,
    /// Children of an index may be missing, for a copy of only some platforms
    SparseIndexes,
    /// Anything may be missing; such an image may not be restorable
    Sparse,
}

impl From<References> for ReferencePolicy {
    fn from(references: References) -> Self {
        match references {
            References::Complete => Self::Complete,
            References::SparseIndexes => Self::SparseIndexes,
            References::Sparse => Self::Sparse,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples() {
        for command in Arguments::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.starts_with("Examples:\n  plugin-registry "), "{}", command.get_name());
        }
    }
}
