//! Quotes text so that it cannot be taken for anything else in a line.

use std::fmt::Write;

/// Adds `text` as logrus does: unchanged if all its characters are safe, otherwise quoted as in Go. logrus
/// quotes only values, and would write any name as it is.
pub(super) fn push_text(line: &mut String, text: &str) {
    if text.chars().all(is_safe) {
        line.push_str(text);
        return;
    }
    line.push('"');
    for c in text.chars() {
        match c {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\x07' => line.push_str("\\a"),
            '\x08' => line.push_str("\\b"),
            '\x0c' => line.push_str("\\f"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            '\x0b' => line.push_str("\\v"),
            c if c.is_ascii_control() => push(line, format_args!("\\x{:02x}", u32::from(c))),
            c if is_printable(c) => line.push(c),
            c if u32::from(c) < 0x1_0000 => push(line, format_args!("\\u{:04x}", u32::from(c))),
            c => push(line, format_args!("\\U{:08x}", u32::from(c))),
        }
    }
    line.push('"');
}

/// Adds `text` as a JSON string. Beyond what JSON requires, all characters that are not printable are escaped:
/// some readers also take U+0085 and U+2028 for the end of a line.
pub(super) fn push_json(line: &mut String, text: &str) {
    line.push('"');
    for c in text.chars() {
        match c {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            c if is_printable(c) => line.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    push(line, format_args!("\\u{unit:04x}"));
                }
            }
        }
    }
    line.push('"');
}

/// Whether logrus leaves this character without quotes.
fn is_safe(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '/' | '@' | '^' | '+')
}

/// Whether a character is assigned, and not a control or format character or a space other than U+0020.
///
/// The standard library knows these characters for its own escapes. It also escapes marks that join the
/// character before them, unless they follow one, so each is checked behind one.
fn is_printable(c: char) -> bool {
    match c {
        ' '..='~' => true,
        c if c.is_alphanumeric() => true,
        c => String::from_iter(['a', c]).escape_debug().count() == 2,
    }
}

fn push(line: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = line.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The right column is what Go's `strconv.Quote` and logrus' rule of when to use it give.
    #[test]
    fn text_is_quoted_as_logrus_does() {
        for (text, quoted) in [
            ("", ""),
            ("a-Z0._/@^+", "a-Z0._/@^+"),
            ("a b", r#""a b""#),
            ("a=b", r#""a=b""#),
            ("sha256:00", r#""sha256:00""#),
            ("it's", r#""it's""#),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("\x07\x08\x0c\n\r\t\x0b", r#""\a\b\f\n\r\t\v""#),
            ("\0\x1b[31m\x7f", r#""\x00\x1b[31m\x7f""#),
            ("é", "\"é\""),
            ("e\u{301}", "\"e\u{301}\""),
            ("日本", "\"日本\""),
            ("\u{85}\u{a0}\u{ad}\u{2028}\u{202e}", r#""\u0085\u00a0\u00ad\u2028\u202e""#),
            ("\u{1f600}", "\"\u{1f600}\""),
            ("\u{e0001}\u{10ffff}", r#""\U000e0001\U0010ffff""#),
        ] {
            let mut line = String::new();
            push_text(&mut line, text);
            assert_eq!(line, quoted);
        }
    }

    #[test]
    fn json_has_no_character_that_could_end_a_line_and_reads_as_it_was() {
        for (text, quoted) in [
            ("", r#""""#),
            ("a<b>&c", r#""a<b>&c""#),
            ("a\"b\\c/", r#""a\"b\\c/""#),
            ("\n\r\t\x08\x0c\0\x1b\x7f", r#""\n\r\t\u0008\u000c\u0000\u001b\u007f""#),
            ("é日\u{1f600}", "\"é日\u{1f600}\""),
            ("\u{85}\u{2028}\u{2029}\u{202e}", r#""\u0085\u2028\u2029\u202e""#),
            ("\u{e0001}", r#""\udb40\udc01""#),
        ] {
            let mut line = String::new();
            push_json(&mut line, text);
            assert_eq!(line, quoted);
            assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
        }
    }
}
