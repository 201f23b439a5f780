//! Golden trees: what each operation leaves in a store, path by path and byte by byte.
//!
//! The expected trees are written out. Nothing here asks the registry where something belongs, and the
//! digests were computed with `sha256sum` and `sha512sum`. Together with the layout of distribution 2.8 and
//! 3.x (docs, "The layout promise"), these trees are the public contract.

use bytes::Bytes;
use http::StatusCode;

use super::{
    Bench, Tree,
    content::{
        ARTIFACT, ARTIFACT_TEXT, CONFIG, CONFIG_TEXT, EMPTY, EMPTY_512, File, IMAGE_TYPE, INDEX, INDEX_TEXT,
        INDEX_TYPE, LAYER_ONE, LAYER_ONE_512, LAYER_ONE_TEXT, LAYER_TWO, LAYER_TWO_TEXT, ONE, ONE_512,
        ONE_TEXT, TWO, TWO_TEXT, blobs_of_one, blobs_of_two, file, links_of_one, links_of_tag, links_of_two,
        tree,
    },
};
use crate::registry::client::and;

async fn push_one(bench: &Bench, name: &str, reference: &str) {
    let client = bench.client();
    client.push(name, &CONFIG_TEXT.into()).await;
    client.push(name, &LAYER_ONE_TEXT.into()).await;
    let _ = client.put_manifest(name, reference, IMAGE_TYPE, &ONE_TEXT.into()).await.expect(201);
}

async fn push_two(bench: &Bench, name: &str, reference: &str) {
    let client = bench.client();
    client.push(name, &CONFIG_TEXT.into()).await;
    client.push(name, &LAYER_TWO_TEXT.into()).await;
    let _ = client.put_manifest(name, reference, IMAGE_TYPE, &TWO_TEXT.into()).await.expect(201);
}

async fn delete(bench: &Bench, uri: String) {
    let _ = bench.client().delete(uri).send().await.expect(StatusCode::ACCEPTED.as_u16());
}

/// An image is pushed under a tag.
pub async fn image_by_tag(bench: &Bench) {
    push_one(bench, "ns/app", "v1").await;
    let expected = [blobs_of_one(), links_of_one("ns/app"), links_of_tag("ns/app", "v1", ONE)];
    bench.assert_tree(&tree(expected.concat())).await;
}

/// An image is pushed under its digest: the same tree without a tag.
pub async fn image_by_digest(bench: &Bench) {
    push_one(bench, "ns/app", &format!("sha256:{ONE}")).await;
    let expected = tree([blobs_of_one(), links_of_one("ns/app")].concat());
    bench.assert_tree(&expected).await;
    // Pushing it again changes nothing.
    push_one(bench, "ns/app", &format!("sha256:{ONE}")).await;
    bench.assert_tree(&expected).await;
}

/// An index of two platforms: the children are pushed by digest, the index by tag.
pub async fn index_of_two_platforms(bench: &Bench) {
    push_one(bench, "ns/app", &format!("sha256:{ONE}")).await;
    push_two(bench, "ns/app", &format!("sha256:{TWO}")).await;
    let put = bench.client().put_manifest("ns/app", "latest", INDEX_TYPE, &INDEX_TEXT.into()).await;
    let _ = put.expect(201);
    let mut expected =
        [blobs_of_one(), blobs_of_two(), links_of_one("ns/app"), links_of_two("ns/app")].concat();
    expected.extend([
        file(format!("blobs/sha256/42/{INDEX}/data"), INDEX_TEXT),
        file(
            format!("repositories/ns/app/_manifests/revisions/sha256/{INDEX}/link"),
            format!("sha256:{INDEX}"),
        ),
    ]);
    expected.extend(links_of_tag("ns/app", "latest", INDEX));
    bench.assert_tree(&tree(expected)).await;
}

