//! The edges of HTTP without a connection: request bodies that are refused, odd or lying, and bodies of
//! answers to HEAD.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use http_body::{Body as _, SizeHint};
use http_body_util::BodyExt;

use super::{
    Lab,
    client::{Client, and},
    fixture::{IMAGE, Image, content, digest},
    watched::{Script, Step},
};

const UNKNOWN: &str = "/v2/ns/app/blobs/uploads/018f0000-0000-7000-8000-000000000000";

/// A body that the answer does not need is never polled, and is dropped.
pub async fn refused_bodies_are_not_polled(lab: &Lab) {
    let (client, image) = (lab.client(), Image::new(1));
    client.push_image("ns/app", "latest", &image).await;
    let read_only = lab.with(|builder| builder.delete(false).read_only(true)).await;
    let undeleted = lab.with(|builder| builder.delete(false)).await;
    let session = client.begin("ns/app").await;
    let (absent, blob) = (digest(b"absent"), digest(&image.blobs[0]));
    let bare = session.split('?').next().unwrap();
    let manifest = "/v2/ns/app/manifests/latest";
    let too_long = ("content-length", "4194305");
    for (client, status, method, uri, header) in [
        (&client, 404, Method::PATCH, UNKNOWN.to_owned(), None),
        (&client, 404, Method::PUT, and(UNKNOWN, &format!("digest={absent}")), None),
        (&client, 404, Method::PATCH, format!("{bare}?_state=forged"), None),
        (&client, 400, Method::PATCH, session.clone(), Some(("content-type", "text/plain"))),
        (&client, 416, Method::PATCH, session.clone(), Some(("content-range", "x"))),
        (&client, 400, Method::PATCH, session.clone(), Some(("content-length", "x"))),
        (&client, 400, Method::PUT, session.clone(), None),
        (&client, 400, Method::PUT, and(&session, "digest=sha256:x"), None),
        (&client, 400, Method::POST, "/v2/ns/app/blobs/uploads/?digest=sha256:x".to_owned(), None),
        (&client, 202, Method::POST, "/v2/ns/app/blobs/uploads/".to_owned(), None),
        (&client, 201, Method::POST, format!("/v2/b/blobs/uploads/?mount={blob}&from=ns/app"), None),
        (&client, 400, Method::POST, "/v2/UPPER/blobs/uploads/".to_owned(), None),
        (&client, 413, Method::PUT, manifest.to_owned(), Some(too_long)),
        (&client, 400, Method::PUT, "/v2/ns/app/manifests/.bad".to_owned(), None),
        (&client, 400, Method::PUT, "/v2/UPPER/manifests/x".to_owned(), None),
        (&client, 405, Method::POST, "/v2/".to_owned(), None),
        (&client, 405, Method::PUT, "/v2/_catalog".to_owned(), None),
        (&client, 405, Method::PATCH, "/v2/ns/app/tags/list".to_owned(), None),
        (&client, 404, Method::PUT, "/v2/nothing".to_owned(), None),
        (&client, 404, Method::DELETE, "/v2/ns/app/manifests/absent".to_owned(), None),
        (&client, 200, Method::GET, manifest.to_owned(), None),
        (&client, 200, Method::HEAD, manifest.to_owned(), None),
        (&client, 200, Method::GET, format!("/v2/ns/app/blobs/{blob}"), None),
        (&client, 204, Method::GET, session.clone(), None),
        (&client, 204, Method::DELETE, session.clone(), None),
        (&read_only, 405, Method::PUT, manifest.to_owned(), None),
        (&read_only, 405, Method::POST, format!("/v2/ns/app/blobs/uploads/?digest={absent}"), None),
        (&read_only, 405, Method::PATCH, UNKNOWN.to_owned(), None),
        (&read_only, 405, Method::PUT, and(UNKNOWN, &format!("digest={absent}")), None),
        (&undeleted, 405, Method::DELETE, manifest.to_owned(), None),
    ] {
        let (body, watch) = Script::of(&content(1, 3000), 100).then(Step::Stall).watched();
        let what = format!("{method} {uri}");
        let mut call = client.request(method, uri).stream(body);
        if let Some((name, value)) = header {
            call = call.header(name, value);
        }
        let _ = call.send().await.expect(status);
        assert_eq!(watch.polls(), 0, "{what}");
        watch.assert_let_go(&what);
    }
}

/// The four requests that take a body, with content that differs for each seed.
async fn takers(client: &Client, seed: u64) -> [(Method, String, Bytes, u16); 4] {
    let image = Image::new(seed);
    for blob in &image.blobs {
        client.push("a", blob).await;
    }
    let [post, patch, put] = [5, 6, 7].map(|n| content(seed * 10 + n, 3000));
    let (first, second) = (client.begin("a").await, client.begin("a").await);
    [
        (Method::POST, format!("/v2/a/blobs/uploads/?digest={}", digest(&post)), post, 201),
        (Method::PATCH, first, patch, 202),
        (Method::PUT, and(&second, &format!("digest={}", digest(&put))), put, 201),
        (Method::PUT, format!("/v2/a/manifests/v{seed}"), image.manifest, 201),
    ]
}

