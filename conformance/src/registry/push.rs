//! Tasks that take a client several requests.

use bytes::Bytes;
use plugin_registry_core::Algorithm;

use super::{
    client::{Answer, Client, and},
    fixture::{Image, digest, digest_as},
};

impl Client {
    /// Starts an upload session and returns its location.
    pub async fn begin(&self, name: &str) -> String {
        self.post(format!("/v2/{name}/blobs/uploads/")).body("").send().await.expect(202).location()
    }

    /// Appends to an upload session and returns its new location.
    pub async fn append(&self, location: &str, content: &Bytes) -> String {
        self.patch(location).body(content.clone()).send().await.expect(202).location()
    }

    /// Finishes an upload session with its last bytes.
    pub async fn finish(&self, location: &str, digest: &str, content: impl Into<Bytes>) -> Answer {
        self.put(and(location, &format!("digest={digest}"))).body(content).send().await
    }

    /// Pushes a blob by POST and PUT, and returns its digest.
    pub async fn push(&self, name: &str, content: &Bytes) -> String {
        self.push_as(Algorithm::Sha256, name, content).await
    }

    /// Pushes a blob under the digest of any algorithm.
    pub async fn push_as(&self, algorithm: Algorithm, name: &str, content: &Bytes) -> String {
        let digest = digest_as(algorithm, content);
        let location = self.begin(name).await;
        let done = self.finish(&location, &digest, content.clone()).await.expect(201);
        assert_eq!(done.header("docker-content-digest"), digest);
        digest
    }

    /// Puts a manifest.
    pub async fn put_manifest(&self, name: &str, reference: &str, media_type: &str, bytes: &Bytes) -> Answer {
        let uri = format!("/v2/{name}/manifests/{reference}");
        self.put(uri).header("content-type", media_type).body(bytes.clone()).send().await
    }

    /// Pushes an image with everything that it names.
    pub async fn push_image(&self, name: &str, reference: &str, image: &Image) -> Answer {
        for blob in &image.blobs {
            self.push(name, blob).await;
        }
        self.put_manifest(name, reference, image.media_type, &image.manifest).await.expect(201)
    }

    /// Pulls a blob.
    pub async fn pull(&self, name: &str, digest: &str) -> Bytes {
        let answer = self.get(format!("/v2/{name}/blobs/{digest}")).send().await.expect(200);
        answer.body().clone()
    }

    /// Checks that a repository serves a blob under its sha256 digest.
    ///
    /// # Panics
    /// If it does not.
    pub async fn assert_blob(&self, name: &str, content: &Bytes) {
        let read = self.pull(name, &digest(content)).await;
        assert!(read == content, "{} bytes came, {} were pushed", read.len(), content.len());
    }

    /// Returns the status of HEAD.
    pub async fn probe(&self, uri: impl Into<String>) -> u16 {
        self.head(uri).send().await.status()
    }

    /// Returns the lists under `key` of all pages from `first` on, following `Link`.
    ///
    /// # Panics
    /// If the pages do not end.
    pub async fn pages(&self, first: &str, key: &str) -> Vec<Vec<String>> {
        let mut pages = Vec::new();
        let mut next = Some(first.to_owned());
        while let Some(uri) = next {
            let answer = self.get(uri).send().await.expect(200);
            let json = answer.json();
            let entries = json[key].as_array().unwrap_or_else(|| panic!("no list {key}: {answer}"));
            let text = |entry: &serde_json::Value| match entry.as_str() {
                Some(text) => text.to_owned(),
                None => entry["digest"].as_str().unwrap().to_owned(),
            };
            pages.push(entries.iter().map(text).collect());
            assert!(pages.len() < 1000, "no end of pages from {first}");
            next = answer.next();
        }
        pages
    }
}