/// An artifact with a subject is stored like any other image: nothing leads from the subject to it.
pub async fn artifact_with_subject(bench: &Bench) {
    push_one(bench, "ns/app", "v1").await;
    bench.client().push("ns/app", &LAYER_TWO_TEXT.into()).await;
    let reference = format!("sha256:{ARTIFACT}");
    let put = bench.client().put_manifest("ns/app", &reference, IMAGE_TYPE, &ARTIFACT_TEXT.into()).await;
    assert_eq!(put.expect(201).header("oci-subject"), format!("sha256:{ONE}"));
    let referrers = bench.client().get(format!("/v2/ns/app/referrers/sha256:{ONE}")).send().await.expect(200);
    assert_eq!(referrers.json()["manifests"][0]["digest"], reference);
    let mut expected = [blobs_of_one(), links_of_one("ns/app"), links_of_tag("ns/app", "v1", ONE)].concat();
    expected.extend([
        file(format!("blobs/sha256/53/{LAYER_TWO}/data"), LAYER_TWO_TEXT),
        file(format!("blobs/sha256/01/{ARTIFACT}/data"), ARTIFACT_TEXT),
        file(format!("repositories/ns/app/_layers/sha256/{LAYER_TWO}/link"), format!("sha256:{LAYER_TWO}")),
        file(
            format!("repositories/ns/app/_manifests/revisions/sha256/{ARTIFACT}/link"),
            format!("sha256:{ARTIFACT}"),
        ),
    ]);
    bench.assert_tree(&tree(expected)).await;
}

/// The links of the first layer pushed by sha512: two, both with the sha256 digest.
fn layer_by_sha512(name: &str) -> Vec<File> {
    vec![
        file(format!("repositories/{name}/_layers/sha256/{LAYER_ONE}/link"), format!("sha256:{LAYER_ONE}")),
        file(
            format!("repositories/{name}/_layers/sha512/{LAYER_ONE_512}/link"),
            format!("sha256:{LAYER_ONE}"),
        ),
    ]
}

/// A blob is pushed by sha512, in each way to push it, and stored once.
pub async fn sha512_blob(bench: &Bench) {
    let client = bench.client();
    let digest = format!("sha512:{LAYER_ONE_512}");
    let mut expected = vec![file(format!("blobs/sha256/28/{LAYER_ONE}/data"), LAYER_ONE_TEXT)];
    for way in ["put", "post", "chunks", "announced"] {
        let name = format!("by/{way}");
        if way == "post" {
            let uri = format!("/v2/{name}/blobs/uploads/?digest={digest}");
            let _ = client.post(uri).body(LAYER_ONE_TEXT).send().await.expect(201);
        } else {
            let query = if way == "announced" { "?digest-algorithm=sha512" } else { "" };
            let start = client.post(format!("/v2/{name}/blobs/uploads/{query}")).body("").send().await;
            let mut location = start.expect(202).location();
            let sent = if way == "put" { 0 } else { 5 };
            if sent > 0 {
                location = client.append(&location, &Bytes::from(&LAYER_ONE_TEXT[..sent])).await;
            }
            let _ = client.finish(&location, &digest, &LAYER_ONE_TEXT[sent..]).await.expect(201);
        }
        expected.extend(layer_by_sha512(&name));
    }
    bench.assert_tree(&tree(expected)).await;
}

/// A manifest pushed by sha512 with a tag has its canonical revision and the alias, both with the sha256
/// digest. The tag has the digest that the client used.
pub async fn sha512_manifest(bench: &Bench) {
    push_one(bench, "ns/app", &format!("sha512:{ONE_512}?tag=v1")).await;
    let mut expected = [blobs_of_one(), links_of_one("ns/app")].concat();
    let manifests = "repositories/ns/app/_manifests";
    expected.extend([
        file(format!("{manifests}/revisions/sha512/{ONE_512}/link"), format!("sha256:{ONE}")),
        file(format!("{manifests}/tags/v1/index/sha512/{ONE_512}/link"), format!("sha512:{ONE_512}")),
        file(format!("{manifests}/tags/v1/current/link"), format!("sha512:{ONE_512}")),
    ]);
    bench.assert_tree(&tree(expected)).await;
}

