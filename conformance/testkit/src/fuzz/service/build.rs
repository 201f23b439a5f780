//! From a step of a plan to a request.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Uri, header};
use plugin_registry::fuzz as door;
use plugin_registry_core::{Algorithm, docker};

use super::{
    content,
    deliver::{self, Delivered},
    plan::Step,
};
use plugin_registry_conformance::registry::body::RequestBody;

const METHODS: [&str; 10] =
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get"];
const TAGS: [&str; 8] = ["latest", "v1", "index", "current", "_", "-bad", ".bad", "sha256-ab"];
const NUMBERS: [&str; 12] = [
    "0",
    "1",
    "2",
    "-1",
    "+1",
    "",
    "abc",
    "7",
    "299",
    "9223372036854775808",
    "18446744073709551615",
    "99999999999999999999999",
];
const OFFSETS: [u64; 8] = [0, 1, 7, 150, 300, 1 << 40, u64::MAX - 1, u64::MAX];
const RANGES: [&str; 8] = [
    "bytes=0-0",
    "bytes=1-",
    "bytes=-5",
    "bytes=0-1,3-4",
    "bytes=5-2",
    "bytes=99999999-",
    "bytes=0-",
    "bytes=-0",
];
const TYPES: [&str; 8] = [
    "application/octet-stream",
    "application/json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json; charset=utf-8",
    docker::MANIFEST,
    docker::MANIFEST_LIST,
    docker::SCHEMA1_SIGNED,
    "",
];
const NAMES: u8 = 16;
const ID: &str = "01890000-0000-7000-8000-000000000001";

/// Values from the earlier answers of a plan.
#[derive(Debug, Default)]
pub(super) struct Live {
    /// Locations of uploads, latest last.
    pub(super) locations: Vec<String>,
}

/// A request to be sent, and what is known about it.
pub(super) struct Built {
    pub(super) request: Request<RequestBody>,
    pub(super) body: Delivered,
    /// All bytes that a body without a fault brings.
    pub(super) content: Bytes,
    /// Whether the body ends cleanly.
    pub(super) is_whole: bool,
}

/// The request of a step. `None` if it cannot be written in HTTP.
pub(super) fn build(step: &Step, live: &Live) -> Option<Built> {
    let method = Method::from_bytes(METHODS[usize::from(step.method) % METHODS.len()].as_bytes()).ok()?;
    let mut uri = path(step, live);
    for (kind, value) in &step.params {
        let separator = if uri.contains('?') { '&' } else { '?' };
        uri = format!("{uri}{separator}{}", parameter(*kind, *value, step));
    }
    let uri = Uri::try_from(uri).ok()?;
    let content = deliver::part(&content::content(step.body.content, &step.raw), step.body.part);
    let (body, delivered) = deliver::deliver(&content, step.body.delivery);
    let mut request = Request::builder().method(method).uri(uri).body(body).ok()?;
    let length = content.len() as u64;
    let length = match step.body.length % 8 {
        0 | 1 => None,
        2 | 3 => Some(length),
        4 => Some(length.saturating_add(1)),
        5 => Some(length.saturating_sub(1)),
        6 => Some(0),
        _ => Some(u64::MAX),
    };
    if let Some(length) = length {
        request.headers_mut().append(header::CONTENT_LENGTH, length.into());
    }
    for (kind, value) in &step.headers {
        if let Some((name, value)) = header(*kind, *value, step, &content) {
            request.headers_mut().append(name, value);
        }
    }
    let is_whole = delivered.is_whole;
    Some(Built { request, body: delivered, content, is_whole })
}

fn path(step: &Step, live: &Live) -> String {
    let (name, pick) = (name(step.name, &step.raw), step.pick);
    let latest = |back: u8| {
        let index = live.locations.len().checked_sub(1 + usize::from(back) % live.locations.len().max(1))?;
        live.locations.get(index).cloned()
    };
    let location = || latest(pick).unwrap_or_else(|| format!("/v2/{name}/blobs/uploads/{ID}"));
    match step.place % 14 {
        0 => "/v2/".to_owned(),
        1 => "/v2/_catalog".to_owned(),
        2 => format!("/v2/{name}/tags/list"),
        3 => format!("/v2/{name}/manifests/{}", tag(pick, &step.raw)),
        4 => format!("/v2/{name}/manifests/{}", digest(pick, &step.raw)),
        5 => format!("/v2/{name}/blobs/{}", digest(pick, &step.raw)),
        6 => format!("/v2/{name}/blobs/uploads/"),
        7 | 8 => location(),
        // The same without its state.
        9 => location().split('?').next().unwrap_or_default().to_owned(),
        // The same for another repository.
        10 => location().replacen("/v2/a/", "/v2/b/", 1),
        // A forged state: the default key protects nothing.
        11 => {
            let path = location().split('?').next().unwrap_or_default().to_owned();
            forged(&path, pick).unwrap_or(path)
        }
        12 => format!("/v2/{name}/referrers/{}", digest(pick, &step.raw)),
        _ => format!("/{}", escaped(&step.raw)),
    }
}

