//! end-3: pulling manifests.

use bytes::Bytes;

use super::{
    Lab,
    fixture::{DOCKER_IMAGE, DOCKER_LIST, IMAGE, INDEX, Image, TYPES, digest, docker_list, index},
};

/// GET by tag or digest returns the exact bytes, type, size, digest and entity tag. HEAD does so without a
/// body.
pub async fn end_3_get_and_head_by_tag_and_digest(lab: &Lab) {
    let client = lab.client();
    for (media_type, manifest) in one_of_each_type(lab, "ns/app").await {
        let digest = digest(&manifest);
        let tag = media_type.rsplit('.').next().unwrap().replace("+json", "");
        let _ = client.put_manifest("ns/app", &tag, media_type, &manifest).await.expect(201);
        for reference in [&tag, &digest] {
            let uri = format!("/v2/ns/app/manifests/{reference}");
            let get = client.get(&uri).send().await.expect(200);
            assert_eq!(get.body(), &manifest);
            let head = client.head(&uri).send().await.expect(200);
            for answer in [get, head] {
                assert_eq!(answer.header("content-type"), media_type);
                assert_eq!(answer.header("content-length"), manifest.len().to_string());
                assert_eq!(answer.header("docker-content-digest"), digest);
                assert_eq!(answer.header("etag"), format!("\"{digest}\""));
            }
        }
    }
}

/// The pushed bytes are returned unchanged: white space, order of keys, escapes, a final line break.
pub async fn end_3_bytes_are_kept_as_pushed(lab: &Lab) {
    let client = lab.client();
    let image = Image::new(1);
    client.push_image("a", "plain", &image).await;
    let compact =
        serde_json::to_string(&serde_json::from_slice::<serde_json::Value>(&image.manifest).unwrap());
    let compact = compact.unwrap();
    for (case, text) in [
        compact.clone(),
        format!("{compact}\n"),
        format!("\r\n\t {compact} \n\n"),
        compact.replace("\"layers\"", "\"l\\u0061yers\""),
        compact.replacen('{', "{ \"org.example\" : [1.0, 1e3, \"\\/\\u00e9é\", null],", 1),
    ]
    .into_iter()
    .enumerate()
    {
        let bytes = Bytes::from(text);
        let tag = format!("t{case}");
        let _ = client.put_manifest("a", &tag, IMAGE, &bytes).await.expect(201);
        let pulled = client.get(format!("/v2/a/manifests/{tag}")).send().await.expect(200);
        assert_eq!(pulled.body(), &bytes);
        assert_eq!(pulled.header("docker-content-digest"), digest(&bytes));
    }
}

/// A manifest that is not in the repository is 404 `MANIFEST_UNKNOWN`, whatever other repositories have.
pub async fn end_3_missing_manifest_is_404(lab: &Lab) {
    let (client, image) = (lab.client(), Image::new(1));
    client.push_image("a", "latest", &image).await;
    let absent = digest(b"absent");
    let hex512 = "a".repeat(128);
    for uri in [
        "/v2/a/manifests/absent".to_owned(),
        "/v2/a/manifests/lates".to_owned(),
        "/v2/a/manifests/latest2".to_owned(),
        "/v2/a/manifests/index".to_owned(),
        "/v2/a/manifests/current".to_owned(),
        format!("/v2/a/manifests/{absent}"),
        format!("/v2/a/manifests/sha512:{hex512}"),
        "/v2/b/manifests/latest".to_owned(),
        "/v2/a/b/manifests/latest".to_owned(),
        format!("/v2/b/manifests/{}", image.digest()),
    ] {
        client.get(&uri).send().await.refused(404, "MANIFEST_UNKNOWN");
        client.head(&uri).send().await.refused(404, "MANIFEST_UNKNOWN");
        client.get(&uri).header("if-none-match", "*").send().await.refused(404, "MANIFEST_UNKNOWN");
    }
}

