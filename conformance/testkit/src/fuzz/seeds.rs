//! The committed seeds: small inputs with names, from which the fuzzer starts.

use plugin_registry::{fuzz as door, upload::UploadId};
use plugin_registry_core::{Algorithm, Digest, Hasher, RepositoryName};

use super::service::plans;

/// Returns the target, name and bytes of every seed.
#[must_use]
pub fn seeds() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let mut seeds: Vec<(&'static str, &'static str, Vec<u8>)> = Vec::new();
    let mut add = |target, name, bytes: &[u8]| seeds.push((target, name, bytes.to_vec()));
    let digest = Digest::sha256(b"").to_string();
    let sha512 = Digest::of(Algorithm::Sha512, b"").to_string();
    for (name, path) in [
        ("base", "/v2/"),
        ("catalog", "/v2/_catalog"),
        ("tags", "/v2/library/app/tags/list"),
        ("manifest", "/v2/a/manifests/latest"),
        ("blob", &format!("/v2/a/blobs/{digest}")),
        ("escaped-digest", &format!("/v2/a/blobs/{}", sha512.replace(':', "%3A"))),
        ("upload-start", "/v2/a/b/c/blobs/uploads/"),
        ("upload", "/v2/a/blobs/uploads/01890000-0000-7000-8000-000000000001"),
        ("referrers", &format!("/v2/a/referrers/{digest}")),
        ("dots", "/v2/../a/%2e%2e/manifests/.."),
        ("name-of-endpoints", "/v2/blobs/uploads/manifests/tags/list"),
        ("upload-start-plain", "/v2/a/b/c/blobs/uploads"),
        ("escaped-slash", "/v2/a%2Fb/manifests/x"),
        ("not-text", "/v2/a/manifests/%ff"),
        ("empty-components", "/v2//a//tags/list/"),
    ] {
        add("route", name, path.as_bytes());
    }
    for (name, text) in [
        ("tag", "v1.0_x-y"),
        ("name", "library/a.b_c__d-e---f/0"),
        ("digest", &*digest),
        ("upload-id", "01890000-0000-7000-8000-000000000001"),
        ("path", "/docker/registry/v2/x.y"),
        ("longest-tag", &"t".repeat(128)),
        ("too-long-tag", &"t".repeat(129)),
        ("longest-name", &"n".repeat(255)),
        ("too-long-name", &"n".repeat(256)),
        ("separators", "a._b..c/-d"),
    ] {
        add("reference", name, text.as_bytes());
    }
    let sha384 = Digest::of(Algorithm::Sha384, b"").to_string();
    for (name, text) in [
        ("sha256", &*digest),
        ("sha384", &*sha384),
        ("sha512", &*sha512),
        ("upper-case", &digest.to_uppercase()),
        ("short", &digest[..70]),
        ("no-algorithm", &digest[6..]),
        ("md5", "md5:d41d8cd98f00b204e9800998ecf8427e"),
    ] {
        add("digest", name, text.as_bytes());
    }
    for (name, header) in [
        ("one", "bytes=500-1499"),
        ("open", "bytes=500-"),
        ("suffix", "bytes=-500"),
        ("several", "bytes=0-0, 10-19,,-1"),
        ("backwards", "bytes=500-0"),
        ("beyond", "bytes=5000-10000"),
        ("overlapping", "bytes=0-2000,0-2000"),
        ("huge", "bytes=0-18446744073709551615,1-99999999999999999999999"),
        ("unit", "items=0-5"),
        ("many", &format!("bytes={}", "0-0,".repeat(33))),
    ] {
        add("range", name, &[&2048_u64.to_le_bytes(), &[0][..], header.as_bytes()].concat());
    }
    for (name, header) in [
        ("plain", "0-9"),
        ("with-unit", "bytes 5-5/*"),
        ("with-size", "bytes 0-99/100"),
        ("backwards", "9-5"),
        ("largest", "0-18446744073709551614"),
        ("too-large", "0-18446744073709551615"),
        ("open", "5-"),
    ] {
        add("content_range", name, header.as_bytes());
    }
    for (name, header) in [
        ("none", &b""[..]),
        ("any", b"*/*"),
        ("html", b"text/html"),
        ("q", b"application/vnd.oci.image.index.v1+json;q=0, application/json;q=0.5"),
        ("two-lines", b"application/vnd.docker.distribution.manifest.v2+json\n*/*;q=0"),
        ("not-text", b"\xff\xfe"),
    ] {
        add("accept", name, header);
    }
    documents(&mut add, &digest);
    states(&mut add);
    for (name, head) in [("sha256", [0, 1, 7, 0, 3, 0]), ("sha512", [170, 0, 0, 0, 0, 7])] {
        add("verify", name, &[&head[..], b"some content of a layer"].concat());
    }
    add("verify", "empty", &[0; 6]);
    for (name, recipe, content) in [
        ("own", 0, &b""[..]),
        ("own-sha512", 2 | 2 << 3, b""),
        ("alias-of-own", 2 << 3, b"\n"),
        ("another", 3, b""),
        ("empty", 4, b""),
        ("cut", 4, &digest.as_bytes()[..70]),
        ("spaces", 4, format!(" {digest}\r\n").as_bytes()),
        ("long", 0, &[b' '; 1000]),
    ] {
        add("link", name, &[&[recipe], content].concat());
    }
    for (name, plan) in plans() {
        add("service", name, &plan.to_bytes());
    }
    seeds
}

