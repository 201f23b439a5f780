//! skopeo as the client: what it pushes to us, and what it pulls from us.

use std::{fs, path::Path};

use crate::{
    client::{Client, assert_digest},
    expected::{Delete, Expected, Writer},
    programs::{Program, skopeo},
    row::{self, directory},
};

/// Repositories with more tags are copied by `skopeo sync`.
const MANY: usize = 50;

/// skopeo pushes to us, into a fresh store; gives how many digests of it were compared.
pub(crate) fn writes(write: fn(&mut Writer<'_>)) -> usize {
    let (root, work) = (directory(), directory());
    let expected = pushes(root.path(), work.path(), write);
    row::read(Program::Ours, root.path(), work.path(), &expected)
}

/// skopeo pushes to us: every tag is copied by it from a first store to that in `root`, and deletes are its
/// own. Gives what should be there then.
pub(crate) fn pushes(root: &Path, work: &Path, write: fn(&mut Writer<'_>)) -> Expected {
    let first = directory();
    let (source, target) = (Program::Ours.start(first.path(), work), Program::Ours.start(root, work));
    let mut expected = Expected::default();
    let client = Client::new(source.address());
    let mut deletes = Vec::new();
    let mut writer = Writer {
        program: Program::V2,
        client: &client,
        expected: &mut expected,
        deferred: Some(&mut deletes),
    };
    write(&mut writer);
    let mut expected = expected.for_skopeo();
    for (name, repository) in &expected.0 {
        if repository.tags.len() > MANY {
            // All tags in one process; the last component of the name is kept.
            let from = format!("{}/{name}", source.address());
            skopeo(&["sync", "--src=docker", "--dest=docker", "--preserve-digests", &from, target.address()]);
            continue;
        }
        for tag in repository.tags.keys() {
            let from = format!("docker://{}/{name}:{tag}", source.address());
            let to = format!("docker://{}/{name}:{tag}", target.address());
            skopeo(&["copy", "--quiet", "--all", "--preserve-digests", &from, &to]);
        }
    }
    for Delete { name, digest } in deletes {
        let Some(repository) = expected.0.get_mut(&name) else { continue };
        let tag = repository.tags.iter().find(|(_, named)| **named == digest).map(|(tag, _)| tag.clone());
        let Some(tag) = tag else { continue };
        skopeo(&["delete", &format!("docker://{}/{name}:{tag}", target.address())]);
        repository.tags.retain(|_, named| *named != digest);
        repository.manifests.remove(&digest);
        repository.gone.extend([digest, tag]);
    }
    source.end().unwrap();
    target.end().unwrap();
    expected
}

/// skopeo pulls from us what we wrote; gives how many digests were compared.
pub(crate) fn reads(write: fn(&mut Writer<'_>)) -> usize {
    let (root, work) = (directory(), directory());
    let expected = row::written(Program::Ours, Program::Ours, root.path(), work.path(), write);
    pulls(root.path(), work.path(), &expected)
}

/// skopeo pulls every tag and every manifest from our server over `root` into a directory, whose files are
/// compared.
pub(crate) fn pulls(root: &Path, work: &Path, expected: &Expected) -> usize {
    let server = Program::Ours.start(root, work);
    let mut compared = 0;
    for (name, repository) in &expected.0 {
        if repository.tags.len() > MANY {
            let (from, to) = (format!("{}/{name}", server.address()), directory());
            skopeo(&["sync", "--src=docker", "--dest=dir", &from, to.path().to_str().unwrap()]);
            for (tag, digest) in &repository.tags {
                let image = to.path().join(format!("{name}:{tag}"));
                let manifest = fs::read(image.join("manifest.json")).unwrap();
                assert!(manifest == repository.manifests[digest].1, "skopeo: {name}:{tag}");
                compared += 1 + compare_files(&image);
            }
            continue;
        }
        let tags = repository.tags.iter().map(|(tag, digest)| (format!("{name}:{tag}"), digest));
        let digests = repository.manifests.keys().map(|digest| (format!("{name}@{digest}"), digest));
        for (image, digest) in tags.chain(digests) {
            let (media_type, content) = &repository.manifests[digest];
            let from = format!("docker://{}/{image}", server.address());
            let text = String::from_utf8_lossy(content);
            let is_shown_only = text.contains("\"urls\"") || text.contains("sha512:");
            if is_shown_only || !expected.inner_indexes(name, digest).is_empty() {
                // It shows an index of indexes and does not copy one; foreign layers it wants from their source;
                // what has a name by sha512 it cannot write anywhere.
                let raw = skopeo(&["inspect", "--raw", &from]);
                assert!(raw.as_bytes() == *content, "skopeo: {image}: {media_type}");
                compared += 1;
                continue;
            }
            let to = directory();
            skopeo(&["copy", "--quiet", "--all", &from, &format!("dir:{}", to.path().display())]);
            assert!(fs::read(to.path().join("manifest.json")).unwrap() == *content, "skopeo: {image}");
            compared += 1 + compare_files(to.path());
        }
    }
    server.end().unwrap();
    compared
}

/// The files of skopeo's `dir:` have the hexadecimal part of their digest as their name.
pub(crate) fn compare_files(directory: &Path) -> usize {
    let mut compared = 0;
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let hex = name.strip_suffix(".manifest.json").unwrap_or(&name);
        let algorithm = match hex.len() {
            64 => "sha256",
            128 => "sha512",
            _ => continue,
        };
        assert_digest(&fs::read(entry.path()).unwrap(), &format!("{algorithm}:{hex}"));
        compared += 1;
    }
    compared
}