/// A mount is one link, or two by sha512. No bytes are copied.
pub async fn mount(bench: &Bench) {
    let client = bench.client();
    client.push("from", &LAYER_ONE_TEXT.into()).await;
    let mut expected = vec![
        file(format!("blobs/sha256/28/{LAYER_ONE}/data"), LAYER_ONE_TEXT),
        file(format!("repositories/from/_layers/sha256/{LAYER_ONE}/link"), format!("sha256:{LAYER_ONE}")),
    ];
    for (name, query) in [
        ("to", format!("mount=sha256:{LAYER_ONE}&from=from")),
        ("anonymous/to", format!("mount=sha256:{LAYER_ONE}")),
    ] {
        let uri = format!("/v2/{name}/blobs/uploads/?{query}");
        let _ = client.post(uri).body("").send().await.expect(201);
        let link = format!("repositories/{name}/_layers/sha256/{LAYER_ONE}/link");
        expected.push(file(link, format!("sha256:{LAYER_ONE}")));
    }
    bench.assert_tree(&tree(expected.clone())).await;
    client.push_as(plugin_registry_core::Algorithm::Sha512, "from512", &LAYER_ONE_TEXT.into()).await;
    let uri = format!("/v2/to512/blobs/uploads/?mount=sha512:{LAYER_ONE_512}&from=from512");
    let _ = client.post(uri).body("").send().await.expect(201);
    expected.extend(layer_by_sha512("from512"));
    expected.extend(layer_by_sha512("to512"));
    bench.assert_tree(&tree(expected.clone())).await;
    // A mount that finds nothing leaves nothing.
    let uri = format!("/v2/to/blobs/uploads/?mount=sha256:{LAYER_TWO}&from=from");
    let _ = client.post(uri).body("").send().await.expect(202);
    bench.assert_tree(&tree(expected)).await;
}

/// If a tag moves, both index entries stay, and `current` names the last one.
pub async fn overwritten_tag(bench: &Bench) {
    push_one(bench, "ns/app", "v1").await;
    push_two(bench, "ns/app", "v1").await;
    let mut expected =
        [blobs_of_one(), blobs_of_two(), links_of_one("ns/app"), links_of_two("ns/app")].concat();
    let tag = "repositories/ns/app/_manifests/tags/v1";
    expected.extend([
        file(format!("{tag}/index/sha256/{ONE}/link"), format!("sha256:{ONE}")),
        file(format!("{tag}/index/sha256/{TWO}/link"), format!("sha256:{TWO}")),
    ]);
    let current = |hex: &str| vec![file(format!("{tag}/current/link"), format!("sha256:{hex}"))];
    bench.assert_tree(&tree([expected.clone(), current(TWO)].concat())).await;
    push_one(bench, "ns/app", "v1").await;
    bench.assert_tree(&tree([expected, current(ONE)].concat())).await;
}

/// Tags may have the names of the layout's own directories, or begin with another tag.
pub async fn tags_with_names_of_the_layout(bench: &Bench) {
    let mut expected = [blobs_of_one(), links_of_one("ns/app")].concat();
    for tag in ["index", "current", "link", "v1", "v1.0"] {
        push_one(bench, "ns/app", tag).await;
        expected.extend(links_of_tag("ns/app", tag, ONE));
    }
    bench.assert_tree(&tree(expected.clone())).await;
    delete(bench, "/v2/ns/app/manifests/v1".to_owned()).await;
    delete(bench, "/v2/ns/app/manifests/index".to_owned()).await;
    expected.retain(|(path, _)| !path.contains("/tags/v1/") && !path.contains("/tags/index/"));
    bench.assert_tree(&tree(expected)).await;
}

/// A repository may be below another one, or have a name that begins with the other's.
pub async fn nested_repositories(bench: &Bench) {
    let mut expected = blobs_of_one();
    for name in ["a", "a/b", "a-b"] {
        push_one(bench, name, "v1").await;
        expected.extend([links_of_one(name), links_of_tag(name, "v1", ONE)].concat());
    }
    bench.assert_tree(&tree(expected.clone())).await;
    delete(bench, format!("/v2/a/manifests/sha256:{ONE}")).await;
    delete(bench, format!("/v2/a/blobs/sha256:{CONFIG}")).await;
    delete(bench, format!("/v2/a/blobs/sha256:{LAYER_ONE}")).await;
    expected.retain(|(path, _)| !path.starts_with("repositories/a/_"));
    bench.assert_tree(&tree(expected)).await;
}

