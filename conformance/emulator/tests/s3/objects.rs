//! Single objects, their conditions, and the removal of many.

use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::client::{ask, get, put, server};

#[test]
fn an_object_comes_back_with_what_was_said_about_it() {
    let server = server(|builder| builder);
    let headers = [
        ("content-type", "text/plain"),
        ("x-amz-meta-put-id", "7"),
        ("x-amz-storage-class", "STANDARD_IA"),
        ("x-amz-server-side-encryption", "AES256"),
    ];
    let answer = ask(&server, "PUT", "a/b", &headers, b"hello");
    assert_eq!((answer.status, answer.header("etag")), (200, "\"5d41402abc4b2a76b9719d911017c592\""));
    let answer = get(&server, "a/b");
    assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
    for (name, value) in headers {
        assert_eq!(answer.header(name), value);
    }
    let head = ask(&server, "HEAD", "a/b", &[], b"");
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, "5", 0));
    assert_eq!(head.header("last-modified"), answer.header("last-modified"));
    assert_eq!(server.object("a/b").unwrap().attributes.metadata["put-id"], "7");
    assert_eq!(get(&server, "a/c").one("Code"), "NoSuchKey");
    assert_eq!(ask(&server, "HEAD", "a/c", &[], b"").status, 404);
    assert_eq!(ask(&server, "DELETE", "a/b", &[], b"").status, 204);
    assert_eq!(ask(&server, "DELETE", "a/b", &[], b"").status, 204);
    assert!(server.objects().is_empty());
    assert_eq!(get(&server, "/elsewhere/x").one("Code"), "NoSuchBucket");
    assert_eq!(ask(&server, "HEAD", "?", &[], b"").header("x-amz-bucket-region"), "us-east-1");
}

#[test]
fn ranges_and_conditions_of_reads() {
    let server = server(|builder| builder);
    server.put_raw("k", "0123456789");
    let etag = format!("\"{}\"", server.object("k").unwrap().etag);
    let range = |range: &str| ask(&server, "GET", "k", &[("range", range)], b"");
    let answer = range("bytes=2-4");
    assert_eq!((answer.status, answer.text().as_str()), (206, "234"));
    assert_eq!(answer.header("content-range"), "bytes 2-4/10");
    assert_eq!(range("bytes=8-99").text(), "89");
    assert_eq!(range("bytes=-3").text(), "789");
    let answer = range("bytes=10-");
    assert_eq!((answer.status, answer.header("content-range")), (416, "bytes */10"));
    assert_eq!(answer.one("Code"), "InvalidRange");
    let status = |name: &str, value: &str| ask(&server, "GET", "k", &[(name, value)], b"").status;
    assert_eq!(status("if-match", &etag), 200);
    assert_eq!(status("if-match", "\"0\""), 412);
    assert_eq!(status("if-none-match", &etag), 304);
}

#[test]
fn conditions_of_writes() {
    let server = server(|builder| builder);
    let write = |name: &str, value: &str| ask(&server, "PUT", "k", &[(name, value)], b"x");
    assert_eq!(write("if-match", "\"0\"").status, 404);
    let first = write("if-none-match", "*");
    assert_eq!(first.status, 200);
    let second = write("if-none-match", "*");
    assert_eq!((second.status, second.one("Code").as_str()), (412, "PreconditionFailed"));
    assert_eq!(write("if-match", first.header("etag")).status, 200);
    assert_eq!(write("if-match", "\"0\"").status, 412);
    server.quirks(|quirks| quirks.conditions_ignored = true);
    assert_eq!(write("if-none-match", "*").status, 200);
}

#[test]
fn digests_are_checked() {
    let server = server(|builder| builder.limits(|limits| limits.single_put = 10));
    let digest = |value: &str| ask(&server, "PUT", "k", &[("content-md5", value)], b"hello");
    assert_eq!(digest("XUFAKrxLKna5cZ2REBfFkg==").status, 200);
    assert_eq!(digest("AAAAAAAAAAAAAAAAAAAAAA==").one("Code"), "BadDigest");
    let crc = |value: &str| ask(&server, "PUT", "k", &[("x-amz-checksum-crc32", value)], b"hello");
    assert_eq!(crc("NhCmhg==").header("x-amz-checksum-crc32"), "NhCmhg==");
    assert_eq!(crc("AAAAAA==").one("Code"), "BadDigest");
    let read = ask(&server, "GET", "k", &[("x-amz-checksum-mode", "ENABLED")], b"");
    assert_eq!(read.header("x-amz-checksum-crc32"), "NhCmhg==");
    assert_eq!(put(&server, "big", b"0123456789a").one("Code"), "EntityTooLarge");
}

