//! Runs the official OCI conformance program against `plugin-registry serve`.
//!
//! The program is opencontainers/distribution-spec, folder `conformance`, built elsewhere. For each profile
//! this starts a server with a fresh store on a free loopback port and runs the program. It reads the
//! counts, the tree of results and `results.yaml`, and ends the server with SIGTERM. It succeeds only if
//! tests ran, and none failed, had an error or was skipped.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::Duration,
};

use clap::{Parser, ValueEnum};
use plugin_registry_testkit::program::{Outcome, Server, build_server, wait};

/// How long the program may take in one profile. It takes seconds.
const PROGRAM_TIME: Duration = Duration::from_secs(600);
/// The profiles, as `OCI_VERSION` names them.
const PROFILES: [&str; 2] = ["1.1", "dev"];
/// The name of the tree's root, with which each of its lines begins.
const TREE: &str = "OCI Conformance Test";

/// Runs the official OCI conformance program against `plugin-registry serve`.
#[derive(Debug, Parser)]
#[command(after_help = "Example:
  cargo run -p plugin-registry-testkit --bin official -- --program ./oci-conformance --driver fs")]
struct Arguments {
    /// The conformance program, built from opencontainers/distribution-spec
    #[arg(long, value_name = "PATH")]
    program: PathBuf,
    /// The storage driver under the registry
    #[arg(long, value_enum, default_value_t = Driver::Memory)]
    driver: Driver,
    /// Run on the store of this configuration instead, in distribution's form; `{profile}` in it is replaced
    /// by the profile, so that each gets its own directory
    #[arg(long, value_name = "FILE", conflicts_with = "driver")]
    config: Option<PathBuf>,
    /// Keep stores, results and logs in this directory
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// The `plugin-registry` to run; default: the one of this workspace, built first
    #[arg(long, value_name = "PATH")]
    serve_program: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Driver {
    Memory,
    Fs,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Outcome<bool> {
    let program = fs::canonicalize(&arguments.program)
        .map_err(|error| format!("the program `{}`: {error}", arguments.program.display()))?;
    let server = match &arguments.serve_program {
        Some(path) => fs::canonicalize(path).map_err(|error| format!("`{}`: {error}", path.display()))?,
        None => {
            writeln!(io::stderr(), "building plugin-registry-cli; --serve-program PATH takes another")?;
            build_server()?
        }
    };
    let temporary = tempfile::tempdir()?;
    let work = arguments.keep.as_deref().unwrap_or(temporary.path());
    fs::create_dir_all(work)?;
    let work = fs::canonicalize(work)?;
    let mut all_good = true;
    for profile in PROFILES {
        let name =
            if arguments.config.is_some() { "config".to_owned() } else { arguments.driver.to_string() };
        let place = work.join(format!("{name}-{profile}"));
        if place.exists() {
            return Err(format!("`{}` exists: choose an empty directory", place.display()).into());
        }
        fs::create_dir(&place)?;
        let report = run_profile(&program, &server, arguments, profile, &place)?;
        let mut out = io::stdout();
        writeln!(out, "{name} profile {profile}: {report}")?;
        out.flush()?;
        all_good &= report.is_good();
    }
    if arguments.keep.is_some() {
        writeln!(io::stdout(), "kept in {}", work.display())?;
    }
    Ok(all_good)
}

fn run_profile(
    program: &Path,
    server: &Path,
    arguments: &Arguments,
    profile: &str,
    place: &Path,
) -> Outcome<Report> {
    let server = serve(server, arguments, profile, place)?;
    let output = place.join("output.txt");
    let results = place.join("results");
    let mut child = Command::new(program)
        .current_dir(place)
        .env("OCI_REGISTRY", server.address())
        .env("OCI_TLS", "disabled")
        .env("OCI_VERSION", profile)
        .env("OCI_DATA_SPARSE", "true")
        .env("OCI_RESULTS_DIR", &results)
        .stdin(Stdio::null())
        .stdout(File::create(&output)?)
        .stderr(File::create(place.join("errors.txt"))?)
        .spawn()
        .map_err(|error| format!("`{}` does not run: {error}", program.display()))?;
    let Some(ended) = wait(&mut child, PROGRAM_TIME)? else {
        child.kill()?;
        child.wait()?;
        return Err(format!("the program took longer than {} s", PROGRAM_TIME.as_secs()).into());
    };
    server.end()?;
    let output = fs::read_to_string(&output)?;
    let read = |name: &str| {
        fs::read_to_string(results.join(name)).map_err(|error| {
            let words = fs::read_to_string(place.join("errors.txt")).unwrap_or_default();
            format!("the program wrote no {name} ({error}, {ended}): {words}")
        })
    };
    let report = Report::read(&output, &read("junit.xml")?, &read("results.yaml")?)?;
    if !ended.success() && report.is_good() {
        return Err(format!("the program ended with {ended} without naming a failure").into());
    }
    Ok(report)
}

/// Starts `plugin-registry serve` with a fresh store.
fn serve(program: &Path, arguments: &Arguments, profile: &str, place: &Path) -> Outcome<Server> {
    let mut serve = Command::new(program);
    serve.args(["serve", "--delete", "--references", "sparse"]);
    match (&arguments.config, arguments.driver) {
        (Some(config), _) => {
            let text =
                fs::read_to_string(config).map_err(|error| format!("`{}`: {error}", config.display()))?;
            let copy = place.join("config.yml");
            fs::write(&copy, text.replace("{profile}", profile))?;
            serve.arg("--config").arg(copy)
        }
        (None, Driver::Memory) => serve.arg("--memory"),
        (None, Driver::Fs) => serve.arg("--root").arg(place.join("store")),
    };
    Server::serve(&mut serve, &place.join("serve.txt"))
}

/// The results of the program for one profile.
#[derive(Debug, Default, PartialEq, Eq)]
struct Report {
    passed: usize,
    failed: usize,
    errors: usize,
    skipped: usize,
    disabled: usize,
    /// Leaf tests and entries of results.yaml that have neither passed nor are disabled.
    bad: Vec<String>,
}

impl Report {
    /// Reads the counts and the tree from the program's output, and the lists from its `results.yaml`. Its
    /// `junit.xml` must agree.
    fn read(output: &str, junit: &str, results: &str) -> Outcome<Self> {
        let (_, summary) =
            output.split_once("\nOCI Conformance Result:").ok_or("the program printed no summary")?;
        let count = |name: &str| -> Outcome<usize> {
            let line = summary.lines().map(str::trim).find(|line| line.starts_with(&format!("{name}.")));
            let number = line.and_then(|line| line.rsplit(' ').next()).ok_or("a count is missing")?;
            Ok(number.parse()?)
        };
        let mut report = Self {
            passed: count("Pass")?,
            failed: count("FAIL")?,
            errors: count("Error")?,
            skipped: count("Skip")?,
            disabled: count("Disabled")?,
            bad: Vec::new(),
        };
        if count("Total")? != report.total() {
            return Err("the program's total is not the sum of its counts".into());
        }
        // One test may count several times, so the tree is compared with the other list of tests.
        let leaves = leaves(output);
        let (seen, listed) = (leaves.len(), junit.matches("<testcase ").count());
        if seen != listed || !junit.contains(&format!("tests=\"{}\"", report.total())) {
            return Err(format!("the printed tree ({seen} tests) and junit.xml ({listed}) differ").into());
        }
        let entries = entries(results);
        if entries.is_empty() {
            return Err("results.yaml has neither apis nor data".into());
        }
        let is_bad = |status: &str| !matches!(status, "Pass" | "Disabled");
        let bad = leaves.into_iter().chain(entries).filter(|(_, status)| is_bad(status));
        report.bad = bad.map(|(name, status)| format!("{status}: {name}")).collect();
        Ok(report)
    }

    fn total(&self) -> usize {
        self.passed + self.failed + self.errors + self.skipped + self.disabled
    }

    fn is_good(&self) -> bool {
        self.passed > 0 && self.failed + self.errors + self.skipped == 0 && self.bad.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { passed, failed, errors, skipped, disabled, .. } = self;
        let total = self.total();
        write!(
            f,
            "{total} run: {passed} passed, {failed} failed, {errors} errors, {skipped} skipped, {disabled} disabled"
        )?;
        self.bad.iter().try_for_each(|name| write!(f, "\n  {name}"))
    }
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::Fs => "fs",
        })
    }
}