/// A reference that is neither a tag nor a digest is 400 or 404, never 500.
pub async fn end_3_invalid_reference_is_400_or_404(lab: &Lab) {
    let client = lab.client();
    client.push_image("a", "latest", &Image::new(1)).await;
    let long = "a".repeat(129);
    for reference in [
        "sha256:baddigeststring",
        "sha256:",
        ":",
        ".latest",
        "-latest",
        "a%2fb",
        "a%00",
        "%c3%a4",
        &long,
        "md5:d41d8cd98f00b204e9800998ecf8427e",
        "latest:",
        "a@b",
    ] {
        let uri = format!("/v2/a/manifests/{reference}");
        for call in [client.get(&uri), client.head(&uri)] {
            let answer = call.send().await;
            assert!(matches!(answer.status(), 400 | 404), "{answer}");
        }
    }
}

/// An `Accept` header, narrow or wide, never hides or changes what is stored.
pub async fn end_3_accept_never_hides(lab: &Lab) {
    let client = lab.client();
    let manifests = one_of_each_type(lab, "a").await;
    for (position, (media_type, manifest)) in manifests.iter().enumerate() {
        let tag = format!("t{position}");
        let _ = client.put_manifest("a", &tag, media_type, manifest).await.expect(201);
        let accepts = [
            None,
            Some("*/*".to_owned()),
            Some("application/*".to_owned()),
            Some("application/json".to_owned()),
            Some("application/vnd.docker.distribution.manifest.v1+prettyjws".to_owned()),
            Some("text/html, image/png;q=0.8".to_owned()),
            Some(TYPES.join(", ")),
            Some(TYPES.join(";q=0.5,")),
            Some(format!("{media_type};q=0, */*;q=0.1")),
            Some(String::new()),
            Some("broken;;q=,/".to_owned()),
        ];
        let accepts = accepts.into_iter().chain(TYPES.map(|one| Some(one.to_owned())));
        for accept in accepts {
            for reference in [&tag, &digest(manifest)] {
                let mut call = client.get(format!("/v2/a/manifests/{reference}"));
                if let Some(accept) = &accept {
                    call = call.header("accept", accept);
                }
                let answer = call.send().await.expect(200);
                assert_eq!(answer.body(), manifest, "{accept:?}");
                assert_eq!(answer.header("content-type"), *media_type, "{accept:?}");
            }
        }
    }
}

/// `If-None-Match` with the digest, quoted or bare, is 304 by tag or digest. With another one it is 200.
pub async fn end_3_if_none_match_is_304(lab: &Lab) {
    let (client, image) = (lab.client(), Image::new(1));
    client.push_image("a", "latest", &image).await;
    let digest = image.digest();
    let other = super::fixture::digest(b"other");
    for reference in ["latest", &digest] {
        let uri = format!("/v2/a/manifests/{reference}");
        for tag in [digest.clone(), format!("\"{digest}\""), format!("\"{other}\",\"{digest}\"")] {
            let answer = client.get(&uri).header("if-none-match", &tag).send().await.expect(304);
            assert_eq!(answer.header("etag"), format!("\"{digest}\""));
            assert_eq!(answer.header("docker-content-digest"), digest);
            let _ = client.head(&uri).header("if-none-match", &tag).send().await.expect(304);
        }
        let answer = client.get(&uri).header("if-none-match", format!("\"{other}\"")).send().await;
        assert_eq!(answer.expect(200).body(), &image.manifest);
    }
    // The tag moves on: what matched before does not match any more.
    let next = Image::new(2);
    client.push_image("a", "latest", &next).await;
    let answer = client.get("/v2/a/manifests/latest").header("if-none-match", &digest).send().await;
    assert_eq!(answer.expect(200).body(), &next.manifest);
}

