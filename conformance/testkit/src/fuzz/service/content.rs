//! The contents of the bodies of fuzzed requests.

use std::cell::OnceCell;

use bytes::Bytes;
use plugin_registry_core::{Algorithm, Digest, docker};

const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// The first manifest, after five blobs: an image of some of them.
pub(super) const IMAGE: u8 = 5;
/// The same as a Docker manifest.
pub(super) const DOCKER: u8 = 6;
/// An index of the image.
pub(super) const CHILDREN: u8 = 7;
/// An artifact about the image.
pub(super) const ARTIFACT: u8 = 9;
/// The raw bytes of the step.
pub(super) const RAW: u8 = 16;
/// An image with the raw bytes as one more field.
pub(super) const SPLICED: u8 = 17;
/// The number of contents.
pub(super) const ALL: u8 = 18;

/// A content that does not depend on the step, with its digests.
pub(super) struct Fixed {
    pub(super) bytes: Bytes,
    pub(super) digests: [Digest; 3],
}

/// The content with an index. `raw` is for content that is made of the step's bytes.
pub(super) fn content(index: u8, raw: &[u8]) -> Bytes {
    match index % ALL {
        RAW => Bytes::copy_from_slice(raw),
        SPLICED => {
            let fields = String::from_utf8_lossy(raw);
            let config = entry(LAYER, 1);
            Bytes::from(format!(r#"{{"schemaVersion":2,"config":{config},"layers":[],{fields}}}"#))
        }
        index => fixed(index, |fixed| fixed.bytes.clone()),
    }
}

/// The digest of a content that does not depend on the step. For any other, the digest of empty content.
pub(super) fn digest(index: u8, algorithm: Algorithm) -> Digest {
    let position = Algorithm::ALL.iter().position(|one| *one == algorithm).unwrap();
    fixed(if index < RAW { index } else { 0 }, |fixed| fixed.digests[position])
}

/// The type with which a content should be pushed.
pub(super) fn media_type(index: u8) -> &'static str {
    match index % ALL {
        DOCKER => docker::MANIFEST,
        CHILDREN => INDEX,
        8 => docker::MANIFEST_LIST,
        _ => OCI,
    }
}

fn fixed<T>(index: u8, look: impl FnOnce(&Fixed) -> T) -> T {
    thread_local!(static FIXED: Vec<OnceCell<Fixed>> = (0..RAW).map(|_| OnceCell::new()).collect());
    FIXED.with(|all| {
        look(all[usize::from(index)].get_or_init(|| {
            let bytes = make(index);
            let digests = Algorithm::ALL.map(|algorithm| Digest::of(algorithm, &bytes));
            Fixed { bytes, digests }
        }))
    })
}

fn make(index: u8) -> Bytes {
    match index {
        0 => Bytes::new(),
        1 => Bytes::from_static(b"{}"),
        2 => Bytes::from_static(b"a layer"),
        3 => (0..=255_u8).cycle().take(300).collect(),
        4 => (0..70_000_u32).map(|n| (n >> 3) as u8).collect(),
        IMAGE => image(OCI, "").into(),
        DOCKER => image(docker::MANIFEST, "").into(),
        CHILDREN => {
            format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{}]}}"#, entry(OCI, IMAGE))
                .into()
        }
        8 => format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[{}]}}"#,
            docker::MANIFEST_LIST,
            entry(docker::MANIFEST, DOCKER)
        )
        .into(),
        ARTIFACT => {
            let about = entry(OCI, IMAGE);
            image(OCI, &format!(r#","subject":{about},"artifactType":"a/b","annotations":{{"k":"v\n"}}"#))
                .into()
        }
        // About something that is missing, and without own content.
        10 => format!(
            r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[],"subject":{}}}"#,
            entry(OCI, ARTIFACT)
        )
        .into(),
        // Layers that are elsewhere.
        11 => {
            let urls = r#""urls":["https://example.com/x"]"#;
            let away = entry("application/vnd.oci.image.layer.nondistributable.v1.tar", 4).replace('}', "");
            let layers =
                format!(r#"{{"schemaVersion":2,"config":{},"layers":[{away},{urls}}}]}}"#, entry(LAYER, 1));
            layers.into()
        }
        // A very long media type.
        12 => image(&"a/b".repeat(40_000), "").into(),
        // Many layers that do not exist.
        13 => {
            let entry = |n: u32| {
                let digest = Digest::sha256(&n.to_be_bytes());
                format!(r#"{{"mediaType":"{LAYER}","digest":"{digest}","size":4}}"#)
            };
            let layers: Vec<String> = (0..300).map(entry).collect();
            format!(r#"{{"schemaVersion":2,"config":{},"layers":[{}]}}"#, layers[0], layers.join(",")).into()
        }
        // A very long invalid digest.
        14 => image(OCI, &format!(r#","subject":{{"digest":"{}","size":1}}"#, "a:".repeat(50_000))).into(),
        // Larger than a manifest may be.
        _ => vec![b' '; (4 << 20) + 70_000].into(),
    }
}

fn image(media_type: &str, more: &str) -> String {
    let (config, layers) = (entry(LAYER, 1), [entry(LAYER, 2), entry(LAYER, 3)].join(","));
    format!(r#"{{"schemaVersion":2,"mediaType":"{media_type}","config":{config},"layers":[{layers}]{more}}}"#)
}

fn entry(media_type: &str, index: u8) -> String {
    let (digest, size) = fixed(index, |fixed| (fixed.digests[0], fixed.bytes.len()));
    format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}}}"#)
}
