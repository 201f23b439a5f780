//! Which damage verification finds, and what it does not report as damage.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use plugin_registry::{
    Registry, RegistryError,
    verify::{ImageName, VerifyReport, VerifyScope},
};
use plugin_registry_core::{ErrorKind, Operation, Reference, StoragePath};

use super::{
    Lab, Wrapped,
    fixture::{INDEX, Image, content, digest, index},
};

const ROOT: &str = "/docker/registry/v2";

fn named(repository: &str, reference: &str) -> ImageName {
    let reference: Reference = reference.parse().unwrap();
    ImageName::new(repository.parse().unwrap(), reference)
}

async fn verify(lab: &Lab) -> VerifyReport {
    // A registry that remembers nothing.
    let registry = Registry::builder(lab.shared()).read_only(true).build();
    registry.verify(VerifyScope::All, |_| ()).await.unwrap()
}

fn data(content: &[u8]) -> String {
    let digest = digest(content);
    let hex = digest.strip_prefix("sha256:").unwrap();
    format!("{ROOT}/blobs/sha256/{}/{hex}/data", &hex[..2])
}

fn link(name: &str, kind: &str, content: &[u8]) -> String {
    format!("{ROOT}/repositories/{name}/{kind}/{}/link", digest(content).replace(':', "/"))
}

/// Two images, an index of both, and a second repository with one of the images.
async fn fill(lab: &Lab) -> [Image; 2] {
    let client = lab.client();
    let images = [Image::new(1), Image::new(2)];
    for image in &images {
        client.push_image("a", &image.digest(), image).await;
    }
    let both = index(&[images[0].descriptor(), images[1].descriptor()]);
    let _ = client.put_manifest("a", "both", INDEX, &both).await.expect(201);
    client.push_image("a/b", "v1", &images[0]).await;
    images
}

/// Everything is counted once, and no damage is found.
pub async fn verify_of_a_sound_store(lab: &Lab) {
    assert_eq!(verify(lab).await, VerifyReport::default());
    let images = fill(lab).await;
    let report = verify(lab).await;
    assert!(report.is_sound(), "{report:?}");
    // Three manifests and one in the second repository; the two images share no blob.
    assert_eq!((report.repositories, report.manifests, report.blobs), (2, 4, 6), "{report:?}");
    let blobs: usize = images.iter().flat_map(|image| &image.blobs).map(Bytes::len).sum();
    assert!(report.bytes > blobs as u64);
    let one = VerifyScope::Repository("a/b".parse().unwrap());
    assert_eq!(lab.registry().verify(one, |_| ()).await.unwrap().repositories, 1);
    let none = lab.registry().verify(VerifyScope::Repository("missing".parse().unwrap()), |_| ()).await;
    assert!(matches!(none, Err(RegistryError::RepositoryUnknown(_))), "{none:?}");
}

/// Each kind of damage, one at a time, is found and named by its path.
pub async fn verify_finds_every_damage(lab: &Lab) {
    let images = fill(lab).await;
    let [first, second] = &images;
    let both = index(&[first.descriptor(), second.descriptor()]);
    let mut flipped = second.blobs[1].to_vec();
    flipped[17] ^= 1;
    let tag = format!("{ROOT}/repositories/a/_manifests/tags/both/current/link");
    let revision = |image: &Image| link("a", "_manifests/revisions", &image.manifest);
    let layer = link("a", "_layers", &second.blobs[2]);
    // The damaged file, its new bytes (`None`: it is deleted), and the path of the finding.
    let damages: Vec<(String, Option<Bytes>, String)> = vec![
        (data(&second.blobs[1]), Some(flipped.into()), data(&second.blobs[1])),
        (data(&second.blobs[1]), Some(second.blobs[1].slice(1..)), data(&second.blobs[1])),
        (data(&second.blobs[1]), Some(Bytes::new()), data(&second.blobs[1])),
        (data(&second.blobs[1]), None, data(&second.blobs[1])),
        (data(&first.blobs[0]), None, data(&first.blobs[0])),
        (data(&second.manifest), None, data(&second.manifest)),
        (data(&second.manifest), Some(first.manifest.clone()), data(&second.manifest)),
        (data(&both), Some("{}".into()), data(&both)),
        (layer.clone(), Some(Bytes::new()), layer.clone()),
        (layer.clone(), Some(digest(&first.blobs[0]).into()), layer.clone()),
        (layer.clone(), Some("sha256:short".into()), layer.clone()),
        // A missing link is reported by the manifest that needs it.
        (layer.clone(), None, layer.clone()),
        (revision(second), None, revision(second)),
        (revision(second), Some(Bytes::new()), revision(second)),
        (link("a", "_manifests/revisions", &both), None, tag.clone()),
        (tag.clone(), None, tag.clone()),
        (tag.clone(), Some(Bytes::new()), tag.clone()),
        (tag.clone(), Some(digest(b"missing").into()), tag.clone()),
    ];
    for (path, damage, finding) in damages {
        let sound = lab.tree().await.get(&path).unwrap().clone();
        match &damage {
            Some(bytes) => lab.write(&path, bytes.clone()).await,
            None => lab.remove(&path).await,
        }
        let before = lab.tree().await;
        let report = verify(lab).await;
        let found = report.findings.iter().any(|found| found.path.to_string() == finding);
        assert!(found, "{path} {damage:?}: {:?}", report.findings);
        // A copy of the whole mends each of them.
        let images: Vec<_> = report.findings.iter().map(|found| found.image.clone()).collect();
        assert!(
            images.iter().all(|image| *image == Some(named("a", "both"))),
            "{path} {damage:?}: {images:?}"
        );
        lab.tree().await.assert_is(&before);
        lab.write(&path, sound).await;
        let report = verify(lab).await;
        assert!(report.is_sound(), "{path}: {report:?}");
    }
}

