//! The methods and targets of requests in all their forms.

use crate::{
    Place,
    fixture::push_image,
    limits::{refused, taken},
    wire::{Wire, head},
};

/// A target of up to 65534 bytes is read; a longer one is 414.
pub(crate) fn long_targets(place: &Place) {
    let server = place.serve(&[]);
    let sized = |size: usize| head("GET", &format!("/v2/{}", "a".repeat(size - 4)), &[]);
    taken(&server, 404, &sized(60_000));
    taken(&server, 404, &sized(65_534));
    refused(&server, 414, &sized(65_535));
    refused(&server, 414, &sized(65_536));
    refused(&server, 414, &sized(100_000));
    refused(&server, 431, &sized(200_000));
    let name = |rest: &str| head("GET", &format!("/v2/{}/{rest}", "a/".repeat(30_000)), &[]);
    taken(&server, 400, &name("tags/list"));
    taken(&server, 400, &name("manifests/latest"));
    let query = format!("/v2/_catalog?last={}", "a".repeat(65_000));
    taken(&server, 200, &head("GET", &query, &[]));
}

/// An encoding hides nothing, and `..` does not lead upwards.
pub(crate) fn encoded_paths(place: &Place) {
    let server = place.serve(&[]);
    push_image(&server, "ns/app");
    for (status, target) in [
        (200, "/v2/ns/app/manifests/latest"),
        (200, "/v2/n%73/app/manifests/%6c%61test"),
        (404, "/v2/ns%2Fapp/manifests/latest"),
        (404, "/v2/ns%2fapp/manifests/latest"),
        (404, "/v2%2Fns/app/manifests/latest"),
        (400, "/v2/ns%252Fapp/manifests/latest"),
        (404, "//v2/ns/app/manifests/latest"),
        (400, "/v2//ns/app/manifests/latest"),
        (400, "/v2/ns//app/manifests/latest"),
        (404, "/./v2/ns/app/manifests/latest"),
        (400, "/v2/./ns/app/manifests/latest"),
        (400, "/v2/x/../ns/app/manifests/latest"),
        (400, "/v2/%2e%2e/app/manifests/latest"),
        (400, "/v2/%2e%2e/%2E%2e/etc/manifests/latest"),
        (404, "/v2/../../etc/passwd"),
        (400, "/v2/ns/app/manifests/%2e%2e"),
        (400, "/v2/ns/app/manifests/.."),
        (404, "/v2/ns/app/manifests/..%2Flatest"),
        (400, "/v2/ns/app/manifests/latest%00"),
        (400, "/v2/ns/app%00/manifests/latest"),
        (400, "/v2/ns/app/manifests/latest%0d%0ax:%20y"),
        (400, "/v2/ns/app%0d%0a/manifests/latest"),
        (404, "/v2/ns/app%ff/manifests/latest"),
        (400, "/v2/ns/app%/manifests/latest"),
        (400, "/v2/ns/app%zz/manifests/latest"),
        (400, "/v2/ns/\u{e4}/manifests/latest"),
        (404, "/v2/ns/app/manifests/latest/"),
        (200, "/v2/ns/app/manifests/latest?x=%00"),
        (200, "/v2/ns/app/manifests/latest#part"),
        (404, "/V2/ns/app/manifests/latest"),
        (400, "/v2/ns\\app/manifests/latest"),
    ] {
        let mut wire = Wire::open(&server);
        let answer = wire.ask(head("GET", target, &[]));
        assert_eq!(answer.status, status, "{target}: {answer:?}");
        assert!(answer.get("x").is_none(), "{target}: {answer:?}");
        wire.assert_usable();
    }
}

/// The absolute form, which clients of a proxy send, is served (RFC 9112, section 3.2.2). Nothing is
/// tunnelled, and `*` is not an endpoint.
pub(crate) fn other_forms_of_a_target(place: &Place) {
    let server = place.serve(&[]);
    push_image(&server, "ns/app");
    taken(&server, 200, &head("GET", "http://localhost:1/v2/ns/app/manifests/latest", &[]));
    taken(&server, 404, &head("GET", "http://127.0.0.1:1", &[]));
    taken(&server, 404, &head("GET", "http://[::1]/v2/../etc", &[]));
    taken(&server, 404, &head("OPTIONS", "*", &[]));
    taken(&server, 404, &head("CONNECT", "localhost:443", &[]));
    taken(&server, 404, &head("GET", "localhost:443", &[]));
    refused(&server, 400, &head("GET", "v2/", &[]));
    refused(&server, 400, &head("GET", "", &[]));
}

/// Methods have a case. One that an endpoint does not have is 405 with `Allow`, known or not; where there
/// is no endpoint it is 404.
pub(crate) fn methods(place: &Place) {
    let server = place.serve(&[]);
    push_image(&server, "ns/app");
    let mut wire = Wire::open(&server);
    for method in ["get", "Get", "head", "BREW", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "M-SEARCH", "!#$"]
    {
        let long = "X".repeat(5000);
        for method in [method, &long] {
            let answer = wire.ask(head(method, "/v2/ns/app/tags/list", &[])).expect(405);
            assert_eq!(answer.header("allow"), "GET, HEAD", "{method}");
            let answer = wire.ask(head(method, "/v2/ns/app/manifests/latest", &[])).expect(405);
            assert_eq!(answer.header("allow"), "GET, HEAD, PUT", "deletes are off: {method}");
            let answer = wire.ask(head(method, "/v2/ns/app/blobs/uploads/", &[])).expect(405);
            assert_eq!(answer.header("allow"), "POST", "{method}");
            let answer = wire.ask(head(method, "/nothing", &[])).expect(404);
            assert_eq!(answer.get("allow"), None);
        }
    }
    wire.assert_usable();
}
