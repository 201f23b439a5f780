//! end-5: uploading chunks.

use bytes::Bytes;

use super::{
    Lab, body,
    client::{Answer, Client, and},
    fixture::{content, digest},
};

/// Each chunk is 202 with a location and the range of all bytes so far.
pub async fn end_5_chunk_is_202_with_location_and_range(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 3000);
    let mut location = client.begin("ns/app").await;
    let mut sent = 0;
    for end in [1, 1000, 2500, 3000] {
        let call = client.patch(&location).header("content-type", "application/octet-stream");
        let call = call.header("content-range", format!("{sent}-{}", end - 1)).body(blob.slice(sent..end));
        let answer = call.send().await.expect(202);
        assert_eq!(answer.header("range"), format!("0-{}", end - 1));
        assert_eq!(answer.header("content-length"), "0");
        assert!(answer.header("location").contains(answer.header("docker-upload-uuid")));
        location = answer.location();
        sent = end;
    }
    let _ = client.finish(&location, &digest(&blob), "").await.expect(201);
    client.assert_blob("ns/app", &blob).await;
}

/// Chunks in order make the blob, whatever their sizes, with ranges or without.
pub async fn end_5_chunks_in_order_make_the_blob(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, (2 << 20) + 77);
    for size in [blob.len(), (1 << 20) + 1, 1 << 20, (1 << 20) - 1, 300_000] {
        for with_range in [true, false] {
            let name = format!("a{size}/{with_range}");
            let mut location = client.begin(&name).await;
            for at in (0..blob.len()).step_by(size) {
                let chunk = blob.slice(at..blob.len().min(at + size));
                let mut call = client.patch(&location).body(chunk.clone());
                if with_range {
                    call = call.header("content-range", format!("{at}-{}", at + chunk.len() - 1));
                }
                location = call.send().await.expect(202).location();
            }
            let _ = client.finish(&location, &digest(&blob), "").await.expect(201);
            client.assert_blob(&name, &blob).await;
        }
    }
}

/// A stream of unknown length is one chunk.
pub async fn end_5_streamed_chunk(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 300_000);
    for size in [1000, 70_000, 300_000] {
        let name = format!("a{size}");
        let location = client.begin(&name).await;
        let answer = client.patch(location).stream(body::pieces(&blob, size)).send().await.expect(202);
        assert_eq!(answer.header("range"), "0-299999");
        let _ = client.finish(&answer.location(), &digest(&blob), "").await.expect(201);
        client.assert_blob(&name, &blob).await;
    }
}

/// A chunk that does not begin where the upload stands is 416, also on a fresh session.
///
/// The upload is kept and goes on where it stood.
pub async fn end_5_out_of_order_chunk_is_416(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 3000);
    let start = client.begin("a").await;
    for range in ["1-500", "500-999", "2999-2999"] {
        out_of_order(&client, &start, range, &blob).await.refused(416, "RANGE_INVALID");
    }
    let location = client.append(&start, &blob.slice(..1000)).await;
    for range in ["0-999", "0-499", "999-1998", "1001-1999", "2000-2999"] {
        out_of_order(&client, &location, range, &blob).await.refused(416, "RANGE_INVALID");
        let status = client.get(&location).send().await.expect(204);
        assert_eq!(status.header("range"), "0-999");
    }
    let call = client.patch(&location).header("content-range", "1000-1999").body(blob.slice(1000..2000));
    let location = call.send().await.expect(202).location();
    out_of_order(&client, &location, "1000-1999", &blob).await.refused(416, "RANGE_INVALID");
    let _ = client.finish(&location, &digest(&blob), blob.slice(2000..)).await.expect(201);
    client.assert_blob("a", &blob).await;
}

async fn out_of_order(client: &Client, location: &str, range: &str, blob: &Bytes) -> Answer {
    let (first, last) = range.split_once('-').unwrap();
    let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
    let call = client.patch(location).header("content-range", range);
    call.body(blob.slice(first..=last)).send().await
}

