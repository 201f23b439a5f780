//! The content that distribution's garbage collection would delete.

use plugin_registry_conformance::registry::fixture::{Image, digest};
use plugin_registry_core::Algorithm;

use crate::{
    expected::Writer,
    programs::{OTHERS, Program, are_installed},
    row::{directory, written},
    subjects,
};

/// It does not look behind a name by sha512, so it would delete such layers: from our stores and, in just the
/// same way, from its own. Said in the documentation; `--dry-run` is all that is ever run here.
#[test]
fn layers_by_sha512_are_garbage_to_distribution() {
    if !are_installed("garbage of sha512") {
        return;
    }
    let layers = Image::by(Algorithm::Sha512, 1, |_| {}).blobs.iter().map(|blob| digest(blob)).collect();
    for other in OTHERS {
        for writer in [other, Program::Ours] {
            let (root, work) = (directory(), directory());
            written(writer, other, root.path(), work.path(), subjects::sha512);
            let mut eligible = other.garbage(root.path(), work.path()).eligible;
            eligible.sort();
            let mut wanted: Vec<String> = Vec::clone(&layers);
            wanted.sort();
            assert_eq!(eligible, wanted, "{other} on a tree of {writer}");
        }
    }
}

/// Unnamed content is garbage in our tree exactly as in theirs: no blob less, no blob more.
#[test]
fn both_have_the_same_garbage() {
    if !are_installed("the same garbage") {
        return;
    }
    let write = |writer: &mut Writer<'_>| {
        subjects::deleted_manifests(writer);
        subjects::overwritten_tags(writer);
        let lone = plugin_registry_conformance::registry::fixture::content(99, 100);
        writer.blob("app", &lone, crate::client::Flow::Whole);
    };
    for other in OTHERS {
        let [theirs, ours] = [other, Program::Ours].map(|writer| {
            let (root, work) = (directory(), directory());
            written(writer, other, root.path(), work.path(), write);
            let mut garbage = other.garbage(root.path(), work.path());
            garbage.eligible.sort();
            (garbage.marked, garbage.eligible)
        });
        assert!(!ours.1.is_empty(), "there is garbage");
        assert_eq!(ours, theirs, "{other}");
    }
}
