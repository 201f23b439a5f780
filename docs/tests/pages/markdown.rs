//! As much of Markdown as the pages use.

use std::{fs, path::Path};

/// A page, with its path from the repository's root.
pub(crate) struct Page {
    pub(crate) name: String,
    text: String,
}

/// A fenced block.
pub(crate) struct Block {
    /// The line of the fence, from 1.
    pub(crate) line: usize,
    pub(crate) language: String,
    pub(crate) lines: Vec<String>,
}

impl Page {
    pub(crate) fn read(root: &Path, name: &str) -> Self {
        let text = fs::read_to_string(root.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { name: name.to_owned(), text }
    }

    pub(crate) fn blocks(&self) -> Vec<Block> {
        let (mut blocks, mut open) = (Vec::new(), None::<Block>);
        for (at, line) in self.text.lines().enumerate() {
            match (line.trim_start().strip_prefix("```"), &mut open) {
                (Some(language), None) => {
                    let language = language.trim().to_owned();
                    open = Some(Block { line: at + 1, language, lines: Vec::new() });
                }
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (None, Some(block)) => block.lines.push(line.trim_start().to_owned()),
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a block has no end", self.name);
        blocks
    }

    /// The lines outside of blocks, with their numbers.
    pub(crate) fn prose(&self) -> Vec<(usize, &str)> {
        let mut inside = false;
        let lines = self.text.lines().enumerate().filter_map(|(at, line)| {
            let fence = line.trim_start().starts_with("```");
            inside ^= fence;
            (!inside && !fence).then_some((at + 1, line))
        });
        lines.collect()
    }

    /// The texts between backquotes in the prose.
    pub(crate) fn code_spans(&self) -> impl Iterator<Item = (usize, String)> {
        let spans = |(at, line): (usize, &str)| -> Vec<(usize, String)> {
            line.split('`').skip(1).step_by(2).map(|span| (at, span.to_owned())).collect()
        };
        self.prose().into_iter().flat_map(spans)
    }

    /// The targets of links and pictures. A link may be broken after its text, never in its target.
    pub(crate) fn links(&self) -> impl Iterator<Item = (usize, String)> {
        let targets = |(at, line): (usize, &str)| -> Vec<(usize, String)> {
            let spoken: String = line.split('`').step_by(2).collect();
            let targets = spoken.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
            targets.map(|(target, _)| (at, target.to_owned())).collect()
        };
        self.prose().into_iter().flat_map(targets)
    }

    /// The identifiers of the headings, as GitHub and mdBook make them.
    pub(crate) fn anchors(&self) -> Vec<String> {
        let mut anchors: Vec<String> = Vec::new();
        for (_, line) in self.prose() {
            let title = line.trim_start_matches('#');
            if title.len() == line.len() || !title.starts_with(' ') {
                continue;
            }
            let kept = title.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            let id: String =
                kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect();
            let same = anchors.iter().filter(|anchor| **anchor == id).count();
            anchors.push(if same == 0 { id } else { format!("{id}-{same}") });
        }
        anchors
    }
}
