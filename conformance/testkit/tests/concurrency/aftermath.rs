//! Leftovers of a storm in the store.

use std::{collections::BTreeMap, fmt};

use bytes::Bytes;
use plugin_registry::layout;
use plugin_registry_conformance::layout::Tree;
use plugin_registry_core::{Digest, StorageDriverExt, Tag};
use plugin_registry_drivers_memory::MemoryDriver;
use plugin_registry_testkit::{
    concurrency::history::{Action, Event},
    model::invariants::assert_sound,
};

use crate::storm::Storm;

/// Leftovers of calls that met. They are not damage, because the layout of distribution has no step that
/// changes two keys at once ("Order of writes" in the reference of the layout):
#[derive(Debug, Default)]
pub(crate) struct Excepted {
    /// - a manifest was deleted while it was put under the tag. The delete looked at the tags before the put
    ///   wrote its tag, so the tag leads to a missing manifest, and pulls by it are 404;
    dangling: usize,
    /// - a tag was deleted while it was put: the put had written the index entry when the delete took the
    ///   tag's directory away, and its current link came after. The tag is there, its history is not.
    no_history: usize,
}

impl fmt::Display for Excepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} dangling tags, {} tags without history", self.dangling, self.no_history)
    }
}

/// Checks the invariants on the raw store, with what [`Excepted`] describes put right in a copy where, and only
/// where, calls of the storm explain it.
pub(crate) async fn check(storm: &Storm) -> Excepted {
    let tree = Tree::read(&*storm.world.raw).await;
    let (log, name) = (&storm.log, &storm.name);
    let mut excepted = Excepted::default();
    let mut files: BTreeMap<&str, Bytes> =
        tree.paths().map(|path| (path, tree.get(path).unwrap().clone())).collect();
    let mut history = Vec::new();
    for (tag, events) in &*log.tags.lock().unwrap() {
        let tag: Tag = tag.parse().unwrap();
        let current = layout::tag_current(name, &tag);
        let Some(link) = tree.get(current.as_str()) else { continue };
        let digest: Digest = std::str::from_utf8(link).unwrap().parse().unwrap();
        let puts = |event: &&Event<_>| event.action == Action::Write(Some(digest));
        let deletes = |event: &&Event<_>| {
            matches!(event.action, Action::Write(None) | Action::Sweep(None) | Action::Clear { .. })
        };
        let meets = |delete: &Event<_>| events.iter().filter(puts).any(|put| put.span.meets(&delete.span));
        if tree.get(layout::revision_link(name, &digest).as_str()).is_none() {
            let gone = log.revisions.lock().unwrap();
            let gone = gone[&digest.to_string()].iter().filter(|event| event.action == Action::Write(false));
            let met =
                |delete: &Event<bool>| events.iter().filter(puts).any(|put| put.span.meets(&delete.span));
            assert!(gone.into_iter().any(met), "{tag} leads to {digest}, which is not there");
            files.remove(current.as_str());
            excepted.dangling += 1;
        }
        let index = layout::tag_index(name, &tag, &digest);
        if tree.get(index.as_str()).is_none() {
            assert!(events.iter().filter(deletes).any(meets), "{tag} has no history");
            history.push((index, link.clone()));
            excepted.no_history += 1;
        }
    }
    let copy = MemoryDriver::new();
    for (path, content) in files {
        copy.put(&path.parse().unwrap(), content).await.unwrap();
    }
    for (path, content) in history {
        copy.put(&path, content).await.unwrap();
    }
    assert_sound(&copy).await;
    excepted
}
