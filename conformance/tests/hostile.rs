//! Hostile requests: a typed 4xx with a code of the specification, never a 5xx, never a panic, and nothing
//! written that should not be.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test harness: a failed check is a panic of the test, and the counts are its result"
)]

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Uri};
use plugin_registry::ReferencePolicy;
use plugin_registry_conformance::{
    driver::Store,
    registry::{
        Answer, Client, Lab, body,
        client::and,
        fixture::{IMAGE, INDEX, Image, LAYER, content, descriptor, digest, document, index},
        on_a_runtime,
    },
};
use plugin_registry_core::Algorithm;
use plugin_registry_drivers_fs::{FsConfig, FsDriver};
use plugin_registry_drivers_memory::MemoryDriver;
use serde_json::{Value, json};

macro_rules! on_both_drivers {
    ($($test:ident,)+) => {
        mod memory {
            $(#[test]
            fn $test() {
                super::on_a_runtime(super::on(super::memory(), super::$test));
            })+
        }

        mod fs {
            $(#[test]
            fn $test() {
                super::on_a_runtime(super::on(super::fs(), super::$test));
            })+
        }
    };
}

on_both_drivers! {
    tricks_with_paths,
    tricks_with_parameters,
    injected_headers,
    huge_page_sizes,
    ten_gigabytes_announced,
    deeply_nested_manifests,
    manifests_with_very_many_entries,
    documents_that_parsers_trip_over,
    duplicate_keys,
    bodies_that_stop,
    bodies_that_lie_about_their_length,
    odd_content_lengths,
    very_many_ranges,
    huge_ranges,
    forged_and_cut_states,
    states_of_others,
    wrong_types,
    damaged_links_of_any_size,
    requests_with_senseless_bodies,
}

fn memory() -> Store {
    Store::of_clones(MemoryDriver::new())
}

fn fs() -> Store {
    let directory = Arc::new(tempfile::tempdir().unwrap());
    Store::new(move || {
        let directory = directory.clone();
        async move { FsDriver::open(FsConfig::new(directory.path()).with_durable(false)).await }
    })
}

/// Runs a check on a store that holds one image, which has to be the same afterwards.
async fn on(store: Store, check: impl AsyncFnOnce(&Lab, &Image)) {
    let lab = Lab::open(store).await;
    let image = Image::new(1);
    lab.client().push_image("ns/app", "latest", &image).await;
    let before = lab.tree().await;
    check(&lab, &image).await;
    lab.tree().await.assert_is(&before);
    let pulled = lab.client().get("/v2/ns/app/manifests/latest").send().await.expect(200);
    assert_eq!(pulled.body(), &image.manifest);
    for blob in &image.blobs {
        lab.client().assert_blob("ns/app", blob).await;
    }
}

/// Checks that an answer is a refusal in the form of the specification; its code is checked by the client.
#[track_caller]
fn refused(answer: &Answer) {
    assert!(answer.is_refusal(), "expected 4xx: {answer}");
    let is_head = answer.body().is_empty();
    assert!(is_head || !answer.errors().is_empty(), "{answer}");
}

/// Texts that try to be something else than an identifier. None of them is a name, tag, digest or upload
/// id, encoded or not.
fn tricks() -> Vec<String> {
    let mut tricks: Vec<String> = [
        "..",
        ".",
        "...",
        "../..",
        "./a",
        "a/..",
        "a/../b",
        "../ns/app",
        "..;",
        "a/./b",
        "/",
        "//",
        "a//b",
        "/a",
        "a/",
        "\\",
        "..\\..",
        "a\\b",
        "~",
        "~root",
        "a:b:c",
        "a b",
        " ",
        "\t",
        "\n",
        "\r\n",
        "\r\nx-injected: 1",
        "a\r\nx-injected: 1",
        "\0",
        "a\0",
        "\0a",
        "a\0/../b",
        "a\u{7f}",
        "\u{1b}[31m",
        "_uploads",
        "_manifests",
        "_layers",
        "_catalog",
        "a/_uploads",
        "a/_layers/sha256",
        "_uploads/..",
        "\u{2024}\u{2024}",
        "\u{ff0e}\u{ff0e}",
        "\u{2025}",
        "\u{ff0f}",
        "\u{2215}",
        "\u{202e}",
        "\u{e4}",
        "\u{1f600}",
        "\u{feff}",
        "A/../B",
        "?",
        "#",
        "a?b",
        "a#b",
        "%",
        "%%",
        "%2",
        "%zz",
        "%2e%2e",
        "%2f",
        "%252e",
        "%00",
        "$(id)",
        "`id`",
        "a;b",
        "a&b",
        "a|b",
        "a*b",
        "{a}",
        "[a]",
        "<a>",
        "\"a\"",
        "'a'",
        "a,b",
        "a!b",
        "a@b",
        "a=b=",
        "a^b",
        "file:///etc/passwd",
        "http://example.invalid/",
        "..%2f..%2f",
        "CON:",
        "a%",
        "sha256:",
        "sha256:..",
        "sha256:../../etc/passwd",
        ":",
        "::",
        "sha256:%00",
        "md5:d41d8cd98f00b204e9800998ecf8427e",
        "sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709",
    ]
    .map(str::to_owned)
    .to_vec();
    let hex = "a".repeat(64);
    tricks.extend([
        "/".repeat(100),
        "../".repeat(50),
        "a/".repeat(200),
        ".".repeat(300),
        "-".repeat(300),
        "\0".repeat(300),
        "\u{e4}".repeat(200),
        "A".repeat(10_000) + ":",
        format!("sha256:{hex}/.."),
        format!("sha256:{hex}\0"),
        format!("sha256:{hex}\n"),
        format!("sha256:{}/../{}", &hex[..30], &hex[..30]),
        format!("sha256:{}", hex.to_uppercase()),
        format!("sha256:{hex}{hex}"),
        format!("sha512:{hex}"),
        format!("../sha256:{hex}"),
        format!("SHA256/{hex}"),
        format!("sha256:{hex}:{hex}"),
        format!("{hex}:sha256"),
    ]);
    tricks
}

