//! Runs a program on a terminal of its own, by util-linux's `script`.

use std::{
    io::Write,
    process::{Command, Stdio},
};

/// Whether a program can be started.
pub(crate) fn has(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A command line on a terminal. One that waits for more than it is given is ended, so that its test fails.
pub(crate) fn of(line: &str) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--foreground", "120", "script"]);
    command.args(["--quiet", "--return", "--command", line, "/dev/null"]).env("TERM", "dumb");
    command
}

/// Types keys, and returns all that the terminal shows until its program ends.
pub(crate) fn typed(command: &mut Command, keys: &str) -> String {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(keys.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&output.stdout).replace('\r', "")
}
