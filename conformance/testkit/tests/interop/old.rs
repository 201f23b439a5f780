//! Content that old programs and crashes left in a store.

use std::{fs, path::Path};

use bytes::Bytes;
use plugin_registry_conformance::registry::fixture::{Image, digest};

use crate::{
    client::{Client, assert_digest},
    expected::{Expected, Writer},
    programs::{OTHERS, Program, are_installed, plugin_registry, skopeo},
    row::{check, directory, read, written},
    skopeo as columns, subjects,
};

const SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";

/// A schema 1 image that 2.8.2 stored, by the digest that it has there.
struct Schema1 {
    digest: String,
    blobs: Vec<(String, Bytes)>,
}

/// skopeo converts a real image to schema 1 and pushes it to 2.8.2, which keeps it without its signature.
fn write_schema1(root: &Path, work: &Path) -> Schema1 {
    plugin_registry(&["quickstart", "--format", "json", "--root", work.join("backup").to_str().unwrap()]);
    let image = work.join("layout");
    let from = "registry:quickstart/app:1.0";
    plugin_registry(&[
        "copy",
        "--quiet",
        from,
        &format!("oci:{}:v1", image.display()),
        "--root",
        work.join("backup").to_str().unwrap(),
    ]);
    let server = Program::V2.start(root, work);
    let to = format!("docker://{}/old/app:schema1", server.address());
    let from = format!("oci:{}:v1", image.display());
    skopeo(&["copy", "--quiet", "--override-arch=amd64", "--override-os=linux", "--format=v2s1", &from, &to]);
    let client = Client::new(server.address());
    let answer = client.get("/v2/old/app/manifests/schema1").expect(200);
    assert_eq!(answer.header("content-type"), Some(SIGNED));
    let manifest: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(manifest["schemaVersion"], 1);
    let layers = manifest["fsLayers"].as_array().unwrap();
    let blob = |layer: &serde_json::Value| {
        let digest = layer["blobSum"].as_str().unwrap().to_owned();
        let content = client.get(&format!("/v2/old/app/blobs/{digest}")).expect(200).body;
        assert_digest(&content, &digest);
        (digest, content)
    };
    let schema1 = Schema1 {
        digest: answer.header("docker-content-digest").unwrap().to_owned(),
        blobs: layers.iter().map(blob).collect(),
    };
    server.end().unwrap();
    schema1
}

/// Checks what a program shows of the schema 1 image. Returns how many digests were compared.
fn read_schema1(reader: Program, root: &Path, work: &Path, schema1: &Schema1) -> usize {
    let server = reader.start(root, work);
    let client = Client::new(server.address());
    let mut compared = 0;
    for reference in ["schema1", &schema1.digest] {
        let answer = client.get(&format!("/v2/old/app/manifests/{reference}"));
        match reader {
            // As it is stored, so that it has its digest.
            Program::Ours => {
                let answer = answer.expect(200);
                assert_digest(&answer.body, &schema1.digest);
                assert_eq!(answer.header("docker-content-digest"), Some(&*schema1.digest));
            }
            // Each instance signs it again, under the old digest.
            Program::V2 => {
                assert_eq!(answer.expect(200).header("docker-content-digest"), Some(&*schema1.digest));
            }
            // No longer read at all.
            Program::V3 => {
                let _ = answer.expect(500);
                continue;
            }
        }
        compared += 1;
    }
    for (digest, content) in &schema1.blobs {
        assert!(client.get(&format!("/v2/old/app/blobs/{digest}")).expect(200).body == *content);
        compared += 1;
    }
    server.end().unwrap();
    compared
}

