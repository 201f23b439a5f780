//! Brings a listing into another order with little memory.

use std::collections::BTreeMap;

/// Holds items back until nothing smaller can come.
///
/// A store lists `a-b` before `a/`, because `-` comes before `/`. By their names, `a` comes before `a-b`. So
/// `a-b` waits until the listing is past `a/`.
#[derive(Debug)]
pub struct ReorderBuffer<T> {
    held: BTreeMap<Vec<u8>, (String, T)>,
    last: Option<Vec<u8>>,
    position: String,
    ended: bool,
}

/// An item came after one that should follow it.
#[derive(Debug, PartialEq, Eq)]
pub struct OutOfOrder;

impl<T> Default for ReorderBuffer<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> ReorderBuffer<T> {
    /// Creates an empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self { held: BTreeMap::new(), last: None, position: String::new(), ended: false }
    }

    /// Adds an item. `order` is its place in the wanted order, and `until` how far the listing must be before
    /// nothing smaller can come. An item that came before is dropped.
    ///
    /// # Errors
    /// If a greater item was returned already.
    pub fn push(&mut self, order: Vec<u8>, until: String, item: T) -> Result<(), OutOfOrder> {
        match &self.last {
            Some(last) if order < *last => return Err(OutOfOrder),
            Some(last) if order == *last => {}
            _ => drop(self.held.entry(order).or_insert((until, item))),
        }
        Ok(())
    }

    /// Records how far the listing is.
    pub fn reached(&mut self, position: &str) {
        if position > self.position.as_str() {
            position.clone_into(&mut self.position);
        }
    }

    /// Records that no more items come.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// The next item that is certain.
    pub fn pop(&mut self) -> Option<T> {
        let first = self.held.first_entry()?;
        if !self.ended && first.get().0 > self.position {
            return None;
        }
        let (order, (_, item)) = first.remove_entry();
        self.last = Some(order);
        Some(item)
    }

    /// How many items wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether no item waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// The place of the first item that waits, and what it waits for.
    #[must_use]
    pub fn first(&self) -> Option<(&[u8], &str)> {
        self.held.first_key_value().map(|(order, (until, _))| (order.as_slice(), until.as_str()))
    }

    /// Sets again what each item waits for.
    pub fn wait_until(&mut self, until: impl Fn(&[u8]) -> String) {
        for (order, (waits, _)) in &mut self.held {
            *waits = until(order);
        }
    }
}

/// The prefixes of a name that `/` could follow: `a` and `a-b` for `a-b.c`. In a listing of keys, what comes
/// after them precedes the name in one of names.
pub fn directory_prefixes(name: &str) -> impl DoubleEndedIterator<Item = &str> {
    name.char_indices()
        .filter(|(at, char)| *at > 0 && matches!(char, '-' | '.'))
        .filter_map(|(at, _)| name.get(..at))
}

/// The place of a path in the order of components.
#[must_use]
pub fn component_sort_key(path: &str) -> Vec<u8> {
    path.bytes().map(|byte| if byte == b'/' { 0 } else { byte }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_others_begin_with() {
        assert_eq!(directory_prefixes("a-b.c").collect::<Vec<_>>(), ["a", "a-b"]);
        assert_eq!(directory_prefixes("abc").count(), 0);
        assert_eq!(directory_prefixes(".a-").collect::<Vec<_>>(), [".a"]);
    }

    #[test]
    fn items_come_in_order_as_soon_as_they_can() {
        let mut reorder = ReorderBuffer::new();
        let mut out = Vec::new();
        // As S3 lists the directories a-b, a.b, a, b.
        for raw in ["a-b/", "a.b/", "a/", "b/"] {
            let name = raw.trim_end_matches('/');
            let until = directory_prefixes(name).map(|begin| format!("{begin}/")).max().unwrap_or_default();
            reorder.reached(raw);
            reorder.push(name.as_bytes().to_vec(), until, name).unwrap();
            out.extend(std::iter::from_fn(|| reorder.pop()));
            assert_eq!(out.is_empty(), raw < "a/");
        }
        assert_eq!(out, ["a", "a-b", "a.b", "b"]);
        assert_eq!(reorder.push(b"a".to_vec(), String::new(), "a"), Err(OutOfOrder));
        assert_eq!(reorder.push(b"b".to_vec(), String::new(), "b"), Ok(()), "once is enough");
        reorder.end();
        assert_eq!(reorder.pop(), None);
    }
}
