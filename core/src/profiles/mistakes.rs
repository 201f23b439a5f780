//! The mistakes in a file, as far as it is read.

use std::fmt;

/// Further mistakes are only counted: a file of another kind has one in each line.
const MAX_MISTAKES: usize = 10;

/// A mistake in a file. It never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    place: Option<String>,
    what: String,
}

impl Mistake {
    pub(super) fn at(line: usize, what: impl Into<String>) -> Self {
        Self::in_place(format!("line {line}"), what)
    }

    pub(super) fn in_place(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { place: Some(place.into()), what: what.into() }
    }

    pub(super) fn of_file(what: impl Into<String>) -> Self {
        Self { place: None, what: what.into() }
    }

    /// Returns the place in the file, such as `line 3`, or `None` for the file as a whole.
    #[must_use]
    pub fn place(&self) -> Option<&str> {
        self.place.as_deref()
    }

    /// Returns what is wrong there.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// The first mistakes, and how many there are.
#[derive(Default)]
pub(super) struct Mistakes {
    first: Vec<Mistake>,
    len: usize,
}

impl Mistakes {
    pub(super) fn push(&mut self, mistake: Mistake) {
        self.len += 1;
        if self.first.len() < MAX_MISTAKES {
            self.first.push(mistake);
        }
    }

    pub(super) fn extend(&mut self, mistakes: impl IntoIterator<Item = Mistake>) {
        mistakes.into_iter().for_each(|mistake| self.push(mistake));
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn finish(mut self) -> Vec<Mistake> {
        let more = self.len - self.first.len();
        if more > 0 {
            self.first.push(Mistake::of_file(format!("has {more} more mistakes")));
        }
        self.first
    }
}