/// Deleting a tag removes its directory and nothing else.
pub async fn delete_of_a_tag(bench: &Bench) {
    push_one(bench, "ns/app", "v1").await;
    push_two(bench, "ns/app", "v1").await;
    push_one(bench, "ns/app", "v2").await;
    delete(bench, "/v2/ns/app/manifests/v1".to_owned()).await;
    let expected = [
        blobs_of_one(),
        blobs_of_two(),
        links_of_one("ns/app"),
        links_of_two("ns/app"),
        links_of_tag("ns/app", "v2", ONE),
    ];
    bench.assert_tree(&tree(expected.concat())).await;
}

/// Deleting a manifest removes its revision link and the tags that name it. The index history of other tags,
/// the bytes and the layer links stay.
pub async fn delete_of_a_manifest(bench: &Bench) {
    push_one(bench, "ns/app", "gone").await;
    push_one(bench, "ns/app", "moved").await;
    push_two(bench, "ns/app", "moved").await;
    delete(bench, format!("/v2/ns/app/manifests/sha256:{ONE}")).await;
    let mut expected =
        [blobs_of_one(), blobs_of_two(), links_of_one("ns/app"), links_of_two("ns/app")].concat();
    expected
        .retain(|(path, _)| *path != format!("repositories/ns/app/_manifests/revisions/sha256/{ONE}/link"));
    let tag = "repositories/ns/app/_manifests/tags/moved";
    expected.extend([
        file(format!("{tag}/index/sha256/{ONE}/link"), format!("sha256:{ONE}")),
        file(format!("{tag}/index/sha256/{TWO}/link"), format!("sha256:{TWO}")),
        file(format!("{tag}/current/link"), format!("sha256:{TWO}")),
    ]);
    bench.assert_tree(&tree(expected)).await;
}

/// Deleting a manifest by sha512 removes both revision links, and the tags that name either.
pub async fn delete_of_a_manifest_by_sha512(bench: &Bench) {
    push_one(bench, "ns/app", &format!("sha512:{ONE_512}?tag=v1")).await;
    push_one(bench, "ns/app", "v2").await;
    delete(bench, format!("/v2/ns/app/manifests/sha512:{ONE_512}")).await;
    let mut expected = [blobs_of_one(), links_of_one("ns/app")].concat();
    expected.retain(|(path, _)| !path.contains("/revisions/"));
    bench.assert_tree(&tree(expected)).await;
}

/// Deleting a blob removes its link, and by sha512 both. The bytes stay, and other repositories keep theirs.
pub async fn delete_of_a_blob(bench: &Bench) {
    let client = bench.client();
    let bytes = file(format!("blobs/sha256/28/{LAYER_ONE}/data"), LAYER_ONE_TEXT);
    let link = |name: &str| {
        file(format!("repositories/{name}/_layers/sha256/{LAYER_ONE}/link"), format!("sha256:{LAYER_ONE}"))
    };
    for name in ["a", "b"] {
        client.push(name, &LAYER_ONE_TEXT.into()).await;
    }
    delete(bench, format!("/v2/a/blobs/sha256:{LAYER_ONE}")).await;
    bench.assert_tree(&tree([bytes.clone(), link("b")])).await;
    client.push_as(plugin_registry_core::Algorithm::Sha512, "c", &LAYER_ONE_TEXT.into()).await;
    delete(bench, format!("/v2/c/blobs/sha512:{LAYER_ONE_512}")).await;
    bench.assert_tree(&tree([bytes.clone(), link("b")])).await;
    delete(bench, format!("/v2/b/blobs/sha256:{LAYER_ONE}")).await;
    bench.assert_tree(&tree([bytes])).await;
}