/// A trick in the forms in which it may come in a path: as it is, encoded once in both cases, encoded
/// wholly, encoded twice, and overlong.
fn spellings(trick: &str) -> Vec<String> {
    let encode = |plain: fn(u8) -> bool, upper: bool| -> String {
        let one = |byte: u8| match (plain(byte), upper) {
            (true, _) => char::from(byte).to_string(),
            (false, true) => format!("%{byte:02X}"),
            (false, false) => format!("%{byte:02x}"),
        };
        trick.bytes().map(one).collect()
    };
    let once = encode(|byte| byte.is_ascii_alphanumeric() || b":/._-".contains(&byte), false);
    let whole = encode(|_| false, true);
    let twice = once.replace('%', "%25");
    let overlong = once.replace("..", "%c0%ae%c0%ae");
    let mut all = vec![trick.to_owned(), once, whole, twice, overlong];
    all.sort_unstable();
    all.dedup();
    // A `?` or `#` ends the path, and a form that no HTTP stack lets through cannot be sent.
    all.retain(|text| !text.contains(['?', '#']) && format!("/v2/{text}/x").parse::<Uri>().is_ok());
    all
}

fn path(lead: &str, trick: &str, rest: &str) -> String {
    format!("{lead}{trick}{rest}")
}

async fn tricks_with_paths(lab: &Lab, image: &Image) {
    let client = lab.client();
    let known = digest(&image.blobs[0]);
    let mut sent = 0;
    let mut vectors = 0;
    for trick in tricks() {
        for trick in spellings(&trick) {
            vectors += 1;
            let (get, head, put, delete) = (Method::GET, Method::HEAD, Method::PUT, Method::DELETE);
            let (post, patch) = (Method::POST, Method::PATCH);
            for (method, uri) in [
                (get.clone(), path("/v2/", &trick, "/manifests/latest")),
                (head.clone(), path("/v2/ns/app", &trick, "/manifests/latest:")),
                (put.clone(), path("/v2/ns/", &trick, "/manifests/latest")),
                (delete.clone(), path("/v2/", &trick, "/app/manifests/latest")),
                (get.clone(), path("/v2/", &trick, &format!("/blobs/{known}"))),
                (delete.clone(), path("/v2/ns/app/", &trick, &format!("/blobs/{known}"))),
                (post.clone(), path("/v2/ns/app/", &trick, &format!("/blobs/uploads/?mount={known}"))),
                (post, path("/v2/", &trick, &format!("/blobs/uploads/?digest={}", digest(b"x")))),
                (get.clone(), path("/v2/", &trick, "/tags/list")),
                (get.clone(), path("/v2/", &trick, &format!("/referrers/{known}"))),
                (get.clone(), path("/v2/ns/app/manifests/:", &trick, "")),
                (put.clone(), path("/v2/ns/app/manifests/.", &trick, "")),
                (delete.clone(), path("/v2/ns/app/manifests/-", &trick, "")),
                (get.clone(), path("/v2/ns/app/blobs/", &trick, "")),
                (head, path("/v2/ns/app/blobs/", &trick, "")),
                (delete.clone(), path("/v2/ns/app/blobs/", &trick, "")),
                (get.clone(), path("/v2/ns/app/referrers/", &trick, "")),
                (get, path("/v2/ns/app/blobs/uploads/.", &trick, "")),
                (patch, path("/v2/ns/app/blobs/uploads/", &trick, "")),
                (put, path("/v2/ns/app/blobs/uploads/", &trick, &format!("?digest={}", digest(b"x")))),
                (delete, path("/v2/ns/app/blobs/uploads/", &trick, "")),
            ] {
                if uri.parse::<Uri>().is_err() {
                    continue;
                }
                let is_manifest = method == Method::PUT && uri.contains("/manifests/");
                let body = if is_manifest { image.manifest.clone() } else { "x".into() };
                let call =
                    client.request(method, &uri).header("content-type", if is_manifest { IMAGE } else { "" });
                let answer = call.body(body).send().await;
                refused(&answer);
                sent += 1;
            }
        }
    }
    println!("tricks with paths: {vectors} vectors, {sent} requests refused");
    assert!(vectors >= 200 && sent >= 3000, "{vectors} vectors, {sent} requests");
}

