//! Commands that are printed can be pasted into a shell, whatever the names of files are.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::common::{Backup, command, largest_blob, run};

/// Without quotes it would run commands.
const ODD: &str = "it's \"a\" $(touch pasted) `touch pasted`; touch pasted #";

/// A directory with this name in another.
fn odd(directory: &Path) -> PathBuf {
    let odd = directory.join(ODD);
    fs::create_dir(&odd).unwrap();
    odd
}

/// Runs a line in a shell, and returns what it prints.
fn pasted(line: &str, directory: &Path) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_plugin-registry")).parent().unwrap().display().to_string();
    #[expect(clippy::disallowed_methods, reason = "the shell needs its own programs, too")]
    let path = format!("{program}:{}", env::var("PATH").unwrap());
    let output =
        Command::new("sh").args(["-c", line]).current_dir(directory).env("PATH", path).output().unwrap();
    assert!(output.status.success(), "{line}: {output:?}");
    assert!(!directory.join("pasted").exists(), "{line}");
    String::from_utf8(output.stdout).unwrap()
}

fn commands(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|line| line.starts_with("plugin-registry ")).collect()
}

#[test]
fn where_the_quickstart_says_to_look() {
    let directory = TempDir::new().unwrap();
    let odd = odd(directory.path());
    let mut quickstart = command();
    quickstart.args(["quickstart", "--root"]).arg(odd.join("registry")).env("TMPDIR", &odd);
    let text = String::from_utf8(quickstart.output().unwrap().stdout).unwrap();
    let [ls, inspect] = commands(&text)[..] else { panic!("{text}") };
    assert_eq!(pasted(ls, directory.path()), "quickstart/app\nquickstart/copy\n");
    assert!(pasted(inspect, directory.path()).starts_with("name        quickstart/app\n"));
    let places: Vec<&str> = text.lines().filter_map(|line| Some(line.split_once("    the ")?.0)).collect();
    assert_eq!(places.len(), 3, "{text}");
    for place in places {
        pasted(&format!("test -d {place}"), directory.path());
    }
}

#[test]
fn how_to_remove_the_quickstart_again_and_how_to_mend_an_image() {
    let backup = Backup::make();
    let directory = backup.directory.path();
    let odd = odd(directory);
    let (config, env) = (odd.join("config.yml"), odd.join("r.env"));
    let text = format!("version: 0.1\nstorage:\n  filesystem: {{rootdirectory: {}}}\n", backup.root());
    fs::write(&config, text).unwrap();
    fs::write(&env, "REGISTRY_STORAGE_FILESYSTEM_MAXTHREADS=30\n").unwrap();
    let source = ["--config", config.to_str().unwrap(), "--env-file", env.to_str().unwrap()];
    let with_source = |arguments: &[&str]| run(arguments.iter().chain(&source));

    let blob = largest_blob(&backup.root());
    let mut content = fs::read(&blob).unwrap();
    content[1000] ^= 1;
    fs::write(&blob, content).unwrap();
    let damaged = with_source(&["verify", "--all", "--quiet"]);
    let [copy] = commands(&damaged.err)[..] else { panic!("{damaged:?}") };
    pasted(&copy.replace("SRC", &format!("oci:{}", backup.image().display())), directory);
    with_source(&["verify", "--all", "--quiet"]).ok();

    let shown = with_source(&["quickstart", "--yes"]).ok().out;
    assert_eq!(commands(&shown).len(), 4, "{shown}");
    for line in commands(&shown) {
        pasted(line, directory);
    }
    assert_eq!(with_source(&["ls"]).ok().out, "");
}
