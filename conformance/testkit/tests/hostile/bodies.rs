//! Bodies without end, cut, and of another length than they say.

use bytes::Bytes;
use plugin_registry_conformance::registry::{
    Lab, body,
    client::and,
    fixture::{IMAGE, INDEX, Image, content, digest, document, index},
};
use serde_json::Value;

use crate::refused;

pub(crate) async fn ten_gigabytes_announced(lab: &Lab, image: &Image) {
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

/// No more of a body is read than what is needed to refuse it: memory and time stay flat.
pub(crate) async fn bodies_without_end(lab: &Lab, image: &Image) {
    let client = lab.client();
    let wanted = digest(b"x");
    let session = client.begin("ns/app").await;
    let put = and(&session, &format!("digest={wanted}"));
    let unknown = "/v2/ns/app/blobs/uploads/018f0000-0000-7000-8000-000000000000";
    let (small, piece) = (1000, 64 << 10);
    for (status, most, call) in [
        (413, (4 << 20) + 2 * piece, client.put("/v2/ns/app/manifests/large")),
        (413, 0, client.put("/v2/ns/app/manifests/large").header("content-length", 1_u64 << 40)),
        (400, 0, client.put("/v2/ns/app/manifests/.bad")),
        (400, 0, client.put("/v2/NS/manifests/large")),
        (
            400,
            2 * piece,
            client.post(format!("/v2/ns/app/blobs/uploads/?digest={wanted}")).header("content-length", small),
        ),
        (400, 0, client.post("/v2/ns/app/blobs/uploads/?digest=bad")),
        (202, 0, client.post("/v2/ns/app/blobs/uploads/")),
        (400, 2 * piece, client.patch(&session).header("content-length", small)),
        (400, 2 * piece, client.patch(&session).header("content-range", "0-999")),
        (400, 0, client.patch(&session).header("content-type", "text/plain")),
        (416, 2 * piece, client.patch(&session).header("content-range", "5-1004")),
        (400, 2 * piece, client.put(&put).header("content-length", small)),
        (416, 2 * piece, client.put(&put).header("content-range", "5-1004")),
        (404, 0, client.patch(unknown)),
        (404, 0, client.put(and(unknown, &format!("digest={wanted}")))),
        (405, 0, client.post("/v2/ns/app/tags/list")),
        (404, 0, client.put("/v2/nothing")),
        (404, 0, client.delete("/v2/ns/app/manifests/absent")),
        (200, 0, client.get("/v2/ns/app/manifests/latest")),
        (200, 0, client.get(format!("/v2/ns/app/blobs/{}", digest(&image.blobs[0])))),
    ] {
        let (body, taken) = body::endless();
        let answer = call.stream(body).send().await.expect(status);
        let taken = taken.load(std::sync::atomic::Ordering::Acquire);
        assert!(taken <= most, "{taken} bytes were taken: {answer}");
    }
    let (body, taken) = body::endless();
    let call = client.put("/v2/ns/app/manifests/large").header("content-length", small).stream(body);
    refused(&call.send().await);
    assert!(taken.load(std::sync::atomic::Ordering::Acquire) <= (4 << 20) + 2 * piece);
    lab.settle().await;
    assert_eq!(client.get(&session).send().await.expect(204).header("range"), "0-0");
    let _ = client.delete(&session).send().await.expect(204);
}

pub(crate) async fn bodies_that_stop(lab: &Lab, image: &Image) {
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

pub(crate) async fn bodies_that_lie_about_their_length(lab: &Lab, image: &Image) {
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

pub(crate) async fn odd_content_lengths(lab: &Lab, _: &Image) {
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

pub(crate) async fn requests_with_senseless_bodies(lab: &Lab, image: &Image) {
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