async fn tricks_with_parameters(lab: &Lab, image: &Image) {
    let client = lab.client();
    let known = digest(&image.blobs[0]);
    let encode = |trick: &str| -> String { trick.bytes().map(|byte| format!("%{byte:02x}")).collect() };
    let mut sent = 0;
    let session = client.begin("ns/app").await;
    for trick in tricks() {
        let trick = encode(&trick);
        for (method, uri) in [
            (Method::POST, format!("/v2/ns/app/blobs/uploads/?digest={trick}")),
            (Method::POST, format!("/v2/ns/app/blobs/uploads/?mount={trick}&from=ns/app")),
            (Method::POST, format!("/v2/ns/app/blobs/uploads/?mount={trick}")),
            (Method::POST, format!("/v2/ns/app/blobs/uploads/?digest-algorithm={trick}x")),
            (Method::PUT, and(&session, &format!("digest={trick}"))),
            (Method::PUT, format!("/v2/ns/app/manifests/{}?tag=.{trick}", image.digest())),
            (Method::PUT, format!("/v2/ns/app/manifests/{}?tag=good&tag=-{trick}", image.digest())),
            (Method::GET, format!("/v2/ns/app/tags/list?n={trick}")),
            (Method::GET, format!("/v2/_catalog?n={trick}")),
            (Method::GET, format!("/v2/ns/app/referrers/{known}?n={trick}")),
            (Method::GET, format!("{}?_state={trick}", session.split('?').next().unwrap())),
        ] {
            let call = client.request(method, uri).header("content-type", "");
            refused(&call.body(image.manifest.clone()).send().await);
            sent += 1;
        }
        // These may be anything: what they name is not there.
        for uri in [
            format!("/v2/ns/app/tags/list?last={trick}"),
            format!("/v2/ns/app/tags/list?last={trick}&n=5"),
            format!("/v2/ns/app/referrers/{known}?artifactType={trick}"),
            format!("/v2/ns/app/referrers/{known}?last={trick}"),
        ] {
            let answer = client.get(uri).send().await;
            if answer.status() == 200 {
                let json = answer.json();
                let list = json["tags"].as_array().or(json["manifests"].as_array()).unwrap();
                assert!(list.iter().all(|entry| entry == "latest"), "{answer}");
            } else {
                refused(&answer);
            }
            sent += 1;
        }
        let answer = client.get(format!("/v2/_catalog?last={trick}")).send().await;
        if answer.status() == 200 {
            assert!(
                matches!(answer.json()["repositories"].to_string().as_str(), "[]" | "[\"ns/app\"]"),
                "{answer}"
            );
        } else {
            refused(&answer);
        }
        let uri = format!("/v2/other/blobs/uploads/?mount={known}&from={trick}");
        let answer = client.post(uri).body("").send().await;
        if answer.status() != 202 {
            refused(&answer);
        }
        sent += 2;
    }
    println!("tricks with parameters: {sent} requests");
}

