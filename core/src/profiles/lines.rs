//! Files of `KEY=VALUE` lines, as the clouds' tools write them.

/// The characters that count as space within a line.
pub const SPACE: [char; 2] = [' ', '\t'];
const COMMENT: [char; 2] = ['#', ';'];

/// Returns the lines that are neither empty nor comments, numbered from 1. Windows line endings do not matter.
pub fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = text.lines().map(|line| line.trim_end_matches('\r')).enumerate();
    lines.map(|(index, line)| (index + 1, line)).filter(|(_, line)| {
        let line = line.trim_matches(SPACE);
        !line.is_empty() && !line.starts_with(COMMENT)
    })
}

/// Returns key and value of a line, without the spaces around them.
///
/// As in the SDK of AWS for Go, `:` separates them as well as `=`, whichever is first.
pub fn pair(line: &str) -> Option<(&str, &str)> {
    let (key, rest) = line.split_once(['=', ':'])?;
    let key = key.trim_matches(SPACE);
    (!key.is_empty()).then(|| (key, value(rest)))
}

/// Returns what is before a comment. As in the SDKs of AWS, a comment begins with `#` or `;` after a space,
/// because a secret may contain either.
pub(super) fn without_comment(text: &str) -> &str {
    let mut is_after_space = false;
    for (at, c) in text.char_indices() {
        if is_after_space && COMMENT.contains(&c) {
            return text.get(..at).unwrap_or(text).trim_matches(SPACE);
        }
        is_after_space = SPACE.contains(&c);
    }
    text.trim_matches(SPACE)
}

/// Returns a value without a comment and without one pair of quotes around it. In quotes, `#` and `;` are
/// ordinary characters.
fn value(rest: &str) -> &str {
    let quoted = |quote: char| {
        let (inner, after) = rest.trim_matches(SPACE).strip_prefix(quote)?.split_once(quote)?;
        without_comment(after).is_empty().then_some(inner)
    };
    if let Some(inner) = quoted('"').or_else(|| quoted('\'')) {
        return inner;
    }
    let text = without_comment(rest);
    let unquoted = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    unquoted('"').or_else(|| unquoted('\'')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        for (rest, expected) in [
            ("abc", "abc"),
            (" abc ", "abc"),
            ("\tabc\t", "abc"),
            ("a#b;c", "a#b;c"),
            ("#abc", "#abc"),
            (" #abc", ""),
            (" ; abc", ""),
            ("ab #c", "ab"),
            ("ab\t;c", "ab"),
            ("ab # c # d", "ab"),
            ("a b", "a b"),
            ("a=b==", "a=b=="),
            ("\"abc\"", "abc"),
            (" 'abc' ", "abc"),
            ("\"ab #c\"", "ab #c"),
            ("\"ab #c\" # comment", "ab #c"),
            ("'abc' ;", "abc"),
            ("'abc'#d", "'abc'#d"),
            ("\"'abc'\"", "'abc'"),
            ("\"\"abc\"\"", "\"abc\""),
            ("\"a\"b\"", "a\"b"),
            ("\"abc'", "\"abc'"),
            ("\"abc", "\"abc"),
            ("\"", "\""),
            ("''", ""),
            ("", ""),
            ("ä #ö", "ä"),
        ] {
            assert_eq!(value(rest), expected, "{rest}");
        }
    }

    #[test]
    fn lines_of_any_system() {
        let text = "\u{feff}a=1\r\n# b\r\n\r\n \t\n  ; c\nd = 2\r\ne=3\r";
        assert_eq!(lines(text).collect::<Vec<_>>(), [(1, "a=1"), (6, "d = 2"), (7, "e=3")]);
        assert_eq!(pair("d = 2"), Some(("d", "2")));
        assert_eq!(pair("d ="), Some(("d", "")));
        assert_eq!(pair("d: a=b"), Some(("d", "a=b")));
        assert_eq!(pair("d=a:b"), Some(("d", "a:b")));
        assert_eq!(pair(": 2"), None);
        assert_eq!(pair("= 2"), None);
        assert_eq!(pair("d 2"), None);
    }
}
