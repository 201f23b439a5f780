//! Three servers and skopeo over one store at once, one writing after the other.

use plugin_registry_conformance::registry::fixture::{INDEX, Image, index};

use crate::{
    client::Client,
    expected::{Expected, Writer},
    place::{Bucket, Place},
    programs::{ALL, Program, are_installed, skopeo, verify},
    row::{BUCKET_COLUMNS, assert_no_live_garbage, check, directory, emulator},
};

#[test]
fn alternating_writers() {
    let title = "alternating writers, one directory";
    if !are_installed(title) {
        return;
    }
    check(title, &alternate(directory().path().into()));
}

#[test]
fn alternating_writers_in_a_bucket() {
    let title = "alternating writers, one bucket";
    let Some(emulator) = emulator(title) else { return };
    let bucket = Bucket::new(emulator);
    check(title, &alternate((&bucket).into())[..BUCKET_COLUMNS]);
}

/// Every writer in turn adds, overwrites, mounts, deletes; after each step every program shows the same. Gives
/// the counts in the order of the table's columns.
fn alternate(root: Place<'_>) -> [usize; 6] {
    let work = directory();
    let servers = ALL.map(|program| program.start(root, work.path()));
    let clients = ALL.iter().zip(&servers);
    let clients: Vec<Client> =
        clients.map(|(program, server)| Client::new(server.address()).of(*program, root)).collect();
    let mut expected = Expected::default();
    let mut counts = [0; 6];
    for step in 0..9_u64 {
        let turn = usize::try_from(step).unwrap() % 3;
        let program = ALL[turn];
        write(step, &mut Writer { program, client: &clients[turn], expected: &mut expected, deferred: None });
        root.settle();
        for (reader, client) in ALL.into_iter().zip(&clients) {
            let compared = expected.check(reader, client);
            match (program, reader) {
                (Program::V2, Program::Ours) => counts[0] += compared,
                (Program::Ours, Program::V2) => counts[1] += compared,
                (Program::V3, Program::Ours) => counts[2] += compared,
                (Program::Ours, Program::V3) => counts[3] += compared,
                _ => {}
            }
        }
        // skopeo copies from one server to the next over the same directory, and back out.
        let tag = format!("copied{step}");
        let (from, to) = (&servers[turn], &servers[(turn + 1) % 3]);
        let source = format!("docker://{}/shared/app:latest", from.address());
        let target = format!("docker://{}/shared/copies:{tag}", to.address());
        skopeo(&["copy", "--quiet", "--all", "--preserve-digests", &source, &target]);
        let (digest, image) = {
            let shared = &expected.0["shared/app"];
            (shared.tags["latest"].clone(), shared.clone())
        };
        let copies = expected.0.entry("shared/copies".to_owned()).or_default();
        copies.tags.insert(tag.clone(), digest.clone());
        copies.manifests.insert(digest.clone(), image.manifests[&digest].clone());
        let named = Expected([("x".to_owned(), image.clone())].into()).needed("x", &digest);
        copies.blobs.extend(image.blobs.into_iter().filter(|(digest, _)| named.contains(digest)));
        counts[4] += expected.check(Program::Ours, &clients[0]);
        let out = directory();
        let target = format!("docker://{}/shared/copies:{tag}", servers[0].address());
        skopeo(&["copy", "--quiet", "--all", &target, &format!("dir:{}", out.path().display())]);
        counts[5] += crate::skopeo::compare_files(out.path());
    }
    for server in servers {
        server.end().unwrap();
    }
    for program in [Program::V2, Program::V3] {
        assert_no_live_garbage(program, root, work.path(), &expected);
    }
    verify(root, work.path());
    counts
}

fn write(step: u64, writer: &mut Writer<'_>) {
    let image = Image::new(step + 1);
    // Pushed over by the next, the tag moves from program to program.
    writer.image("shared/app", "latest", &image);
    writer.image("shared/app", &format!("v{step}"), &image);
    writer.image(&format!("own/r{step}"), "v1", &Image::docker(step + 1));
    writer.mount(&format!("own/r{step}"), &image.blobs[1], "shared/app");
    if step > 0 {
        let before = Image::new(step);
        let children = [image.descriptor(), before.descriptor()];
        writer.manifest("shared/app", "both", INDEX, &index(&children));
    }
    if step > 2 {
        // The image that another program wrote three steps ago.
        let old = Image::docker(step - 2);
        writer.delete_manifest(&format!("own/r{}", step - 3), &old.digest());
        writer.delete_blob(
            &format!("own/r{}", step - 3),
            &plugin_registry_conformance::registry::fixture::digest(&old.blobs[2]),
        );
    }
}