async fn injected_headers(lab: &Lab, _: &Image) {
    let client = lab.with(|builder| builder.max_page(1)).await;
    let subject = Image::new(7);
    let nasty =
        "a/b>; rel=\"prev\", <https://example.invalid/>; x=\"\r\nx-injected: 1\r\n\r\n\u{0}\u{e9}&n=9#";
    let mut pushed = Vec::new();
    for seed in [8, 9, 10] {
        let artifact = Image::referring_to(&subject.manifest, seed, Some(nasty));
        client.push_image("evil", &artifact.digest(), &artifact).await;
        pushed.push(artifact.digest());
    }
    pushed.sort_unstable();
    let encoded: String = nasty.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let uri = format!("/v2/evil/referrers/{}?artifactType={encoded}", subject.digest());
    assert_eq!(client.pages(&uri, "manifests").await.concat(), pushed);
    let no_injection = |answer: &Answer| {
        assert!(answer.get("x-injected").is_none(), "{answer}");
        for (name, value) in answer.headers() {
            assert!(value.as_bytes().iter().all(|byte| (b' '..=b'~').contains(byte)), "{name}: {answer}");
        }
        if let Some(link) = answer.get("link") {
            assert_eq!((link.matches('<').count(), link.matches('>').count()), (1, 1), "{link}");
        }
    };
    no_injection(&client.get(&uri).send().await.expect(200));
    for parameter in ["last", "n", "artifactType", "digest", "tag", "mount", "_state", "x"] {
        for uri in [
            format!("/v2/evil/tags/list?{parameter}={encoded}&n=1"),
            format!("/v2/_catalog?n=1&{parameter}={encoded}"),
            format!("/v2/evil/referrers/{}?{parameter}={encoded}", subject.digest()),
            format!("/v2/evil/manifests/latest?{parameter}={encoded}"),
            format!("/v2/evil/blobs/{}?{parameter}={encoded}", digest(&subject.blobs[0])),
        ] {
            let answer = client.get(uri).send().await;
            assert!(answer.status() < 500, "{answer}");
            no_injection(&answer);
        }
    }
    for digest in pushed {
        let _ = client.delete(format!("/v2/evil/manifests/{digest}")).send().await.expect(202);
    }
    for path in lab.tree().await.paths().filter(|path| !path.contains("/ns/app/")) {
        assert!(path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte)), "{path}");
    }
    lab.restore_without("evil").await;
}

async fn huge_page_sizes(lab: &Lab, image: &Image) {
    let client = lab.client();
    for n in ["9223372036854775807", "9223372036854775808", "18446744073709551615", &"9".repeat(5000)] {
        for uri in [
            format!("/v2/ns/app/tags/list?n={n}"),
            format!("/v2/_catalog?n={n}"),
            format!("/v2/ns/app/referrers/{}?n={n}", image.digest()),
        ] {
            let answer = client.get(uri).send().await.expect(200);
            assert!(answer.next().is_none(), "{answer}");
        }
    }
}

async fn ten_gigabytes_announced(lab: &Lab, image: &Image) {
    let client = lab.client();
    let (size, short) = (10_000_000_000_u64, Bytes::from("short"));
    let wanted = digest(&short);
    for length in [size, u64::MAX, (4 << 20) + 1] {
        let post = client.post(format!("/v2/ns/app/blobs/uploads/?digest={wanted}"));
        let answer = post.header("content-length", length).stream(body::whole(short.clone())).send().await;
        answer.refused(400, "SIZE_INVALID");
        let session = client.begin("ns/app").await;
        for call in [client.patch(&session), client.put(and(&session, &format!("digest={wanted}")))] {
            let answer =
                call.header("content-length", length).stream(body::whole(short.clone())).send().await;
            answer.refused(400, "SIZE_INVALID");
        }
        let call = client.patch(&session).header("content-range", format!("0-{}", length - 1));
        refused(&call.stream(body::whole(short.clone())).send().await);
        let _ = client.delete(&session).send().await.expect(204);
        let put = client.put("/v2/ns/app/manifests/large").header("content-type", IMAGE);
        let answer =
            put.header("content-length", length).stream(body::whole(image.manifest.clone())).send().await;
        answer.refused(413, "MANIFEST_INVALID");
    }
}

async fn deeply_nested_manifests(lab: &Lab, image: &Image) {
    let client = lab.client();
    let text = std::str::from_utf8(&image.manifest).unwrap();
    let inside = |nest: String| Bytes::from(text.replacen('{', &format!("{{\"x\":{nest},"), 1));
    for depth in [129, 200, 1000, 100_000] {
        let arrays = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let objects = format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        for bytes in [
            inside(arrays.clone()),
            inside(objects.clone()),
            Bytes::from(arrays),
            Bytes::from(objects),
            Bytes::from("[".repeat(depth)),
            inside("[".repeat(depth)),
            Bytes::from(text.replacen("\"layers\": [", &format!("\"layers\": [{}", "[".repeat(depth)), 1)),
        ] {
            for media_type in [IMAGE, INDEX, ""] {
                client
                    .put_manifest("ns/app", "deep", media_type, &bytes)
                    .await
                    .refused(400, "MANIFEST_INVALID");
            }
        }
    }
    let deepest = Bytes::from("[".repeat(4 << 20));
    client.put_manifest("ns/app", "deep", IMAGE, &deepest).await.refused(400, "MANIFEST_INVALID");
}

