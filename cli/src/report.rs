//! How an error is told: on standard error, as lines or as one JSON object.

use std::{
    ffi::OsString,
    io::{self, Write},
    path::Path,
};

use serde::Serialize;

use crate::{
    args::{Arguments, Command, Format, LocationCommand, Printing},
    failure::{Failure, Outcome},
    source::Source,
};

/// What a run was asked for, as far as its error repeats it.
#[derive(Debug, Default)]
pub(crate) struct Told {
    format: Format,
    command: Option<&'static str>,
    location: Option<String>,
}

/// An error for programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    kind: &'static str,
    exit_code: u8,
    message: &'a str,
    hints: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<&'a str>,
    /// The options that name the registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<&'a str>,
}

impl Told {
    pub(crate) fn of(arguments: &Arguments) -> Self {
        let with = |command, printing: &Printing, root: Option<&Path>, source: &Source| Self {
            format: printing.format,
            command: Some(command),
            location: location(root, source),
        };
        let rooted = |command, printing: &Printing, place: &crate::args::Root| {
            with(command, printing, place.root.as_deref(), &place.source)
        };
        match &arguments.command {
            Command::Quickstart(o) => with("quickstart", &o.printing, o.root.as_deref(), &o.source),
            Command::Copy(o) => with("copy", &o.printing, o.root.as_deref(), &o.registry),
            Command::Ls(o) => rooted("ls", &o.printing, &o.root),
            Command::Tags(o) => rooted("tags", &o.printing, &o.root),
            Command::Inspect(o) => rooted("inspect", &o.printing, &o.root),
            Command::Rm(o) => rooted("rm", &o.printing, &o.root),
            Command::Verify(o) => rooted("verify", &o.printing, &o.root),
            Command::Purge(o) => rooted("purge", &o.printing, &o.root),
            Command::Location(o) => match &o.command {
                LocationCommand::Check(o) => rooted("location check", &o.printing, &o.root),
                LocationCommand::Show(o) => with("location show", &o.printing, None, &o.source),
            },
            Command::Serve(_) | Command::Completion(_) => Self::default(),
        }
    }

    /// Reports a failure, and returns how the command ends.
    pub(crate) fn failure(&self, failure: &Failure) -> Outcome {
        if !failure.is_silent() {
            match self.format {
                Format::Text => print(&failure.to_string()),
                Format::Json => {
                    self.document(failure.outcome(), failure.message(), failure.hint().into_iter().collect())
                }
            }
        }
        failure.outcome()
    }

    fn document(&self, outcome: Outcome, message: &str, hints: Vec<&str>) {
        let document = Document {
            kind: outcome.as_str(),
            exit_code: outcome.code(),
            message,
            hints,
            command: self.command,
            location: self.location.as_deref(),
        };
        // Nothing in it can fail to be written as JSON.
        if let Ok(text) = serde_json::to_string(&document) {
            print(&text);
        }
    }
}

/// Reports a command line that cannot be read, and returns how the command ends. Help and version are no error.
pub(crate) fn unparsed(error: &clap::Error, words: &[OsString]) -> Outcome {
    if !error.use_stderr() {
        return if error.print().is_ok() { Outcome::Ok } else { Outcome::Failed };
    }
    if !asks_for_json(words) {
        // If standard error is closed, there is nowhere left to report it.
        let _ = error.print();
        return Outcome::Usage;
    }
    // The first paragraph says what is wrong. The others are hints: what was meant, the usage, `--help`.
    let text = error.render().to_string();
    let mut paragraphs = text.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty());
    let first = paragraphs.next().unwrap_or_default();
    let message = first.strip_prefix("error: ").unwrap_or(first);
    let told = Told { format: Format::Json, ..Told::default() };
    told.document(Outcome::Usage, message, paragraphs.collect());
    Outcome::Usage
}

/// Whether the words ask for JSON, though something else in them is wrong.
fn asks_for_json(words: &[OsString]) -> bool {
    let is_pair =
        |pair: &[OsString]| matches!(pair, [option, value] if option == "--format" && value == "json");
    words.windows(2).any(is_pair) || words.iter().any(|word| word == "--format=json")
}

/// The options that name the registry.
fn location(root: Option<&Path>, source: &Source) -> Option<String> {
    match root {
        Some(root) => Some(format!("--root {}", root.display())),
        None => source.shown_options(),
    }
}

/// If standard error is closed, there is nowhere left to report it.
fn print(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