/// One image is verified with everything below it and nothing beside it, by its tag or its digest.
pub async fn verify_of_one_image(lab: &Lab) {
    let [first, second] = fill(lab).await;
    let registry = Registry::builder(lab.shared()).read_only(true).build();
    let verify =
        async |reference: &str| registry.verify(VerifyScope::Image(named("a", reference)), |_| ()).await;
    for (reference, manifests, blobs) in
        [("both", 3, 6), (first.digest().as_str(), 1, 3), (second.digest().as_str(), 1, 3)]
    {
        let report = verify(reference).await.unwrap();
        assert!(report.is_clean(), "{reference}: {report:?}");
        assert_eq!(
            (report.repositories, report.manifests, report.blobs),
            (1, manifests, blobs),
            "{reference}"
        );
    }
    for missing in ["missing", &digest(b"missing")] {
        let unknown = verify(missing).await;
        assert!(matches!(unknown, Err(RegistryError::ManifestUnknown { .. })), "{missing}: {unknown:?}");
    }
    let layer = link("a", "_layers", &second.blobs[2]);
    let revision = link("a", "_manifests/revisions", &second.manifest);
    let whole = second.blobs[1].clone();
    for (path, bytes) in [
        (data(&second.blobs[1]), Some(content(9, whole.len()))),
        (data(&second.blobs[1]), None),
        (data(&second.manifest), Some("{}".into())),
        (data(&second.manifest), None),
        (layer.clone(), Some(Bytes::new())),
        (layer.clone(), None),
        (revision, Some(Bytes::new())),
    ] {
        let sound = lab.tree().await.get(&path).unwrap().clone();
        match bytes {
            Some(bytes) => lab.write(&path, bytes).await,
            None => lab.remove(&path).await,
        }
        for reference in ["both", &second.digest()] {
            let report = verify(reference).await.unwrap();
            assert!(paths(&report).contains(&path.as_str()), "{reference} {path}: {report:?}");
            let image = Some(named("a", reference));
            assert!(report.findings.iter().all(|finding| finding.image == image), "{path}: {report:?}");
        }
        assert!(verify(&first.digest()).await.unwrap().is_clean(), "{path}");
        lab.write(&path, sound).await;
    }
    let tag = format!("{ROOT}/repositories/a/_manifests/tags/both/current/link");
    lab.write(&tag, "sha256:short").await;
    assert_eq!(paths(&verify("both").await.unwrap()), [tag]);
}

/// Uploads, deleted content, empty leftovers and files of other software are not damage.
///
/// A repository with a name that no client could use is reported.
pub async fn verify_takes_nothing_else_for_damage(lab: &Lab) {
    let client = lab.client();
    let [first, second] = fill(lab).await;
    let location = client.begin("a").await;
    let _ = client.append(&location, &content(7, 100)).await;
    let _ = client.append(&client.begin("uploads/only").await, &content(8, 100)).await;
    for path in ["gc/state", "repositories/note", "repositories/a/note", "blobs/sha256/zz/note", "note"] {
        lab.write(&format!("{ROOT}/{path}"), "x").await;
    }
    assert!(verify(lab).await.is_sound());
    let _ = client.delete("/v2/a/manifests/both").send().await.expect(202);
    for gone in [digest(&index(&[first.descriptor(), second.descriptor()])), second.digest()] {
        let _ = client.delete(format!("/v2/a/manifests/{gone}")).send().await.expect(202);
    }
    let _ = client.delete(format!("/v2/a/blobs/{}", digest(&second.blobs[1]))).send().await.expect(202);
    // A killed push leaves these: blobs and links that no manifest names, and a blob without a link.
    client.push("a", &content(9, 100)).await;
    lab.write(&data(b"unlinked"), "unlinked").await;
    let report = verify(lab).await;
    assert!(report.is_sound() && report.unknown.is_empty(), "{report:?}");
    let hidden = format!("{ROOT}/repositories/Example.Com/app");
    lab.write(&format!("{hidden}/_layers/sha256/x/link"), "x").await;
    let report = verify(lab).await;
    let unknown: Vec<String> = report.unknown.iter().map(ToString::to_string).collect();
    assert_eq!(unknown, [hidden]);
    assert!(report.is_sound());
}