#[test]
fn copies_keep_metadata_and_have_a_limit() {
    let server = server(|builder| builder.limits(|limits| limits.copy_source = 5));
    ask(&server, "PUT", "a", &[("x-amz-meta-x", "1")], b"hello");
    let copy = |from: &str, headers: &[(&str, &str)]| {
        let source = format!("/registry/{from}");
        ask(&server, "PUT", "b", &[&[("x-amz-copy-source", source.as_str())], headers].concat(), b"")
    };
    let answer = copy("a", &[]);
    assert_eq!((answer.status, answer.one("ETag").as_str()), (200, "\"5d41402abc4b2a76b9719d911017c592\""));
    assert_eq!(server.object("b").unwrap().attributes.metadata["x"], "1");
    copy("a", &[("x-amz-metadata-directive", "REPLACE")]);
    assert!(server.object("b").unwrap().attributes.metadata.is_empty());
    assert_eq!(copy("missing", &[]).one("Code"), "NoSuchKey");
    assert_eq!(copy("a", &[("x-amz-copy-source-if-match", "\"0\"")]).status, 412);
    server.put_raw("a", "123456");
    assert_eq!(copy("a", &[]).one("Code"), "InvalidRequest");
}

#[test]
fn many_are_removed_at_once() {
    let server = server(|builder| builder.limits(|limits| limits.delete = 3));
    ["a", "b", "c"].iter().for_each(|key| server.put_raw(key, "x"));
    let remove = |keys: &[&str], digest: bool| {
        let list = keys.iter().map(|key| format!("<Object><Key>{key}</Key></Object>")).collect::<String>();
        let body = format!("<Delete>{list}</Delete>");
        let md5 = STANDARD.encode(md5(body.as_bytes()));
        let headers = [("content-md5", md5.as_str())];
        ask(&server, "POST", "?delete", if digest { &headers } else { &[] }, body.as_bytes())
    };
    assert_eq!(remove(&["a"], false).one("Code"), "InvalidRequest");
    assert_eq!(remove(&["a", "b", "c", "d"], true).one("Code"), "MalformedXML");
    let answer = remove(&["a", "missing"], true);
    assert_eq!((answer.status, answer.all("Key")), (200, vec!["a".to_owned(), "missing".to_owned()]));
    assert_eq!(server.objects().into_keys().collect::<Vec<_>>(), ["b", "c"]);
    assert_eq!(server.requests().last().unwrap().key, "a\nmissing");
}

fn md5(bytes: &[u8]) -> Vec<u8> {
    use s3s::crypto::Checksum as _;
    s3s::crypto::Md5::checksum(bytes).to_vec()
}

#[test]
fn requests_are_counted_and_take_their_time() {
    let server = server(|builder| builder.latency(Duration::from_millis(100)));
    let began = Instant::now();
    put(&server, "a", b"hello");
    assert!(began.elapsed() >= Duration::from_millis(100));
    server.set_latency(Duration::ZERO);
    get(&server, "a");
    get(&server, "?list-type=2&prefix=x%2F");
    let requests = server.requests();
    let seen = requests.iter().map(|r| (r.operation, r.key.as_str(), r.status)).collect::<Vec<_>>();
    assert_eq!(seen, [("PutObject", "a", 200), ("GetObject", "a", 200), ("ListObjectsV2", "x/", 200)]);
    assert_eq!((requests[0].bytes_in, requests[1].bytes_out), (5, 5));
    assert_eq!((server.count(), server.count_of("GetObject"), server.counts().len()), (3, 1, 3));
    server.forget();
    assert_eq!((server.count(), server.objects().len()), (0, 1));
}

#[test]
fn damage_is_silent() {
    let server = server(|builder| builder);
    server.put_raw("k", "hello");
    let etag = get(&server, "k").header("etag").to_owned();
    server.corrupt("k", 0);
    assert_eq!((get(&server, "k").text().as_str(), get(&server, "k").header("etag")), ("iello", &*etag));
    server.truncate_raw("k", 2);
    assert_eq!(get(&server, "k").text(), "ie");
    assert!(server.remove_raw("k") && !server.remove_raw("k"));
}
