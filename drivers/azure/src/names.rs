//! Whether the names of blobs begin with a slash.
//!
//! Distribution up to 2.8 and the fork in OpenShift write `/docker/registry/v2/…`, 3.x writes `docker/registry/v2/…`. An
//! instance has one answer for what it writes. If the container has both forms, it reads both.

use std::time::SystemTime;

use plugin_registry_core::{Result, StoragePath};
use plugin_registry_drivers_objects::{keys::ObjectKeys, list::Listing};

use crate::{client::AzureClient, config::LeadingSlash};

/// Where distribution's tree begins, below the root of a location.
const TREE: &str = "/docker/registry/v2";
/// The end of the names of links of tags.
const TAG: &str = "/current/link";
/// How many pages of each form are read to find the newer tags: 250,000 blobs.
const PAGES: usize = 50;

/// The names of an instance.
#[derive(Debug)]
pub(crate) struct Names {
    /// Where it writes, and reads first.
    pub(crate) own: ObjectKeys,
    /// Where it reads as well: names in the other form exist.
    pub(crate) other: Option<ObjectKeys>,
}

/// Which forms a container has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    Slash,
    Plain,
    Both,
}

impl Names {
    /// Finds the form, by two lists of one name each. Reads only.
    pub(crate) async fn find(client: &AzureClient, root: &str, wanted: LeadingSlash) -> Result<Self> {
        let plain = ObjectKeys::new(root);
        let slash = plain.with_leading_slash();
        let tree: StoragePath = TREE.parse()?;
        let (has_slash, has_plain) =
            futures::try_join!(has_any(client, slash.below(&tree)), has_any(client, plain.below(&tree)))?;
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
            (LeadingSlash::Detect, Found::Nothing) => root.is_empty(),
            (LeadingSlash::Detect, Found::Both) => {
                newest_tag(client, slash.below(&tree)).await? >= newest_tag(client, plain.below(&tree)).await?
            }
        };
        report(found, is_slash);
        let (own, other, has_other) = if is_slash { (slash, plain, has_plain) } else { (plain, slash, has_slash) };
        Ok(Self { own, other: has_other.then_some(other) })
    }
}

/// Says what was found, if it is more than one form, or not the one that is written.
fn report(found: Found, is_slash: bool) {
    let form = |slash: bool| if slash { "/docker/registry/v2/" } else { "docker/registry/v2/" };
    let has_others = match found {
        Found::Nothing => false,
        Found::Slash => !is_slash,
        Found::Plain => is_slash,
        Found::Both => true,
    };
    if has_others {
        tracing::warn!(
            writes = form(is_slash),
            reads_as_well = form(!is_slash),
            "the container has names that begin with a slash and names that do not: older software finds one form only"
        );
    }
}

async fn has_any(client: &AzureClient, prefix: String) -> Result<bool> {
    let listing = Listing { prefix: &prefix, limit: Some(1), ..Listing::default() };
    let mut token: Option<String> = None;
    loop {
        let page = client.list(&listing, token.as_deref()).await?;
        if !page.objects.is_empty() {
            return Ok(true);
        }
        // A page may be empty although more come.
        match page.next {
            Some(next) => token = Some(next),
            None => return Ok(false),
        }
    }
}

/// When a tag was last written, by the store's clock, as far as [`PAGES`] show.
async fn newest_tag(client: &AzureClient, prefix: String) -> Result<Option<SystemTime>> {
    let listing = Listing { prefix: &prefix, ..Listing::default() };
    let (mut newest, mut token) = (None, None::<String>);
    for _ in 0..PAGES {
        let page = client.list(&listing, token.as_deref()).await?;
        let tags = page.objects.iter().filter(|(key, ..)| key.ends_with(TAG)).map(|(.., modified)| *modified);
        newest = tags.flatten().max().max(newest);
        token = page.next;
        if token.is_none() {
            break;
        }
    }
    Ok(newest)
}
