//! What there is instead of an image or a repository that is not there.

use plugin_registry::{Registry, RegistryError};
use plugin_registry_core::{Reference, RepositoryName, did_you_mean};

use crate::failure::Failure;

/// Further names are counted, not listed.
const MAX_LISTED: usize = 10;
/// The tags that are looked at: those of one request.
const TAGS: usize = 1000;
/// The repositories that are looked at. In a bucket, finding one may take several requests.
const REPOSITORIES: usize = 100;

/// How a command ends that asked for an image or a repository. Nothing more is asked of a registry that failed in
/// another way.
pub(crate) async fn failure(registry: &Registry, error: RegistryError, given: Option<&Reference>) -> Failure {
    let hint = match &error {
        RegistryError::ManifestUnknown { repository, .. } => hint(registry, repository, given).await,
        RegistryError::RepositoryUnknown(name) => repositories(registry, name).await,
        _ => None,
    };
    let failure = Failure::from(error);
    match hint {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}

/// Says which tags a repository has, or which repositories there are. Without a reference, the tag `latest` was
/// looked for.
pub(crate) async fn hint(
    registry: &Registry,
    repository: &RepositoryName,
    given: Option<&Reference>,
) -> Option<String> {
    let page = match registry.repository(repository.clone()).tags().list(None, TAGS).await {
        Ok(page) => page,
        Err(RegistryError::RepositoryUnknown(_)) => return repositories(registry, repository).await,
        Err(_) => return None,
    };
    let tags = Names { all: page.entries.iter().map(ToString::to_string).collect(), has_more: page.has_more };
    let mut hint = match given {
        None => "Without a tag or a digest, the tag `latest` is meant. ".to_owned(),
        Some(Reference::Tag(tag)) => tags
            .near(tag.as_str())
            .map_or_else(String::new, |near| format!("Did you mean `{repository}:{near}`? ")),
        Some(Reference::Digest(_)) => String::new(),
    };
    hint += &match tags.listed() {
        Some(listed) => format!("`{repository}` has the tags {listed}."),
        None => format!("`{repository}` has no tags: name a manifest by its digest."),
    };
    Some(hint)
}

async fn repositories(registry: &Registry, name: &RepositoryName) -> Option<String> {
    let page = registry.catalog(None, REPOSITORIES).await.ok()?;
    let names =
        Names { all: page.entries.iter().map(ToString::to_string).collect(), has_more: page.has_more };
    let mut hint = match names.near(name.as_str()) {
        Some(near) => format!("Did you mean `{near}`? "),
        // A repository may have this name, so the argument alone is no mistake.
        None if name.as_str() == "oci" => {
            "oci:DIR would be an image layout, and this command reads a registry. ".to_owned()
        }
        None => String::new(),
    };
    hint += &match names.listed() {
        Some(listed) => format!("The registry has the repositories {listed}."),
        None => "The registry has no repositories.".to_owned(),
    };
    Some(hint)
}

/// The names that there are, or the first of them.
struct Names {
    all: Vec<String>,
    has_more: bool,
}

impl Names {
    fn near(&self, name: &str) -> Option<&str> {
        did_you_mean(name, self.all.iter().map(String::as_str))
    }

    /// The first names, and how many others there are; `None` if there is none.
    fn listed(&self) -> Option<String> {
        let first: Vec<&str> = self.all.iter().take(MAX_LISTED).map(String::as_str).collect();
        let others = self.all.len() - first.len();
        let others = match (others, self.has_more) {
            (0, false) => String::new(),
            (_, true) => " and others".to_owned(),
            (others, false) => format!(" and {others} others"),
        };
        (!first.is_empty()).then(|| first.join(", ") + &others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_cut() {
        let names =
            |count: usize, has_more| Names { all: (0..count).map(|n| n.to_string()).collect(), has_more };
        assert_eq!(names(0, false).listed(), None);
        assert_eq!(names(2, false).listed().unwrap(), "0, 1");
        assert_eq!(names(10, false).listed().unwrap(), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9");
        assert_eq!(names(12, false).listed().unwrap(), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 others");
        assert_eq!(names(10, true).listed().unwrap(), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and others");
    }
}
