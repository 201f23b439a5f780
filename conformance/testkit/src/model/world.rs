//! Few names and few contents, so that calls meet. The facts about each document are written down by hand.

use std::{collections::BTreeMap, sync::LazyLock};

use bytes::Bytes;
use plugin_registry_core::{Algorithm, Digest, docker};

use plugin_registry_conformance::registry::fixture;

/// Repositories: one inside another, and one that sorts before it as a string but not by component.
pub(super) const REPOSITORIES: [&str; 3] = ["a", "a-b", "a/b"];
/// Tags: one begins with another, one has a name of the layout.
pub(super) const TAGS: [&str; 3] = ["current", "v1", "v1-rc"];
/// The algorithms by which clients name content.
pub(super) const ALGORITHMS: [Algorithm; 2] = [Algorithm::Sha256, Algorithm::Sha512];

/// The types of the artifacts.
pub(super) const SIGNATURE: &str = "application/x.signature";
pub(super) const BILL: &str = "application/x.bill";

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// All contents.
pub(super) static WORLD: LazyLock<World> = LazyLock::new(World::new);

/// All contents.
pub(super) struct World {
    /// Blobs, smallest first, and then the first document: content is content.
    pub(super) blobs: Vec<Bytes>,
    /// Manifests. Those that others name come first.
    pub(super) documents: Vec<Document>,
    contents: BTreeMap<Digest, (Bytes, Digest)>,
    blob_digests: Vec<[Digest; 2]>,
    document_digests: Vec<[Digest; 2]>,
}

/// A manifest, and what the model needs to know about it.
#[derive(Clone, Debug)]
pub(super) struct Document {
    pub(super) bytes: Bytes,
    pub(super) media_type: &'static str,
    /// The blobs that it needs, with the sizes that it states.
    pub(super) blobs: Vec<(Digest, u64)>,
    /// The manifests that it needs.
    pub(super) children: Vec<Digest>,
    pub(super) subject: Option<Digest>,
    /// The artifact type as a list of referrers shows it.
    pub(super) artifact_type: Option<&'static str>,
    pub(super) annotated: bool,
    /// Whether a registry may accept it.
    pub(super) valid: bool,
}

impl World {
    fn new() -> Self {
        let sizes = [0_usize, 1, 20, 300, 2000, 9000];
        let blobs: Vec<Bytes> =
            sizes.iter().enumerate().map(|(n, size)| fixture::content(n as u64 + 1, *size)).collect();
        let mut world = Self {
            blobs,
            documents: Vec::new(),
            contents: BTreeMap::new(),
            blob_digests: Vec::new(),
            document_digests: Vec::new(),
        };
        world.write_documents();
        world.blobs.push(world.documents[0].bytes.clone());
        let both = |content: &Bytes| ALGORITHMS.map(|algorithm| Digest::of(algorithm, content));
        world.blob_digests = world.blobs.iter().map(both).collect();
        let documents = world.documents.iter().map(|document| &document.bytes);
        world.document_digests = documents.clone().map(both).collect();
        for content in world.blobs.iter().chain(documents).cloned().collect::<Vec<_>>() {
            for algorithm in ALGORITHMS {
                let canonical = Digest::sha256(&content);
                world.contents.insert(Digest::of(algorithm, &content), (content.clone(), canonical));
            }
        }
        world
    }

    /// The content of a digest of any algorithm.
    pub(super) fn content(&self, digest: &Digest) -> &Bytes {
        &self.contents[digest].0
    }

    /// The sha256 digest of the content of a digest.
    pub(super) fn canonical(&self, digest: &Digest) -> Digest {
        self.contents[digest].1
    }

    /// The digest of a blob.
    pub(super) fn blob(&self, blob: usize, by: Algorithm) -> Digest {
        self.blob_digests[blob][ALGORITHMS.iter().position(|algorithm| *algorithm == by).unwrap()]
    }

    /// The digest of a document.
    pub(super) fn manifest(&self, document: usize, by: Algorithm) -> Digest {
        self.document_digests[document][ALGORITHMS.iter().position(|algorithm| *algorithm == by).unwrap()]
    }

    /// The document of a canonical digest.
    pub(super) fn document(&self, canonical: &Digest) -> &Document {
        let number = self.document_digests.iter().position(|digests| digests[0] == *canonical);
        &self.documents[number.unwrap()]
    }

