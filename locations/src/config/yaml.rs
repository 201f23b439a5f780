//! YAML as a tree of texts. Types are never guessed: `0123456` stays `0123456`.

use std::{borrow::Cow, collections::HashSet};

use plugin_registry_core::{Error, ErrorKind, Result, Secret};
use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span};

use super::{mistakes::Mistakes, source::shown};

/// Real configurations are never longer, but a file that was named by mistake may be. A ConfigMap or a Secret
/// holds no more.
const MAX_LEN: usize = 1 << 20;
/// How deep sections may be nested. The deepest of distribution's is 6.
const MAX_DEPTH: usize = 32;

/// A place in the document and its value.
pub(crate) struct Node {
    /// From 1.
    pub(crate) line: usize,
    pub(crate) value: Value,
}

pub(crate) enum Value {
    /// A text as written, without its quotes. It may be a secret.
    Text {
        text: Secret,
        is_plain: bool,
    },
    Map(Vec<Entry>),
    /// No setting that we read is a list.
    List,
    /// A value that is already among the mistakes.
    Refused,
}

/// A key of a map and its value.
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) line: usize,
    pub(crate) node: Node,
}

/// A document, and the mistakes in it that do not prevent reading it.
pub(crate) struct Document {
    pub(crate) root: Node,
    pub(crate) mistakes: Mistakes,
}

impl Node {
    /// Whether the node is empty, or an unquoted `~` or `null`.
    pub(crate) fn is_null(&self) -> bool {
        match &self.value {
            Value::Text { text, is_plain: true } => {
                matches!(text.expose(), "" | "~" | "null" | "Null" | "NULL")
            }
            _ => false,
        }
    }
}

/// Reads a document.
///
/// # Errors
/// Fails if the text is not valid YAML, or is too long or too deep. The error does not repeat the text.
pub(crate) fn parse(text: &str) -> Result<Document> {
    let wrong = |message: String| Err(Error::new(ErrorKind::InvalidConfig).with_message(message));
    if text.len() > MAX_LEN {
        return wrong(format!("the file is longer than {MAX_LEN} bytes"));
    }
    let mut tree = Tree::new(text);
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => tree.take(event, span),
            Err(error) => {
                let (line, column) = (error.marker().line(), error.marker().col() + 1);
                return wrong(format!("line {line}, column {column}: invalid YAML: {}", error.info()));
            }
        }
        if tree.open.len() > MAX_DEPTH {
            return wrong(format!("sections are nested more than {MAX_DEPTH} levels deep"));
        }
    }
    let nothing = Node { line: 1, value: Value::Text { text: Secret::new(""), is_plain: true } };
    Ok(Document { root: tree.root.unwrap_or(nothing), mistakes: tree.mistakes })
}

/// The tree while it grows, without recursion.
struct Tree<'a> {
    source: &'a str,
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    mistakes: Mistakes,
}

/// A map or list whose end has not come yet.
struct Open {
    line: usize,
    content: Content,
}

enum Content {
    Map {
        entries: Vec<Entry>,
        /// The keys so far. A map may have as many as fit into the text.
        keys: HashSet<String>,
        key: Pending,
    },
    List,
}

/// What the next node of a map is.
enum Pending {
    /// A key.
    Key,
    /// It is the value of this key, in this line.
    Value(String, usize),
    /// Nothing, since its key is among the mistakes.
    Nothing,
}

impl<'a> Tree<'a> {
    fn new(source: &'a str) -> Self {
        Self { source, open: Vec::new(), root: None, documents: 0, mistakes: Mistakes::default() }
    }