async fn manifests_with_very_many_entries(lab: &Lab, _: &Image) {
    let entry = |number: usize| {
        json!({"mediaType": "t", "digest": format!("sha256:{number:064x}"), "size": 1}).to_string()
    };
    let document = |key: &str, count: usize| {
        let entries: Vec<String> = (0..count).map(entry).collect();
        let config = if key == "layers" { format!("\"config\":{},", entry(1)) } else { String::new() };
        Bytes::from(format!("{{\"schemaVersion\":2,{config}\"{key}\":[{}]}}", entries.join(",")))
    };
    for (media_type, key) in [(IMAGE, "layers"), (INDEX, "manifests")] {
        let too_large = document(key, 100_000);
        lab.client()
            .put_manifest("ns/app", "many", media_type, &too_large)
            .await
            .refused(413, "MANIFEST_INVALID");
        let many = document(key, 28_000);
        assert!(many.len() <= 4 << 20, "{} bytes", many.len());
        let answer = lab.client().put_manifest("ns/app", "many", media_type, &many).await.expect(400);
        assert!(answer.body().len() < 1 << 20, "the answer has {} bytes", answer.body().len());
        answer.refused(400, "MANIFEST_BLOB_UNKNOWN");
        // Whoever allows it gets it back.
        let sparse = lab.with(|builder| builder.references(ReferencePolicy::Sparse)).await;
        let _ = sparse.put_manifest("many", "many", media_type, &many).await.expect(201);
        let pulled = lab.client().get("/v2/many/manifests/many").send().await.expect(200);
        assert!(pulled.body() == &many);
        let _ = lab.client().get(format!("/v2/many/referrers/{}", digest(b"x"))).send().await.expect(200);
        let _ = lab.client().delete(format!("/v2/many/manifests/{}", digest(&many))).send().await.expect(202);
    }
    lab.restore_without("many").await;
}

async fn documents_that_parsers_trip_over(lab: &Lab, image: &Image) {
    let client = lab.client();
    let text = std::str::from_utf8(&image.manifest).unwrap();
    let with = |extra: &str| Bytes::from(text.replacen('{', &format!("{{{extra},"), 1));
    // Either of the two will do: stored as it came, or refused.
    for bytes in [
        with("\"x\":1e999999"),
        with("\"x\":-1e-999999"),
        with(&format!("\"x\":{}", "9".repeat(100_000))),
        with(&format!("\"x\":0.{}", "1".repeat(100_000))),
        with("\"x\":\"\\ud800\""),
        with("\"\\ud800\":1"),
        with("\"\\u0000\":\"\\u0000\""),
        with(&format!("\"{}\":1", "k".repeat(1 << 20))),
        with(&format!("\"annotations\":{{\"a\":\"{}\"}}", "\\u0041".repeat(100_000))),
        with("\"__proto__\":{},\"constructor\":null"),
        with("\"annotations\":null"),
        with("\"annotations\":{\"a\":1}"),
        with("\"annotations\":[]"),
        with("\"artifactType\":\"\\r\\nx-injected: 1\""),
        with("\"artifactType\":7"),
        with("\"subject\":null"),
        with("\"subject\":{}"),
        with(&format!("\"subject\":{{\"digest\":\"{}\"}}", digest(b"x"))),
        with("\"x\":tru"),
        with("\"x\":NaN"),
        with("\"x\":01"),
        with("\"x\":'a'"),
        with("/* */\"x\":1"),
        Bytes::from(text.replace("700", "700.0")),
        Bytes::from(text.replace("700", "7e2")),
        Bytes::from(text.replace("700", "1e400")),
        Bytes::from(text.replace("700", "18446744073709551616")),
        Bytes::from(text.replace("\"schemaVersion\": 2", "\"schemaVersion\": 2.0")),
        Bytes::from(text.replace("\"schemaVersion\": 2", "\"schemaVersion\": 18446744073709551618")),
        Bytes::from(text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>()),
        Bytes::from([&[0; 10][..], text.as_bytes()].concat()),
        Bytes::from(vec![0xff; 1000]),
    ] {
        let answer = client.put_manifest("odd", "odd", IMAGE, &bytes).await;
        if answer.status() == 400 {
            assert!(matches!(&*answer.code(), "MANIFEST_INVALID" | "MANIFEST_BLOB_UNKNOWN"), "{answer}");
        } else {
            panic!("nothing that it names is there: {answer}");
        }
        let _ = client.get(format!("/v2/ns/app/referrers/{}", digest(b"x"))).send().await.expect(200);
    }
}

async fn duplicate_keys(lab: &Lab, image: &Image) {
    let client = lab.client();
    let text = std::str::from_utf8(&image.manifest).unwrap();
    let many: String = (0..50_000).map(|number| format!("\"k{number}\":1,")).collect();
    let layer = descriptor(LAYER, &image.blobs[1]).to_string();
    for bytes in [
        text.replacen('{', &format!("{{{many}\"k0\":2,"), 1),
        text.replacen('{', "{\"config\":null,", 1),
        text.replacen('{', "{\"manifests\":[],\"manifests\":[],", 1),
        text.replacen(
            "\"layers\": [",
            &format!("\"layers\": [{}", layer.replacen('{', "{\"size\":1,", 1) + ","),
            1,
        ),
        text.replacen("\"mediaType\"", "\"media\\u0054ype\":\"x\",\"mediaType\"", 1),
        text.replacen('{', "{\"x\":{\"a\":[[{\"b\":{\"c\":1,\"c\":1}}]]},", 1),
    ] {
        let put = client.put_manifest("ns/app", "twice", IMAGE, &bytes.into()).await;
        put.refused(400, "MANIFEST_INVALID");
    }
}