/// Damages the last repository, which no run may stop before, and returns the path.
async fn damage_the_last(lab: &Lab) -> String {
    let image = Image::new(7);
    lab.client().push_image("z", "latest", &image).await;
    let path = data(&image.blobs[1]);
    lab.write(&path, "other").await;
    path
}

async fn verify_where(
    lab: &Lab,
    unread: impl Fn(Operation, &StoragePath) -> Option<ErrorKind> + Send + Sync + 'static,
) -> VerifyReport {
    let driver = Wrapped::new(lab.shared()).unread(unread);
    let registry = Registry::builder(driver).read_only(true).build();
    registry.verify(VerifyScope::All, |_| ()).await.unwrap()
}

fn paths(report: &VerifyReport) -> Vec<&str> {
    report.findings.iter().map(|finding| finding.path.as_str()).collect()
}

/// A file that cannot be read is one finding with its path and no consequences. The run goes on.
pub async fn verify_goes_on_beside_files_that_cannot_be_read(lab: &Lab) {
    let images = fill(lab).await;
    let last = damage_the_last(lab).await;
    assert_eq!(paths(&verify(lab).await), [&last]);
    let tag = |tag: &str| format!("{ROOT}/repositories/a/_manifests/tags/{tag}/current/link");
    for path in [
        data(&images[0].blobs[1]),
        data(&images[1].manifest),
        link("a", "_layers", &images[0].blobs[1]),
        link("a", "_manifests/revisions", &images[1].manifest),
        tag("both"),
    ] {
        for kind in [ErrorKind::PermissionDenied, ErrorKind::Other, ErrorKind::Corrupted] {
            let unread = path.clone();
            let report = verify_where(lab, move |_, path| (path.as_str() == unread).then_some(kind)).await;
            assert_eq!(report.unfinished, None);
            assert_eq!(report.repositories, 3, "{path}");
            assert_eq!(paths(&report), [&path, &last], "{kind:?}: {:?}", report.findings);
            let finding = &report.findings[0];
            assert!(finding.problem.contains(kind.as_str()), "{finding}");
            // Only what the store itself calls corrupted is wrong for sure, and only if its bytes are read.
            let is_mended = kind == ErrorKind::Corrupted && path.ends_with("/data");
            assert_eq!(finding.image.is_some(), is_mended, "{kind:?}: {finding}");
        }
    }
}

/// So is a directory that cannot be listed, also one deep below the directory of a walk.
pub async fn verify_goes_on_beside_directories_that_cannot_be_listed(lab: &Lab) {
    let images = fill(lab).await;
    let last = damage_the_last(lab).await;
    let directory = |link: String| link.strip_suffix("/link").unwrap().to_owned();
    for path in [
        directory(link("a", "_layers", &images[0].blobs[1])),
        directory(link("a", "_manifests/revisions", &images[1].manifest)),
        format!("{ROOT}/repositories/a/_layers"),
        format!("{ROOT}/repositories/a/b/_manifests"),
        format!("{ROOT}/repositories/a/_manifests/tags"),
    ] {
        let unread = path.clone();
        let report = verify_where(lab, move |operation, path| {
            let is_met = match operation {
                Operation::List => path.as_str() == unread,
                Operation::Walk | Operation::FindDirectories => unread.starts_with(path.as_str()),
                _ => false,
            };
            is_met.then_some(ErrorKind::PermissionDenied)
        })
        .await;
        assert_eq!(report.unfinished, None);
        assert_eq!(report.repositories, 3, "{path}");
        assert!(report.unknown.is_empty(), "{:?}", report.unknown);
        let mut found = paths(&report);
        found.sort_unstable();
        found.dedup();
        let mut expected = [path.as_str(), &last];
        expected.sort_unstable();
        assert_eq!(found, expected, "{:?}", report.findings);
    }
    // A repository whose directory cannot be listed at all.
    let unread = format!("{ROOT}/repositories/a/b");
    let report = verify_where(lab, move |operation, path| {
        let is_met = match operation {
            Operation::List => path.as_str() == unread,
            Operation::Walk | Operation::FindDirectories => unread.starts_with(path.as_str()),
            _ => false,
        };
        is_met.then_some(ErrorKind::PermissionDenied)
    })
    .await;
    assert_eq!((report.repositories, report.unfinished.as_deref()), (2, None));
    assert_eq!(paths(&report).iter().filter(|path| **path == last).count(), 1);
    assert!(paths(&report).contains(&&*format!("{ROOT}/repositories/a/b")), "{:?}", report.findings);
}