    fn take(&mut self, event: Event<'_>, span: Span) {
        let line = span.start.line();
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents == 2 {
                    self.refuse(line, "the file may contain only one document");
                }
            }
            Event::Scalar(text, style, _, tag) => {
                if tag.is_some_and(|tag| !tag.is_yaml_core_schema_tag("str")) {
                    self.refuse(line, "tags that begin with `!` are not supported; a text needs none");
                    return self.add(Node { line, value: Value::Refused });
                }
                let is_plain = style == ScalarStyle::Plain;
                // The parser reports `~` if nothing is written.
                let is_written = !is_plain || text != "~" || span.slice(self.source) == Some("~");
                let text = if is_written { text } else { Cow::Borrowed("") };
                self.add(Node { line, value: Value::Text { text: Secret::new(text), is_plain } });
            }
            Event::Alias(_) => {
                self.refuse(
                    line,
                    "`*` refers to another place in the file, which is not supported: write the value out",
                );
                self.add(Node { line, value: Value::Refused });
            }
            Event::MappingStart(..) => {
                let content = Content::Map { entries: Vec::new(), keys: HashSet::new(), key: Pending::Key };
                self.open.push(Open { line, content });
            }
            Event::SequenceStart(..) => self.open.push(Open { line, content: Content::List }),
            Event::MappingEnd | Event::SequenceEnd => {
                if let Some(Open { line, content }) = self.open.pop() {
                    let value = match content {
                        Content::Map { entries, .. } => Value::Map(entries),
                        Content::List => Value::List,
                    };
                    self.add(Node { line, value });
                }
            }
            _ => {}
        }
    }

    /// Puts a finished node in its place.
    fn add(&mut self, node: Node) {
        let Some(Open { content, .. }) = self.open.last_mut() else {
            self.root.get_or_insert(node);
            return;
        };
        let Content::Map { entries, keys, key } = content else { return };
        match std::mem::replace(key, Pending::Key) {
            Pending::Value(key, line) => return entries.push(Entry { key, line, node }),
            Pending::Nothing => return,
            Pending::Key => {}
        }
        let line = node.line;
        let Value::Text { text, .. } = node.value else {
            *key = Pending::Nothing;
            return self.refuse(line, "a key has to be text");
        };
        if !keys.insert(text.expose().to_owned()) {
            *key = Pending::Nothing;
            return self.refuse(line, &format!("`{}` is set twice", shown(text.expose())));
        }
        *key = Pending::Value(text.expose().to_owned(), line);
    }

    fn refuse(&mut self, line: usize, what: &str) {
        self.mistakes.add(format_args!("line {line}"), what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(node: &Node) -> String {
        match &node.value {
            Value::Text { text, .. } => text.expose().to_owned(),
            Value::List => "[]".to_owned(),
            Value::Refused => "!".to_owned(),
            Value::Map(entries) => {
                let entry = |entry: &Entry| format!("{}@{}={}", entry.key, entry.line, shown(&entry.node));
                format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(","))
            }
        }
    }

    #[test]
    fn texts_stay_as_they_are_written() {
        for (written, expected) in [
            ("0123456", "0123456"),
            ("1e9", "1e9"),
            ("0x10", "0x10"),
            ("true", "true"),
            ("yes", "yes"),
            ("~", "~"),
            ("null", "null"),
            ("-1.50", "-1.50"),
            ("2001-01-01", "2001-01-01"),
            ("'0123456'", "0123456"),
            ("'it''s'", "it's"),
            ("\"a\\tb\"", "a\tb"),
            ("'a: b'", "a: b"),
            ("'ab #c'", "ab #c"),
            ("'@abc'", "@abc"),
            ("ab #c", "ab"),
            ("a#b", "a#b"),
            ("!!str 7", "7"),
            ("|\n  one\n  two", "one\ntwo\n"),
            ("", ""),
            ("&anchor", ""),
            ("# comment", ""),
            ("''", ""),
            ("\"~\"", "~"),
        ] {
            let document = parse(&format!("k: {written}\n")).unwrap();
            assert_eq!(shown(&document.root), format!("{{k@1={expected}}}"), "{written}");
            assert_eq!(document.mistakes.len(), 0);
        }
    }

    #[test]
    fn nodes_know_their_lines() {
        let document = parse("a: 1\n# c\nb:\n  c: [1, {d: 2}]\n  e: {f: 3}\n").unwrap();
        assert_eq!(shown(&document.root), "{a@1=1,b@3={c@4=[],e@5={f@5=3}}}");
        assert_eq!(shown(&parse("").unwrap().root), "");
        assert_eq!(shown(&parse("---\na: 1\n...\n").unwrap().root), "{a@2=1}");
    }

    #[test]
    fn what_is_not_read_is_a_mistake_with_its_line() {
        for (text, expected, tree) in [
            ("a: &x 1\nb: *x\n", "line 2: `*` refers to another place", "{a@1=1,b@2=!}"),
            ("a: !!binary aGk=\n", "line 1: tags that begin with `!`", "{a@1=!}"),
            ("a: !secret x\n", "line 1: tags that begin with `!`", "{a@1=!}"),
            ("a: 1\na: 2\n", "line 2: `a` is set twice", "{a@1=1}"),
            ("{a: 1}\n---\nb: 2\n", "line 2: the file may contain only one document", "{a@1=1}"),
            ("? [a]\n: 1\nb: 2\n", "line 1: a key has to be text", "{b@3=2}"),
        ] {
            let document = parse(text).unwrap();
            assert_eq!(document.mistakes.len(), 1, "{text}");
            let told = document.mistakes.finish().unwrap_err().to_string();
            assert!(told.starts_with(&format!("invalid configuration: {expected}")), "{told}");
            assert_eq!(shown(&document.root), tree);
        }
    }

    #[test]
    fn no_yaml_is_an_error_with_its_place() {
        for (text, place) in [
            ("a: 1\nb: @hunter2\n", "line 2, column 4"),
            ("k: hunter2: b\n", "line 1, column 11"),
            ("k: 'hunter2\n", "line "),
            ("k: *hunter2\n", "line 1, column 4"),
            ("k: [hunter2\n", "line "),
        ] {
            let error = parse(text).map(|_| ()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig);
            let error = error.to_string();
            assert!(error.contains(place) && !error.contains("hunter2"), "{text}: {error}");
        }
    }

    #[test]
    fn length_and_depth_are_bounded() {
        let error = |text: &str| parse(text).map(|_| ()).unwrap_err().to_string();
        assert!(error(&" ".repeat(MAX_LEN + 1)).contains("longer than"));
        assert!(error(&("[".repeat(40) + &"]".repeat(40))).contains("deep"));
        assert!(error(&"[".repeat(100_000)).contains("invalid YAML"));
        let deep: String = (0..40).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
        assert!(error(&deep).contains("deep"));
    }

    /// The CPU time of this thread in nanoseconds, so that a busy machine does not matter. The wall time on
    /// other systems.
    fn computed() -> u128 {
        let spent = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        let spent = spent.split(' ').next().and_then(|spent| spent.parse().ok());
        spent.unwrap_or_else(|| {
            std::time::UNIX_EPOCH.elapsed().map(|elapsed| elapsed.as_nanos()).unwrap_or_default()
        })
    }

    /// A text that is sixteen times as long takes at most four times the work of sixteen texts. If each key
    /// were compared with all earlier ones, it would take sixteen times.
    #[test]
    fn work_grows_with_the_text() {
        for (name, item, end) in [
            ("distinct keys", "k{}: 1\n", ""),
            ("keys without values", "k{}:\n", ""),
            ("sections", "k{}:\n  a: 1\n", ""),
            ("a key again and again", "k: {}\n", ""),
            ("a map in one line", "k{}: 1, ", "}"),
        ] {
            let parse_of = |len: usize, times: usize| {
                let mut text = if end.is_empty() { String::new() } else { "{".to_owned() };
                for number in 0.. {
                    let item = item.replace("{}", &number.to_string());
                    if text.len() + item.len() + end.len() > len {
                        break;
                    }
                    text.push_str(&item);
                }
                text.push_str(end);
                let runs = (0..2).map(|_| {
                    let begin = computed();
                    (0..times).for_each(|_| assert!(parse(&text).is_ok(), "{name}"));
                    computed() - begin
                });
                runs.min().unwrap()
            };
            let (small, large) = (parse_of(MAX_LEN / 64, 16), parse_of(MAX_LEN / 4, 1));
            assert!(large < small * 4, "{name}: {small} ns, then {large} ns");
        }
    }
}
