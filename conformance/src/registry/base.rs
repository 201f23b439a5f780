//! end-1, and what holds for all end-points.

use http::Method;

use super::{
    Lab,
    fixture::{IMAGE, Image, content, digest, index},
};

/// `GET /v2/` says that this is a registry.
pub async fn end_1_base_is_200(lab: &Lab) {
    for uri in ["/v2/", "/v2"] {
        let answer = lab.client().get(uri).send().await.expect(200);
        assert_eq!(answer.json(), serde_json::json!({}));
        assert!(answer.header("content-type").starts_with("application/json"));
        let _ = lab.client().head(uri).send().await.expect(200);
    }
}

/// A path that is not an end-point is 404 with an error body.
pub async fn unknown_paths_are_404(lab: &Lab) {
    for uri in [
        "/",
        "/v1/",
        "/v2x",
        "/v2/a",
        "/v2/a/b",
        "/v2/a/things/x",
        "/v2/a/tags/lists",
        "/v2/a/tags/list/",
        "/v2/_catalogue",
        "/v2/manifests/x",
        "/token",
    ] {
        for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE] {
            let answer = lab.client().request(method.clone(), uri).send().await.expect(404);
            assert!(method == Method::HEAD || !answer.errors().is_empty());
        }
    }
}

/// A method that an end-point does not have is 405 with `Allow` and an error body. Nothing is changed.
pub async fn wrong_methods_are_405_with_allow(lab: &Lab) {
    let (client, image) = (lab.client(), Image::new(1));
    client.push_image("a", "latest", &image).await;
    let (blob, manifest) = (digest(&image.blobs[0]), image.digest());
    let session = client.begin("a").await;
    let before = lab.tree().await;
    for (uri, allowed) in [
        ("/v2/".to_owned(), "GET, HEAD"),
        ("/v2/_catalog".to_owned(), "GET, HEAD"),
        ("/v2/a/tags/list".to_owned(), "GET, HEAD"),
        (format!("/v2/a/referrers/{manifest}"), "GET, HEAD"),
        (format!("/v2/a/blobs/{blob}"), "GET, HEAD, DELETE"),
        ("/v2/a/manifests/latest".to_owned(), "GET, HEAD, PUT, DELETE"),
        ("/v2/a/blobs/uploads/".to_owned(), "POST"),
        (session, "GET, HEAD, PATCH, PUT, DELETE"),
    ] {
        let allowed: Vec<&str> = allowed.split(", ").collect();
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
            if allowed.contains(&method) {
                continue;
            }
            let call = lab.client().request(method.parse().unwrap(), &uri).body("x");
            let answer = call.send().await.expect(405);
            let mut named: Vec<&str> = answer.header("allow").split(", ").collect();
            named.sort_unstable();
            let mut expected = allowed.clone();
            expected.sort_unstable();
            assert_eq!(named, expected, "{uri}");
            answer.refused(405, "UNSUPPORTED");
        }
    }
    lab.tree().await.assert_is(&before);
}

/// HEAD is GET without the body, with the same status and headers, also if the answer is an error.
pub async fn head_is_get_without_a_body(lab: &Lab) {
    let (client, image) = (lab.client(), Image::new(1));
    client.push_image("a", "latest", &image).await;
    let (blob, manifest) = (digest(&image.blobs[0]), image.digest());
    let absent = digest(b"absent");
    for uri in [
        "/v2/".to_owned(),
        "/v2/_catalog".to_owned(),
        "/v2/a/tags/list".to_owned(),
        "/v2/b/tags/list".to_owned(),
        format!("/v2/a/referrers/{manifest}"),
        format!("/v2/a/blobs/{blob}"),
        format!("/v2/a/blobs/{absent}"),
        "/v2/a/blobs/sha256:x".to_owned(),
        "/v2/a/manifests/latest".to_owned(),
        format!("/v2/a/manifests/{manifest}"),
        format!("/v2/a/manifests/{absent}"),
        "/v2/a/manifests/absent".to_owned(),
        "/v2/A/manifests/latest".to_owned(),
        "/nothing".to_owned(),
    ] {
        let get = client.get(&uri).send().await;
        let head = client.head(&uri).send().await.expect(get.status());
        assert!(head.body().is_empty(), "{head}");
        for name in ["content-type", "docker-content-digest", "etag", "link"] {
            assert_eq!(head.get(name), get.get(name), "{name}: {head}");
        }
        if get.status() == 200 && (uri.contains("/blobs/") || uri.contains("/manifests/")) {
            assert_eq!(head.header("content-length"), get.body().len().to_string(), "{head}");
        }
        if let Some(length) = head.get("content-length") {
            assert_eq!(length, get.body().len().to_string(), "{head}");
        }
    }
}

/// Names outside of the grammar or longer than 255 bytes are 400 `NAME_INVALID`. Nothing is stored.
pub async fn names_outside_the_grammar_are_name_invalid(lab: &Lab) {
    let client = lab.client();
    let image = Image::new(1);
    let long = "a".repeat(256);
    let many = format!("{}a", "a/".repeat(128));
    for name in [
        "A",
        "a//b",
        "/a",
        "a/",
        ".a",
        "a.",
        "a..b",
        "a___b",
        "-a",
        "a-",
        "a_-b",
        "_a",
        "a/_layers",
        "a:b",
        "a@b",
        "a~b",
        "a%20b",
        "%c3%a4",
        &long,
        &many,
    ] {
        let digest = image.digest();
        for (method, rest) in [
            (Method::GET, "manifests/latest"),
            (Method::HEAD, "manifests/latest"),
            (Method::PUT, "manifests/latest"),
            (Method::DELETE, "manifests/latest"),
            (Method::GET, &format!("blobs/{digest}")),
            (Method::DELETE, &format!("blobs/{digest}")),
            (Method::POST, "blobs/uploads/"),
            (Method::GET, "tags/list"),
            (Method::GET, &format!("referrers/{digest}")),
        ] {
            let call = client.request(method, format!("/v2/{name}/{rest}")).header("content-type", IMAGE);
            call.body(image.manifest.clone()).send().await.refused(400, "NAME_INVALID");
        }
    }
    assert!(lab.tree().await.is_empty());
}