/// An upload in progress has nothing after POST, and `startedat` and invisible bytes after PATCH. After PUT
/// only the finished blob is left.
pub async fn upload_in_progress(bench: &Bench) {
    let client = bench.client();
    let location = client.begin("ns/app").await;
    bench.assert_tree(&Tree::default()).await;
    let location = client.append(&location, &LAYER_ONE_TEXT[..4].into()).await;
    let started = assert_started(bench, "ns/app", &location, 4).await;
    let location = client.append(&location, &LAYER_ONE_TEXT[4..6].into()).await;
    assert_eq!(assert_started(bench, "ns/app", &location, 6).await, started, "the upload began once");
    // The bytes of a failed request do not count.
    let wrong = client.patch(&location).header("content-range", "9-9").body("x").send().await;
    wrong.refused(416, "RANGE_INVALID");
    assert_started(bench, "ns/app", &location, 6).await;
    let done = client.finish(&location, &format!("sha256:{LAYER_ONE}"), &LAYER_ONE_TEXT[6..]).await;
    let _ = done.expect(201);
    let expected = [
        file(format!("blobs/sha256/28/{LAYER_ONE}/data"), LAYER_ONE_TEXT),
        file(format!("repositories/ns/app/_layers/sha256/{LAYER_ONE}/link"), format!("sha256:{LAYER_ONE}")),
    ];
    bench.assert_tree(&tree(expected)).await;
}

/// Checks the tree of one upload in progress, and returns the content of `startedat`.
async fn assert_started(bench: &Bench, name: &str, location: &str, staged: usize) -> String {
    let id = location.rsplit('/').next().unwrap().split('?').next().unwrap();
    let upload = format!("repositories/{name}/_uploads/{id}");
    let path = format!("/docker/registry/v2/{upload}/startedat");
    let found = bench.tree().await;
    let started = found.get(&path).unwrap_or_else(|| panic!("no {path} in {found:?}"));
    let started = String::from_utf8(started.to_vec()).unwrap();
    let form: String =
        started.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
    assert_eq!(form, "0000-00-00T00:00:00Z", "RFC 3339, UTC, seconds, no line break: {started:?}");
    let expected = tree([file(format!("{upload}/startedat"), started.clone())]);
    let hidden = [format!("docker/registry/v2/{upload}/data.UUID.{staged}.part")];
    bench.assert_tree_with(&expected, &hidden).await;
    started
}

/// A large upload keeps its hash state beside it, in the form that distribution writes, under the identity
/// of the staged bytes that it describes.
pub async fn hash_state_of_a_large_upload(bench: &Bench) {
    let client = bench.client();
    let zeros = Bytes::from(vec![0; 16 << 20]);
    let location = client.begin("ns/app").await;
    let location = client.append(&location, &zeros).await;
    let id = location.rsplit('/').next().unwrap().split('?').next().unwrap();
    let upload = format!("/docker/registry/v2/repositories/ns/app/_uploads/{id}");
    let tree = bench.tree().await;
    let [state, started] = tree.paths().collect::<Vec<_>>()[..] else { panic!("two files: {tree:?}") };
    let (before, behind) = (format!("{upload}/stages/"), "/sha256/16777216");
    let stage = state.strip_prefix(&before).and_then(|state| state.strip_suffix(behind));
    assert!(stage.is_some_and(|stage| stage.len() == 32), "{state}");
    assert!(stage.unwrap().bytes().all(|byte| byte.is_ascii_hexdigit()), "{state}");
    assert_eq!(started, format!("{upload}/startedat"));
    let state = tree.get(state).unwrap();
    assert_eq!(state.len(), 108);
    assert_eq!(&state[..4], b"sha\x03");
    // Nothing is pending at a multiple of 64 bytes.
    assert_eq!(&state[36..100], &[0; 64]);
    assert_eq!(&state[100..], &16_777_216_u64.to_be_bytes());
    let _ = client.delete(&location).send().await.expect(204);
    bench.assert_tree(&Tree::default()).await;
}

