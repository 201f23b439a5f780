//! Manifests that parsers trip over, and damaged small files.

use bytes::Bytes;
use plugin_registry::ReferencePolicy;
use plugin_registry_conformance::registry::{
    Lab,
    fixture::{IMAGE, INDEX, Image, LAYER, descriptor, digest},
};
use plugin_registry_core::Algorithm;
use serde_json::json;

use crate::refused;

pub(crate) async fn deeply_nested_manifests(lab: &Lab, image: &Image) {
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

pub(crate) async fn manifests_with_very_many_entries(lab: &Lab, _: &Image) {
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
        // A registry that allows it returns it.
        let sparse = lab.with(|builder| builder.references(ReferencePolicy::Sparse)).await;
        let _ = sparse.put_manifest("many", "many", media_type, &many).await.expect(201);
        let pulled = lab.client().get("/v2/many/manifests/many").send().await.expect(200);
        assert!(pulled.body() == &many);
        let _ = lab.client().get(format!("/v2/many/referrers/{}", digest(b"x"))).send().await.expect(200);
        let _ = lab.client().delete(format!("/v2/many/manifests/{}", digest(&many))).send().await.expect(202);
    }
    lab.restore_without("many").await;
}

pub(crate) async fn documents_that_parsers_trip_over(lab: &Lab, image: &Image) {
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

pub(crate) async fn duplicate_keys(lab: &Lab, image: &Image) {
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

pub(crate) async fn wrong_types(lab: &Lab, image: &Image) {
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

pub(crate) async fn damaged_links_of_any_size(lab: &Lab, image: &Image) {
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
