//! Identifiers that try to be something else.

use http::{Method, Uri};
use plugin_registry_conformance::registry::{
    Answer, Lab,
    client::and,
    fixture::{IMAGE, Image, digest},
};

use crate::refused;

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

pub(crate) async fn tricks_with_paths(lab: &Lab, image: &Image) {
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

pub(crate) async fn tricks_with_parameters(lab: &Lab, image: &Image) {
    let client = lab.client();
    let known = digest(&image.blobs[0]);
    let encode = |trick: &str| -> String { trick.bytes().map(|byte| format!("%{byte:02x}")).collect() };
    let mut sent = 0;
    let session = client.begin("ns/app").await;
    for trick in tricks() {
        let trick = encode(&trick);
        for (method, uri) in [
            (Method::POST, format!("/v2/ns/app/blobs/uploads/?digest={trick}")),
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
        // A mount that does not work out is a session.
        for query in [
            format!("mount={trick}&from=ns/app"),
            format!("mount={trick}"),
            format!("mount={known}&from={trick}"),
        ] {
            let uri = format!("/v2/other/blobs/uploads/?{query}");
            let _ = client.post(uri).body("").send().await.expect(202);
        }
        sent += 4;
    }
    println!("tricks with parameters: {sent} requests");
}

pub(crate) async fn injected_headers(lab: &Lab, _: &Image) {
    let client = lab.with(|builder| builder.max_page_size(1)).await;
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
