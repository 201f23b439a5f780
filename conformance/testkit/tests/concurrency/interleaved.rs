//! Two or three calls whose driver calls meet in every order with a bounded number of switches between them.
//! Nothing is random, and each order can happen on an object store between two processes.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use plugin_registry::Registry;
use plugin_registry_conformance::{
    layout::Tree,
    registry::{Client, Wrapped, fixture::Image},
};
use plugin_registry_core::{Digest, Reference, RepositoryName, StorageDriverExt};
use plugin_registry_drivers_memory::MemoryDriver;
use plugin_registry_testkit::{
    concurrency::schedule::{Run, Task, explore},
    model::invariants::assert_sound,
};

use crate::peer::{Peer, Via};

/// One store with two registries, built again for each order. Both wait around each driver call.
#[derive(Clone)]
pub(crate) struct Bench {
    pub(crate) raw: MemoryDriver,
    pub(crate) peers: [Peer; 2],
    pub(crate) name: RepositoryName,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let raw = MemoryDriver::new();
        let peer = || {
            let driver = Arc::new(Wrapped::new(Arc::new(raw.clone())));
            let registry = Registry::builder(driver).delete(true).automatic_crossmount(true).build();
            Peer { http: Client::new(&registry), registry }
        };
        let peers = [peer(), peer()];
        Self { raw, peers, name: "ns/app".parse().unwrap() }
    }

    /// With these files in the store.
    fn of(files: &Tree) -> Self {
        let bench = Self::new();
        for path in files.paths() {
            now(bench.raw.put(&path.parse().unwrap(), files.get(path).unwrap().clone())).unwrap();
        }
        bench
    }

    /// The manifest that a tag names, and whether all of its content exists.
    fn pulled(&self, tag: &str) -> Option<Digest> {
        now(pull(&self.peers[0], &self.name, tag))
    }
}

/// The files of a store with the blobs of these images, and the manifests of those with a tag.
fn holding(images: &[(&Image, Option<&str>)]) -> Tree {
    let Bench { raw, peers: [peer, _], name } = Bench::new();
    now(async {
        for (image, tag) in images {
            for blob in &image.blobs {
                peer.http.push(name.as_str(), blob).await;
            }
            if let Some(tag) = tag {
                assert_eq!(peer.put(Via::Typed, &name, &tag.parse().unwrap(), &image.manifest).await, Ok(()));
            }
        }
        Tree::read(&raw).await
    })
}

/// Runs a future that does not wait for another one to its end.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

/// Pulls what a tag names; it has to be there as a whole.
async fn pull(peer: &Peer, name: &RepositoryName, tag: &str) -> Option<Digest> {
    let (digest, manifest) = peer.manifest(Via::Http, name, &tag.parse().unwrap()).await?;
    let json: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    for entry in [&json["config"]].into_iter().chain(json["layers"].as_array().unwrap()) {
        let blob = entry["digest"].as_str().unwrap().parse().unwrap();
        assert!(peer.blob(Via::Typed, name, &blob).await.is_some(), "{tag} names {digest} without {blob}");
    }
    Some(digest)
}

/// How often which end came.
pub(crate) type Ends = Rc<RefCell<BTreeMap<&'static str, usize>>>;

pub(crate) fn note(ends: &Ends, end: &'static str) {
    *ends.borrow_mut().entry(end).or_default() += 1;
}

pub(crate) fn report(what: &str, orders: usize, ends: &Ends) {
    println!("{what}: {orders} orders, {:?}", ends.borrow());
}

fn put(bench: &Bench, peer: usize, image: &Image, tag: &'static str) -> Task {
    let (bench, manifest) = (bench.clone(), image.manifest.clone());
    Box::pin(async move {
        let done = bench.peers[peer].put(Via::Typed, &bench.name, &tag.parse().unwrap(), &manifest).await;
        assert_eq!(done, Ok(()));
    })
}

fn delete(bench: &Bench, peer: usize, reference: Reference) -> Task {
    let bench = bench.clone();
    Box::pin(async move {
        bench.peers[peer].delete(Via::Typed, &bench.name, &reference).await;
    })
}

