//! The images that are pushed.

use bytes::Bytes;
use plugin_registry_conformance::registry::fixture::{
    DOCKER_IMAGE, DOCKER_LIST, IMAGE, INDEX, Image, content, descriptor, digest, docker_list, index,
};
use plugin_registry_core::Algorithm;
use serde_json::json;

use crate::{client::Flow, expected::Writer, programs::Program};

pub(crate) fn oci_images(writer: &mut Writer<'_>) {
    writer.image("oci/app", "v1", &Image::new(1));
    writer.image("oci/app", "v2", &Image::new(2));
    // The type is in `Content-Type` alone, as buildah writes it.
    let untyped = Image::with(3, |manifest| {
        manifest.as_object_mut().unwrap().remove("mediaType");
    });
    writer.image("oci/app", "untyped", &untyped);
    writer.child("oci/app", &Image::new(4));
}

pub(crate) fn docker_images(writer: &mut Writer<'_>) {
    writer.image("docker/app", "v1", &Image::docker(1));
    writer.image("docker/app", "latest", &Image::docker(2));
    writer.child("docker/app", &Image::docker(3));
}

pub(crate) fn indexes(writer: &mut Writer<'_>) {
    let platforms = [Image::new(1), Image::new(2), Image::new(3)];
    for image in &platforms {
        writer.child("oci/multi", image);
    }
    let children: Vec<_> = platforms.iter().map(Image::descriptor).collect();
    writer.manifest("oci/multi", "all", INDEX, &index(&children));
    writer.manifest("oci/multi", "two", INDEX, &index(&children[1..]));
    let untagged = index(&children[..1]);
    writer.manifest("oci/multi", &digest(&untagged), INDEX, &untagged);
}

pub(crate) fn lists(writer: &mut Writer<'_>) {
    let platforms = [Image::docker(1), Image::docker(2)];
    for image in &platforms {
        writer.child("docker/multi", image);
    }
    let children: Vec<_> = platforms.iter().map(Image::descriptor).collect();
    writer.manifest("docker/multi", "latest", DOCKER_LIST, &docker_list(&children));
    // Docker's list of OCI images, and an index of Docker's: buildx writes both.
    let oci = Image::new(3);
    writer.child("docker/multi", &oci);
    writer.manifest("docker/multi", "mixed", DOCKER_LIST, &docker_list(&[oci.descriptor()]));
    writer.manifest(
        "docker/multi",
        "mixed2",
        INDEX,
        &index(&[descriptor(DOCKER_IMAGE, &platforms[0].manifest)]),
    );
}

pub(crate) fn nested_indexes(writer: &mut Writer<'_>) {
    let images = [Image::new(1), Image::new(2), Image::new(3)];
    for image in &images {
        writer.child("oci/nested", image);
    }
    let inner = index(&[images[0].descriptor(), images[1].descriptor()]);
    writer.manifest("oci/nested", "inner", INDEX, &inner);
    let middle = index(&[descriptor(INDEX, &inner), images[2].descriptor()]);
    writer.manifest("oci/nested", &digest(&middle), INDEX, &middle);
    let outer = index(&[descriptor(INDEX, &middle), descriptor(INDEX, &inner)]);
    writer.manifest("oci/nested", "outer", INDEX, &outer);
}

pub(crate) fn artifacts(writer: &mut Writer<'_>) {
    let subject = Image::new(1);
    writer.image("oci/signed", "v1", &subject);
    for seed in 2..4 {
        let artifact =
            Image::referring_to(&subject.manifest, seed, Some("application/vnd.example.signature"));
        writer.child("oci/signed", &artifact);
    }
    // As cosign tags it.
    let tag = subject.digest().replace(':', "-");
    writer.image("oci/signed", &format!("{tag}.sig"), &Image::referring_to(&subject.manifest, 4, None));
    let empty = Bytes::from_static(b"{}");
    writer.blob("oci/signed", &empty, Flow::Whole);
    let artifact = json!({
        "schemaVersion": 2, "mediaType": IMAGE, "artifactType": "application/vnd.example.sbom",
        "config": descriptor("application/vnd.oci.empty.v1+json", &empty),
        "layers": [descriptor("application/vnd.oci.empty.v1+json", &empty)],
    });
    let artifact = plugin_registry_conformance::registry::fixture::document(&artifact);
    writer.manifest("oci/signed", "sbom", IMAGE, &artifact);
}

/// Blobs by sha512, and an image that names them so. distribution refuses manifests by sha512.
pub(crate) fn sha512(writer: &mut Writer<'_>) {
    let image = Image::by(Algorithm::Sha512, 1, |_| {});
    for blob in &image.blobs {
        writer.blob_as(Algorithm::Sha512, "oci/long", blob, Flow::Chunks(700));
    }
    writer.manifest("oci/long", "v1", IMAGE, &image.manifest);
    // The same content under both names, and in another repository.
    writer.blob("oci/long", &image.blobs[1], Flow::Whole);
    writer.blob_as(Algorithm::Sha512, "oci/other", &image.blobs[1], Flow::Whole);
    writer.image("oci/other", "v1", &Image::new(2));
}

