//! The plugin as a process.

use std::{
    io::Read,
    path::Path,
    process::{Child, Command, Stdio},
};

/// What a run said, and how it ended.
pub(crate) struct Ran {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) code: Option<i32>,
}

/// Starts the plugin on `images` and `restored` in `place`.
pub(crate) fn start(place: &Path, locations: &[String]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_plugin"))
        .args([place.join("images"), place.join("restored")])
        .args(locations)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Runs it to its end.
pub(crate) fn run(place: &Path, locations: &[String]) -> Ran {
    Ran::end(start(place, locations), String::new())
}

impl Ran {
    /// Waits for the end of a process whose first output was read.
    pub(crate) fn end(mut process: Child, mut out: String) -> Self {
        // Both are shorter than what a pipe takes, so none waits for the other to be read.
        if let Some(mut stdout) = process.stdout.take() {
            stdout.read_to_string(&mut out).unwrap();
        }
        let output = process.wait_with_output().unwrap();
        Self { out, err: String::from_utf8(output.stderr).unwrap(), code: output.status.code() }
    }

    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        self
    }

    /// How far the copy of an image was, line by line.
    pub(crate) fn progress(&self, location: &str, image: &str) -> Vec<String> {
        let begin = format!("{location} {image}: ");
        let lines = self.out.lines().filter_map(|line| line.strip_prefix(&begin));
        lines.filter(|line| line.ends_with(" bytes")).map(str::to_owned).collect()
    }
}