/// A store that fails ends the run with what was found until then. If nothing was, the run fails with that
/// error.
pub async fn verify_ends_where_the_store_fails(lab: &Lab) {
    let images = fill(lab).await;
    let first = data(&images[0].blobs[1]);
    lab.write(&first, "other").await;
    let last = damage_the_last(lab).await;
    for kind in
        [ErrorKind::Unavailable, ErrorKind::Timeout, ErrorKind::RateLimited, ErrorKind::Unauthenticated]
    {
        let unread = last.clone();
        let report = verify_where(lab, move |_, path| (path.as_str() == unread).then_some(kind)).await;
        assert!(report.unfinished.as_ref().is_some_and(|why| why.contains(kind.as_str())), "{report:?}");
        assert_eq!(paths(&report), [&first], "{:?}", report.findings);
        assert!(!report.is_sound());
        let driver = Wrapped::new(lab.shared()).unread(move |_, _| Some(kind));
        let error = Registry::builder(driver).build().verify(VerifyScope::All, |_| ()).await.unwrap_err();
        assert!(matches!(&error, RegistryError::Storage(error) if error.kind() == kind), "{error}");
    }
}

/// A directory that cannot be listed at all is never taken for an empty store.
pub async fn verify_of_what_cannot_be_listed_is_not_sound(lab: &Lab) {
    let _ = fill(lab).await;
    for refused in [format!("{ROOT}/repositories"), format!("{ROOT}/repositories/Odd")] {
        lab.write(&format!("{ROOT}/repositories/Odd/x/_layers/y"), "").await;
        let report = verify_where(lab, move |operation, path| {
            let is_met = match operation {
                Operation::List => path.as_str() == refused,
                Operation::FindDirectories => true,
                _ => false,
            };
            is_met.then_some(ErrorKind::PermissionDenied)
        })
        .await;
        assert!(!report.is_sound() && report.unfinished.is_some(), "{report:?}");
    }
}

/// A passing error does not hide anything: the entries that the walk would have returned next may be missing.
pub async fn verify_after_an_error_that_passes_is_not_sound(lab: &Lab) {
    let images = fill(lab).await;
    for directory in ["_layers", "_manifests"] {
        let (walked, once) = (format!("{ROOT}/repositories/a/{directory}"), AtomicBool::new(true));
        let report = verify_where(lab, move |operation, path| {
            let is_met = operation == Operation::Walk && path.as_str() == walked;
            (is_met && once.swap(false, Ordering::Relaxed)).then_some(ErrorKind::PermissionDenied)
        })
        .await;
        assert_eq!(paths(&report), [format!("{ROOT}/repositories/a/{directory}")], "{:?}", report.findings);
    }
    // A link beside an unreadable directory counts: what it leads to is checked.
    let revision = link("a", "_manifests/revisions", &images[1].manifest);
    let beside = revision.strip_suffix("/link").unwrap().to_owned();
    lab.write(&format!("{beside}/signatures/sha256/x"), "").await;
    lab.write(&data(&images[1].manifest), "other").await;
    let unread = format!("{beside}/signatures");
    let report = verify_where(lab, move |operation, path| {
        let is_met = match operation {
            Operation::List => path.as_str() == unread,
            Operation::Walk => unread.starts_with(path.as_str()),
            _ => false,
        };
        is_met.then_some(ErrorKind::PermissionDenied)
    })
    .await;
    let found = paths(&report);
    assert!(found.contains(&&*data(&images[1].manifest)), "{:?}", report.findings);
    assert!(found.contains(&&*format!("{beside}/signatures")), "{:?}", report.findings);
}

/// A directory of other software whose name begins like ours does not end the run.
pub async fn verify_goes_on_beside_what_is_no_repository(lab: &Lab) {
    let _ = fill(lab).await;
    lab.write(&format!("{ROOT}/repositories/0/_old/x"), "").await;
    let last = damage_the_last(lab).await;
    let report = verify(lab).await;
    assert_eq!((paths(&report), report.unfinished.as_deref()), (vec![&*last], None), "{report:?}");
    let noted = report.notes.iter().any(|note| note.path == format!("{ROOT}/repositories/0"));
    assert!(noted, "{:?}", report.notes);
}
