//! A client over a real connection.

use std::time::Duration;

use bytes::Bytes;
use plugin_registry_conformance::registry::fixture::{self, DOCKER_IMAGE, DOCKER_LIST, IMAGE, INDEX, digest};
use plugin_registry_core::{Algorithm, Digest};
use serde_json::Value;
use ureq::{Agent, http::Method};

use crate::{place::Place, programs::Program};

/// Every type that a manifest may have: distribution answers 404 for those that are not asked for.
const ACCEPT: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws, \
                      application/vnd.docker.distribution.manifest.v1+json";

/// A client of one server.
pub(crate) struct Client {
    agent: Agent,
    url: String,
    /// Whether its lists of tags may lack those that [`Place::hides_tags`] describes.
    hides_tags: bool,
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: ureq::http::HeaderMap,
    pub(crate) body: Bytes,
}

/// How a blob is pushed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Flow {
    /// POST, then one PUT with everything.
    Whole,
    /// POST, PATCHes of this many bytes, then an empty PUT.
    Chunks(usize),
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:?}\n{}", self.headers, String::from_utf8_lossy(&self.body));
        self
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Client {
    pub(crate) fn new(address: &str) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(120)))
            .build();
        Self { agent: config.into(), url: format!("http://{address}"), hides_tags: false }
    }

    /// Knows what the server is and what it serves, for faults that are not ours.
    pub(crate) fn of(self, program: Program, place: Place<'_>) -> Self {
        Self { hides_tags: program == Program::V3 && place.hides_tags(), ..self }
    }

    /// One request. `at` is a path, or the URL of a `Location`.
    pub(crate) fn send(&self, method: &str, at: &str, headers: &[(&str, &str)], body: &Bytes) -> Answer {
        let url = if at.starts_with('/') { format!("{}{at}", self.url) } else { at.to_owned() };
        let mut request = ureq::http::Request::builder().method(Method::try_from(method).unwrap()).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let is_read = matches!(method, "GET" | "HEAD" | "DELETE");
        let mut answer = if is_read {
            self.agent.run(request.body(()).unwrap()).unwrap()
        } else {
            let request = request.header("content-type", "application/octet-stream");
            let request = match headers.iter().any(|(name, _)| *name == "content-type") {
                true => {
                    let mut request = request.body(&body[..]).unwrap();
                    let given = headers.iter().find(|(name, _)| *name == "content-type").unwrap().1;
                    request.headers_mut().insert("content-type", given.parse().unwrap());
                    request
                }
                false => request.body(&body[..]).unwrap(),
            };
            self.agent.run(request).unwrap()
        };
        let content = answer.body_mut().with_config().limit(1 << 30).read_to_vec().unwrap();
        Answer { status: answer.status().as_u16(), headers: answer.headers().clone(), body: content.into() }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        let accept = [IMAGE, INDEX, DOCKER_IMAGE, DOCKER_LIST, ACCEPT].join(", ");
        self.send("GET", path, &[("accept", &accept)], &Bytes::new())
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], &Bytes::new())
    }

    pub(crate) fn begin(&self, name: &str) -> String {
        let begun = self.send("POST", &format!("/v2/{name}/blobs/uploads/"), &[], &Bytes::new()).expect(202);
        begun.header("location").unwrap().to_owned()
    }

    /// Appends a chunk; gives the new location.
    pub(crate) fn append(&self, location: &str, offset: usize, chunk: &Bytes) -> String {
        let range = format!("{offset}-{}", offset + chunk.len() - 1);
        let answer = self.send("PATCH", location, &[("content-range", &range)], chunk).expect(202);
        answer.header("location").unwrap().to_owned()
    }

    pub(crate) fn finish(&self, location: &str, digest: &str, body: &Bytes) -> Answer {
        let separator = if location.contains('?') { '&' } else { '?' };
        self.send("PUT", &format!("{location}{separator}digest={digest}"), &[], body)
    }

    /// Pushes a blob unless it is there, as clients do; gives its digest.
    pub(crate) fn push(&self, name: &str, algorithm: Algorithm, content: &Bytes, flow: Flow) -> String {
        let digest = fixture::digest_as(algorithm, content);
        let head = self.send("HEAD", &format!("/v2/{name}/blobs/{digest}"), &[], &Bytes::new());
        if head.status == 200 {
            return digest;
        }
        let mut location = self.begin(name);
        let rest = match flow {
            Flow::Whole => content.clone(),
            Flow::Chunks(size) => {
                let mut offset = 0;
                while offset < content.len() {
                    let chunk = content.slice(offset..content.len().min(offset + size));
                    location = self.append(&location, offset, &chunk);
                    offset += chunk.len();
                }
                Bytes::new()
            }
        };
        let _ = self.finish(&location, &digest, &rest).expect(201);
        digest
    }

    /// Asks for a mount; whether it was one.
    pub(crate) fn mount(&self, name: &str, digest: &str, from: &str) -> bool {
        let path = format!("/v2/{name}/blobs/uploads/?mount={digest}&from={from}");
        let answer = self.send("POST", &path, &[], &Bytes::new());
        assert!(matches!(answer.status, 201 | 202), "{answer:?}");
        answer.status == 201
    }

    pub(crate) fn put_manifest(
        &self,
        name: &str,
        reference: &str,
        media_type: &str,
        content: &Bytes,
    ) -> Answer {
        let path = format!("/v2/{name}/manifests/{reference}");
        self.send("PUT", &path, &[("content-type", media_type)], content)
    }

    /// The tags in order; none for a repository that is unknown.
    pub(crate) fn tags(&self, name: &str) -> Vec<String> {
        self.pages(&format!("/v2/{name}/tags/list"), "tags")
    }

    /// Compares the list of tags with what should be in it.
    #[track_caller]
    pub(crate) fn check_tags(&self, name: &str, tags: &[String]) {
        let listed = self.tags(name);
        let is_like_another = |tag: &String| {
            tags.iter().any(|other| other != tag && (other.starts_with(tag) || tag.starts_with(other)))
        };
        let wanted: Vec<&String> = tags
            .iter()
            .filter(|tag| listed.contains(tag) || !(self.hides_tags && is_like_another(tag)))
            .collect();
        assert_eq!(listed.iter().collect::<Vec<_>>(), wanted, "the tags of {name}");
    }

    /// The repositories in order.
    pub(crate) fn catalog(&self) -> Vec<String> {
        self.pages("/v2/_catalog", "repositories")
    }

    fn pages(&self, path: &str, key: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut next = Some(path.to_owned());
        while let Some(path) = next {
            let answer = self.get(&path);
            if answer.status == 404 {
                break;
            }
            let answer = answer.expect(200);
            let page = answer.json();
            // A repository without tags: `null` of 2.8.
            let page = page[key].as_array().cloned().unwrap_or_default();
            found.extend(page.iter().map(|entry| entry.as_str().unwrap().to_owned()));
            let link = answer.header("link").and_then(|link| link.split(['<', '>']).nth(1));
            next = link.map(|link| link.strip_prefix(&self.url).unwrap_or(link).to_owned());
        }
        found.sort();
        found
    }
}

/// Checks that bytes are those of a digest of any algorithm.
#[track_caller]
pub(crate) fn assert_digest(content: &[u8], wanted: &str) {
    let wanted: Digest = wanted.parse().unwrap();
    assert_eq!(Digest::of(wanted.algorithm(), content), wanted, "sha256: {}", digest(content));
}