/// A chunk that is sent twice is noticed also without a `Content-Range`: its location is an old one.
pub async fn end_5_repeated_chunk_is_416(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 2000);
    let start = client.begin("a").await;
    let first = client.append(&start, &blob.slice(..1000)).await;
    let again = client.patch(&start).body(blob.slice(..1000)).send().await;
    again.refused(416, "RANGE_INVALID");
    let second = client.append(&first, &blob.slice(1000..)).await;
    for old in [&start, &first] {
        client.patch(old).body(blob.slice(1000..)).send().await.refused(416, "RANGE_INVALID");
        let at = client.get(old).send().await.expect(204);
        assert_eq!(at.header("range"), "0-1999");
    }
    let _ = client.finish(&second, &digest(&blob), "").await.expect(201);
    client.assert_blob("a", &blob).await;
}

/// A location that lost its query still names the session.
pub async fn end_5_location_without_state(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 2000);
    let start = client.begin("a").await;
    let bare = start.split('?').next().unwrap().to_owned();
    let _ = client.patch(&bare).body(blob.slice(..1000)).send().await.expect(202);
    assert_eq!(client.get(&bare).send().await.expect(204).header("range"), "0-999");
    let call = client.patch(&bare).header("content-range", "0-999").body(blob.slice(..1000));
    call.send().await.refused(416, "RANGE_INVALID");
    let _ = client.patch(&bare).body(blob.slice(1000..)).send().await.expect(202);
    let _ = client.put(format!("{bare}?digest={}", digest(&blob))).body("").send().await.expect(201);
    client.assert_blob("a", &blob).await;
}

/// A `Content-Range` that is not a range is 400 or 416, never 500. Nothing of its chunk is stored.
pub async fn end_5_bad_content_range_is_4xx(lab: &Lab) {
    let client = lab.client();
    let location = client.begin("a").await;
    for range in [
        "",
        "-",
        "0",
        "0-",
        "-4",
        "a-b",
        "4-0",
        "0-4-8",
        "0--4",
        "0x0-0x4",
        "-1-4",
        "0 - 4",
        "bytes=0-4",
        "0-99999999999999999999",
        "99999999999999999999-99999999999999999999",
        "0-18446744073709551615",
        "18446744073709551615-18446744073709551615",
        "items 0-4/5",
        "\u{2460}",
    ] {
        for length in [true, false] {
            let call = client.patch(&location).header("content-range", range);
            let call = if length { call.body("hello") } else { call.stream(body::whole("hello")) };
            let answer = call.send().await;
            assert!(matches!(answer.status(), 400 | 416), "{range:?}: {answer}");
            assert!(matches!(&*answer.code(), "RANGE_INVALID" | "SIZE_INVALID"), "{range:?}: {answer}");
            assert_eq!(client.get(&location).send().await.expect(204).header("range"), "0-0");
        }
    }
    let _ = client.finish(&location, &digest(b"hello"), "hello").await.expect(201);
}

/// `Content-Range` and `Content-Length` that disagree are 400 `SIZE_INVALID`. The upload is kept.
pub async fn end_5_range_and_length_disagree_is_400(lab: &Lab) {
    let client = lab.client();
    let location = client.begin("a").await;
    for range in ["0-3", "0-5", "0-0", "0-99999"] {
        let call = client.patch(&location).header("content-range", range).body("hello");
        call.send().await.refused(400, "SIZE_INVALID");
        assert_eq!(client.get(&location).send().await.expect(204).header("range"), "0-0");
    }
    let _ = client.finish(&location, &digest(b"hello"), "hello").await.expect(201);
}