    fn write_documents(&mut self) {
        let oci = |rest: String| format!(r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}",{rest}}}"#);
        let index = |rest: String| format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}",{rest}}}"#);
        let image = |world: &Self, config: usize, layers: &[usize]| {
            let layers: Vec<String> = layers
                .iter()
                .map(|layer| world.entry("application/vnd.oci.image.layer.v1.tar", *layer))
                .collect();
            let config = world.entry("application/vnd.oci.image.config.v1+json", config);
            format!(r#""config":{config},"layers":[{}]"#, layers.join(","))
        };

        // 0: an image.
        let text = oci(image(self, 1, &[2, 3]));
        self.add(text, MANIFEST, &[1, 2, 3]);
        // 1: an image in Docker's form, with the empty blob as a layer.
        let layers: Vec<String> = [3, 4, 0].iter().map(|layer| self.entry(docker::LAYER, *layer)).collect();
        let text = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","config":{},"layers":[{}]}}"#,
            docker::MANIFEST,
            self.entry(docker::CONFIG, 1),
            layers.join(",")
        );
        self.add(text, docker::MANIFEST, &[1, 3, 4, 0]);
        // 2: an artifact of the first image, with a type and annotations.
        let subject = self.child(0);
        let text = oci(format!(
            r#""artifactType":"{SIGNATURE}",{},"subject":{subject},"annotations":{{"k":"v"}}"#,
            image(self, 0, &[2])
        ));
        let document = self.add(text, MANIFEST, &[0, 2]);
        (document.artifact_type, document.annotated) = (Some(SIGNATURE), true);
        self.documents[2].subject = Some(self.digest(0));
        // 3: an artifact of the second image whose type is that of its config. It does not state its own type.
        let text = format!(
            r#"{{"schemaVersion":2,"config":{},"layers":[],"subject":{}}}"#,
            self.entry(BILL, 1),
            self.child(1)
        );
        self.add(text, MANIFEST, &[1]).artifact_type = Some(BILL);
        self.documents[3].subject = Some(self.digest(1));
        // 4: an index of both images.
        let text = index(format!(r#""manifests":[{},{}]"#, self.child(0), self.child(1)));
        let children = vec![self.digest(0), self.digest(1)];
        self.add(text, INDEX, &[]).children = children;
        // 5: an index with an index in it, about the first image, without a type.
        let text = index(format!(
            r#""manifests":[{},{}],"subject":{}"#,
            self.child(4),
            self.child(0),
            self.child(0)
        ));
        let children = vec![self.digest(4), self.digest(0)];
        self.add(text, INDEX, &[]).children = children;
        self.documents[5].subject = Some(self.digest(0));
        // 6: an image that names its layer by sha512.
        let other = Digest::of(Algorithm::Sha512, &self.blobs[2]);
        let layer = format!(r#"{{"mediaType":"x/y","digest":"{other}","size":{}}}"#, self.blobs[2].len());
        let text = oci(format!(r#""config":{},"layers":[{layer}]"#, self.entry("x/y", 1)));
        let size = self.blobs[2].len() as u64;
        self.add(text, MANIFEST, &[1]).blobs.push((other, size));
        // 7: an image that states a wrong size.
        let digest = Digest::sha256(&self.blobs[3]);
        let layer = format!(r#"{{"mediaType":"x/y","digest":"{digest}","size":301}}"#);
        let text = oci(format!(r#""config":{},"layers":[{layer}]"#, self.entry("x/y", 1)));
        self.add(text, MANIFEST, &[1]).blobs.push((digest, 301));
        // 8: a document that is both an index and an image.
        let text = index(format!(r#""manifests":[],{}"#, image(self, 1, &[2])));
        self.add(text, INDEX, &[]).valid = false;
        // 9: an image whose second layer may stay at its URL.
        let digest = Digest::sha256(b"elsewhere");
        let foreign = format!(
            r#"{{"mediaType":"{}","digest":"{digest}","size":9,"urls":["https://example.com/x"]}}"#,
            docker::FOREIGN_LAYER
        );
        let layer = self.entry(docker::LAYER, 2);
        let text = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","config":{},"layers":[{layer},{foreign}]}}"#,
            docker::MANIFEST,
            self.entry(docker::CONFIG, 1)
        );
        self.add(text, docker::MANIFEST, &[1, 2]);
        // 10: a Docker list that names its child by sha512.
        let digest = Digest::of(Algorithm::Sha512, &self.documents[1].bytes);
        let text = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[{{"mediaType":"{}","digest":"{digest}","size":{}}}]}}"#,
            docker::MANIFEST_LIST,
            docker::MANIFEST,
            self.documents[1].bytes.len()
        );
        self.add(text, docker::MANIFEST_LIST, &[]).children = vec![digest];
    }

    fn add(&mut self, text: String, media_type: &'static str, blobs: &[usize]) -> &mut Document {
        let blobs = blobs.iter().map(|blob| &self.blobs[*blob]);
        let document = Document {
            bytes: text.into(),
            media_type,
            blobs: blobs.map(|blob| (Digest::sha256(blob), blob.len() as u64)).collect(),
            children: Vec::new(),
            subject: None,
            artifact_type: None,
            annotated: false,
            valid: true,
        };
        self.documents.push(document);
        self.documents.last_mut().unwrap()
    }

    fn digest(&self, document: usize) -> Digest {
        Digest::sha256(&self.documents[document].bytes)
    }

    fn entry(&self, media_type: &str, blob: usize) -> String {
        let blob = &self.blobs[blob];
        format!(r#"{{"mediaType":"{media_type}","digest":"{}","size":{}}}"#, Digest::sha256(blob), blob.len())
    }

    fn child(&self, document: usize) -> String {
        let Document { media_type, bytes, .. } = &self.documents[document];
        format!(
            r#"{{"mediaType":"{media_type}","digest":"{}","size":{}}}"#,
            self.digest(document),
            bytes.len()
        )
    }
}
