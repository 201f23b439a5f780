//! The promises about every answer, and about the store at the end.

use bytes::Bytes;
use futures::TryStreamExt;
use http::{Method, Request, header, request::Parts};
use plugin_registry::{Registry, layout, manifest::MAX_MANIFEST_SIZE};
use plugin_registry_core::{Digest, StorageDriver, StoragePath};
use plugin_registry_drivers_memory::MemoryDriver;

use super::{
    answer::{Answer, call},
    deliver::Delivered,
};
use plugin_registry_conformance::{layout::Tree, registry::body};

/// Headers and JSON around what an answer shows of the store.
const FORM: u64 = 32 * 1024;

/// A request that was answered.
pub(super) struct Asked<'a> {
    pub(super) parts: &'a Parts,
    pub(super) body: &'a Delivered,
    pub(super) content: &'a Bytes,
    pub(super) is_whole: bool,
    pub(super) has_failed: bool,
}

impl Asked<'_> {
    fn is(&self, method: &Method) -> bool {
        self.parts.method == method
    }

    /// The last segment of the path: a digest, a reference, an upload.
    fn last(&self) -> &str {
        self.parts.uri.path().rsplit('/').next().unwrap_or_default()
    }

    fn wants(&self, endpoint: &str) -> bool {
        self.parts.uri.path().contains(&format!("/{endpoint}/"))
    }
}

/// Checks what an answer alone must fulfil.
pub(super) fn answer(asked: &Asked<'_>, answer: &Answer, brought: u64) {
    let what = || format!("{} {} gave {answer:?}", asked.parts.method, asked.parts.uri);
    assert!(answer.status < 500 || asked.has_failed, "{}", what());
    assert!(answer.broken.is_none() || asked.has_failed, "{}", what());
    assert!(answer.body.len() as u64 <= 8 * brought + FORM, "{}", what());
    let takes_a_body = asked.is(&Method::POST) || asked.is(&Method::PUT) || asked.is(&Method::PATCH);
    assert!(takes_a_body || asked.body.taken() == 0, "a body that is not wanted was read: {}", what());
    if asked.wants("manifests") {
        let most = MAX_MANIFEST_SIZE + asked.body.largest;
        assert!(asked.body.taken() <= most, "{} bytes of a manifest: {}", asked.body.taken(), what());
    }
    let digest = answer.header("docker-content-digest").map(|digest| digest.parse::<Digest>().unwrap());
    if let Some(digest) = digest {
        let etag = answer.header("etag");
        assert!(etag.is_none_or(|etag| etag == format!("\"{digest}\"")), "{}", what());
        assert!(!asked.last().parse().is_ok_and(|named: Digest| named != digest), "{}", what());
        if asked.is(&Method::GET) && answer.status == 200 && answer.broken.is_none() {
            assert_eq!(Digest::of(digest.algorithm(), &answer.body), digest, "{}", what());
        }
        if asked.is(&Method::PUT) && answer.status == 201 && asked.wants("manifests") {
            assert!(asked.is_whole, "{}", what());
            assert_eq!(Digest::of(digest.algorithm(), asked.content), digest, "{}", what());
        }
    }
    let is_created = answer.status == 201;
    assert!(!is_created || (digest.is_some() && answer.header("location").is_some()), "{}", what());
    if asked.parts.uri.path().contains("/referrers/") && answer.status == 200 && asked.is(&Method::GET) {
        let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert!(json["manifests"].is_array(), "{}", what());
    }
}

