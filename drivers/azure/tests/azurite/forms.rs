//! Names that begin with a slash, and names that do not.

use futures::TryStreamExt;
use plugin_registry_core::{ErrorKind, PutMode, StorageDriver, StorageDriverExt, WriteMode};
use plugin_registry_drivers_azure::{AzureConfig, AzureDriver, LeadingSlash};

use crate::{common, path, walked};

const LINK: &str = "/docker/registry/v2/repositories/a/_manifests/tags/1/current/link";
const BLOB: &str = "/docker/registry/v2/blobs/sha256/aa/aa/data";

async fn open(config: &AzureConfig, slash: LeadingSlash) -> AzureDriver {
    AzureDriver::open(config.clone().with_leading_slash(slash)).await.unwrap()
}

#[tokio::test]
async fn an_empty_container_gets_names_that_older_software_reads() {
    let Some(azurite) = common::or_skip("an_empty_container_gets_names_that_older_software_reads") else {
        return;
    };
    let config = common::of_container(azurite, "forms-empty");
    let driver = open(&config, LeadingSlash::Detect).await;
    assert!(azurite.names("forms-empty").is_empty(), "opening writes nothing");
    driver.put(&path(LINK), "x").await.unwrap();
    assert_eq!(azurite.names("forms-empty"), [LINK]);
    let below = common::of_container(azurite, "forms-below").with_root_directory("ns");
    open(&below, LeadingSlash::Detect).await.put(&path(LINK), "x").await.unwrap();
    assert_eq!(azurite.names("forms-below"), [format!("ns{LINK}")]);
}

#[tokio::test]
async fn names_are_as_the_container_has_them() {
    let Some(azurite) = common::or_skip("names_are_as_the_container_has_them") else { return };
    for (name, slash, begin) in
        [("forms-with", LeadingSlash::Yes, "/docker"), ("forms-without", LeadingSlash::No, "docker")]
    {
        for root in ["", "ns"] {
            let container = format!("{name}{root}");
            let config = common::of_container(azurite, &container).with_root_directory(root);
            open(&config, slash).await.put(&path(LINK), "x").await.unwrap();
            let driver = open(&config, LeadingSlash::Detect).await;
            assert_eq!(driver.get_content(&path(LINK), 10).await.unwrap(), "x");
            driver.put(&path(BLOB), "y").await.unwrap();
            let begin = if root.is_empty() { begin.to_owned() } else { begin.replace("docker", "ns/docker") };
            let names = azurite.names(&container);
            assert!(names.len() == 2 && names.iter().all(|name| name.starts_with(&begin)), "{names:?}");
            assert!(!driver.capabilities().two_forms);
        }
    }
}

/// A container that an older and a newer program have written to.
async fn with_both(container: &str, newer: LeadingSlash) -> Option<AzureConfig> {
    let azurite = common::or_skip(container)?;
    let config = common::of_container(azurite, container);
    let older = if newer == LeadingSlash::Yes { LeadingSlash::No } else { LeadingSlash::Yes };
    // Both are opened before either has written, so that neither knows the other's names.
    let (first, second) = (open(&config, older).await, open(&config, newer).await);
    first.put(&path(LINK), "old").await.unwrap();
    first.put(&path(BLOB), "only old").await.unwrap();
    first.put(&path(&LINK.replace("/1/", "/0/")), "old tag").await.unwrap();
    // Times have whole seconds.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    second.put(&path(LINK), "new").await.unwrap();
    second.put(&path(&LINK.replace("/1/", "/2/")), "new tag").await.unwrap();
    Some(config)
}

#[tokio::test]
async fn both_forms_are_read_and_writes_go_where_the_newer_tags_are() {
    for (container, newer, begin) in [
        ("forms-newer-with", LeadingSlash::Yes, "/docker"),
        ("forms-newer-without", LeadingSlash::No, "docker"),
    ] {
        let Some(config) = with_both(container, newer).await else { return };
        let azurite = common::or_skip(container).unwrap();
        let driver = open(&config, LeadingSlash::Detect).await;
        assert!(driver.capabilities().two_forms);
        // Of one path the newer form's file is read, and each path comes once, in order.
        assert_eq!(driver.get_content(&path(LINK), 10).await.unwrap(), "new");
        assert_eq!(driver.get_content(&path(BLOB), 10).await.unwrap(), "only old");
        let tags = ["0", "1", "2"].map(|tag| LINK.replace("/1/", &format!("/{tag}/")));
        assert_eq!(
            walked(&driver).await,
            [BLOB.to_owned(), tags[0].clone(), tags[1].clone(), tags[2].clone()]
        );
        let directory = path("/docker/registry/v2/repositories/a/_manifests/tags");
        let listed: Vec<String> =
            driver.list(&directory, None).map_ok(|entry| entry.name).try_collect().await.unwrap();
        assert_eq!(listed, ["0", "1", "2"]);
        let repositories = path("/docker/registry/v2/repositories");
        let found: Vec<_> = driver.find_directories(&repositories, "_", None).try_collect().await.unwrap();
        assert_eq!(found, [path("/docker/registry/v2/repositories/a")]);

        // Writes have one form.
        let before = azurite.names(container);
        driver.put(&path("/docker/registry/v2/x"), "x").await.unwrap();
        let mut writer = driver.writer(&path("/docker/registry/v2/y"), WriteMode::direct()).await.unwrap();
        writer.write("y".into()).await.unwrap();
        writer.commit(&path("/docker/registry/v2/y")).await.unwrap();
        let added: Vec<_> =
            azurite.names(container).into_iter().filter(|name| !before.contains(name)).collect();
        assert!(added.len() == 2 && added.iter().all(|name| name.starts_with(begin)), "{added:?}");
        let taken = driver.put_content(&path(BLOB), "other".into(), PutMode::CreateOnly).await;
        assert_eq!(taken.unwrap_err().kind(), ErrorKind::AlreadyExists, "it exists in the other form");

        // Deletes delete both.
        driver.delete_many(vec![path(LINK)], &[]).await.unwrap().into_result().unwrap();
        assert!(driver.get_content(&path(LINK), 10).await.unwrap_err().is_not_found());
        driver.delete(&path("/docker")).await.unwrap();
        assert!(azurite.names(container).is_empty(), "{:?}", azurite.names(container));
    }
}

#[tokio::test]
async fn a_form_that_is_set_is_written_and_the_other_is_read() {
    let Some(azurite) = common::or_skip("a_form_that_is_set_is_written_and_the_other_is_read") else {
        return;
    };
    let config = common::of_container(azurite, "forms-set");
    open(&config, LeadingSlash::No).await.put(&path(LINK), "x").await.unwrap();
    let driver = open(&config, LeadingSlash::Yes).await;
    assert!(driver.capabilities().two_forms);
    assert_eq!(driver.get_content(&path(LINK), 10).await.unwrap(), "x");
    driver.put(&path(LINK), "y").await.unwrap();
    assert_eq!(driver.get_content(&path(LINK), 10).await.unwrap(), "y");
    assert_eq!(azurite.names("forms-set"), [LINK, LINK.trim_start_matches('/')]);
}
