//! The actions of a storm's tasks on each key, and the values that they saw. Judged when all have ended.

use std::{collections::BTreeMap, fmt::Debug, hash::Hash, sync::Mutex};

use plugin_registry_core::{Digest, RepositoryName};
use plugin_registry_testkit::concurrency::{
    history::{Action, Clock, Event, Span, linearize},
    listing::{self, Listing},
};

/// Calls by key.
pub(crate) type Register<V> = Mutex<BTreeMap<String, Vec<Event<V>>>>;

/// The subject of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Tags,
    Catalog,
    /// Of the one subject of a storm.
    Referrers,
}

/// The history of one storm in one repository, and of the catalog.
#[derive(Debug, Default)]
pub(crate) struct Log {
    clock: Clock,
    /// By tag: the digest that it names, if there is one.
    pub(crate) tags: Register<Option<Digest>>,
    /// By digest: whether it is a manifest of the repository.
    pub(crate) revisions: Register<bool>,
    /// By digest: whether it is a blob of the repository.
    pub(crate) layers: Register<bool>,
    /// By name: whether it is a repository of the registry.
    pub(crate) repositories: Register<bool>,
    /// By digest: whether it is a manifest that refers to the subject.
    pub(crate) referrers: Register<bool>,
    listings: Mutex<Vec<(What, Listing)>>,
    /// Pulls by a tag that were 404.
    unknown: Mutex<Vec<(String, Span)>>,
}

/// How much was judged.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Judged {
    pub(crate) calls: usize,
    pub(crate) keys: usize,
    pub(crate) listings: usize,
    pub(crate) unknown: usize,
}

impl Log {
    /// Makes a call and notes from when to when.
    pub(crate) async fn call<T>(&self, call: impl Future<Output = T>) -> (Span, T) {
        let begin = self.clock.now();
        let result = call.await;
        (Span { begin, end: Some(self.clock.now()) }, result)
    }

    pub(crate) fn note<V>(&self, register: &Register<V>, key: impl ToString, span: Span, action: Action<V>) {
        register.lock().unwrap().entry(key.to_string()).or_default().push(Event { span, action });
    }

    /// Makes a listing and notes it.
    pub(crate) async fn list(&self, what: What, listing: impl Future<Output = Listing>) -> Listing {
        let (span, mut listing) = self.call(listing).await;
        listing.span = span;
        self.listings.lock().unwrap().push((what, listing.clone()));
        listing
    }

    /// Notes that a pull by a tag was 404: there was no such tag, or its manifest was deleted between the looks
    /// at the one and at the other.
    pub(crate) fn note_unknown(&self, tag: impl ToString, span: Span) {
        self.unknown.lock().unwrap().push((tag.to_string(), span));
    }

    /// Checks that one value by key explains every call, and that every listing is one that can have been.
    pub(crate) fn judge(&self) -> Judged {
        let mut judged = Judged::default();
        explain("tag", &self.tags, None, &mut judged);
        explain("manifest", &self.revisions, false, &mut judged);
        explain("blob", &self.layers, false, &mut judged);
        let (tags, repositories, referrers) =
            (self.tags.lock().unwrap(), self.repositories.lock().unwrap(), self.referrers.lock().unwrap());
        for (what, listing) in &*self.listings.lock().unwrap() {
            let checked = match what {
                What::Tags => listing::check(listing, &tags, Option::is_some, Ord::cmp),
                What::Referrers => listing::check(listing, &referrers, |is_there| *is_there, Ord::cmp),
                What::Catalog => listing::check(
                    listing,
                    &repositories,
                    |is_there| *is_there,
                    |a, b| {
                        let name = |name: &str| name.parse::<RepositoryName>().unwrap();
                        name(a).catalog_cmp(&name(b))
                    },
                ),
            };
            assert_eq!(checked, Ok(()), "{what:?}");
            judged.listings += 1;
        }
        for (tag, span) in &*self.unknown.lock().unwrap() {
            // Deletes of manifests count among the calls on every tag, so no such call was near.
            let was_there = listing::was_there(&tags[tag], &Option::is_some, span);
            assert!(!was_there, "{tag} was there all the time from {span:?}, and 404");
            judged.unknown += 1;
        }
        judged
    }
}

fn explain<V: Clone + Debug + Eq + Ord + Hash>(
    what: &str,
    register: &Register<V>,
    initial: V,
    judged: &mut Judged,
) {
    for (key, events) in &*register.lock().unwrap() {
        if let Err(violation) = linearize(initial.clone(), events) {
            let end = violation.event.span.end;
            let mut before: Vec<_> = events.iter().filter(|event| Some(event.span.begin) <= end).collect();
            before.sort_by_key(|event| std::cmp::Reverse(event.span.end.unwrap_or(u64::MAX)));
            let near: Vec<String> = before.iter().take(20).map(|event| format!("{event:?}")).collect();
            panic!("{what} {key}: {violation}; what ended last:\n{}", near.join("\n"));
        }
        judged.keys += 1;
        judged.calls += events.len();
    }
}