/// A reader that finds a tag finds all that it names (I2): while a tag is made, and while it is moved.
#[test]
fn a_tag_names_what_is_there() {
    let (old, new) = (Image::new(1), Image::new(2));
    for moved in [false, true] {
        let ends = Ends::default();
        let files = holding(&[(&old, moved.then_some("v1")), (&new, None)]);
        let orders = explore(2, || {
            let bench = Bench::of(&files);
            let reader: Task = {
                let (bench, ends) = (bench.clone(), ends.clone());
                let (old, new) = (Digest::sha256(&old.manifest), Digest::sha256(&new.manifest));
                Box::pin(async move {
                    match pull(&bench.peers[1], &bench.name, "v1").await {
                        Some(digest) if digest == new => note(&ends, "new"),
                        Some(digest) => {
                            assert!(moved && digest == old);
                            note(&ends, "old");
                        }
                        None => {
                            assert!(!moved, "the tag was gone for a moment");
                            note(&ends, "none");
                        }
                    }
                })
            };
            let (tasks, wanted) = (vec![put(&bench, 0, &new, "v1"), reader], Digest::sha256(&new.manifest));
            let check = move || {
                assert_eq!(bench.pulled("v1"), Some(wanted));
                now(assert_sound(&bench.raw));
            };
            Run { tasks, check: Box::new(check) }
        });
        report(if moved { "a tag is moved, and pulled" } else { "a tag is made, and pulled" }, orders, &ends);
        assert_eq!(ends.borrow().len(), 2, "both ends come");
    }
}

/// The last of two puts wins as a whole.
#[test]
fn two_puts_of_one_tag() {
    let images = [Image::new(1), Image::new(2)];
    let ends = Ends::default();
    let files = holding(&[(&images[0], None), (&images[1], None)]);
    let orders = explore(2, || {
        let bench = Bench::of(&files);
        let tasks = vec![put(&bench, 0, &images[0], "v1"), put(&bench, 1, &images[1], "v1")];
        let (digests, ends) = ([0, 1].map(|n: usize| Digest::sha256(&images[n].manifest)), ends.clone());
        let check = move || {
            let end = bench.pulled("v1").unwrap();
            note(&ends, if end == digests[0] { "first" } else { "second" });
            assert!(digests.contains(&end));
            now(assert_sound(&bench.raw));
        };
        Run { tasks, check: Box::new(check) }
    });
    report("two puts of one tag", orders, &ends);
    assert_eq!(ends.borrow().len(), 2, "both ends come");
}

/// A tag is put while it is deleted: it is there afterwards or it is not, and only its history may be missing.
#[test]
fn a_put_and_a_delete_of_one_tag() {
    let (old, new) = (Image::new(1), Image::new(2));
    let ends = Ends::default();
    let files = holding(&[(&old, Some("v1")), (&new, None)]);
    let orders = explore(2, || {
        let bench = Bench::of(&files);
        let tasks = vec![put(&bench, 0, &new, "v1"), delete(&bench, 1, "v1".parse().unwrap())];
        let (wanted, ends) = (Digest::sha256(&new.manifest), ends.clone());
        let check = move || match bench.pulled("v1") {
            None => {
                assert!(!now(Tree::read(&bench.raw)).paths().any(|path| path.ends_with("/current/link")));
                now(assert_sound(&bench.raw));
                note(&ends, "deleted");
            }
            Some(digest) => {
                assert_eq!(digest, wanted, "the old one came back");
                let has_history =
                    now(Tree::read(&bench.raw)).paths().any(|path| path.contains("/tags/v1/index/"));
                note(&ends, if has_history { "put" } else { "put, without history" });
                if has_history {
                    now(assert_sound(&bench.raw));
                }
            }
        };
        Run { tasks, check: Box::new(check) }
    });
    report("a put and a delete of one tag", orders, &ends);
    assert_eq!(ends.borrow().len(), 3);
}

/// A manifest is deleted while it is put under a tag, and while its tag is moved away from it. Which tags name it
/// and their end are two steps in every store, so either may win (see the page "How nothing gets lost on the
/// way").
#[test]
fn a_put_and_a_delete_of_a_manifest() {
    meet_a_delete(true);
    meet_a_delete(false);
}

