//! end-2: parts of blobs (RFC 9110, section 14).

use bytes::Bytes;
use plugin_registry_core::Algorithm;

use super::{Lab, client::Answer, fixture::content};

/// One range is 206 with exactly its bytes and a `Content-Range`.
pub async fn end_2_range_single(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 2048);
    let digest = client.push("a", &blob).await;
    for (range, first, last) in [
        ("bytes=500-1499", 500, 1499),
        ("bytes=500-", 500, 2047),
        ("bytes=-500", 1548, 2047),
        ("bytes=2000-5000", 2000, 2047),
        ("bytes=0-0", 0, 0),
        ("bytes=2047-2047", 2047, 2047),
        ("bytes=2047-", 2047, 2047),
        ("bytes=-1", 2047, 2047),
        ("bytes=0-", 0, 2047),
        ("bytes=-2048", 0, 2047),
        ("bytes=-99999", 0, 2047),
        ("bytes=0-18446744073709551615", 0, 2047),
        ("bytes=5-99999999999999999999999999", 5, 2047),
        ("bytes= 7-9", 7, 9),
    ] {
        let uri = format!("/v2/a/blobs/{digest}");
        let answer = client.get(uri).header("range", range).send().await.expect(206);
        assert_eq!(answer.body(), &blob.slice(first..=last), "{range}");
        assert_eq!(answer.header("content-range"), format!("bytes {first}-{last}/2048"));
        assert_eq!(answer.header("content-length"), (last - first + 1).to_string());
        assert_eq!(answer.header("docker-content-digest"), digest);
        assert_eq!(answer.header("etag"), format!("\"{digest}\""));
    }
}

/// A range may cross the pieces in which a large blob is stored.
pub async fn end_2_range_of_a_large_blob(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, (5 << 20) + 7);
    let digest = client.push("a", &blob).await;
    let size = blob.len();
    for (first, last) in [
        ((1 << 20) - 1, 1 << 20),
        ((1 << 20) - 3, (4 << 20) + 1),
        (1 << 20, (1 << 20) + 9),
        (size - 3, size - 1),
        (0, size - 2),
    ] {
        let call = client.get(format!("/v2/a/blobs/{digest}"));
        let answer = call.header("range", format!("bytes={first}-{last}")).send().await.expect(206);
        assert!(answer.body() == &blob.slice(first..=last), "{first}-{last}");
    }
}

/// Several ranges are sent as `multipart/byteranges`, each with its own `Content-Range`.
pub async fn end_2_range_several_are_multipart(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 2048);
    let digest = client.push("a", &blob).await;
    for (ranges, expected) in [
        ("bytes=0-0,10-19", vec![(0, 0), (10, 19)]),
        ("bytes=1000-1099, -100, 5-9", vec![(1000, 1099), (1948, 2047), (5, 9)]),
        ("bytes=0-0,9999-,2047-2050", vec![(0, 0), (2047, 2047)]),
        ("bytes=,0-1,,3-4,", vec![(0, 1), (3, 4)]),
    ] {
        let uri = format!("/v2/a/blobs/{digest}");
        let answer = client.get(uri).header("range", ranges).send().await.expect(206);
        assert!(answer.get("content-range").is_none(), "it belongs into the parts: {answer}");
        assert_eq!(answer.header("docker-content-digest"), digest);
        let parts = parts(&answer);
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(first, last)| (format!("bytes {first}-{last}/2048"), blob.slice(first..=last)))
            .collect();
        assert_eq!(parts, expected, "{ranges}");
    }
}

/// If no range overlaps the blob, the answer is 416 with the size. If one range does, it is sent.
pub async fn end_2_range_not_satisfiable_is_416(lab: &Lab) {
    let client = lab.client();
    let digest = client.push("a", &content(1, 2048)).await;
    let uri = format!("/v2/a/blobs/{digest}");
    for range in [
        "bytes=500-0",
        "bytes=5000-10000",
        "bytes=2048-",
        "bytes=2048-2048",
        "bytes=-0",
        "bytes=18446744073709551615-",
        "bytes=99999999999999999999-99999999999999999999",
        "bytes=3000-,4000-5000",
    ] {
        let answer = client.get(&uri).header("range", range).send().await.expect(416);
        assert_eq!(answer.header("content-range"), "bytes */2048", "{range}");
        answer.refused(416, "RANGE_INVALID");
    }
    let answer = client.get(&uri).header("range", "bytes=5000-,7-8").send().await.expect(206);
    assert_eq!(answer.header("content-range"), "bytes 7-8/2048");
}

/// A header in another unit, or of an invalid form, is ignored.
pub async fn end_2_range_of_another_unit_is_ignored(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 2048);
    let digest = client.push("a", &blob).await;
    for range in ["items=0-5", "0-5", "bytes 0-5", "bytes=a-b", "bytes=5", "bytes=--5", "bytes=1-2-3", ""] {
        let uri = format!("/v2/a/blobs/{digest}");
        let answer = client.get(uri).header("range", range).send().await.expect(200);
        assert_eq!(answer.body(), &blob, "{range}");
    }
}

