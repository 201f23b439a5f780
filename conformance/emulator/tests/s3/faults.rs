//! Everything that can be made to go wrong with one request.

use std::{
    io::{ErrorKind, Write as _},
    net::TcpStream,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use plugin_registry_emulator::s3::{Fault, Kind, Length, Server};
use s3s::crypto::{Checksum as _, Crc32};

use crate::client::{ask, begin, complete, get, part, put, send, server};

fn faulty(kind: Kind) -> Server {
    let server = server(|builder| builder);
    server.put_raw("k", "0123456789");
    server.fault(Fault::new(kind));
    server
}

#[test]
fn faults_hit_the_requests_that_they_name() {
    let server = server(|builder| builder);
    server.fault(Fault::new(Kind::slow_down(Some(2))).on("PutObject").key("blobs").nth(2).times(2));
    let statuses =
        ["blobs/1", "links/1", "blobs/2", "blobs/3", "blobs/4"].map(|key| put(&server, key, b"").status);
    assert_eq!(statuses, [200, 200, 503, 503, 200]);
    assert_eq!(server.objects().len(), 3);
    server.fault(Fault::new(Kind::conflict()).forever());
    assert_eq!((put(&server, "a", b"").status, put(&server, "a", b"").status), (409, 409));
    server.clear_faults();
    server.deny("DeleteObject");
    assert_eq!(ask(&server, "DELETE", "a", &[], b"").one("Code"), "AccessDenied");
    server.allow("DeleteObject");
    assert_eq!(ask(&server, "DELETE", "a", &[], b"").status, 204);
    assert_eq!(server.requests().iter().filter(|request| request.faulty).count(), 4);
}

#[test]
fn errors_come_before_after_or_inside() {
    let server = faulty(Kind::slow_down(Some(2)));
    let answer = put(&server, "a", b"x");
    assert_eq!((answer.header("retry-after"), answer.one("Code").as_str()), ("2", "SlowDown"));
    assert!(server.object("a").is_none());
    server.fault(Fault::new(Kind::error_after(500, "InternalError")));
    assert_eq!(put(&server, "a", b"x").status, 500);
    assert!(server.object("a").is_some());
    let id = begin(&server, "b");
    let etag = part(&server, "b", &id, 1, b"x");
    server
        .fault(Fault::new(Kind::ErrorInside { code: "InternalError".into() }).on("CompleteMultipartUpload"));
    let answer = complete(&server, "b", &id, &[(1, &etag)], &[]).unwrap();
    assert_eq!((answer.status, answer.one("Code").as_str()), (200, "InternalError"));
    assert!(server.object("b").is_none());
    server.fault(Fault::new(Kind::forbidden_without_code()).on("HeadObject"));
    let head = ask(&server, "HEAD", "k", &[], b"");
    assert_eq!((head.status, head.body.len()), (403, 0));
    server.fault(Fault::new(Kind::PermanentRedirect { region: "eu-west-1".into() }));
    let moved = get(&server, "k");
    assert_eq!((moved.status, moved.header("x-amz-bucket-region")), (301, "eu-west-1"));
    server.fault(Fault::new(Kind::Swallowed));
    assert_eq!((ask(&server, "DELETE", "k", &[], b"").status, server.object("k").is_some()), (204, true));
}

#[test]
fn connections_end_without_an_answer() {
    let ends = [
        (Kind::Close, ErrorKind::UnexpectedEof, false),
        (Kind::CloseAfter, ErrorKind::UnexpectedEof, true),
        (Kind::Reset, ErrorKind::ConnectionReset, false),
        (Kind::ResetAfter, ErrorKind::ConnectionReset, true),
        (Kind::ResetReading { after: 1 }, ErrorKind::ConnectionReset, false),
    ];
    for (kind, error, effect) in ends {
        let server = faulty(kind.clone());
        let answer = send(&server, "PUT", "a", &[], b"hello");
        assert_eq!(answer.map(|answer| answer.status).map_err(|e| e.kind()), Err(error), "{kind:?}");
        assert_eq!((server.object("a").is_some(), server.requests()[0].status), (effect, 0), "{kind:?}");
    }
}

#[test]
fn hanging_ends_with_the_client() {
    for (kind, effect) in [(Kind::Hang, false), (Kind::HangAfter, true)] {
        let server = faulty(kind);
        assert!(send(&server, "PUT", "a", &[], b"hello").is_err());
        assert_eq!(server.object("a").is_some(), effect);
    }
}

#[test]
fn bodies_are_cut() {
    let cut = |length| {
        let server = faulty(Kind::Truncated { keep: 4, length });
        get(&server, "k")
    };
    let answer = cut(Length::Announced);
    assert_eq!((answer.text().as_str(), answer.header("content-length")), ("0123", "10"));
    let answer = cut(Length::Honest);
    assert_eq!((answer.text().as_str(), answer.is_whole()), ("0123", true));
    let answer = cut(Length::Chunked);
    assert_eq!((answer.text().as_str(), answer.header("transfer-encoding")), ("0123", "chunked"));
    let server = faulty(Kind::ResetSending { after: 4 });
    assert_eq!(send(&server, "GET", "k", &[], b"").unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn bodies_are_wrong() {
    let wrong = |kind| {
        let server = faulty(kind);
        let answer = ask(&server, "GET", "k", &[("range", "bytes=2-5")], b"");
        assert!(answer.is_whole());
        answer
    };
    assert_eq!(wrong(Kind::Flipped { at: 1 }).text(), "2245");
    assert_eq!(wrong(Kind::Shifted { by: 1 }).text(), "3456");
    assert_eq!(wrong(Kind::Doubled).text(), "23452345");
    let whole = wrong(Kind::RangeIgnored);
    assert_eq!((whole.status, whole.text().as_str()), (200, "0123456789"));
    let slow = wrong(Kind::Trickle { piece: 1, pause: Duration::from_millis(5) });
    assert_eq!((slow.status, slow.text().as_str()), (206, "2345"));
}

#[test]
fn etags_lose_their_quotes() {
    let server = faulty(Kind::UnquotedETag);
    assert!(!get(&server, "k").header("etag").contains('"'));
    assert!(get(&server, "?list-type=2").one("ETag").contains('"'));
    server.quirks(|quirks| quirks.unquoted_etags = true);
    assert!(!get(&server, "?list-type=2").one("ETag").contains('"'));
    let bare = get(&server, "k").header("etag").to_owned();
    assert_eq!(ask(&server, "PUT", "k", &[("if-match", &bare)], b"").status, 200);
}

#[test]
fn a_batch_fails_in_part() {
    let server = faulty(Kind::PartialDelete { key: "k".into(), code: "InternalError".into() });
    server.put_raw("a", "x");
    let body = b"<Delete><Object><Key>a</Key></Object><Object><Key>k</Key></Object></Delete>";
    let crc = STANDARD.encode(Crc32::checksum(body));
    let answer = ask(&server, "POST", "?delete", &[("x-amz-checksum-crc32", &crc)], body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(
        (answer.all("Code"), answer.one("Error").contains("<Key>k</Key>")),
        (vec!["InternalError".into()], true)
    );
    assert_eq!(server.objects().into_keys().collect::<Vec<_>>(), ["k"]);
}

#[test]
fn a_request_is_carried_out_twice() {
    let server = faulty(Kind::Twice { late: Duration::from_millis(50) });
    assert_eq!(put(&server, "a", b"x").status, 200);
    assert!(server.remove_raw("a"));
    assert!((0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        server.object("a").is_some()
    }));
}

#[test]
fn one_condition_is_ignored() {
    let server = faulty(Kind::ConditionsIgnored);
    let write = || ask(&server, "PUT", "k", &[("if-none-match", "*")], b"").status;
    assert_eq!((write(), write()), (200, 412));
    server.quirks(|quirks| quirks.missing_is_forbidden = true);
    assert_eq!(get(&server, "missing").status, 403);
    server.quirks(|quirks| quirks.trailers_refused = true);
    let coded = [("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")];
    assert_eq!(ask(&server, "PUT", "k", &coded, b"").status, 501);
}

#[test]
fn a_request_may_outlive_its_client() {
    for orphans in [false, true] {
        let server = server(|builder| builder.orphans(orphans).latency(Duration::from_millis(200)));
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.write_all(b"PUT /registry/a HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\nx").unwrap();
        while server.requests().first().is_none_or(|request| request.bytes_in == 0) {
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(stream);
        while server.requests()[0].ended.is_none() {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(server.object("a").is_some(), orphans);
        assert_eq!((server.requests()[0].status, server.peak()), (if orphans { 200 } else { 0 }, 1));
    }
}