/// A body longer or shorter than its `Content-Length` or `Content-Range` is 400 `SIZE_INVALID`. None of it
/// counts.
pub async fn end_5_body_of_another_length_is_400(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 3000);
    for begun in [0, 1000] {
        let name = format!("a{begun}");
        let mut location = client.begin(&name).await;
        if begun > 0 {
            location = client.append(&location, &blob.slice(..begun)).await;
        }
        let range = if begun > 0 { "0-999" } else { "0-0" };
        for sent in [0, 1, 999, 1001, 2000] {
            for piece in [100, 5000] {
                for header in [("content-length", "1000".to_owned()), span(begun, 1000)] {
                    let body = body::pieces(&blob.slice(begun..begun + sent), piece);
                    let call = client.patch(&location).header(header.0, &header.1).stream(body);
                    call.send().await.refused(400, "SIZE_INVALID");
                    let status = client.get(&location).send().await.expect(204);
                    assert_eq!(status.header("range"), range, "{sent} bytes, {header:?}");
                }
            }
        }
        let _ = client.finish(&location, &digest(&blob), blob.slice(begun..)).await.expect(201);
        client.assert_blob(&name, &blob).await;
    }
}

fn span(first: usize, length: usize) -> (&'static str, String) {
    ("content-range", format!("{first}-{}", first + length - 1))
}

/// A chunk is `application/octet-stream` or has no type. Any other type is 4xx, never 500.
pub async fn end_5_wrong_content_type_is_4xx(lab: &Lab) {
    let client = lab.client();
    let mut location = client.begin("a").await;
    for wrong in ["text/plain", "application/json", "application/x-www-form-urlencoded", "x", "\u{2460}"] {
        let answer = client.patch(&location).header("content-type", wrong).body("hello").send().await;
        assert!(answer.is_refusal(), "{answer}");
        assert!(!answer.errors().is_empty());
        assert_eq!(client.get(&location).send().await.expect(204).header("range"), "0-0");
    }
    for right in ["application/octet-stream", ""] {
        let answer = client.patch(&location).header("content-type", right).body("hello").send().await;
        location = answer.expect(202).location();
    }
    let _ = client.finish(&location, &digest(b"hellohello"), "").await.expect(201);
}

/// A session that does not exist, or belongs to another repository, is 404.
pub async fn end_5_unknown_session_is_404(lab: &Lab) {
    let client = lab.client();
    let location = client.begin("a").await;
    let location = client.append(&location, &content(1, 10)).await;
    let (path, state) = location.split_once('?').unwrap();
    let id = path.rsplit('/').next().unwrap();
    let other = "018f0000-0000-7000-8000-000000000000";
    for (uri, code) in [
        (format!("/v2/a/blobs/uploads/{other}"), "BLOB_UPLOAD_UNKNOWN"),
        (format!("/v2/a/blobs/uploads/{other}?{state}"), "BLOB_UPLOAD_INVALID"),
        (format!("/v2/b/blobs/uploads/{id}"), "BLOB_UPLOAD_UNKNOWN"),
        (format!("/v2/b/blobs/uploads/{id}?{state}"), "BLOB_UPLOAD_INVALID"),
        (format!("/v2/a/blobs/uploads/{}", id.to_uppercase()), "BLOB_UPLOAD_UNKNOWN"),
        ("/v2/a/blobs/uploads/x".to_owned(), "BLOB_UPLOAD_UNKNOWN"),
    ] {
        client.patch(&uri).body("hello").send().await.refused(404, code);
        client.get(&uri).send().await.refused(404, code);
        client.delete(&uri).send().await.refused(404, code);
        let put = and(&uri, &format!("digest={}", digest(b"hello")));
        client.put(put).body("hello").send().await.refused(404, code);
    }
    assert_eq!(client.get(&location).send().await.expect(204).header("range"), "0-9");
}