/// Every name of the grammar can be a repository, including the longest and those made of the routes' own
/// words.
pub async fn names_of_the_grammar_are_repositories(lab: &Lab) {
    let client = lab.client();
    let long = "a".repeat(255);
    for (seed, name) in [
        "a",
        "0",
        "a/b/c/d/e/f/g/h",
        "a.b_c__d-e---f",
        "manifests",
        "blobs",
        "tags",
        "tags/list",
        "referrers",
        "a/manifests",
        "a/manifests/latest",
        "a/blobs",
        "a/blobs/uploads",
        "a/blobs/uploads/x",
        "a/tags/list",
        "v2",
        &long,
    ]
    .into_iter()
    .enumerate()
    {
        let image = Image::new(seed as u64);
        client.push_image(name, "list", &image).await;
        let pulled = client.get(format!("/v2/{name}/manifests/list")).send().await.expect(200);
        assert_eq!(pulled.body(), &image.manifest, "{name}");
        client.assert_blob(name, &image.blobs[1]).await;
        let tags = client.get(format!("/v2/{name}/tags/list")).send().await.expect(200);
        assert_eq!(tags.json(), serde_json::json!({"name": name, "tags": ["list"]}));
        let location = client.begin(name).await;
        let location = client.append(&location, &content(99, 10)).await;
        assert_eq!(client.get(location).send().await.expect(204).header("range"), "0-9");
    }
}

/// Percent-encoding of harmless characters is decoded.
pub async fn percent_encoding_is_read(lab: &Lab) {
    let (client, image) = (lab.client(), Image::new(1));
    client.push_image("ns/app", "v1.0", &image).await;
    let encoded = image.digest().replace(':', "%3A");
    for uri in [
        "/v2/ns/app/manifests/v1%2e0".to_owned(),
        format!("/v2/ns/app/manifests/{encoded}"),
        "/v2/%6es/app/manifests/v1.0".to_owned(),
    ] {
        assert_eq!(client.get(uri).send().await.expect(200).body(), &image.manifest);
    }
}

/// The code of each cause that a client can meet (distribution-spec, "Error Codes").
pub async fn error_codes_name_the_cause(lab: &Lab) {
    let (client, image) = (lab.client(), Image::new(1));
    client.push_image("a", "latest", &image).await;
    let absent = digest(b"absent");
    let session = client.begin("a").await;
    let id = session.split(['?', '/']).find(|part| part.len() == 36).unwrap();
    let unknown = "018f0000-0000-7000-8000-000000000000";
    let index = index(&[Image::new(2).descriptor()]);
    let get = |uri: String| client.get(uri);
    let put = |uri: &str| client.put(uri).header("content-type", IMAGE);
    for (call, status, code) in [
        (get(format!("/v2/a/blobs/{absent}")), 404, "BLOB_UNKNOWN"),
        (get("/v2/a/blobs/sha256:abc".into()), 400, "DIGEST_INVALID"),
        (get("/v2/a/manifests/absent".into()), 404, "MANIFEST_UNKNOWN"),
        (get(format!("/v2/a/manifests/{absent}")), 404, "MANIFEST_UNKNOWN"),
        (get("/v2/absent/manifests/latest".into()), 404, "MANIFEST_UNKNOWN"),
        (get("/v2/absent/tags/list".into()), 404, "NAME_UNKNOWN"),
        (get("/v2/A/tags/list".into()), 400, "NAME_INVALID"),
        (get("/v2/a/tags/list?n=x".into()), 400, "PAGINATION_NUMBER_INVALID"),
        (get(format!("/v2/a/blobs/uploads/{unknown}")), 404, "BLOB_UPLOAD_UNKNOWN"),
        (get(format!("/v2/a/blobs/uploads/{id}?_state=forged")), 404, "BLOB_UPLOAD_INVALID"),
        (get("/v2/a/referrers/sha256:abc".into()), 400, "DIGEST_INVALID"),
        (put("/v2/a/manifests/.x").body(image.manifest.clone()), 400, "TAG_INVALID"),
        (put("/v2/a/manifests/x").body("{"), 400, "MANIFEST_INVALID"),
        (put("/v2/a/manifests/x").body(vec![b' '; (4 << 20) + 1]), 413, "MANIFEST_INVALID"),
        (put(&format!("/v2/a/manifests/{absent}")).body(image.manifest.clone()), 400, "DIGEST_INVALID"),
        (
            client.put("/v2/a/manifests/x").header("content-type", super::fixture::INDEX).body(index),
            400,
            "MANIFEST_BLOB_UNKNOWN",
        ),
        (client.patch(&session).header("content-range", "5-9").body("hello"), 416, "RANGE_INVALID"),
        (client.patch(&session).header("content-range", "0-9").body("hello"), 400, "SIZE_INVALID"),
        (client.put(format!("{session}&digest={absent}")).body("other"), 400, "DIGEST_INVALID"),
        (client.put("/v2/a/tags/list"), 405, "UNSUPPORTED"),
    ] {
        call.send().await.refused(status, code);
    }
}