async fn bodies_that_stop(lab: &Lab, image: &Image) {
    let client = lab.client();
    let blob = content(5, 70_000);
    let wanted = digest(&blob);
    for at in [0, 1, 4096, 69_999, 70_000] {
        let session = client.begin("ns/app").await;
        let put = and(&session, &format!("digest={wanted}"));
        for call in [
            client.post(format!("/v2/ns/app/blobs/uploads/?digest={wanted}")),
            client.patch(&session),
            client.put(put),
            client.put("/v2/ns/app/manifests/stopped").header("content-type", IMAGE),
        ] {
            let (body, stalled) = body::stalled(&blob.slice(..at), 1000);
            let call = call.header("content-length", 70_000).stream(body);
            assert!(stalled.drive(Box::pin(call.send())).await.is_none(), "{at}");
        }
        let (body, stalled) = body::stalled(&image.manifest.slice(..at.min(image.manifest.len())), 100);
        let call = client.put("/v2/ns/app/manifests/stopped").header("content-type", IMAGE).stream(body);
        assert!(stalled.drive(Box::pin(call.send())).await.is_none());
        lab.settle().await;
        let _ = client.delete(&session).send().await.expect(204);
    }
}

async fn bodies_that_lie_about_their_length(lab: &Lab, image: &Image) {
    let client = lab.client();
    let blob = content(5, 70_000);
    let wanted = digest(&blob);
    for (announced, sent) in [(70_000, 0), (70_000, 69_999), (0, 70_000), (69_999, 70_000), (70_001, 70_000)]
    {
        let session = client.begin("ns/app").await;
        let last = usize::max(announced, 1) - 1;
        for call in [
            client
                .post(format!("/v2/ns/app/blobs/uploads/?digest={wanted}"))
                .header("content-length", announced),
            client.patch(&session).header("content-length", announced),
            client.put(and(&session, &format!("digest={wanted}"))).header("content-length", announced),
            client.patch(&session).header("content-range", format!("0-{last}")),
            client
                .put(and(&session, &format!("digest={wanted}")))
                .header("content-range", format!("0-{last}")),
        ] {
            let answer = call.stream(body::pieces(&blob.slice(..sent), 999)).send().await;
            assert!(answer.status() == 400 || answer.status() == 416, "{announced}, {sent}: {answer}");
            refused(&answer);
        }
        assert_eq!(client.get(&session).send().await.expect(204).header("range"), "0-0");
        let _ = client.delete(&session).send().await.expect(204);
    }
    let size = image.manifest.len();
    for announced in [0, 1, size - 1, size + 1, 4 << 20] {
        let call = client.put("/v2/ns/app/manifests/lie").header("content-type", IMAGE);
        let call = call.header("content-length", announced).stream(body::pieces(&image.manifest, 100));
        refused(&call.send().await);
    }
}

async fn odd_content_lengths(lab: &Lab, _: &Image) {
    let client = lab.client();
    let wanted = digest(b"hello");
    let session = client.begin("ns/app").await;
    for length in ["", "x", "-5", "+5", "5 ", "5,5", "0x5", "5.0", "\u{665}", "18446744073709551616", "1e1"] {
        for call in [
            client.post(format!("/v2/ns/app/blobs/uploads/?digest={wanted}")),
            client.patch(&session),
            client.put(and(&session, &format!("digest={wanted}"))),
            client.put("/v2/ns/app/manifests/odd").header("content-type", IMAGE),
        ] {
            let answer = call.header("content-length", length).stream(body::whole("hello")).send().await;
            answer.refused(400, "SIZE_INVALID");
        }
    }
    let twice = client.patch(&session).header("content-length", 5).header("content-length", 6);
    refused(&twice.stream(body::whole("hello")).send().await);
    let _ = client.delete(&session).send().await.expect(204);
}

