//! Reads the parts of a JSON document as pieces of its text.
//!
//! It is for documents that are kept mostly as they are: a tree of values takes up to a hundred times the text.
//! The text has to be valid JSON, otherwise the pieces mean nothing.

use super::IndexError;

/// Returns a key, or another string, without its quotes.
pub(super) fn key_of(text: &str) -> Result<String, IndexError> {
    Ok(serde_json::from_str(text)?)
}

/// Returns the members of an object, each key with its quotes, or `None` for another value.
pub(super) fn members(text: &str) -> Option<impl Iterator<Item = (&str, &str)>> {
    let pieces = Pieces::new(text, '{', '}')?;
    Some(pieces.map(|member| {
        let end = string_end(member);
        let (key, rest) = member.split_at_checked(end).unwrap_or((member, ""));
        (key, rest.trim_start().trim_start_matches(':').trim_start())
    }))
}

/// Returns the items of a list, or `None` for another value.
pub(super) fn items(text: &str) -> Option<impl Iterator<Item = &str>> {
    Pieces::new(text, '[', ']')
}

/// The texts between the commas of a list or an object.
struct Pieces<'a> {
    rest: &'a str,
}

impl<'a> Pieces<'a> {
    fn new(text: &'a str, begin: char, end: char) -> Option<Self> {
        let rest = text.trim().strip_prefix(begin)?.strip_suffix(end)?.trim();
        Some(Self { rest })
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let (piece, rest) = self.rest.split_at_checked(piece_end(self.rest)).unwrap_or((self.rest, ""));
        self.rest = rest.strip_prefix(',').unwrap_or_default().trim_start();
        Some(piece.trim_end())
    }
}

/// Returns the position of the first comma outside any list, object or string, otherwise the end.
fn piece_end(text: &str) -> usize {
    let (mut depth, mut is_text, mut is_escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_text,
            b'"' => is_text = !is_text,
            _ if is_text => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => return at,
            _ => {}
        }
    }
    text.len()
}

/// Returns the end of the string that a text begins with, after its closing quote.
fn string_end(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_those_of_the_document() {
        let text = r#" { "a" : [1, {"b":"],}"}] , "c\"," :"x" ,"d":{}, "e": null } "#;
        let found: Vec<_> = members(text).unwrap().collect();
        assert_eq!(
            found,
            [
                (r#""a""#, r#"[1, {"b":"],}"}]"#),
                (r#""c\",""#, r#""x""#),
                (r#""d""#, "{}"),
                (r#""e""#, "null")
            ]
        );
        let found: Vec<_> = items(r#"[ "\\" , [1,2] ,{"a":[","]}, 3]"#).unwrap().collect();
        assert_eq!(found, [r#""\\""#, "[1,2]", r#"{"a":[","]}"#, "3"]);
        assert_eq!(items(" [ ] ").unwrap().count() + members("{}").unwrap().count(), 0);
        assert!(items("{}").is_none() && members("[]").is_none() && members("1").is_none());
    }
}
