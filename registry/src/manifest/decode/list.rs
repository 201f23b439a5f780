//! Lists and maps. Their elements take more memory than text, so what no manifest of 4 MiB can need is skipped.

use std::{
    collections::{BTreeMap, HashSet},
    hash::BuildHasher,
};

use serde::de::{MapAccess, SeqAccess};

use super::{At, RawEntry, Target, ignore_items};

/// Room for the elements of all lists of a document. A descriptor takes more than 71 bytes of JSON, so 4 MiB
/// hold fewer.
pub(super) const MAX_LIST_BYTES: usize = 60_000 * size_of::<RawEntry>();

/// The most entries of a map.
const MAX_ENTRIES: usize = 60_000;

/// The keys of an object, by their hashes: 8 bytes each, where a `String` takes 24 and its text.
#[derive(Default)]
pub(super) struct KeySet(HashSet<u64>);

impl KeySet {
    /// Inserts a key, and returns whether it is new.
    pub(super) fn insert(&mut self, key: &str) -> bool {
        let hash = self.0.hasher().hash_one(key);
        self.0.insert(hash)
    }
}

/// A list. Elements that are left from an earlier list of the same field are read on top of, even those behind
/// its end, as in a Go slice.
#[derive(Debug)]
pub(in crate::manifest) struct List<T> {
    all: Vec<T>,
    len: Option<usize>,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self { all: Vec::new(), len: None }
    }
}

impl<T> List<T> {
    /// Whether there is a list, even an empty one.
    pub(in crate::manifest) fn is_there(&self) -> bool {
        self.len.is_some()
    }

    pub(in crate::manifest) fn into_vec(mut self) -> Vec<T> {
        self.all.truncate(self.len.unwrap_or_default());
        self.all
    }
}

impl<T: Target + Default> Target for List<T> {
    fn null(&mut self) {
        *self = Self::default();
    }

    fn items<'de, A: SeqAccess<'de>>(&mut self, mut items: A, at: At<'_>) -> Result<bool, A::Error> {
        let mut len = 0;
        loop {
            if len == self.all.len() {
                if !at.seen.takes(size_of::<T>()) {
                    *self = Self { all: Vec::new(), len: Some(0) };
                    return ignore_items(items, at.seen).map(|()| true);
                }
                self.all.push(T::default());
            }
            let Some(target) = self.all.get_mut(len) else { break };
            if items.next_element_seed(at.into(target))?.is_none() {
                break;
            }
            len += 1;
        }
        if len == 0 {
            self.all = Vec::new();
        }
        self.len = Some(len);
        Ok(true)
    }
}

/// The value of an annotation. Null is the empty text; `None` is a value of another type.
#[derive(Default)]
struct Annotation(Option<String>);

impl Target for Annotation {
    fn null(&mut self) {
        self.0 = Some(String::new());
    }

    fn text(&mut self, text: &str) -> bool {
        self.0 = Some(text.to_owned());
        true
    }
}

/// A map whose keys are content, so case counts.
impl Target for BTreeMap<String, String> {
    fn null(&mut self) {
        self.clear();
    }

    fn entries<'de, A: MapAccess<'de>>(&mut self, mut entries: A, at: At<'_>) -> Result<bool, A::Error> {
        let mut keys = KeySet::default();
        let mut is_too_long = false;
        while let Some(key) = entries.next_key::<String>()? {
            let mut value = Annotation::default();
            entries.next_value_seed(at.into(&mut value))?;
            if !keys.insert(&key) {
                at.seen.twice(&key);
            }
            is_too_long |= self.len() >= MAX_ENTRIES;
            match value {
                Annotation(Some(text)) if !is_too_long => drop(self.insert(key, text)),
                _ => {}
            }
        }
        if is_too_long {
            self.clear();
            at.seen.long(at.name);
        }
        Ok(true)
    }
}