/// `If-Range` with the blob's strong entity tag applies the range. Any other value sends the whole blob.
pub async fn end_2_range_if_range(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 2048);
    let digest = client.push("a", &blob).await;
    let get = |tag: String| {
        let call = client.get(format!("/v2/a/blobs/{digest}")).header("range", "bytes=1-2");
        call.header("if-range", tag).send()
    };
    let same = get(format!("\"{digest}\"")).await.expect(206);
    assert_eq!(same.body(), &blob.slice(1..3));
    let other = super::fixture::digest(b"other");
    for tag in [
        format!("\"{other}\""),
        format!("W/\"{digest}\""),
        "Wed, 21 Oct 2026 07:28:00 GMT".to_owned(),
        "\"\"".to_owned(),
    ] {
        assert_eq!(get(tag).await.expect(200).body(), &blob);
    }
}

/// `If-None-Match` is answered before `Range`.
pub async fn end_2_range_yields_to_if_none_match(lab: &Lab) {
    let client = lab.client();
    let digest = client.push("a", &content(1, 2048)).await;
    let call = client.get(format!("/v2/a/blobs/{digest}")).header("range", "bytes=1-2");
    let _ = call.header("if-none-match", format!("\"{digest}\"")).send().await.expect(304);
}

/// No range of an empty blob can be satisfied. The whole blob can be sent.
pub async fn end_2_range_of_the_empty_blob(lab: &Lab) {
    let client = lab.client();
    let digest = client.push("a", &Bytes::new()).await;
    for range in ["bytes=0-", "bytes=0-0", "bytes=-1"] {
        let call = client.get(format!("/v2/a/blobs/{digest}")).header("range", range);
        let answer = call.send().await;
        match answer.status() {
            200 => assert!(answer.body().is_empty()),
            _ => assert_eq!(answer.expect(416).header("content-range"), "bytes */0"),
        }
    }
}

/// `Range` has no meaning for HEAD (RFC 9110, section 14.2).
pub async fn end_2_range_on_head_is_ignored(lab: &Lab) {
    let client = lab.client();
    let digest = client.push("a", &content(1, 2048)).await;
    for range in ["bytes=1-2", "bytes=5000-"] {
        let call = client.head(format!("/v2/a/blobs/{digest}")).header("range", range);
        assert_eq!(call.send().await.expect(200).header("content-length"), "2048");
    }
}

/// A range of a blob that is asked for by sha512 names the sha512 digest.
pub async fn end_2_range_by_sha512(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 2048);
    let digest = client.push_as(Algorithm::Sha512, "a", &blob).await;
    let get = |range: &str| client.get(format!("/v2/a/blobs/{digest}")).header("range", range).send();
    let answer = get("bytes=5-9").await.expect(206);
    assert_eq!(answer.body(), &blob.slice(5..10));
    assert_eq!(answer.header("docker-content-digest"), digest);
    assert_eq!(answer.header("etag"), format!("\"{digest}\""));
    let answer = get("bytes=5-9,20-29").await.expect(206);
    assert_eq!(answer.header("docker-content-digest"), digest);
    assert_eq!(parts(&answer).len(), 2);
}

/// Splits a `multipart/byteranges` body into the `Content-Range` and the bytes of each part.
fn parts(answer: &Answer) -> Vec<(String, Bytes)> {
    let boundary = answer.header("content-type").strip_prefix("multipart/byteranges; boundary=").unwrap();
    let delimiter = format!("\r\n--{boundary}");
    // A body may begin with its first delimiter, without a line break before it.
    let mut rest = answer.body().clone();
    let mut parts = Vec::new();
    let skip = find(&rest, delimiter.as_bytes()).unwrap();
    assert_eq!(skip, 0, "nothing comes before the first part");
    loop {
        rest = rest.slice(delimiter.len()..);
        if rest.starts_with(b"--") {
            assert!(&rest[..] == b"--\r\n" || &rest[..] == b"--", "nothing comes behind the last part");
            return parts;
        }
        assert!(rest.starts_with(b"\r\n"));
        let end = find(&rest, b"\r\n\r\n").unwrap();
        let head = std::str::from_utf8(&rest[2..end]).unwrap().to_ascii_lowercase();
        let header = |name: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("no {name} in {head}")).trim().to_owned()
        };
        assert_eq!(header("content-type:"), "application/octet-stream");
        let range = header("content-range:");
        rest = rest.slice(end + 4..);
        let length = find(&rest, delimiter.as_bytes()).unwrap();
        parts.push((range, rest.slice(..length)));
        rest = rest.slice(length..);
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}
