//! What the shells complete, asked of the shells themselves.
use std::{fs, path::PathBuf, process::Command};

use plugin_registry_conformance::report;
use tempfile::TempDir;

use crate::{common::run, terminal};

/// A line, and the words that the shell makes of its last one.
type Row<'a> = (&'a str, &'a [&'a str]);

const COMMANDS: &[&str] = &[
    "quickstart",
    "copy",
    "ls",
    "tags",
    "inspect",
    "rm",
    "verify",
    "purge",
    "location",
    "serve",
    "completion",
    "help",
];

/// What all shells complete alike, in any order.
const ROWS: &[Row<'_>] = &[
    ("plugin-registry lo", &["location"]),
    ("plugin-registry location ch", &["check"]),
    ("plugin-registry location check --read", &["--read-only"]),
    ("plugin-registry --version lo", &["location"]),
    ("plugin-registry location --help ch", &["check"]),
    ("plugin-registry help lo", &["location"]),
    ("plugin-registry help location ", &["check", "show"]),
    ("plugin-registry ls --for", &["--format"]),
    ("plugin-registry ls --format ", &["text", "json"]),
    ("plugin-registry ls --root data --format j", &["json"]),
    ("plugin-registry verify --all --references sp", &["sparse-indexes", "sparse"]),
    ("plugin-registry serve --log deb", &["debug"]),
    ("plugin-registry completion z", &["zsh"]),
    ("plugin-registry rm a:1 --dr", &["--dry-run"]),
    ("plugin-registry ls --config con", &["config.yml"]),
    ("plugin-registry ls --config 'a directory/con", &["a directory/config.yml"]),
    ("plugin-registry location check --credentials=con", &["--credentials=config.yml"]),
    ("plugin-registry purge --older-than co", &[]),
];

/// A directory with the scripts and with files to complete.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(TempDir::new().unwrap());
        for directory in ["work/data", "work/a directory", "zsh"] {
            fs::create_dir_all(files.path(directory)).unwrap();
        }
        for file in ["work/config.yml", "work/data.txt", "work/a directory/config.yml"] {
            fs::write(files.path(file), "").unwrap();
        }
        for (shell, file) in [("bash", "bash"), ("zsh", "zsh/_plugin-registry"), ("fish", "fish")] {
            fs::write(files.path(file), run(["completion", shell]).ok().out).unwrap();
        }
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// Whether there is such a shell; otherwise the test is skipped.
fn has(shell: &str, test: &str) -> bool {
    let is_there = terminal::has(shell) && terminal::has("script");
    if !is_there {
        report::skip("completion", test, &format!("no {shell}, or no `script`; ./test installs it"), "cli");
    }
    is_there
}

/// Types a line into a shell on a terminal, lets it insert all completions, and has the shell print the words.
fn typed(shell: &mut Command, line: &str, insert_all: &str) -> Vec<String> {
    // ^A goes to the begin of the line, where `printf` comes before the words. ^D ends a shell that waits for more.
    let keys = format!("{line}{insert_all}\x01printf '=%s=\\n' \nexit\n\x04\x04");
    let text = terminal::typed(shell, &keys);
    let words = text.lines().filter_map(|line| line.strip_prefix('=')?.strip_suffix('='));
    let words: Vec<String> = words.map(str::to_owned).collect();
    assert!(!words.is_empty(), "{line}: the shell printed {text:?}");
    // The words before the last one are those of the line.
    let single = line.replace("\\ ", "-");
    let before = single.rsplit_once(" '").or_else(|| single.rsplit_once(' ')).unwrap().0.split(' ').count();
    words[before..].to_vec()
}

