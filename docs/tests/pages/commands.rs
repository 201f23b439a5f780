//! Command lines, read by the command itself.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::LazyLock,
};

use super::{assert_none, pages, repository};

/// The command of this workspace, built first, so that no stale one is asked.
pub(crate) static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
    let own = std::env::current_exe().unwrap();
    let directory = own.parent().and_then(Path::parent).unwrap();
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--package", "plugin-registry-cli"]).current_dir(repository());
    if directory.ends_with("release") {
        build.arg("--release");
    }
    assert!(build.status().unwrap().success(), "plugin-registry-cli does not build");
    directory.join(format!("plugin-registry{}", std::env::consts::EXE_SUFFIX))
});

/// Commands that only read, so that they can be run against a directory that is not there.
const READING: &[&str] = &["ls", "tags", "inspect", "verify", "rm", "purge"];

pub(crate) fn run(arguments: &[&str]) -> Output {
    Command::new(&*PROGRAM).args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// The commands of one line of a shell: without prompt, comment, redirections and what others do.
fn commands(line: &str) -> Vec<Vec<String>> {
    let (mut commands, mut words, mut word) = (Vec::new(), Vec::new(), None::<String>);
    let mut quote = None;
    let line = line.strip_prefix("$ ").unwrap_or(line);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, ' ') => words.extend(word.take()),
            (None, ';' | '|' | '&' | '(' | ')') => {
                words.extend(word.take());
                commands.push(std::mem::take(&mut words));
            }
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    commands.push(words);
    commands.retain(|words| !words.is_empty());
    commands
}

/// The arguments of `plugin-registry`, however it is started; `None` for another command.
fn arguments(words: &[String]) -> Option<Vec<String>> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut words = &words[..];
    while words.first().is_some_and(|word| word.contains('=') || *word == "sudo") {
        words = &words[1..];
    }
    let own = match words {
        ["plugin-registry", rest @ ..] => rest,
        ["cargo", "run", options @ ..] if options.contains(&"plugin-registry-cli") => {
            let at = options.iter().position(|option| *option == "--")?;
            &options[at + 1..]
        }
        _ => return None,
    };
    let redirected = own.iter().position(|word| word.contains('>')).unwrap_or(own.len());
    Some(own[..redirected].iter().map(|word| (*word).to_owned()).collect())
}

/// Why the command would refuse these arguments. With `--help` at the end it reads what comes before, value
/// by value, and does nothing; what is left out shows only when it is run.
fn refusal(arguments: &[String]) -> Option<String> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let help = run(&[&words[..], &["--help"]].concat());
    if !help.status.success() {
        return Some(String::from_utf8_lossy(&help.stderr).into_owned());
    }
    if !READING.contains(&words[0]) || words.contains(&"--help") {
        return None;
    }
    let place = tempfile::tempdir().unwrap();
    let missing = place.path().join("missing");
    let mut words = words;
    if let Some(at) = words.iter().position(|word| *word == "--root" || *word == "--config") {
        words[at + 1] = missing.to_str().unwrap();
    }
    let ran = run(&words);
    // 2: the directory or file was looked for and not found, so the arguments were good.
    (ran.status.code() != Some(2))
        .then(|| format!("{}: {}", ran.status, String::from_utf8_lossy(&ran.stderr)))
}

#[test]
fn every_command_line_can_be_read() {
    let (mut problems, mut checked) = (Vec::new(), 0);
    for page in pages() {
        for block in page.blocks() {
            let is_console = block.language == "text" || block.language == "console";
            if block.language != "sh" && !is_console {
                continue;
            }
            let mut lines = block.lines.iter().enumerate();
            while let Some((at, line)) = lines.next() {
                // In a transcript only what follows the prompt was typed.
                if is_console && !line.starts_with("$ ") {
                    continue;
                }
                let mut line = line.clone();
                while let Some(begun) = line.strip_suffix('\\') {
                    let (_, next) = lines.next().unwrap();
                    line = format!("{begun}{next}");
                }
                for words in commands(&line) {
                    let Some(arguments) = arguments(&words) else { continue };
                    let place = format!("{}:{}: {}", page.name, block.line + at + 1, line.trim());
                    // `COMMAND …` means any of them.
                    if arguments.first().is_none_or(|word| word == "COMMAND") {
                        continue;
                    }
                    checked += 1;
                    problems.extend(refusal(&arguments).map(|why| format!("{place}\n{why}")));
                }
            }
        }
    }
    assert_none(&problems);
    assert!(checked > 20, "only {checked} command lines were found");
}

#[test]
fn wrong_command_lines_are_refused() {
    for line in [
        "plugin-registry verfy --all --root ./backup",
        "plugin-registry verify --all --rot ./backup",
        "plugin-registry verify --all",
        "plugin-registry verify --root ./backup",
        "plugin-registry ls --root ./backup --config ./config.yml",
        "plugin-registry tags UPPER --root ./backup",
        "plugin-registry serve --listen 127.0.0.1:0 --references some --root ./backup",
        "plugin-registry copy oci:./image:1.0 registry:UPPER:1.0 --root ./backup",
    ] {
        let words = commands(line);
        assert!(refusal(&arguments(&words[0]).unwrap()).is_some(), "{line}");
    }
    let line =
        "$ A=1 plugin-registry ls --root 'a b' | sort; cargo run -q -p plugin-registry-cli -- ls > x # y";
    let found: Vec<_> = commands(line).iter().filter_map(|words| arguments(words)).collect();
    assert_eq!(found, [vec!["ls", "--root", "a b"], vec!["ls"]]);
}
