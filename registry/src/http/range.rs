//! `Range` and `Content-Range`.

use std::ops::Range;

use crate::error::{RegistryError, Result};

/// The most ranges of one request; more are answered with the whole content.
const MAX_RANGES: usize = 32;

/// Returns what a `Range` header asks of content of `size` bytes, or `None` for the whole of it.
///
/// A range whose end lies before its start is refused, although RFC 9110 (section 14.1.1) would let it be
/// ignored: the official conformance program counts a reply with the whole blob as a missing feature. If no
/// range overlaps the content, they are not satisfiable. A header in another unit or syntax is ignored.
pub(crate) fn requested(header: Option<&str>, size: u64) -> Result<Option<Vec<Range<u64>>>> {
    let Some(list) = header.and_then(|header| header.trim().strip_prefix("bytes=")) else { return Ok(None) };
    let mut ranges = Vec::new();
    let mut total = 0_u128;
    for (position, item) in list.split(',').map(str::trim).filter(|item| !item.is_empty()).enumerate() {
        if position >= MAX_RANGES {
            return Ok(None);
        }
        let Some((first, last)) = item.split_once('-') else { return Ok(None) };
        let range = match (number(first), number(last)) {
            (Number::Some(first), Number::Some(last)) if last < first => {
                return Err(RegistryError::RangeNotSatisfiable);
            }
            (Number::Some(first), Number::Some(last)) => first..last.saturating_add(1).min(size),
            (Number::Some(first), Number::None) => first..size,
            (Number::None, Number::Some(suffix)) => size.saturating_sub(suffix)..size,
            _ => return Ok(None),
        };
        if range.start < range.end {
            total += u128::from(range.end - range.start);
            ranges.push(range);
        }
    }
    if ranges.is_empty() {
        return Err(RegistryError::RangeNotSatisfiable);
    }
    // Overlapping ranges that add up to more than the content have no advantage over the whole content.
    Ok(if ranges.len() > 1 && total > u128::from(size) { None } else { Some(ranges) })
}

enum Number {
    None,
    Some(u64),
    Bad,
}

fn number(text: &str) -> Number {
    if text.is_empty() {
        Number::None
    } else if text.bytes().all(|digit| digit.is_ascii_digit()) {
        Number::Some(text.parse().unwrap_or(u64::MAX))
    } else {
        Number::Bad
    }
}

/// Reads a chunk's `Content-Range`, `start-end` with both ends included (distribution-spec, "Pushing a blob in
/// chunks"). RFC 9110's `bytes start-end/…` is read too. Returns start and length.
pub(crate) fn chunk(header: &str) -> Result<(u64, u64)> {
    let text = header.trim();
    let text = text.strip_prefix("bytes ").unwrap_or(text);
    let text = text.split_once('/').map_or(text, |(range, _)| range);
    let ends = text.split_once('-').map(|(first, last)| (number(first), number(last)));
    match ends {
        Some((Number::Some(first), Number::Some(last))) if first <= last && last < u64::MAX => {
            Ok((first, last - first + 1))
        }
        _ => Err(RegistryError::RangeNotSatisfiable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let one = |range: Range<u64>| vec![range];
        for (header, expected) in [
            ("bytes=500-1499", Some(one(500..1500))),
            ("bytes=500-", Some(one(500..2048))),
            ("bytes=-500", Some(one(1548..2048))),
            ("bytes=-5000", Some(one(0..2048))),
            ("bytes=2000-5000", Some(one(2000..2048))),
            ("bytes=0-0", Some(one(0..1))),
            ("bytes=0-0, 10-19", Some(vec![0..1, 10..20])),
            ("bytes=0-0,9999-", Some(one(0..1))),
            ("bytes=0-2000,0-2000", None),
            ("bytes=0-99999999999999999999999", Some(one(0..2048))),
            ("bytes=a-b", None),
            ("bytes=5", None),
            ("items=0-5", None),
            ("bytes=--5", None),
        ] {
            assert_eq!(requested(Some(header), 2048).unwrap(), expected, "{header}");
        }
        assert_eq!(requested(None, 5).unwrap(), None);
        // A sum of 65 bits is still more than the content.
        assert_eq!(requested(Some("bytes=0-,0-"), u64::MAX).unwrap(), None);
        for header in ["bytes=500-0", "bytes=5000-10000", "bytes=2048-", "bytes=-0", "bytes="] {
            assert!(requested(Some(header), 2048).is_err(), "{header}");
        }
        let many = format!("bytes={}", "0-0,".repeat(1000));
        assert_eq!(requested(Some(&many), 2048).unwrap(), None);
    }

    #[test]
    fn chunks() {
        assert_eq!(chunk("0-9").unwrap(), (0, 10));
        assert_eq!(chunk("bytes 5-5/*").unwrap(), (5, 1));
        for bad in
            ["", "-", "5", "9-5", "a-b", "0-", "-5", "0-18446744073709551615", "0-99999999999999999999999"]
        {
            assert!(chunk(bad).is_err(), "{bad}");
        }
    }
}