/// Compares, in any order.
fn check(shell: &str, complete: impl Fn(&str) -> Vec<String>, rows: &[Row<'_>]) {
    for (line, expected) in rows {
        let mut words = complete(line);
        let mut expected: Vec<&str> = expected.to_vec();
        // Where nothing is completed, the begin of the word stays.
        let begin = line.rsplit(' ').next().unwrap();
        words.retain(|word| !(expected.is_empty() && word == begin));
        words.sort_unstable();
        expected.sort_unstable();
        assert_eq!(words, expected, "{shell}: {line}");
    }
}

#[test]
fn bash_completes_every_word() {
    if !has("bash", "bash_completes_every_word") {
        return;
    }
    let files = Files::new();
    let start = format!(
        "bind 'set enable-bracketed-paste off'\nPS1='$ '\nsource '{}'\n",
        files.path("bash").display()
    );
    fs::write(files.path("rc"), start).unwrap();
    let bash = format!("bash --noprofile --rcfile '{}' -i", files.path("rc").display());
    // Meta-* inserts all completions.
    let complete = |line: &str| typed(terminal::of(&bash).current_dir(files.path("work")), line, "\x1b*");
    check("bash", complete, ROWS);
    let flags = ["-h", "-V", "--help", "--version"];
    check("bash", complete, &[("plugin-registry ", &[COMMANDS, &flags].concat())]);
    check("bash", complete, &[("plugin-registry location ", &["check", "show", "help", "-h", "--help"])]);
    check(
        "bash",
        complete,
        &[
            // By whatever path it is called.
            ("./plugin-registry location ch", &["check"]),
            // Bash inserts only what is behind the `=`, and in front of the first word.
            ("plugin-registry ls --format=", &["--format=text", "json"]),
            ("plugin-registry ls --format=j", &["--format=json"]),
            // Directories only; a slash waits for more.
            ("plugin-registry ls --root da", &["data"]),
            ("plugin-registry ls --root a\\ d", &["a directory"]),
            ("plugin-registry copy --root data oci:./data.", &["oci:./data.txt"]),
        ],
    );
    // Nothing is left of the name that the script has inside.
    let script = format!("source '{}'; complete -p", files.path("bash").display());
    let output = Command::new("bash").args(["--norc", "-c", &script]).output().unwrap();
    let registered = String::from_utf8(output.stdout).unwrap();
    assert!(registered.ends_with(" plugin-registry\n") && registered.lines().count() == 1, "{registered}");
}

#[test]
fn zsh_completes_every_word() {
    if !has("zsh", "zsh_completes_every_word") {
        return;
    }
    let files = Files::new();
    // ^Xa inserts all completions.
    let start = format!(
        "unset zle_bracketed_paste\nPS1='$ '\nfpath=('{}' $fpath)\nautoload -Uz compinit && compinit -u -D\n\
         zle -C all-matches complete-word _generic\nbindkey '^Xa' all-matches\n\
         zstyle ':completion:all-matches::::' completer _all_matches _complete\n\
         zstyle ':completion:all-matches:*' insert yes\n",
        files.path("zsh").display()
    );
    fs::write(files.path("zsh/.zshrc"), start).unwrap();
    let complete = |line: &str| {
        let mut zsh = terminal::of("zsh --no-global-rcs -i");
        typed(zsh.current_dir(files.path("work")).env("ZDOTDIR", files.path("zsh")), line, "\x18a")
    };
    check("zsh", complete, ROWS);
    check(
        "zsh",
        complete,
        &[
            ("plugin-registry ", COMMANDS),
            ("plugin-registry location ", &["check", "show", "help"]),
            ("./plugin-registry location ch", &["check"]),
            ("plugin-registry ls --format=", &["--format=text", "--format=json"]),
            ("plugin-registry ls --root da", &["data"]),
            ("plugin-registry ls --root a\\ d", &["a directory"]),
            ("plugin-registry copy --root data oci:./da", &["oci:./data", "oci:./data.txt"]),
            ("plugin-registry copy --root data reg", &["registry:"]),
        ],
    );
}

#[test]
fn fish_completes_every_word() {
    if !has("fish", "fish_completes_every_word") {
        return;
    }
    let files = Files::new();
    // Fish prints what it would complete.
    let complete = |line: &str| {
        let line = line.replace('\'', "\\'");
        let script = format!("source '{}'; complete --do-complete '{line}'", files.path("fish").display());
        let mut fish = Command::new("fish");
        fish.args(["--no-config", "--command", &script])
            .current_dir(files.path("work"))
            .env("HOME", files.path("."));
        let output = fish.output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{line}: {output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
    };
    check("fish", complete, ROWS);
    check(
        "fish",
        complete,
        &[
            ("plugin-registry ", COMMANDS),
            ("plugin-registry location ", &["check", "show", "help"]),
            ("./plugin-registry location ch", &["check"]),
            ("plugin-registry ls --format=", &["--format=text", "--format=json"]),
            ("plugin-registry ls --root da", &["data/"]),
            ("plugin-registry ls --root a\\ d", &["a directory/"]),
            ("plugin-registry copy --root data oci:./da", &["oci:./data/", "oci:./data.txt"]),
        ],
    );
}