/// Sends a body to each request that takes one, and checks that its content was stored.
async fn sends(lab: &Lab, seed: u64, make: impl Fn(&Bytes) -> Script) {
    let client = lab.client();
    for (method, uri, content, status) in takers(&client, seed).await {
        let (body, watch) = make(&content).watched();
        let mut call = client.request(method.clone(), &uri).stream(body);
        if uri.contains("/manifests/") {
            call = call.header("content-type", IMAGE);
        }
        let answer = call.send().await.expect(status);
        watch.assert_let_go(&uri);
        if method == Method::PATCH {
            assert_eq!(answer.header("range"), format!("0-{}", content.len() - 1));
            let _ = client.finish(&answer.location(), &digest(&content), "").await.expect(201);
        }
        if uri.contains("/manifests/") {
            assert_eq!(client.get(&uri).send().await.expect(200).body(), &content);
        } else {
            client.assert_blob("a", &content).await;
        }
    }
}

/// Frames without bytes are ignored. Trailers are not headers, not even one with another length.
pub async fn empty_frames_and_trailers_are_no_content(lab: &Lab) {
    let mut trailers = HeaderMap::new();
    for (name, value) in [("content-length", "5"), ("content-range", "7-9"), ("x-checksum", "none")] {
        trailers.insert(name, HeaderValue::from_static(value));
    }
    let empty = || Step::Data(Bytes::new());
    sends(lab, 1, |content| Script::of(content, 700).then(Step::Trailers(trailers.clone()))).await;
    sends(lab, 2, |content| {
        let (first, second) = (content.slice(..400), content.slice(400..));
        Script::new([empty(), Step::Wait, empty(), Step::Data(first), empty(), Step::Data(second), empty()])
            .then(Step::Trailers(trailers.clone()))
    })
    .await;
}

/// The size hint of a body is only a hint: nothing relies on it, and no memory is reserved by it.
pub async fn size_hints_may_lie(lab: &Lab) {
    let mut range = SizeHint::new();
    range.set_lower(1 << 50);
    range.set_upper(1 << 60);
    let hints = [SizeHint::with_exact(0), SizeHint::with_exact(5), SizeHint::with_exact(u64::MAX), range];
    for (seed, hint) in (1..).zip(hints) {
        sends(lab, seed, |content| Script::of(content, 700).with_hint(hint)).await;
    }
    sends(lab, 9, |content| Script::of(content, 700).seemingly_over()).await;
}

/// A body that failed or ended is not polled again. Many bodies would panic.
pub async fn bodies_are_not_polled_after_their_end(lab: &Lab) {
    let client = lab.client();
    for (seed, length) in (1..).zip([0, 1, 350, 700, 2999]) {
        for (method, uri, content, _) in takers(&client, seed).await {
            let length = length.min(content.len() - 1);
            let cut = content.slice(..length);
            for is_announced in [false, true] {
                for script in [Script::of(&cut, 350).then(Step::Fail), Script::of(&cut, 350)] {
                    let (body, watch) = script.watched();
                    let mut call = client.request(method.clone(), &uri).stream(body);
                    if is_announced {
                        call = call.header("content-length", content.len());
                    }
                    let answer = call.send().await;
                    // A chunk without a length may have any length.
                    let is_refused = answer.is_refusal() || (method == Method::PATCH && !is_announced);
                    assert!(is_refused, "{answer}");
                    watch.assert_let_go(&format!("{answer}"));
                }
            }
            assert_eq!(client.probe(format!("/v2/a/blobs/{}", digest(&content))).await, 404);
        }
    }
}

/// The answer to HEAD has the headers of the answer to GET, including `Content-Length`.
///
/// Its body is at its end before it is polled.
pub async fn head_bodies_are_over(lab: &Lab) {
    let (client, image) = (lab.client(), Image::new(1));
    client.push_image("a", "latest", &image).await;
    let large = client.push("a", &content(2, (2 << 20) + 5)).await;
    let session = client.begin("a").await;
    for uri in [
        "/v2/".to_owned(),
        "/v2/_catalog".to_owned(),
        "/v2/a/tags/list".to_owned(),
        "/v2/absent/tags/list".to_owned(),
        "/v2/a/manifests/latest".to_owned(),
        "/v2/a/manifests/absent".to_owned(),
        format!("/v2/a/referrers/{}", image.digest()),
        format!("/v2/a/blobs/{large}"),
        format!("/v2/a/blobs/{}", digest(b"absent")),
        session,
        UNKNOWN.to_owned(),
        "/nothing".to_owned(),
    ] {
        let get = client.get(&uri).send().await;
        let (parts, mut body) = client.head(&uri).start().await.into_parts();
        assert_eq!(parts.status.as_u16(), get.status(), "{uri}");
        assert!(body.is_end_stream(), "{uri}");
        assert_eq!(body.size_hint().exact(), Some(0), "{uri}");
        assert!(body.frame().await.is_none(), "{uri}");
        let mut headers = get.headers().clone();
        if get.status() != 204 {
            // In process, a GET need not name the length that its body has. For HEAD the header is the only
            // source.
            headers.insert("content-length", HeaderValue::from(get.body().len()));
        }
        assert_eq!(parts.headers, headers, "{uri}");
    }
}
