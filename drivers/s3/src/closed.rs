//! Stages that this instance closed itself. They can be committed without a look at them: the store compares.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use plugin_registry_core::StoragePath;

/// The most stages that are remembered, of about half a KB each. Losing one costs a look at the store.
const MOST: usize = 1024;

/// A stage whose object is its bytes, as it was when it was closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sealed {
    pub(crate) id: String,
    pub(crate) size: u64,
    pub(crate) etag: String,
}

/// The stages that were closed last.
#[derive(Default)]
pub(crate) struct Closed {
    stages: Mutex<Stages>,
}

#[derive(Default)]
struct Stages {
    by_path: BTreeMap<String, (u64, Sealed)>,
    by_turn: BTreeMap<u64, String>,
    turn: u64,
}

impl Closed {
    pub(crate) fn remember(&self, path: &StoragePath, sealed: Sealed) {
        let mut stages = self.lock();
        stages.turn += 1;
        let turn = stages.turn;
        if let Some((before, _)) = stages.by_path.insert(path.as_str().to_owned(), (turn, sealed)) {
            stages.by_turn.remove(&before);
        }
        stages.by_turn.insert(turn, path.as_str().to_owned());
        if stages.by_turn.len() > MOST
            && let Some((_, oldest)) = stages.by_turn.pop_first()
        {
            stages.by_path.remove(&oldest);
        }
    }

    pub(crate) fn get(&self, path: &StoragePath) -> Option<Sealed> {
        self.lock().by_path.get(path.as_str()).map(|(_, sealed)| sealed.clone())
    }

    pub(crate) fn forget(&self, path: &StoragePath) {
        self.lock().remove(path.as_str());
    }

    /// Forgets those of a path and of everything below it.
    pub(crate) fn forget_below(&self, path: &StoragePath) {
        let mut stages = self.lock();
        let inside = format!("{}/", path.as_str().trim_end_matches('/'));
        let below = stages.by_path.range(inside.clone()..).map(|(path, _)| path);
        let mut found: Vec<String> = below.take_while(|path| path.starts_with(&inside)).cloned().collect();
        found.push(path.as_str().to_owned());
        found.iter().for_each(|path| stages.remove(path));
    }

    fn lock(&self) -> MutexGuard<'_, Stages> {
        self.stages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stages {
    fn remove(&mut self, path: &str) {
        if let Some((turn, _)) = self.by_path.remove(path) {
            self.by_turn.remove(&turn);
        }
    }
}

impl fmt::Debug for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closed").field("stages", &self.lock().by_path.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> StoragePath {
        text.parse().unwrap()
    }

    fn sealed(size: u64) -> Sealed {
        Sealed { id: size.to_string(), size, etag: String::new() }
    }

    #[test]
    fn the_oldest_are_forgotten_first() {
        let closed = Closed::default();
        let name = |number: usize| path(&format!("/{number}"));
        for number in 0..MOST {
            closed.remember(&name(number), sealed(1));
        }
        closed.remember(&name(0), sealed(2));
        closed.remember(&path("/new"), sealed(3));
        assert_eq!(closed.get(&name(0)), Some(sealed(2)), "closed again, so not the oldest");
        assert_eq!(closed.get(&name(1)), None);
        assert_eq!(closed.get(&name(2)), Some(sealed(1)));
        assert_eq!(closed.get(&path("/new")), Some(sealed(3)));
        let stages = closed.lock();
        assert_eq!((stages.by_path.len(), stages.by_turn.len()), (MOST, MOST));
    }

    #[test]
    fn a_directory_is_forgotten_as_a_whole() {
        let closed = Closed::default();
        let all = ["/a", "/a/b", "/a/b/c", "/a-b", "/a0", "/b"];
        all.iter().for_each(|text| closed.remember(&path(text), sealed(1)));
        closed.forget_below(&path("/a"));
        let left: Vec<&str> = all.into_iter().filter(|text| closed.get(&path(text)).is_some()).collect();
        assert_eq!(left, ["/a-b", "/a0", "/b"]);
        closed.forget(&path("/b"));
        assert_eq!(closed.get(&path("/b")), None);
        closed.forget_below(&StoragePath::root());
        assert!(closed.lock().by_path.is_empty() && closed.lock().by_turn.is_empty());
    }
}