/// Nothing is left of an upload that was cancelled, or that was ended by a digest that can never match.
pub async fn ended_uploads_leave_nothing(bench: &Bench) {
    let client = bench.client();
    let cancelled = client.begin("ns/app").await;
    let cancelled = client.append(&cancelled, &LAYER_ONE_TEXT.into()).await;
    let _ = client.delete(cancelled).send().await.expect(204);
    bench.assert_tree(&Tree::default()).await;
    let ended = client.begin("ns/app").await;
    let ended = client.append(&ended, &LAYER_ONE_TEXT.into()).await;
    client.finish(&ended, &format!("sha256:{LAYER_TWO}"), "").await.refused(400, "DIGEST_INVALID");
    bench.assert_tree(&Tree::default()).await;
    let fresh = client.begin("ns/app").await;
    let wrong = client.finish(&fresh, &format!("sha256:{LAYER_TWO}"), LAYER_ONE_TEXT).await;
    wrong.refused(400, "DIGEST_INVALID");
    bench.assert_tree(&Tree::default()).await;
    let short = client.put(and(&fresh, &format!("digest=sha256:{LAYER_ONE}"))).header("content-length", 11);
    let short = short.stream(crate::registry::body::whole(LAYER_ONE_TEXT)).send().await;
    short.refused(400, "SIZE_INVALID");
    let refused = client.put_manifest("ns/app", "v1", IMAGE_TYPE, &ONE_TEXT.into()).await;
    refused.refused(400, "MANIFEST_BLOB_UNKNOWN");
    bench.assert_tree(&Tree::default()).await;
}

/// The empty blob is an empty file.
pub async fn zero_byte_blob(bench: &Bench) {
    let client = bench.client();
    let mut expected = vec![file(format!("blobs/sha256/e3/{EMPTY}/data"), "")];
    for (name, chunk) in [("put", false), ("chunk", true)] {
        let mut location = client.begin(name).await;
        if chunk {
            location = client.append(&location, &Bytes::new()).await;
        }
        let _ = client.finish(&location, &format!("sha256:{EMPTY}"), "").await.expect(201);
        expected.push(file(
            format!("repositories/{name}/_layers/sha256/{EMPTY}/link"),
            format!("sha256:{EMPTY}"),
        ));
    }
    let uri = format!("/v2/post/blobs/uploads/?digest=sha512:{EMPTY_512}");
    let _ = client.post(uri).body("").send().await.expect(201);
    expected.extend([
        file(format!("repositories/post/_layers/sha256/{EMPTY}/link"), format!("sha256:{EMPTY}")),
        file(format!("repositories/post/_layers/sha512/{EMPTY_512}/link"), format!("sha256:{EMPTY}")),
    ]);
    bench.assert_tree(&tree(expected)).await;
}

/// Every way to push a blob ends in the same tree.
pub async fn every_push_ends_alike(bench: &Bench) {
    let client = bench.client();
    let digest = format!("sha256:{LAYER_ONE}");
    let expected = tree([
        file(format!("blobs/sha256/28/{LAYER_ONE}/data"), LAYER_ONE_TEXT),
        file(format!("repositories/ns/app/_layers/sha256/{LAYER_ONE}/link"), digest.clone()),
    ]);
    for way in ["put", "post", "chunk", "chunks", "typed"] {
        match way {
            "post" => {
                let uri = format!("/v2/ns/app/blobs/uploads/?digest={digest}");
                let _ = client.post(uri).body(LAYER_ONE_TEXT).send().await.expect(201);
            }
            "typed" => bench.push_typed("ns/app", LAYER_ONE_TEXT).await,
            _ => {
                let mut location = client.begin("ns/app").await;
                let mut rest = LAYER_ONE_TEXT;
                let chunk = if way == "chunks" { 3 } else { 10 };
                while way != "put" && !rest.is_empty() {
                    let (head, tail) = rest.split_at(chunk.min(rest.len()));
                    location = client.append(&location, &head.into()).await;
                    rest = tail;
                }
                let _ = client.finish(&location, &digest, rest).await.expect(201);
            }
        }
        bench.assert_tree(&expected).await;
        bench.clear().await;
    }
}