/// The leaf tests of the printed tree with their status: lines `  …/name: Status`, indented by two spaces
/// per level. Deeper lines after a leaf are its errors, not tests.
fn leaves(output: &str) -> Vec<(String, String)> {
    let nodes: Vec<(usize, &str, &str)> = output
        .lines()
        .filter_map(|line| {
            let text = line.trim_start_matches(' ');
            let (name, status) = text.starts_with(TREE).then(|| text.rsplit_once(": ")).flatten()?;
            matches!(status, "Pass" | "FAIL" | "Error" | "Skip" | "Disabled" | "Unknown").then_some((
                line.len() - text.len(),
                name,
                status,
            ))
        })
        .collect();
    let next = nodes.iter().skip(1).map(|(level, ..)| *level).chain([0]);
    let leaves = nodes.iter().zip(next).filter(|((level, ..), next)| next <= level);
    leaves.map(|((_, name, status), _)| ((*name).to_owned(), (*status).to_owned())).collect()
}

/// The entries of the maps `apis` and `data` of `results.yaml`.
///
/// The program writes each one as a line `  name: Status`.
fn entries(results: &str) -> Vec<(String, String)> {
    let mut section = "";
    let mut entries = Vec::new();
    for line in results.lines() {
        if !line.starts_with(' ') {
            section = line.trim_end();
        } else if let ("apis:" | "data:", Some((name, status))) = (section, line.rsplit_once(": ")) {
            entries.push((format!("{section} {}", name.trim()), status.trim_matches('"').to_owned()));
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "Test results
OCI Conformance Test: FAIL
  OCI Conformance Test/ping: Pass
  OCI Conformance Test/blobs: FAIL
    OCI Conformance Test/blobs/mount: Skip
     - registry returned status 202: fell back
    OCI Conformance Test/blobs/get: FAIL
     - wanted 200: got 404
  OCI Conformance Test/cancel: Disabled

Configuration:
  registry: 127.0.0.1:1

OCI Conformance Result: FAIL
  Disabled......................:          1
  Skip..........................:          1
  Pass..........................:          1
  FAIL..........................:          1
  Error.........................:          0
  Total.........................:          4

";

    const JUNIT: &str = "<testsuites tests=\"4\"><testcase a/><testcase b/><testcase c/><testcase d/>";

    #[test]
    fn reads_counts_leaves_and_entries() {
        let results =
            "config:\n  version: \"1.1\"\napis:\n  Ping: Pass\n  Blob get: FAIL\ndata:\n  Image: Pass\n";
        let report = Report::read(OUTPUT, JUNIT, results).unwrap();
        assert_eq!(
            report.to_string(),
            "4 run: 1 passed, 1 failed, 0 errors, 1 skipped, 1 disabled\
             \n  Skip: OCI Conformance Test/blobs/mount\
             \n  FAIL: OCI Conformance Test/blobs/get\
             \n  FAIL: apis: Blob get"
        );
        assert!(!report.is_good());
    }

    #[test]
    fn nothing_run_is_not_good() {
        assert!(!Report::default().is_good());
        assert!(Report::read(OUTPUT, JUNIT, "config:\n").is_err());
        assert!(Report::read(OUTPUT, "tests=\"4\" <testcase />", "apis:\n  Ping: Pass\n").is_err());
        assert!(Report::read("", JUNIT, "apis:\n  Ping: Pass\n").is_err());
    }
}