/// If the body fails in the middle, what came before may be kept.
///
/// The status says exactly how much, and the upload goes on there.
pub async fn end_5_broken_body_keeps_what_status_says(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 3000);
    for (sent, piece) in [(0, 100), (1, 100), (700, 100), (3000, 100), (2999, 5000)] {
        let name = format!("a{sent}");
        let location = client.begin(&name).await;
        let body = body::broken(&blob.slice(..sent), piece);
        let broken = client.patch(&location).header("content-length", 3000).stream(body).send().await;
        broken.refused(400, "BLOB_UPLOAD_INVALID");
        let status = client.get(&location).send().await.expect(204);
        let last: usize = status.header("range").strip_prefix("0-").unwrap().parse().unwrap();
        let kept = if last == 0 { usize::from(sent == 1) } else { last + 1 };
        assert!(kept <= sent, "{kept} of {sent} bytes kept");
        let done = client.finish(&status.location(), &digest(&blob), blob.slice(kept..)).await;
        let _ = done.expect(201);
        client.assert_blob(&name, &blob).await;
    }
}

/// An empty chunk changes nothing.
pub async fn end_5_empty_chunk(lab: &Lab) {
    let client = lab.client();
    let location = client.begin("a").await;
    let location = client.append(&location, &Bytes::new()).await;
    let location = client.append(&location, &content(1, 10)).await;
    let answer = client.patch(&location).body("").send().await.expect(202);
    assert_eq!(answer.header("range"), "0-9");
    let done = client.finish(&answer.location(), &digest(&content(1, 10)), "").await;
    let _ = done.expect(201);
}

/// A 416 says where the upload stands and returns the location at which it goes on.
///
/// This holds for PATCH and PUT, and also for a range that is invalid.
pub async fn end_5_416_says_where_to_go_on(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 2000);
    for begun in [0, 700] {
        let name = format!("a{begun}");
        let start = client.begin(&name).await;
        if begun > 0 {
            client.append(&start, &blob.slice(..begun)).await;
        }
        let bare = start.split('?').next().unwrap();
        let put = and(bare, &format!("digest={}", digest(&blob)));
        for range in ["1000-1999", "x", "5-1"] {
            for call in [client.patch(bare), client.put(&put)] {
                let answer = call.header("content-range", range).body(blob.slice(1000..)).send().await;
                let answer = answer.expect(416);
                assert_eq!(answer.header("range"), format!("0-{}", begun.max(1) - 1), "{answer}");
                assert!(bare.ends_with(answer.header("docker-upload-uuid")), "{answer}");
                let at = client.get(answer.location()).send().await.expect(204);
                assert_eq!(at.header("range"), answer.header("range"));
            }
        }
        let call = client.patch(bare).header("content-range", "1000-1999").body(blob.slice(1000..));
        let there = call.send().await.expect(416).location();
        let next = client.append(&there, &blob.slice(begun..)).await;
        let _ = client.finish(&next, &digest(&blob), "").await.expect(201);
        client.assert_blob(&name, &blob).await;
    }
}

/// A second request to a session that is being written to does not mix in.
///
/// It gets 429, after which clients try again. GET says how far the first one has come.
pub async fn end_5_second_request_at_a_time_is_429(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 2000);
    let location = client.begin("a").await;
    let location = client.append(&location, &blob.slice(..500)).await;
    let (body, stalled) = body::stalled(&blob.slice(500..1000), 100);
    let mut first = Box::pin(client.patch(&location).stream(body).start());
    assert!(stalled.drive(&mut first).await.is_none());
    let put = and(&location, &format!("digest={}", digest(&blob)));
    for call in [client.patch(&location), client.put(put)] {
        let second = call.body(blob.slice(500..1000)).send().await;
        assert_eq!(second.header("retry-after"), "1");
        second.refused(429, "UNAVAILABLE");
    }
    for call in [client.get(&location), client.head(&location)] {
        assert_eq!(call.send().await.expect(204).header("range"), "0-999");
    }
    drop(first);
    // The dropped request had not been acknowledged.
    assert_eq!(client.get(&location).send().await.expect(204).header("range"), "0-499");
    let _ = client.finish(&location, &digest(&blob), blob.slice(500..)).await.expect(201);
    client.assert_blob("a", &blob).await;
}
