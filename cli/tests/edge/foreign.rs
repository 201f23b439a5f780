//! Requests that a page in a browser may have sent. `tests/browser.rs` asks a real one.

use crate::{
    Place,
    fixture::{assert_blob, assert_no_blob, content, digest, post_target, push_blob, push_image},
    wire::{PING, Wire, head, whole},
};

/// A request as `head` writes it, under another name than `localhost`.
fn called(name: &str, request: &[u8]) -> Vec<u8> {
    let own = b"host: localhost";
    let at = request.windows(own.len()).position(|bytes| bytes == own).unwrap();
    [&request[..at], b"host: ", name.as_bytes(), &request[at + own.len()..]].concat()
}

/// 403 with the code DENIED, then the end; nothing behind it is a request.
#[track_caller]
fn denied(mut wire: Wire, request: &[u8]) {
    wire.send([request, PING].concat());
    let answer = if request.starts_with(b"HEAD") { wire.answer_to_head() } else { wire.answer() };
    assert_eq!(answer.status, 403, "{}: {answer:?}", String::from_utf8_lossy(request));
    assert!(answer.closes(), "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    if !request.starts_with(b"HEAD") {
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(body["errors"][0]["code"], "DENIED", "{body}");
    }
    wire.assert_ended();
}

/// Every method, of a page under a name that leads here, and of one elsewhere: none reads or changes anything.
pub(crate) fn pages_read_and_change_nothing(place: &Place) {
    let server = place.serve(&["--delete"]);
    let manifest = push_image(&server, "ns/app");
    let (kept, posted) = (content(5, 2000), content(6, 2000));
    push_blob(&server, "ns/app", &kept);
    let image = format!("/v2/ns/app/manifests/{}", digest(&manifest));
    let requests = |headers: &[&str]| {
        [
            head("GET", "/v2/_catalog", headers),
            head("HEAD", &image, headers),
            head("GET", &image, headers),
            head("OPTIONS", &image, headers),
            whole("PUT", "/v2/ns/app/manifests/latest", headers, &manifest[..20]),
            whole("PUT", "/v2/ns/app/manifests/other", headers, &manifest),
            whole("POST", &post_target("ns/app", &posted), headers, &posted),
            whole("POST", "/v2/ns/app/blobs/uploads/", headers, b""),
            head("DELETE", &format!("/v2/ns/app/blobs/{}", digest(&kept)), headers),
            head("DELETE", "/v2/ns/app/manifests/latest", headers),
            head("DELETE", &image, headers),
        ]
    };
    for request in requests(&[]) {
        for name in ["rebound.test:5000", "localhost.rebound.test", "0.0.0.0:5000", ""] {
            denied(Wire::open(&server), &called(name, &request));
        }
    }
    for headers in [
        &["sec-fetch-site: cross-site"][..],
        &["sec-fetch-site: same-site", "origin: http://localhost:1"],
        &["origin: http://evil.example"],
        &["origin: null"],
    ] {
        requests(headers).iter().for_each(|request| denied(Wire::open(&server), request));
    }
    assert_blob(&server, "ns/app", &kept);
    assert_no_blob(&server, "ns/app", &posted);
    let found = Wire::open(&server).ask(head("GET", "/v2/ns/app/manifests/latest", &[])).expect(200);
    assert_eq!(found.body, manifest);
    let _ = Wire::open(&server).ask(head("GET", "/v2/ns/app/manifests/other", &[])).expect(404);
}

/// A person who types the address into a browser, and every name of this machine.
pub(crate) fn own_names_are_answered(place: &Place) {
    let server = place.serve(&[]);
    for name in ["localhost", "LOCALHOST:1", "127.0.0.1:5000", "127.3.2.1", "[::1]:5000"] {
        let _ = Wire::open(&server).ask(called(name, PING)).expect(200);
    }
    let headers = ["sec-fetch-site: none", "sec-fetch-mode: navigate"];
    let _ = Wire::open(&server).ask(head("GET", "/v2/", &headers)).expect(200);
    let headers = ["sec-fetch-site: same-origin", "origin: http://localhost"];
    let _ = Wire::open(&server).ask(head("GET", "/v2/", &headers)).expect(200);
    let mut old = Wire::open(&server);
    let _ = old.ask("GET /v2/ HTTP/1.0\r\n\r\n").expect(200);
}

/// Its names are not known, but a page is a page.
pub(crate) fn an_exposed_address_is_called_by_any_name(place: &Place) {
    let server = place.serve(&["--listen", "0.0.0.0:0"]);
    let _ = Wire::open(&server).ask(called("registry.internal:5000", PING)).expect(200);
    denied(Wire::open(&server), &head("GET", "/v2/", &["origin: http://evil.example"]));
    denied(Wire::open(&server), &head("GET", "/v2/", &["sec-fetch-site: cross-site"]));
    let own = head("GET", "/v2/", &["origin: https://registry.internal"]);
    let _ = Wire::open(&server).ask(called("registry.internal", &own)).expect(200);
}