pub(crate) fn mounts(writer: &mut Writer<'_>) {
    let image = Image::new(1);
    writer.image("base", "v1", &image);
    for name in ["ns/a", "ns/b/c"] {
        for blob in &image.blobs {
            writer.mount(name, blob, "base");
        }
        writer.manifest(name, "mounted", IMAGE, &image.manifest);
    }
    // From where it was mounted to, and the source is gone.
    let lone = content(77, 5000);
    writer.blob("base", &lone, Flow::Whole);
    writer.mount("ns/d", &lone, "base");
    writer.delete_blob("base", &digest(&lone));
    writer.mount("ns/e", &lone, "ns/d");
    for name in ["ns/d", "ns/e"] {
        writer.image(name, "v1", &Image::new(3));
    }
}

pub(crate) fn overwritten_tags(writer: &mut Writer<'_>) {
    for seed in 1..6 {
        writer.image("app", "latest", &Image::new(seed));
        writer.image("app", &format!("v{seed}"), &Image::new(seed));
    }
    // Back to an old one, and to another type.
    writer.image("app", "latest", &Image::new(2));
    writer.image("app", "v3", &Image::docker(3));
    writer.manifest("app", "v4", INDEX, &index(&[Image::new(4).descriptor()]));
}

pub(crate) fn deleted_tags(writer: &mut Writer<'_>) {
    for seed in 1..5 {
        writer.image("app", &format!("v{seed}"), &Image::new(seed));
    }
    writer.image("app", "v", &Image::new(5));
    writer.image("app", "v1-alias", &Image::new(6));
    for tag in ["v1", "v3"] {
        untag(writer, "app", tag);
    }
    // Names that begin alike stay; a tag comes back.
    untag(writer, "app", "v");
    writer.image("app", "v3", &Image::new(7));
}

/// 2.8 deletes by digest alone; then the manifest goes with its tag.
fn untag(writer: &mut Writer<'_>, name: &str, tag: &str) {
    if writer.program == Program::V2 {
        let digest = writer.expected.0[name].tags[tag].clone();
        writer.delete_manifest(name, &digest);
    } else {
        writer.delete_tag(name, tag);
    }
}

pub(crate) fn deleted_manifests(writer: &mut Writer<'_>) {
    let images: Vec<Image> = (1..6).map(Image::new).collect();
    for (index, image) in images.iter().enumerate() {
        writer.image("app", &format!("v{index}"), image);
    }
    writer.image("app", "again", &images[1]);
    writer.image("other", "v1", &images[1]);
    for image in [&images[1], &images[3]] {
        writer.delete_manifest("app", &image.digest());
    }
    // One comes back; one index loses a child that nothing else names.
    writer.image("app", "back", &images[3]);
    writer.child("app", &Image::new(7));
    writer.manifest("app", "list", INDEX, &index(&[images[0].descriptor()]));
    writer.delete_manifest("app", &Image::new(7).digest());
}

pub(crate) fn zero_bytes(writer: &mut Writer<'_>) {
    let empty = Bytes::new();
    writer.blob("empty", &empty, Flow::Whole);
    let image = Image::with(1, |manifest| {
        let layers = manifest["layers"].as_array_mut().unwrap();
        layers.push(descriptor("application/vnd.oci.image.layer.v1.tar+gzip", b""));
    });
    writer.image("empty", "v1", &image);
    // Also after a PATCH that brought nothing, and by a mount.
    writer.mount("empty2", &empty, "empty");
    writer.image("empty2", "v1", &image);
}

pub(crate) fn three_hundred_images(writer: &mut Writer<'_>) {
    for seed in 0..300 {
        // One layer is common to all of them.
        let image = Image::with(1000, |manifest| {
            manifest["annotations"] = json!({"org.example.seed": seed.to_string()});
        });
        writer.image("many", &format!("v{seed}"), &image);
    }
}

pub(crate) fn large_layers(writer: &mut Writer<'_>) {
    let layers = [content(1, 24 << 20), content(2, (8 << 20) + 1)];
    let image = Image::with(1, |manifest| {
        let named = layers.iter().map(|layer| descriptor("application/vnd.oci.image.layer.v1.tar", layer));
        manifest["layers"] = named.collect();
    });
    writer.blob("large", &layers[0], Flow::Chunks(5 << 20));
    writer.blob("large", &layers[1], Flow::Whole);
    writer.blob("large", &image.blobs[0], Flow::Whole);
    writer.manifest("large", "v1", IMAGE, &image.manifest);
}

/// Layers that stay at their source: named by URL, and not pushed.
pub(crate) fn foreign_layers(writer: &mut Writer<'_>) {
    let image = Image::with(1, |manifest| {
        manifest["mediaType"] = DOCKER_IMAGE.into();
        manifest["config"]["mediaType"] = "application/vnd.docker.container.image.v1+json".into();
        manifest["layers"][0]["mediaType"] =
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip".into();
        manifest["layers"][0]["urls"] = json!(["https://example.org/layer"]);
        manifest["layers"][1]["mediaType"] = "application/vnd.docker.image.rootfs.diff.tar.gzip".into();
    });
    writer.blob("windows", &image.blobs[0], Flow::Whole);
    writer.blob("windows", &image.blobs[2], Flow::Whole);
    writer.manifest("windows", "v1", DOCKER_IMAGE, &image.manifest);
}