/// New images beside old ones, by each program: both are read.
#[test]
fn schema_1() {
    let title = "schema 1 beside new images";
    if !are_installed(title) {
        return;
    }
    let beside = |writer: &mut Writer<'_>| {
        writer.image("old/new", "v1", &Image::docker(1));
        writer.image("old/app/below", "v1", &Image::new(2));
    };
    let mut counts = Vec::new();
    let read_both = |reader, writer: Program| {
        let (root, work) = (directory(), directory());
        let schema1 = write_schema1(root.path(), work.path());
        let expected = written(writer, writer, root.path(), work.path(), beside);
        let server = Program::start(reader, root.path(), work.path());
        let compared = expected.check_repositories(reader, &Client::new(server.address()));
        server.end().unwrap();
        compared + read_schema1(reader, root.path(), work.path(), &schema1)
    };
    for other in OTHERS {
        counts.push(read_both(Program::Ours, other));
        counts.push(read_both(other, Program::Ours));
    }
    counts.push(columns::writes(beside));
    // skopeo reads schema 1 from us, and what was pushed beside it.
    let (root, work) = (directory(), directory());
    let schema1 = write_schema1(root.path(), work.path());
    let server = Program::Ours.start(root.path(), work.path());
    let from = format!("docker://{}/old/app:schema1", server.address());
    assert_digest(skopeo(&["inspect", "--raw", &from]).as_bytes(), &schema1.digest);
    let to = directory();
    skopeo(&["copy", "--quiet", &from, &format!("dir:{}", to.path().display())]);
    assert_digest(&fs::read(to.path().join("manifest.json")).unwrap(), &schema1.digest);
    let copied = columns::compare_files(to.path());
    assert!(copied >= 1);
    server.end().unwrap();
    plugin_registry(&["verify", "--all", "--quiet", "--root", root.path().to_str().unwrap()]);
    counts.push(copied + 2 + columns::reads(beside));
    check(title, &counts);
}

/// Leftovers of crashes and tools beside the files: temporary files, empty directories, notes.
fn litter(root: &Path, expected: &Expected) -> usize {
    let tree = root.join("docker/registry/v2");
    let uuid = "5f0c0f5e-6a0b-4c1c-9d0a-3d6f3c1d2b4a";
    let mut left = 0;
    let mut temporary = |path: std::path::PathBuf| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "torn").unwrap();
        left += 1;
    };
    for (name, repository) in &expected.0 {
        let repository_dir = tree.join("repositories").join(name);
        for digest in repository.manifests.keys().chain(repository.blobs.keys()) {
            let hex = digest.split_once(':').unwrap().1;
            let data = tree.join(format!("blobs/sha256/{}/{hex}", &hex[..2]));
            temporary(data.join(format!("data.{uuid}.tmp")));
            temporary(repository_dir.join(format!("_layers/sha256/{hex}/link.{uuid}.tmp")));
        }
        for tag in repository.tags.keys() {
            temporary(repository_dir.join(format!("_manifests/tags/{tag}/current/link.{uuid}.tmp")));
        }
        let missing = digest(name.as_bytes()).replace("sha256:", "");
        for empty in [
            format!("_layers/sha256/{missing}"),
            format!("_manifests/revisions/sha256/{missing}"),
            "_uploads".to_owned(),
            format!("_uploads/{uuid}/hashstates/sha256"),
        ] {
            fs::create_dir_all(repository_dir.join(empty)).unwrap();
        }
    }
    fs::create_dir_all(tree.join(format!("blobs/sha256/ff/{}", "f".repeat(64)))).unwrap();
    left
}

/// A tree that was written by one side, littered, and read by the other.
#[test]
fn leftovers() {
    let title = "leftovers of crashes";
    if !are_installed(title) {
        return;
    }
    let mut counts = Vec::new();
    for other in OTHERS {
        for (writer, reader) in [(other, Program::Ours), (Program::Ours, other)] {
            let (root, work) = (directory(), directory());
            let expected = written(writer, writer, root.path(), work.path(), subjects::indexes);
            assert!(litter(root.path(), &expected) > 10);
            counts.push(read(reader, root.path(), work.path(), &expected));
        }
    }
    for is_read in [false, true] {
        // skopeo pushes to, or pulls from, ours over the littered tree of 2.8.2.
        let (root, work) = (directory(), directory());
        let expected = written(Program::V2, Program::V2, root.path(), work.path(), subjects::indexes);
        let left = litter(root.path(), &expected);
        counts.push(if is_read {
            columns::pulls(root.path(), work.path(), &expected)
        } else {
            let pushed = columns::pushes(root.path(), work.path(), subjects::oci_images);
            read(Program::Ours, root.path(), work.path(), &expected.and(pushed))
        });
        // The leftovers are nothing that a purge would not find.
        let root = root.path().to_str().unwrap();
        let purged = plugin_registry(&["purge", "--older-than", "0s", "--format", "json", "--root", root]);
        let purged: serde_json::Value = serde_json::from_str(&purged).unwrap();
        assert_eq!(purged["staged"].as_array().unwrap().len(), left, "{purged}");
    }
    check(title, &counts);
}
