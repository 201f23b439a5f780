//! Paths in what the command prints.

use std::path::Path;

use plugin_registry_core::shown_line;

/// A path in a message: on one line, without control characters, and cut if it is very long.
pub(crate) fn shown(path: &Path) -> String {
    shown_line(&path.display().to_string())
}

/// A path in a command to paste: one word for any POSIX shell.
///
/// No quoting of control characters is the same in all shells, and printed as they are they steer the terminal.
/// A path with such characters is shown as in a message.
pub(crate) fn word(path: &Path) -> String {
    let text = path.display().to_string();
    let bare = text.replace(['"', '\'', '\\'], "");
    let is_printable = bare.escape_debug().eq(bare.chars());
    quoted(&if is_printable { text } else { shown_line(&text) })
}

fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@%".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_for_a_shell() {
        for (path, expected) in [
            ("./backup", "./backup"),
            ("/tmp/.tmpX/a_b-c", "/tmp/.tmpX/a_b-c"),
            ("my backup", "'my backup'"),
            ("it's", r"'it'\''s'"),
            ("$HOME", "'$HOME'"),
            ("a\\b", r"'a\b'"),
            ("für", "'für'"),
            ("", "''"),
            ("a;\u{1b}[2J\n'", r"'a;\u{1b}[2J\n'\'''"),
            ("a\u{202e}b", r"'a\u{202e}b'"),
        ] {
            assert_eq!(word(Path::new(path)), expected);
        }
        let long = "a/".repeat(400);
        assert_eq!(word(Path::new(&long)), long);
    }
}