async fn very_many_ranges(lab: &Lab, image: &Image) {
    let client = lab.client();
    let blob = &image.blobs[2];
    let uri = format!("/v2/ns/app/blobs/{}", digest(blob));
    for ranges in [
        "0-,".repeat(10_000),
        "0-0,".repeat(10_000),
        (0..1000).map(|at| format!("{at}-{at},")).collect(),
        "-1,".repeat(10_000),
        ",".repeat(30_000),
        "9999999-,".repeat(5000),
        "0-2999,".repeat(30),
        "5-1,".repeat(1000),
    ] {
        let answer = client.get(&uri).header("range", format!("bytes={ranges}")).send().await;
        assert!(matches!(answer.status(), 200 | 206 | 416), "{answer}");
        assert!(
            answer.body().len() <= 4 * blob.len(),
            "{} bytes for {} ranges",
            answer.body().len(),
            ranges.len()
        );
        if answer.status() == 200 {
            assert_eq!(answer.body(), blob);
        }
    }
}

async fn huge_ranges(lab: &Lab, image: &Image) {
    let client = lab.client();
    let uri = format!("/v2/ns/app/blobs/{}", digest(&image.blobs[2]));
    let huge = ["9223372036854775807", "18446744073709551615", "18446744073709551616", &"9".repeat(1000)];
    for first in huge.into_iter().chain(["0", "2999", "3000"]) {
        for last in huge.into_iter().chain(["", "0"]) {
            let answer = client.get(&uri).header("range", format!("bytes={first}-{last}")).send().await;
            assert!(matches!(answer.status(), 200 | 206 | 416), "{answer}");
        }
    }
    let session = client.begin("ns/app").await;
    for first in huge.into_iter().chain(["0", "1"]) {
        for last in huge {
            for length in [None, Some("5"), Some("18446744073709551615"), Some("9223372036854775807")] {
                let range = format!("{first}-{last}");
                for call in [
                    client.patch(&session),
                    client.put(and(&session, &format!("digest={}", digest(b"hello")))),
                ] {
                    let mut call = call.header("content-range", &range).stream(body::whole("hello"));
                    if let Some(length) = length {
                        call = call.header("content-length", length);
                    }
                    refused(&call.send().await);
                }
            }
        }
    }
    assert_eq!(client.get(&session).send().await.expect(204).header("range"), "0-0");
    let _ = client.delete(&session).send().await.expect(204);
}

/// Every request that a location takes.
async fn refused_everywhere(client: &Client, location: &str, code: &str) {
    let put = and(location, &format!("digest={}", digest(b"hello")));
    for call in [
        client.get(location),
        client.head(location),
        client.patch(location).body("hello"),
        client.put(put).body("hello"),
        client.delete(location),
    ] {
        call.send().await.refused(404, code);
    }
}

async fn forged_and_cut_states(lab: &Lab, _: &Image) {
    let client = lab.client();
    let session = client.begin("ns/app").await;
    let session = client.append(&session, &content(5, 100)).await;
    let (path, state) = session.split_once("?_state=").unwrap();
    let mut forged: Vec<String> = (0..state.len()).map(|end| state[..end].to_owned()).collect();
    for at in 0..state.len() {
        let mut letters = state.as_bytes().to_vec();
        letters[at] = if letters[at] == b'A' { b'B' } else { b'A' };
        forged.push(String::from_utf8(letters).unwrap());
    }
    forged.extend([
        format!("{state}A"),
        format!("{state}{state}"),
        format!("A{state}"),
        state.to_lowercase(),
        "A".repeat(60_000),
        "=".repeat(100),
        "null".to_owned(),
        "e30=".to_owned(),
        "%00".to_owned(),
        "%ff%fe".to_owned(),
    ]);
    for state in forged {
        let location = format!("{path}?_state={state}");
        let answer = client.get(&location).send().await;
        // The last letter has bits that base64 does not use: such a token is the same one.
        if answer.status() != 204 {
            answer.refused(404, "BLOB_UPLOAD_INVALID");
            refused_everywhere(&client, &location, "BLOB_UPLOAD_INVALID").await;
        } else {
            assert_eq!(answer.header("range"), "0-99");
        }
    }
    assert_eq!(client.get(&session).send().await.expect(204).header("range"), "0-99");
    let _ = client.delete(&session).send().await.expect(204);
}

async fn states_of_others(lab: &Lab, _: &Image) {
    let client = lab.client();
    let mine = client.begin("ns/app").await;
    let mine = client.append(&mine, &content(5, 100)).await;
    let other = client.begin("other").await;
    let sibling = client.begin("ns/app").await;
    let parts = |location: &str| {
        let (path, state) = location.split_once('?').unwrap();
        (path.to_owned(), state.to_owned())
    };
    let ((mine_at, mine_state), (other_at, other_state), (sibling_at, sibling_state)) =
        (parts(&mine), parts(&other), parts(&sibling));
    let moved = mine_at.replace("/ns/app/", "/other/");
    for location in [
        format!("{mine_at}?{other_state}"),
        format!("{mine_at}?{sibling_state}"),
        format!("{other_at}?{mine_state}"),
        format!("{sibling_at}?{mine_state}"),
        format!("{moved}?{mine_state}"),
        format!("{moved}?{other_state}"),
    ] {
        refused_everywhere(&client, &location, "BLOB_UPLOAD_INVALID").await;
    }
    refused_everywhere(&client, &moved, "BLOB_UPLOAD_UNKNOWN").await;
    assert_eq!(client.get(&mine).send().await.expect(204).header("range"), "0-99");
    let _ = client.delete(&mine).send().await.expect(204);
}