fn documents(add: &mut impl FnMut(&'static str, &'static str, &[u8]), digest: &str) {
    let entry = |media_type: &str| format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":0}}"#);
    let config = entry("application/vnd.oci.image.config.v1+json");
    let image = "application/vnd.oci.image.manifest.v1+json";
    let docker = "application/vnd.docker.distribution.manifest.v2+json";
    for (name, media_type, document) in [
        ("image", 2, format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{config}]}}"#)),
        ("derived", 0, format!(r#"{{"schemaVersion":2,"config":{config},"layers":[]}}"#)),
        ("empty-type", 1, format!(r#"{{"schemaVersion":2,"mediaType":"","config":{config}}}"#)),
        ("index", 3, format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entry(image))),
        ("empty-index", 3, r#"{"schemaVersion":2,"manifests":[]}"#.to_owned()),
        (
            "docker",
            4,
            format!(r#"{{"schemaVersion":2,"mediaType":"{docker}","config":{config},"layers":[]}}"#),
        ),
        (
            "artifact",
            2,
            format!(
                r#"{{"schemaVersion":2,"artifactType":"a/b","config":{config},"layers":[],"subject":{},"annotations":{{"k":"v"}}}}"#,
                entry(image)
            ),
        ),
        (
            "foreign",
            2,
            format!(
                r#"{{"schemaVersion":2,"config":{config},"layers":[{{"mediaType":"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip","digest":"{}","size":1,"urls":["https://example.com/"]}}]}}"#,
                Digest::sha256(b"x")
            ),
        ),
        (
            "platform",
            3,
            format!(
                r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{image}","digest":"{digest}","size":2,"platform":{{"os":"linux","architecture":"arm","variant":"v7"}}}}]}}"#
            ),
        ),
        (
            "schema1",
            6,
            format!(r#"{{"schemaVersion":1,"fsLayers":[{{"blobSum":"{digest}"}}],"signatures":[]}}"#),
        ),
        ("key-twice", 2, format!(r#"{{"schemaVersion":2,"config":{config},"x":{{"k":1,"k":2}}}}"#)),
        (
            "escaped-key-twice",
            2,
            format!(r#"{{"schemaVersion":2,"config":{config},"\u0063onfig":{config}}}"#),
        ),
        ("image-and-index", 2, format!(r#"{{"schemaVersion":2,"config":{config},"manifests":[]}}"#)),
        (
            "deep",
            2,
            format!(r#"{{"schemaVersion":2,"config":{config},"x":{}{}}}"#, "[".repeat(140), "]".repeat(140)),
        ),
        ("field-of-another-form", 0, format!(r#"{{"schemaVersion":"2","config":[{config}],"layers":{{}}}}"#)),
    ] {
        add("manifest", name, &[&[media_type], document.as_bytes()].concat());
    }
}

fn states(add: &mut impl FnMut(&'static str, &'static str, &[u8])) {
    for (name, algorithm, length) in [
        ("sha256-empty", Algorithm::Sha256, 0),
        ("sha256", Algorithm::Sha256, 70),
        ("sha384", Algorithm::Sha384, 127),
        ("sha512", Algorithm::Sha512, 128),
    ] {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(&[b'x'; 128][..length]);
        add("hash_state", name, hasher.state().as_bytes());
    }
    add("hash_state", "recipe-unchanged", &[&[0, 5, 0, 0][..], b"some content"].concat());
    add("hash_state", "recipe-changed", &[&[0, 70, 0, 1, 107, 1][..], &[b'y'; 90]].concat());
    let (name, id): (RepositoryName, UploadId) =
        ("a".parse().unwrap(), "01890000-0000-7000-8000-000000000001".parse().unwrap());
    let token = door::seal(None, &name, id, 7, Algorithm::Sha512);
    add("upload_state", "genuine", &[b"\0", token.as_bytes()].concat());
    add("upload_state", "genuine-cut", &[b"\0", &token.as_bytes()[..60]].concat());
    add("upload_state", "no-base64", b"\0====");
    for (label, kind) in [("changed", 0), ("cut", 1), ("longer", 2), ("appended", 3)] {
        let recipe = [1, 2, 1, 2, 9, 0, 0, 0, 0, 0, 0, 0, 50, 0, kind, b'A', b'='];
        add("upload_state", label, &recipe);
    }
}
