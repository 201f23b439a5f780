//! Signatures, keys and times.

use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit as _, Mac as _};
use plugin_registry_emulator::s3::Server;
use sha2::{Digest as _, Sha256};

use crate::client::{Answer, ask, send};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// `20260131T235959Z` of now, moved by seconds.
fn date(moved: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let (days, second) = {
        let now = now.checked_add_signed(moved).unwrap();
        (now / 86_400, now % 86_400)
    };
    let (mut year, mut left) = (1970, days);
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while left >= 365 + u64::from(leap(year)) {
        left -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while left >= lengths[month] {
        left -= lengths[month];
        month += 1;
    }
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{year}{:02}{:02}T{hour:02}{minute:02}{:02}Z", month + 1, left + 1, second % 60)
}

/// A signed PUT of `k`.
fn put(server: &Server, keys: (&str, &str), token: Option<&str>, moved: i64) -> Answer {
    let (date, host) = (date(moved), server.address().to_string());
    let hash = hex(&Sha256::digest(b"x"));
    let mut headers = vec![("host", host.as_str()), ("x-amz-content-sha256", &hash), ("x-amz-date", &date)];
    headers.extend(token.map(|token| ("x-amz-security-token", token)));
    let canonical = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect::<String>();
    let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let request = format!("PUT\n/{}/k\n\n{canonical}\n{names}\n{hash}", server.bucket());
    let scope = format!("{}/us-east-1/s3/aws4_request", &date[..8]);
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(request.as_bytes())));
    let mut key = format!("AWS4{}", keys.1).into_bytes();
    for piece in [&date[..8], "us-east-1", "s3", "aws4_request"] {
        key = mac(&key, piece);
    }
    let signature = hex(&mac(&key, &text));
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
        keys.0
    );
    // The client sends the host itself.
    headers[0] = ("authorization", &authorization);
    ask(server, "PUT", "k", &headers, b"x")
}

#[test]
fn signatures_are_checked() {
    let server = Server::start();
    let (access, secret) = (server.access_key(), server.secret_key());
    let code = |keys, token, moved| put(&server, keys, token, moved).one("Code");
    assert_eq!(put(&server, (&access, &secret), None, 0).status, 200);
    assert_eq!(code((&access, "wrong"), None, 0), "SignatureDoesNotMatch");
    assert_eq!(ask(&server, "GET", "k", &[], b"").one("Code"), "AccessDenied");
    assert_eq!(code((&access, &secret), None, 3600), "RequestTimeTooSkewed");
    server.set_clock_skew(3600);
    assert_eq!(code((&access, &secret), None, 0), "RequestTimeTooSkewed");
    assert_eq!(put(&server, (&access, &secret), None, 3600).status, 200);
}

#[test]
fn keys_rotate_and_expire() {
    let server = Server::start();
    let (access, secret) = (server.access_key(), server.secret_key());
    server.rotate_keys("AKIANEW", "new");
    let old = put(&server, (&access, &secret), None, 0);
    assert_eq!((old.status, old.one("Code").as_str()), (403, "InvalidAccessKeyId"));
    assert_eq!(put(&server, ("AKIANEW", "new"), None, 0).status, 200);
    server.expire_keys();
    let expired = put(&server, ("AKIANEW", "new"), None, 0);
    assert_eq!((expired.status, expired.one("Code").as_str()), (400, "ExpiredToken"));
    server.rotate_session("ASIA", "temporary", "token");
    assert_eq!(put(&server, ("ASIA", "temporary"), Some("token"), 0).status, 200);
    assert_eq!(put(&server, ("ASIA", "temporary"), None, 0).one("Code"), "InvalidToken");
    assert_eq!((server.access_key(), server.secret_key()), ("ASIA".into(), "temporary".into()));
}

#[test]
fn a_server_ends_when_it_is_dropped() {
    let (server, other) = (Server::start(), Server::start());
    let address = server.address();
    drop(server);
    let gone = || std::net::TcpStream::connect(address).is_err();
    assert!((0..200).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        gone()
    }));
    assert!(send(&other, "GET", "k", &[], b"").is_ok());
}