/// Checks what the next requests must find.
pub(super) async fn follow(registry: &Registry, asked: &Asked<'_>, answer: &Answer) {
    let what = || format!("{} {} gave {answer:?}", asked.parts.method, asked.parts.uri);
    let ask = |method: Method, uri: String| async move {
        let request = Request::builder().method(method).uri(uri).body(body::none()).unwrap();
        call(registry, request).await
    };
    let location = || answer.header("location").unwrap().to_owned();
    match (answer.status, &asked.parts.method) {
        (201, _) => {
            // Data, then link: acknowledged content is there, whole, under the digest that was given.
            let stored = ask(Method::GET, location()).await;
            assert_eq!(stored.status, 200, "{}: {stored:?}", what());
            let digest = answer.header("docker-content-digest");
            assert_eq!(stored.header("docker-content-digest"), digest, "{}", what());
            let own = Digest::of(digest.unwrap().parse::<Digest>().unwrap().algorithm(), &stored.body);
            assert_eq!(Some(&*own.to_string()), digest, "{}", what());
            if asked.wants("manifests") {
                assert_eq!(&stored.body, asked.content, "{}", what());
            }
        }
        (202, &Method::POST | &Method::PATCH) => {
            let status = ask(Method::GET, location()).await;
            assert_eq!(status.status, 204, "{}: {status:?}", what());
            assert_eq!(status.header("range"), answer.header("range"), "{}", what());
        }
        (202, &Method::DELETE) => {
            let gone = ask(Method::GET, asked.parts.uri.to_string()).await;
            assert_eq!(gone.status, 404, "{}: {gone:?}", what());
        }
        (206, _) if answer.headers.contains_key(header::CONTENT_RANGE) => {
            let whole = ask(Method::GET, asked.parts.uri.to_string()).await;
            let range = answer.header("content-range").unwrap().strip_prefix("bytes ").unwrap();
            let (range, size) = range.split_once('/').unwrap();
            let (first, last) = range.split_once('-').unwrap();
            let [first, last, size] = [first, last, size].map(|number| number.parse::<usize>().unwrap());
            assert_eq!(whole.body.len(), size, "{}", what());
            assert_eq!(answer.body, whole.body[first..=last], "{}", what());
        }
        (_, &Method::HEAD) if !asked.parts.headers.contains_key(header::RANGE) => {
            let mut request = Request::new(body::none());
            *request.uri_mut() = asked.parts.uri.clone();
            *request.headers_mut() = asked.parts.headers.clone();
            let whole = call(registry, request).await;
            assert_eq!(whole.status, answer.status, "{}: GET gives {whole:?}", what());
            for name in ["content-type", "etag", "docker-content-digest", "location", "link", "range"] {
                assert_eq!(whole.header(name), answer.header(name), "{name}: {}", what());
            }
            let length = answer.header("content-length").map(|length| length.parse::<usize>().unwrap());
            assert!(length.is_none_or(|length| length == whole.body.len()), "{}: {whole:?}", what());
        }
        _ => {}
    }
}

/// A failure of the store is never reported as "not found": what was not found then is still missing now.
pub(super) async fn still_missing(registry: &Registry, asked: &Asked<'_>) {
    if asked.is(&Method::GET) || asked.is(&Method::HEAD) {
        let mut request = Request::new(body::none());
        *request.uri_mut() = asked.parts.uri.clone();
        let again = call(registry, request).await;
        assert_eq!(again.status, 404, "a failing store was 404 for {}: {again:?}", asked.parts.uri);
    }
}

/// Whatever happened, the store holds only content that was pushed, and each blob has the digest of its name.
pub(super) async fn store(driver: &MemoryDriver, brought: u64) {
    let tree = Tree::read(driver).await;
    let mut held = 0;
    for path in tree.paths() {
        let content = tree.get(path).unwrap();
        held += content.len() as u64;
        let path: StoragePath = path.parse().unwrap();
        if let Some(name) = path.strip_prefix(&layout::blobs()) {
            let digest = Digest::sha256(content);
            assert_eq!(layout::blob_data(&digest), path, "{name} holds other bytes");
        }
    }
    let staged: Vec<_> = driver.list_staged(&layout::root()).try_collect().await.unwrap();
    held += staged.iter().map(|stage| stage.size).sum::<u64>();
    assert!(held <= brought, "{held} bytes in the store, {brought} were brought");
}