fn meet_a_delete(put_again: bool) {
    let (old, new) = (Image::new(1), Image::new(2));
    let what = if put_again { "the same manifest" } else { "another manifest under its tag" };
    {
        let ends = Ends::default();
        let files = holding(&[(&old, Some("v1")), (&new, None)]);
        let orders = explore(2, || {
            let bench = Bench::of(&files);
            let image = if put_again { &old } else { &new };
            let digest = Digest::sha256(&old.manifest);
            let tasks = vec![put(&bench, 0, image, "v1"), delete(&bench, 1, Reference::Digest(digest))];
            let (wanted, ends) = (Digest::sha256(&image.manifest), ends.clone());
            let check = move || {
                let tags = bench.peers[0].registry.repository(bench.name.clone()).tags();
                let named = now(tags.resolve(&"v1".parse().unwrap())).unwrap();
                let end = match (named, bench.pulled("v1")) {
                    (None, None) if put_again => "deleted",
                    // The delete saw the old name, then took the tag away that had just been moved.
                    (None, None) => "the moved tag is deleted",
                    (Some(named), Some(found)) if named == found && found == wanted => "put",
                    // Excepted: see `aftermath`.
                    (Some(named), None) if put_again && named == wanted => "a tag that leads nowhere",
                    (named, found) => panic!("the tag names {named:?}, and {found:?} is there"),
                };
                note(&ends, end);
            };
            Run { tasks, check: Box::new(check) }
        });
        report(&format!("a delete of a manifest and a put of {what}"), orders, &ends);
        assert!(ends.borrow().contains_key("put"));
    }
}

/// A blob is deleted while a manifest that names it is put: the manifest is refused, or it was there.
#[test]
fn a_manifest_and_a_delete_of_its_blob() {
    let image = Image::new(1);
    let ends = Ends::default();
    let files = holding(&[(&image, None)]);
    let orders = explore(2, || {
        let bench = Bench::of(&files);
        let accepted = Rc::new(RefCell::new(false));
        let put: Task = {
            let (bench, manifest, accepted) = (bench.clone(), image.manifest.clone(), accepted.clone());
            Box::pin(async move {
                let tag = "v1".parse().unwrap();
                let done = bench.peers[0].put(Via::Http, &bench.name, &tag, &manifest).await;
                *accepted.borrow_mut() = done.is_ok();
            })
        };
        let delete: Task = {
            let (bench, digest) = (bench.clone(), Digest::sha256(&image.blobs[2]));
            Box::pin(async move {
                assert!(bench.peers[1].delete_blob(Via::Http, &bench.name, &digest).await);
            })
        };
        let ends = ends.clone();
        let check = move || {
            let tag: Reference = "v1".parse().unwrap();
            let found = now(bench.peers[0].manifest(Via::Typed, &bench.name, &tag));
            assert_eq!(found.is_some(), *accepted.borrow(), "what was refused is there, or the reverse");
            note(&ends, if found.is_some() { "accepted" } else { "refused" });
            now(assert_sound(&bench.raw));
        };
        Run { tasks: vec![put, delete], check: Box::new(check) }
    });
    report("a manifest and a delete of its blob", orders, &ends);
    assert_eq!(ends.borrow().len(), 2, "both ends come");
}

/// Two pushes of one blob and a delete of it: if the blob exists in the end, it is whole.
#[test]
fn pushes_and_a_delete_of_one_blob() {
    let blob = Bytes::from_static(b"the blob");
    let ends = Ends::default();
    let orders = explore(1, || {
        let bench = Bench::new();
        let digest = Digest::sha256(&blob);
        let push = |peer: usize| -> Task {
            let (bench, blob) = (bench.clone(), blob.clone());
            Box::pin(async move {
                bench.peers[peer].http.push("ns/app", &blob).await;
            })
        };
        let delete: Task = {
            let bench = bench.clone();
            Box::pin(async move {
                bench.peers[1].delete_blob(Via::Typed, &bench.name, &digest).await;
            })
        };
        let (tasks, ends) = (vec![push(0), push(1), delete], ends.clone());
        let check = move || {
            let found = now(bench.peers[0].blob(Via::Http, &bench.name, &digest)).is_some();
            note(&ends, if found { "there" } else { "deleted" });
            now(assert_sound(&bench.raw));
        };
        Run { tasks, check: Box::new(check) }
    });
    report("two pushes and a delete of one blob", orders, &ends);
    assert_eq!(ends.borrow().len(), 2, "both ends come");
}
