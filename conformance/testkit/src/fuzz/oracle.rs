//! The grammars of the specification again, as state machines over bytes.

/// The state of the machine for one component of a name.
#[derive(Clone, Copy, PartialEq)]
enum At {
    Start,
    Letter,
    Dot,
    Underscore,
    TwoUnderscores,
    Dash,
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*`, at most 255 bytes.
pub(super) fn is_name(text: &str) -> bool {
    let mut at = At::Start;
    for byte in text.bytes() {
        at = match (at, byte) {
            (_, b'a'..=b'z' | b'0'..=b'9') => At::Letter,
            (At::Letter, b'.') => At::Dot,
            (At::Letter, b'_') => At::Underscore,
            (At::Underscore, b'_') => At::TwoUnderscores,
            (At::Letter | At::Dash, b'-') => At::Dash,
            (At::Letter, b'/') => At::Start,
            _ => return false,
        };
    }
    at == At::Letter && text.len() <= 255
}

/// `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
pub(super) fn is_tag(text: &str) -> bool {
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => {}
            b'.' | b'-' if index > 0 => {}
            _ => return false,
        }
    }
    (1..=128).contains(&text.len())
}

/// A registered algorithm, a colon, and its lower-case hexadecimal digits. Returns the algorithm.
pub(super) fn algorithm_of(text: &str) -> Option<&'static str> {
    let known = [("sha256", 64), ("sha384", 96), ("sha512", 128)];
    let (name, _) = known.into_iter().find(|(name, digits)| {
        text.len() == name.len() + 1 + digits
            && text.starts_with(name)
            && text.as_bytes()[name.len()] == b':'
            && text.bytes().skip(name.len() + 1).all(|byte| b"0123456789abcdef".contains(&byte))
    })?;
    Some(name)
}

/// A UUID in its canonical form: lower-case digits in groups of 8, 4, 4, 4 and 12.
pub(super) fn is_upload_id(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.concat().bytes().all(|byte| b"0123456789abcdef".contains(&byte))
}

/// `/`, or components of `[A-Za-z0-9._-]+` that are neither `.` nor `..`, at most 900 bytes.
pub(super) fn is_storage_path(text: &str) -> bool {
    let mut components = text.split('/');
    if text == "/" {
        return true;
    }
    let is_component = |component: &str| {
        let chars = component.chars();
        !matches!(component, "" | "." | "..")
            && chars.into_iter().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c))
    };
    components.next() == Some("")
        && text.len() <= 900
        && components.clone().count() > 0
        && components.all(is_component)
}

/// Splits a path from the left, segment by segment: endpoint, name, argument.
pub(super) fn route(path: &str) -> Option<(&'static str, String, String)> {
    let segments: Vec<String> = path.split('/').map(unescaped).collect::<Option<_>>()?;
    let (root, rest) = (segments.get(..2)?, segments.get(2..)?);
    if root != ["", "v2"] {
        return None;
    }
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    let named = |endpoint, name: &[&str], argument: &str| {
        (!name.is_empty()).then(|| (endpoint, name.join("/"), argument.to_owned()))
    };
    match &*rest {
        [] | [""] => Some(("Base", String::new(), String::new())),
        ["_catalog"] => Some(("Catalog", String::new(), String::new())),
        [name @ .., "tags", "list"] => named("Tags", name, ""),
        [name @ .., "blobs", "uploads", ""] => named("UploadStart", name, ""),
        [name @ .., "blobs", "uploads"] => named("UploadStart", name, ""),
        [name @ .., "blobs", "uploads", id] if !name.is_empty() => named("Upload", name, id),
        [name @ .., "manifests", reference] => named("Manifest", name, reference),
        [name @ .., "blobs", digest] => named("Blob", name, digest),
        [name @ .., "referrers", digest] => named("Referrers", name, digest),
        _ => None,
    }
}

/// Percent-decoded text. `None` for an encoded slash and for text that is not UTF-8.
fn unescaped(segment: &str) -> Option<String> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let bytes = segment.as_bytes();
    let mut decoded = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match (byte, digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(2), Some(15)) => return None,
            (b'%', Some(high), Some(low)) => {
                decoded.push(u8::try_from(high * 16 + low).unwrap());
                at += 3;
            }
            _ => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).ok()
}
