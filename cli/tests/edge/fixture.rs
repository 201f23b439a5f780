//! Content, and the requests that bring it in.

use std::time::{Duration, Instant};

use plugin_registry_core::Digest;
use serde_json::json;

use crate::{
    common::server::Server,
    wire::{Answer, Wire, head, whole},
};

/// The header of an OCI image manifest.
pub(crate) const IMAGE: &str = "content-type: application/vnd.oci.image.manifest.v1+json";

/// Bytes that differ for each seed.
pub(crate) fn content(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

pub(crate) fn digest(content: &[u8]) -> String {
    Digest::sha256(content).to_string()
}

/// A POST that stores `content` at once.
pub(crate) fn single_post(name: &str, content: &[u8]) -> Vec<u8> {
    whole("POST", &post_target(name, content), &[], content)
}

pub(crate) fn post_target(name: &str, content: &[u8]) -> String {
    format!("/v2/{name}/blobs/uploads/?digest={}", digest(content))
}

/// Stores a blob.
pub(crate) fn push_blob(server: &Server, name: &str, content: &[u8]) {
    let _ = Wire::open(server).ask(single_post(name, content)).expect(201);
}

/// Stores an image of one layer under the tag `latest`; gives the manifest.
pub(crate) fn push_image(server: &Server, name: &str) -> Vec<u8> {
    let manifest = blobs_of_image(server, name);
    let put = whole("PUT", &format!("/v2/{name}/manifests/latest"), &[IMAGE], &manifest);
    let _ = Wire::open(server).ask(put).expect(201);
    manifest
}

/// Stores all of an image but its manifest, which is given.
pub(crate) fn blobs_of_image(server: &Server, name: &str) -> Vec<u8> {
    let (config, layer) = (b"{\"os\":\"linux\"}".to_vec(), content(1, 3000));
    let descriptor = |media_type: &str, content: &[u8]| json!({"mediaType": media_type, "digest": digest(content), "size": content.len()});
    for blob in [&config, &layer] {
        push_blob(server, name, blob);
    }
    json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", &layer)],
    })
    .to_string()
    .into_bytes()
}

/// The blob is there, whole.
#[track_caller]
pub(crate) fn assert_blob(server: &Server, name: &str, content: &[u8]) {
    let get = head("GET", &format!("/v2/{name}/blobs/{}", digest(content)), &[]);
    let answer = Wire::open(server).ask(get).expect(200);
    assert!(answer.body == content, "other bytes");
}

#[track_caller]
pub(crate) fn assert_no_blob(server: &Server, name: &str, content: &[u8]) {
    let get = head("GET", &format!("/v2/{name}/blobs/{}", digest(content)), &[]);
    let _ = Wire::open(server).ask(get).expect(404);
}

/// Begins an upload; its path, without the state.
pub(crate) fn begin(server: &Server, name: &str) -> String {
    let post = whole("POST", &format!("/v2/{name}/blobs/uploads/"), &[], b"");
    let answer = Wire::open(server).ask(post).expect(202);
    answer.header("location").split('?').next().unwrap().to_owned()
}

/// How many bytes the upload has, by a GET. (The answer for 1 looks like that for 0, so no test uses 1.)
pub(crate) fn status(server: &Server, upload: &str) -> usize {
    length_of(&Wire::open(server).ask(head("GET", upload, &[])).expect(204))
}

fn length_of(answer: &Answer) -> usize {
    match answer.header("range").strip_prefix("0-").unwrap().parse().unwrap() {
        0 => 0,
        last => last + 1_usize,
    }
}

/// Waits until no request writes to the upload, and returns how many bytes it then has.
pub(crate) fn settled(server: &Server, upload: &str) -> usize {
    let mut wire = Wire::open(server);
    let begin = Instant::now();
    loop {
        // An empty chunk writes nothing, and is refused while another request is at it.
        let answer = wire.ask(whole("PATCH", upload, &[], b""));
        if answer.status == 202 {
            return length_of(&answer);
        }
        assert_eq!(answer.status, 429, "{answer:?}");
        assert!(begin.elapsed() < Duration::from_secs(30), "an upload is busy for ever");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Asserts that the upload has this many bytes, and that a GET reports them.
#[track_caller]
pub(crate) fn assert_stands(server: &Server, upload: &str, at: usize) {
    assert_eq!(settled(server, upload), at);
    assert_eq!(status(server, upload), at);
}

/// Sends the rest of `content` from where the upload stands, and the digest; the blob is right then.
pub(crate) fn go_on(server: &Server, upload: &str, name: &str, content: &[u8]) {
    let at = settled(server, upload);
    let rest = &content[at..];
    if !rest.is_empty() {
        let range = format!("content-range: {at}-{}", content.len() - 1);
        let patch = whole("PATCH", upload, &[&range], rest);
        let _ = Wire::open(server).ask(patch).expect(202);
    }
    let put = whole("PUT", &finish(upload, content), &[], b"");
    let _ = Wire::open(server).ask(put).expect(201);
    assert_blob(server, name, content);
}

/// Where the PUT goes that ends the upload.
pub(crate) fn finish(upload: &str, content: &[u8]) -> String {
    format!("{upload}?digest={}", digest(content))
}

/// Waits until a condition holds.
#[track_caller]
pub(crate) fn soon(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