async fn wrong_types(lab: &Lab, image: &Image) {
    let client = lab.client();
    let session = client.begin("ns/app").await;
    for wrong in
        ["text/plain", "application/json", "multipart/form-data; boundary=x", "*/*", "\u{e4}", ";", "a/b/c"]
    {
        refused(&client.patch(&session).header("content-type", wrong).body("hello").send().await);
        let put = client.put("/v2/ns/app/manifests/wrong").header("content-type", wrong);
        let answer = put.body(image.manifest.clone()).send().await;
        if wrong != "application/json" && wrong != ";" {
            answer.refused(400, "MANIFEST_INVALID");
        } else {
            let _ = client.delete("/v2/ns/app/manifests/wrong").send().await;
        }
        assert_eq!(client.get(&session).send().await.expect(204).header("range"), "0-0");
    }
    let _ = client.delete(&session).send().await.expect(204);
}

async fn damaged_links_of_any_size(lab: &Lab, image: &Image) {
    let client = lab.client();
    let root = "/docker/registry/v2/repositories/hurt";
    let (blob, manifest) = (digest(&image.blobs[0]), image.digest());
    let hex = |digest: &str| digest.replace("sha256:", "");
    let huge = Bytes::from(vec![b'a'; 5 << 20]);
    let paths = [
        format!("{root}/_layers/sha256/{}/link", hex(&blob)),
        format!("{root}/_manifests/revisions/sha256/{}/link", hex(&manifest)),
        format!("{root}/_manifests/tags/t/current/link"),
        format!("{root}/_uploads/018f0000-0000-7000-8000-000000000000/startedat"),
    ];
    for damage in [
        Bytes::new(),
        huge,
        Bytes::from(vec![0xff; 71]),
        Bytes::from(vec![0; 71]),
        Bytes::from("../../../../etc/passwd"),
        Bytes::from(format!("{blob}{blob}")),
        Bytes::from(digest(b"absent")),
        Bytes::from(
            Algorithm::ALL
                .map(|algorithm| plugin_registry_core::Digest::of(algorithm, b"x").to_string())
                .join("\n"),
        ),
    ] {
        for path in &paths {
            lab.write(path, damage.clone()).await;
        }
        for uri in [
            format!("/v2/hurt/blobs/{blob}"),
            format!("/v2/hurt/manifests/{manifest}"),
            "/v2/hurt/manifests/t".to_owned(),
        ] {
            refused(&client.get(&uri).send().await);
            refused(&client.delete(uri.replace("/t", "/u")).send().await);
        }
        let upload = client.get("/v2/hurt/blobs/uploads/018f0000-0000-7000-8000-000000000000").send().await;
        assert!(upload.status() < 500, "{upload}");
        let _ = client.get(format!("/v2/hurt/referrers/{manifest}")).send().await.expect(200);
        let _ = client.get("/v2/hurt/tags/list").send().await.expect(200);
        let put = client.put_manifest("hurt", "new", IMAGE, &image.manifest).await;
        put.refused(400, "MANIFEST_BLOB_UNKNOWN");
    }
    lab.restore_without("hurt").await;
}

async fn requests_with_senseless_bodies(lab: &Lab, image: &Image) {
    let client = lab.client();
    let noise = content(6, 100_000);
    for uri in [
        "/v2/".to_owned(),
        "/v2/_catalog".to_owned(),
        "/v2/ns/app/tags/list".to_owned(),
        "/v2/ns/app/manifests/latest".to_owned(),
        format!("/v2/ns/app/blobs/{}", digest(&image.blobs[0])),
    ] {
        for call in [client.get(&uri).body(noise.clone()), client.get(&uri).stream(body::broken(&noise, 999))]
        {
            let _ = call.send().await.expect(200);
        }
    }
    for uri in ["/v2/ns/app/manifests/absent".to_owned(), format!("/v2/ns/app/blobs/{}", digest(b"x"))] {
        refused(&client.delete(uri).body(noise.clone()).send().await);
    }
    let _ = client.post("/v2/ns/app/blobs/uploads/").body(noise.clone()).send().await.expect(202);
    let list: Value = serde_json::from_slice(&index(&[])).unwrap();
    let wrong = document(&list);
    client.put_manifest("ns/app", &digest(b"x"), INDEX, &wrong).await.refused(400, "DIGEST_INVALID");
}