/// A stored document states its own type, but only types of manifests are repeated.
///
/// Types that a browser would show or run are sent as plain bytes, and no answer lets it guess the type.
pub async fn end_3_stored_types_are_those_of_manifests(lab: &Lab) {
    let client = lab.client();
    for (position, (own, served)) in [
        (IMAGE, IMAGE),
        (INDEX, INDEX),
        (DOCKER_IMAGE, DOCKER_IMAGE),
        ("application/vnd.oci.artifact.manifest.v1+json", "application/vnd.oci.artifact.manifest.v1+json"),
        ("text/html", "application/octet-stream"),
        ("TEXT/HTML", "application/octet-stream"),
        ("image/svg+xml", "application/octet-stream"),
        ("application/xhtml+xml", "application/octet-stream"),
        ("application/javascript", "application/octet-stream"),
        ("application/json", "application/octet-stream"),
        ("application/vnd.oci.image.manifest.v1", "application/octet-stream"),
        ("text/vnd.x+json", "application/octet-stream"),
    ]
    .into_iter()
    .enumerate()
    {
        let text = format!(r#"{{"mediaType":"{own}","x":"<script>{position}</script>","layers":[]}}"#);
        let (stored, tag) = (Bytes::from(text), format!("t{position}"));
        super::old_store::store(lab, "a", &tag, &stored).await;
        for reference in [&tag, &digest(&stored)] {
            let uri = format!("/v2/a/manifests/{reference}");
            let answer = client.get(&uri).send().await.expect(200);
            assert_eq!(answer.body(), &stored);
            assert_eq!(answer.header("content-type"), served, "{own}");
            assert_eq!(answer.header("x-content-type-options"), "nosniff");
            assert_eq!(client.head(&uri).send().await.expect(200).header("content-type"), served, "{own}");
        }
    }
    let script = Bytes::from("<script>1</script>");
    let blob = client.push("a", &script).await;
    let answer = client.get(format!("/v2/a/blobs/{blob}")).send().await.expect(200);
    assert_eq!(answer.header("content-type"), "application/octet-stream");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
}

/// A tag is 404 if its revision or bytes are missing, or its link is damaged.
pub async fn end_3_dangling_tag_is_404(lab: &Lab) {
    let (client, image) = (lab.client(), Image::new(1));
    client.push_image("a", "latest", &image).await;
    let digest = image.digest();
    let hex = digest.strip_prefix("sha256:").unwrap();
    let manifests = "/docker/registry/v2/repositories/a/_manifests";
    let current = format!("{manifests}/tags/latest/current/link");
    for damaged in ["", "sha256:", "x", &digest[..70], &super::fixture::digest(b"absent")] {
        lab.write(&current, damaged.to_owned()).await;
        client.get("/v2/a/manifests/latest").send().await.refused(404, "MANIFEST_UNKNOWN");
    }
    // Pushing again repairs it.
    let _ = client.put_manifest("a", "latest", IMAGE, &image.manifest).await.expect(201);
    let _ = client.get("/v2/a/manifests/latest").send().await.expect(200);
    let revision = format!("{manifests}/revisions/sha256/{hex}/link");
    for damaged in ["", "sha256:", &super::fixture::digest(b"other")] {
        lab.write(&revision, damaged.to_owned()).await;
        for reference in ["latest", &digest] {
            let uri = format!("/v2/a/manifests/{reference}");
            client.get(uri).send().await.refused(404, "MANIFEST_UNKNOWN");
        }
    }
    let _ = client.put_manifest("a", "latest", IMAGE, &image.manifest).await.expect(201);
    lab.remove(&format!("/docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2])).await;
    for reference in ["latest", &digest] {
        client.get(format!("/v2/a/manifests/{reference}")).send().await.refused(404, "MANIFEST_UNKNOWN");
    }
}

/// Parameters that this registry does not know, such as a proxy's `ns`, are ignored.
pub async fn end_3_unknown_parameters_are_ignored(lab: &Lab) {
    let (client, image) = (lab.client(), Image::new(1));
    client.push_image("a", "latest", &image).await;
    for query in ["ns=docker.io", "ns=", "x", "&&&", "tag=b", "digest=x", "n=x"] {
        let pulled = client.get(format!("/v2/a/manifests/latest?{query}")).send().await.expect(200);
        assert_eq!(pulled.body(), &image.manifest);
        let blob = digest(&image.blobs[1]);
        let _ = client.get(format!("/v2/a/blobs/{blob}?{query}")).send().await.expect(200);
    }
}

/// One manifest of each of the four types. What they need is pushed.
async fn one_of_each_type(lab: &Lab, name: &str) -> Vec<(&'static str, Bytes)> {
    let client = lab.client();
    let (oci, docker) = (Image::new(1), Image::docker(2));
    client.push_image(name, &oci.digest(), &oci).await;
    client.push_image(name, &docker.digest(), &docker).await;
    vec![
        (IMAGE, oci.manifest.clone()),
        (INDEX, index(&[oci.descriptor()])),
        (DOCKER_IMAGE, docker.manifest.clone()),
        (DOCKER_LIST, docker_list(&[docker.descriptor()])),
    ]
}