fn forged(path: &str, pick: u8) -> Option<String> {
    let (name, id) = path.strip_prefix("/v2/")?.split_once("/blobs/uploads/")?;
    let offset = OFFSETS[usize::from(pick) % OFFSETS.len()];
    let algorithm = Algorithm::ALL[usize::from(pick >> 4) % 3];
    let token = door::seal(None, &name.parse().ok()?, id.parse().ok()?, offset, algorithm);
    Some(format!("{path}?_state={token}"))
}

fn name(pick: u8, raw: &[u8]) -> String {
    match pick % NAMES {
        // Most requests are about one of two repositories, because they would not meet otherwise.
        0..5 => "a".to_owned(),
        5 | 6 => "b".to_owned(),
        7 => "a/b".to_owned(),
        8 => "library/deep/er".to_owned(),
        9 => "%61".to_owned(),
        10 => ["..", "A", "a//b", "", "a%2fb", "_uploads", "%ff"][usize::from(pick >> 4) % 7].to_owned(),
        11 => "n".repeat(255),
        12 => "n".repeat(256),
        13 => "a/manifests".to_owned(),
        14 => "a/blobs/uploads".to_owned(),
        _ => escaped(raw),
    }
}

fn tag(pick: u8, raw: &[u8]) -> String {
    match usize::from(pick) % 11 {
        known @ 0..8 => TAGS[known].to_owned(),
        8 => "t".repeat(128),
        9 => "t".repeat(129),
        _ => escaped(raw),
    }
}

fn digest(pick: u8, raw: &[u8]) -> String {
    let index = pick % 32;
    let algorithm = match pick / 32 {
        0..5 => Algorithm::Sha256,
        5 => Algorithm::Sha384,
        _ => Algorithm::Sha512,
    };
    let text = content::digest(index, algorithm).to_string();
    match index {
        0..content::RAW => text,
        16 | 17 => plugin_registry_core::Digest::of(algorithm, &content::content(index, raw)).to_string(),
        18 => text.to_uppercase(),
        19 => text.replacen(':', "%3a", 1),
        20 => text.split_at(text.len() - 1).0.to_owned(),
        21 => text.replace("sha", "md"),
        22 => format!("{algorithm}:"),
        23 => "sha256:baddigeststring".to_owned(),
        _ => escaped(raw),
    }
}

fn parameter(kind: u8, value: u8, step: &Step) -> String {
    let listed = |list: &[&str]| list[usize::from(value) % list.len()].to_owned();
    match kind % 12 {
        0 | 1 => format!("digest={}", digest(value, &step.raw)),
        2 => format!("digest-algorithm={}", listed(&["sha256", "sha384", "sha512", "md5", "", "SHA256"])),
        3 => format!("mount={}", digest(value, &step.raw)),
        4 => format!("from={}", name(value, &step.raw)),
        5 => format!("tag={}", tag(value, &step.raw)),
        6 => format!("n={}", listed(&NUMBERS)),
        7 => {
            let last = ["", "a", "latest", "b/", "..", "%ff", "zzz", "/"];
            if value < 8 {
                format!("last={}", last[usize::from(value)])
            } else {
                format!("last={}", digest(value, &step.raw))
            }
        }
        8 => format!(
            "artifactType={}",
            listed(&["a/b", "", "application/vnd.oci.image.layer.v1.tar", "a%2fb"])
        ),
        9 => format!("_state={}", escaped(&step.raw)),
        10 => (0..=value).map(|n| format!("tag=t{n}")).collect::<Vec<_>>().join("&"),
        _ => escaped(&step.raw),
    }
}

fn header(kind: u8, value: u8, step: &Step, content: &Bytes) -> Option<(HeaderName, HeaderValue)> {
    let raw = || HeaderValue::from_bytes(&step.raw).ok();
    let listed = |list: &[&str]| match usize::from(value) % (list.len() + 1) {
        known if known < list.len() => HeaderValue::try_from(list[known]).ok(),
        _ => raw(),
    };
    let etag = || {
        let digest = digest(value, &step.raw);
        HeaderValue::try_from(match value % 4 {
            0 => digest,
            1 => format!("\"{digest}\""),
            2 => format!("W/\"{digest}\", \"x\""),
            _ => "*".to_owned(),
        })
        .ok()
    };
    Some(match kind % 10 {
        0 => (header::RANGE, listed(&RANGES)?),
        1 => (header::IF_NONE_MATCH, etag()?),
        2 => (header::IF_RANGE, etag()?),
        3 | 4 => {
            // Where the part of a content is that a chunk brings.
            let length = content.len() as u64;
            let start = OFFSETS[usize::from(value) % OFFSETS.len()];
            let last = start.saturating_add(length).saturating_sub(u64::from(value < 128));
            (header::CONTENT_RANGE, HeaderValue::try_from(format!("{start}-{last}")).ok()?)
        }
        5 => (header::CONTENT_LENGTH, listed(&NUMBERS)?),
        6 => (header::CONTENT_TYPE, listed(&TYPES)?),
        7 => (header::CONTENT_TYPE, HeaderValue::from_static(content::media_type(step.body.content))),
        8 => (header::ACCEPT, raw()?),
        _ => (header::CONTENT_RANGE, raw()?),
    })
}

/// Bytes as they can be in a path or query.
fn escaped(raw: &[u8]) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:?=&%+".contains(&byte);
    let letters = raw
        .iter()
        .map(|byte| if plain(*byte) { char::from(*byte).to_string() } else { format!("%{byte:02x}") });
    letters.collect()
}
