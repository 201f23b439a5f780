//! Runs a program on a terminal of its own, by util-linux's `script`.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// In place of the developer's own: the file of history, the keys, the language, and the shell that `script` starts.
const SETTINGS: [(&str, &str); 5] = [
    ("HISTFILE", "/dev/null"),
    ("INPUTRC", "/dev/null"),
    ("LC_ALL", "C.UTF-8"),
    ("SHELL", "/bin/sh"),
    ("TERM", "dumb"),
];

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
    command.args(["--quiet", "--return", "--command", line, "/dev/null"]).envs(SETTINGS);
    // An editor named `vi` changes the keys of zsh.
    command.env_remove("EDITOR").env_remove("VISUAL");
    command
}

/// Types keys, and returns all that the terminal shows until its program ends. The program's home is empty, also takes
/// its temporary files, and is deleted at the end.
pub(crate) fn typed(command: &mut Command, keys: impl AsRef<[u8]>) -> String {
    let home = TempDir::new().unwrap();
    command.env("HOME", home.path()).env("TMPDIR", home.path());
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(keys.as_ref()).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&output.stdout).replace('\r', "")
}
