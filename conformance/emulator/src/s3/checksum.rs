//! Checksums that the client sends: checked, stored, and combined for parts.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderMap;
use s3s::{
    S3Result,
    checksum::ChecksumHasher,
    crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256},
    dto::{Checksum, ChecksumType},
    s3_error,
};

use super::content::Content;

/// The five fields of an input, an output or a part as one value.
macro_rules! checksum_of {
    ($from:expr) => {
        s3s::dto::Checksum {
            checksum_crc32: $from.checksum_crc32.clone(),
            checksum_crc32c: $from.checksum_crc32c.clone(),
            checksum_crc64nvme: $from.checksum_crc64nvme.clone(),
            checksum_sha1: $from.checksum_sha1.clone(),
            checksum_sha256: $from.checksum_sha256.clone(),
            checksum_type: None,
        }
    };
}

/// The same fields, set in an output.
macro_rules! set_checksum {
    ($to:expr, $from:expr) => {
        $to.checksum_crc32 = $from.checksum_crc32.clone();
        $to.checksum_crc32c = $from.checksum_crc32c.clone();
        $to.checksum_crc64nvme = $from.checksum_crc64nvme.clone();
        $to.checksum_sha1 = $from.checksum_sha1.clone();
        $to.checksum_sha256 = $from.checksum_sha256.clone();
    };
}

pub(super) use {checksum_of, set_checksum};

/// The checksums of headers or trailers.
pub(super) fn of_headers(headers: &HeaderMap) -> Checksum {
    let value = |name: &str| {
        headers.get(format!("x-amz-checksum-{name}")).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    Checksum {
        checksum_crc32: value("crc32"),
        checksum_crc32c: value("crc32c"),
        checksum_crc64nvme: value("crc64nvme"),
        checksum_sha1: value("sha1"),
        checksum_sha256: value("sha256"),
        checksum_type: None,
    }
}

/// The fields of `a`, and those of `b` that `a` does not have.
pub(super) fn merged(a: Checksum, b: Checksum) -> Checksum {
    Checksum {
        checksum_crc32: a.checksum_crc32.or(b.checksum_crc32),
        checksum_crc32c: a.checksum_crc32c.or(b.checksum_crc32c),
        checksum_crc64nvme: a.checksum_crc64nvme.or(b.checksum_crc64nvme),
        checksum_sha1: a.checksum_sha1.or(b.checksum_sha1),
        checksum_sha256: a.checksum_sha256.or(b.checksum_sha256),
        checksum_type: None,
    }
}

pub(super) fn is_empty(checksum: &Checksum) -> bool {
    checksum == &Checksum { checksum_type: checksum.checksum_type.clone(), ..Checksum::default() }
}

/// The checksums of `data` by the algorithms that `like` has.
fn computed(like: &Checksum, data: &Content) -> Checksum {
    let mut hasher = ChecksumHasher {
        crc32: like.checksum_crc32.is_some().then(Crc32::new),
        crc32c: like.checksum_crc32c.is_some().then(Crc32c::new),
        sha1: like.checksum_sha1.is_some().then(Sha1::new),
        sha256: like.checksum_sha256.is_some().then(Sha256::new),
        crc64nvme: like.checksum_crc64nvme.is_some().then(Crc64Nvme::new),
    };
    data.pieces().iter().for_each(|piece| hasher.update(piece));
    hasher.finalize()
}

/// Compares what the client sent, if anything, with the bytes that arrived.
pub(super) fn check(given: Checksum, md5: Option<&str>, data: &Content) -> S3Result<Checksum> {
    if let Some(md5) = md5 {
        let expected = STANDARD.decode(md5).map_err(|_| s3_error!(InvalidDigest))?;
        if expected != data.md5_bytes() {
            return Err(s3_error!(
                BadDigest,
                "The Content-MD5 you specified did not match what we received."
            ));
        }
    }
    if !is_empty(&given) && computed(&given, data) != given {
        return Err(s3_error!(
            BadDigest,
            "The checksum you specified did not match the calculated checksum."
        ));
    }
    Ok(given)
}

/// Whether `given` contradicts nothing in `stored`.
pub(super) fn agrees(given: &Checksum, stored: &Checksum) -> bool {
    let same = |given: &Option<String>, stored: &Option<String>| {
        given.is_none() || stored.is_none() || given == stored
    };
    same(&given.checksum_crc32, &stored.checksum_crc32)
        && same(&given.checksum_crc32c, &stored.checksum_crc32c)
        && same(&given.checksum_crc64nvme, &stored.checksum_crc64nvme)
        && same(&given.checksum_sha1, &stored.checksum_sha1)
        && same(&given.checksum_sha256, &stored.checksum_sha256)
}

/// The checksum of an object of parts: of all bytes, or of the parts' checksums with their number.
pub(super) fn combined(parts: &[&Checksum], whole: bool, data: &Content) -> Checksum {
    let all = |of: fn(&Checksum) -> &Option<String>| parts.iter().all(|part| of(part).is_some());
    if parts.is_empty() {
        return Checksum::default();
    }
    if whole || all(|part| &part.checksum_crc64nvme) {
        let like = (*parts[0]).clone();
        let mut sum = computed(&like, data);
        sum.checksum_type = (!is_empty(&sum)).then(|| ChecksumType::from_static(ChecksumType::FULL_OBJECT));
        return sum;
    }
    let joined = |of: fn(&Checksum) -> &Option<String>| {
        let sums = parts.iter().map(|part| STANDARD.decode(of(part).as_deref()?).ok());
        sums.collect::<Option<Vec<_>>>().map(|sums| sums.concat())
    };
    let numbered = |sum: Option<Vec<u8>>| sum.map(|sum| format!("{}-{}", STANDARD.encode(sum), parts.len()));
    let mut sum = Checksum {
        checksum_crc32: numbered(joined(|p| &p.checksum_crc32).map(|all| Crc32::checksum(&all).to_vec())),
        checksum_crc32c: numbered(joined(|p| &p.checksum_crc32c).map(|all| Crc32c::checksum(&all).to_vec())),
        checksum_sha1: numbered(joined(|p| &p.checksum_sha1).map(|all| Sha1::checksum(&all).to_vec())),
        checksum_sha256: numbered(joined(|p| &p.checksum_sha256).map(|all| Sha256::checksum(&all).to_vec())),
        ..Checksum::default()
    };
    sum.checksum_type = (!is_empty(&sum)).then(|| ChecksumType::from_static(ChecksumType::COMPOSITE));
    sum
}
