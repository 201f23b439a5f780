//! Variables as texts.

use std::fmt;

use plugin_registry_core::{Error, ErrorKind, Result, Secret};

use super::{mistakes::Mistakes, source::shown};

/// Real variables are never longer, but a file that was named by mistake may be.
const MAX_LEN: usize = 1 << 20;

/// Variables from a file or from a list, for [`Config::from_env`](super::Config::from_env).
///
/// All names are kept, in the order given. `Debug` shows names that are written like one, and no value.
///
/// ```
/// use plugin_registry_locations::{Config, config::EnvPairs};
/// let pairs = EnvPairs::parse(
///     "# of the backup
/// REGISTRY_STORAGE=s3
/// export REGISTRY_STORAGE_S3_ACCESSKEY='01: 2'
/// ",
/// )?;
/// let config = Config::from_env(pairs)?;
/// assert_eq!(config.parameters.get("accesskey"), Some("01: 2"));
/// # Ok::<(), plugin_registry_core::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct EnvPairs {
    pairs: Vec<(String, Secret)>,
}

impl fmt::Debug for EnvPairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.pairs.iter().map(|(name, _)| shown(name))).finish()
    }
}

impl EnvPairs {
    /// Reads the text of a file with a line `NAME=VALUE` for each variable. At most 1 MiB.
    ///
    /// Empty lines and lines that begin with `#` are skipped. `export ` before a name, spaces around a name,
    /// CRLF and a byte order mark are tolerated. A value is everything after the first `=`, including spaces,
    /// without one pair of quotes around all of it (`'…'` or `"…"`). Nothing in it is expanded or escaped, and
    /// `#` does not begin a comment.
    ///
    /// # Errors
    /// Fails with [`InvalidConfig`](plugin_registry_core::ErrorKind::InvalidConfig) and lists all lines that
    /// are not variables, without repeating anything from them.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > MAX_LEN {
            let message = format!("the variables are longer than {MAX_LEN} bytes");
            return Err(Error::new(ErrorKind::InvalidConfig).with_message(message));
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
        let lines = lines.enumerate().filter(|(_, line)| {
            let line = line.trim_start();
            !line.is_empty() && !line.starts_with('#')
        });
        Self::read(lines.map(|(at, line)| (format!("line {}", at + 1), line)), unquoted)
    }

    /// Reads a list of texts `NAME=VALUE`, as a process has them. Values are taken as they are.
    ///
    /// # Errors
    /// Fails with [`InvalidConfig`](plugin_registry_core::ErrorKind::InvalidConfig) and lists the positions,
    /// from 1, of the entries that are not variables, without repeating anything from them.
    pub fn from_entries<T: AsRef<str>>(entries: impl IntoIterator<Item = T>) -> Result<Self> {
        let entries: Vec<T> = entries.into_iter().collect();
        let entries = entries.iter().enumerate();
        Self::read(entries.map(|(at, entry)| (format!("entry {}", at + 1), entry.as_ref())), |value| value)
    }

    /// Returns the names, in the order given.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.pairs.iter().map(|(name, _)| name.as_str())
    }

    fn read<'a>(
        entries: impl Iterator<Item = (String, &'a str)>,
        value: impl Fn(&str) -> &str,
    ) -> Result<Self> {
        let (mut pairs, mut mistakes) = (Vec::new(), Mistakes::default());
        for (place, entry) in entries {
            let Some((name, text)) = entry.split_once('=') else {
                mistakes.add(place, "has to be NAME=VALUE, but has no `=`");
                continue;
            };
            let name = name.trim_start();
            let name = name.strip_prefix("export ").unwrap_or(name).trim();
            if name.is_empty() {
                mistakes.add(place, "has no name before the `=`");
            } else if name.contains(char::is_whitespace) {
                mistakes.add(place, "the name contains spaces");
            } else {
                pairs.push((name.to_owned(), Secret::new(value(text))));
            }
        }
        mistakes.finish().map(|()| Self { pairs })
    }
}

impl IntoIterator for EnvPairs {
    type Item = (String, Secret);
    type IntoIter = std::vec::IntoIter<(String, Secret)>;

    fn into_iter(self) -> Self::IntoIter {
        self.pairs.into_iter()
    }
}

/// A value without one pair of quotes around it.
fn unquoted(value: &str) -> &str {
    let within = |quote| value.strip_prefix(quote).and_then(|value: &str| value.strip_suffix(quote));
    within('"').or_else(|| within('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: EnvPairs) -> Vec<(String, String)> {
        pairs.into_iter().map(|(name, value)| (name, value.expose().to_owned())).collect()
    }

    #[test]
    fn values_of_a_file_are_verbatim_but_for_one_pair_of_quotes() {
        for (line, name, value) in [
            ("A=b", "A", "b"),
            ("A=", "A", ""),
            ("A==b=", "A", "=b="),
            ("A= b ", "A", " b "),
            (" A =b", "A", "b"),
            ("export A=b", "A", "b"),
            ("  export   A=b", "A", "b"),
            ("export=b", "export", "b"),
            ("A=b # c", "A", "b # c"),
            ("A=$HOME\\n`x`", "A", "$HOME\\n`x`"),
            ("A='b'", "A", "b"),
            ("A=\"b\"", "A", "b"),
            ("A=''b''", "A", "'b'"),
            ("A=\"it's\"", "A", "it's"),
            ("A='b\"", "A", "'b\""),
            ("A='", "A", "'"),
            ("A=''", "A", ""),
            ("A= 'b'", "A", " 'b'"),
            ("A='b' ", "A", "'b' "),
        ] {
            let expected = vec![(name.to_owned(), value.to_owned())];
            for text in
                [line.to_owned(), format!("\u{feff}{line}\r\n"), format!("\n# x\r\n\r\n  # y\n{line}\n")]
            {
                assert_eq!(read(EnvPairs::parse(&text).unwrap()), expected, "{text:?}");
            }
        }
    }

    #[test]
    fn a_list_is_taken_as_it_is() {
        let pairs = EnvPairs::from_entries(["A='b'", "B=#", "A=c\nd"]).unwrap();
        assert_eq!(pairs.names().collect::<Vec<_>>(), ["A", "B", "A"]);
        assert!(!format!("{pairs:?}").contains('#'));
        let expected = [("A", "'b'"), ("B", "#"), ("A", "c\nd")];
        assert_eq!(read(pairs), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn what_is_no_variable_is_named_by_its_place_alone() {
        let refusal = |read: Result<EnvPairs>| {
            let error = read.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig);
            error.to_string().strip_prefix("invalid configuration: ").unwrap().to_owned()
        };
        assert_eq!(
            refusal(EnvPairs::parse("A=b\n\nhunter2\n=hunter2\r\nhunter 2=x\nexport =x")),
            "4 mistakes: line 3: has to be NAME=VALUE, but has no `=`; line 4: has no name before the `=`; \
             line 5: the name contains spaces; line 6: has no name before the `=`"
        );
        assert_eq!(
            refusal(EnvPairs::from_entries(["A=b", "hunter2"])),
            "entry 2: has to be NAME=VALUE, but has no `=`"
        );
        assert_eq!(
            refusal(EnvPairs::parse(&"A=b\n".repeat(MAX_LEN / 4 + 1))),
            "the variables are longer than 1048576 bytes"
        );
    }
}
