//! Whether the names of blobs begin with a slash.
//!
//! Distribution up to 2.8 and the fork in OpenShift write `/docker/registry/v2/…`, 3.x writes
//! `docker/registry/v2/…`. An instance has one answer for what it writes. If the container has both forms, it
//! reads both.

use std::time::SystemTime;

use futures::{StreamExt, TryStreamExt};
use plugin_registry_core::{FileInfo, Result, StoragePath};
use plugin_registry_drivers_objects::list;

use crate::{config::LeadingSlash, store::Store};

/// Where distribution's tree begins, below the root of a location.
const TREE: &str = "/docker/registry/v2";
/// Where its tags are.
const REPOSITORIES: &str = "/docker/registry/v2/repositories";
/// The end of the paths of links of tags.
const TAG: &str = "/current/link";
/// How many files of each form are looked at to find the newer tags: 50 pages.
const FILES: usize = 250_000;

/// Which forms a container has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    Slash,
    Plain,
    Both,
}

/// Chooses where an instance writes, and what it reads as well, if there are names in the other form. Two
/// lists of one name, unless both forms exist and the setting does not say which.
pub(crate) async fn choose(
    plain: Store,
    slash: Store,
    has_root: bool,
    wanted: LeadingSlash,
) -> Result<(Store, Option<Store>)> {
    let tree: StoragePath = TREE.parse()?;
    let (below_slash, below_plain) = (slash.keys.below(&tree), plain.keys.below(&tree));
    let (has_slash, has_plain) =
        futures::try_join!(list::has_any(&slash, &below_slash), list::has_any(&plain, &below_plain))?;
    let found = match (has_slash, has_plain) {
        (false, false) => Found::Nothing,
        (true, false) => Found::Slash,
        (false, true) => Found::Plain,
        (true, true) => Found::Both,
    };
    let is_slash = match (wanted, found) {
        (LeadingSlash::Yes, _) | (LeadingSlash::Detect, Found::Slash) => true,
        (LeadingSlash::No, _) | (LeadingSlash::Detect, Found::Plain) => false,
        // Both families read names with a root directory only without the slash.
        (LeadingSlash::Detect, Found::Nothing) => !has_root,
        (LeadingSlash::Detect, Found::Both) => newest_tag(&slash).await? >= newest_tag(&plain).await?,
    };
    report(found, is_slash);
    Ok(match is_slash {
        true => (slash, has_plain.then_some(plain)),
        false => (plain, has_slash.then_some(slash)),
    })
}

/// Says what was found, if it is not only the form that is written.
fn report(found: Found, is_slash: bool) {
    let has_others = match found {
        Found::Nothing => false,
        Found::Slash => !is_slash,
        Found::Plain => is_slash,
        Found::Both => true,
    };
    if has_others {
        let form = |slash: bool| if slash { "/docker/registry/v2/" } else { "docker/registry/v2/" };
        tracing::warn!(
            writes = form(is_slash),
            reads_as_well = form(!is_slash),
            "the container has names in both forms: older software finds those of one form only"
        );
    }
}

/// When a tag was last written, by the store's clock, as far as [`FILES`] show.
async fn newest_tag(store: &Store) -> Result<Option<SystemTime>> {
    let repositories = REPOSITORIES.parse()?;
    let files = list::walk(store, &repositories, None).take(FILES);
    let newest = files.try_fold(None, |newest: Option<SystemTime>, file: FileInfo| async move {
        let is_tag = file.path.as_str().ends_with(TAG);
        Ok(newest.max(file.modified.filter(|_| is_tag)))
    });
    match newest.await {
        Err(error) if error.is_not_found() => Ok(None),
        newest => newest,
    }
}
