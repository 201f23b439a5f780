//! `Accept`: manifests are served as they are stored, whatever a client prefers.

use std::cell::OnceCell;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use plugin_registry::{ReferencePolicy, Registry};
use plugin_registry_core::{Digest, Reference, docker};
use plugin_registry_drivers_memory::MemoryDriver;

use super::{
    block_on,
    service::answer::{Answer, call},
};
use plugin_registry_conformance::registry::body;

/// A registry with one manifest of each type, and its answers to requests without an `Accept` header.
struct Shelf {
    registry: Registry,
    plain: Vec<(Method, String, Answer)>,
}

/// Any `Accept` headers, one per line, do not change the answer.
pub fn accept(data: &[u8]) {
    thread_local!(static SHELF: OnceCell<Shelf> = const { OnceCell::new() });
    SHELF.with(|shelf| block_on(compare(shelf, data)));
}

async fn compare(shelf: &OnceCell<Shelf>, data: &[u8]) {
    let shelf = match shelf.get() {
        Some(shelf) => shelf,
        None => {
            let filled = fill().await;
            shelf.get_or_init(|| filled)
        }
    };
    let lines = data.split(|byte| *byte == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok());
    let lines: Vec<HeaderValue> = lines.collect();
    for (method, uri, plain) in &shelf.plain {
        let answer = ask(&shelf.registry, method, uri, &lines).await;
        assert_eq!(&answer, plain, "{method} {uri} with Accept {lines:?}");
    }
}

async fn ask(registry: &Registry, method: &Method, uri: &str, accept: &[HeaderValue]) -> Answer {
    let mut request = Request::builder().method(method).uri(uri).body(body::none()).unwrap();
    accept.iter().for_each(|value| {
        request.headers_mut().append(header::ACCEPT, value.clone());
    });
    call(registry, request).await
}

async fn fill() -> Shelf {
    let registry =
        Registry::builder(MemoryDriver::new()).references(ReferencePolicy::Sparse).delete(true).build();
    let manifests = registry.repository("a".parse().unwrap()).manifests();
    let digest = Digest::sha256(b"anything");
    let entry = format!(r#"{{"mediaType":"application/octet-stream","digest":"{digest}","size":8}}"#);
    let mut plain = Vec::new();
    for (tag, media_type, content) in [
        ("image", "application/vnd.oci.image.manifest.v1+json", format!(r#""config":{entry},"layers":[]"#)),
        ("index", "application/vnd.oci.image.index.v1+json", format!(r#""manifests":[{entry}]"#)),
        ("docker", docker::MANIFEST, format!(r#""config":{entry},"layers":[]"#)),
        ("list", docker::MANIFEST_LIST, format!(r#""manifests":[{entry}]"#)),
    ] {
        let document = format!(r#"{{"schemaVersion":2,"mediaType":"{media_type}",{content}}}"#);
        let reference: Reference = tag.parse().unwrap();
        let stored =
            manifests.put(&reference, Some(media_type), Bytes::from(document.clone())).await.unwrap();
        for method in [Method::GET, Method::HEAD] {
            for reference in [tag.to_owned(), stored.digest().to_string()] {
                let uri = format!("/v2/a/manifests/{reference}");
                let answer = ask(&registry, &method, &uri, &[]).await;
                assert_eq!((answer.status, answer.header("content-type")), (200, Some(media_type)));
                assert!(method == Method::HEAD || answer.body == document);
                plain.push((method.clone(), uri, answer));
            }
        }
    }
    Shelf { registry, plain }
}
