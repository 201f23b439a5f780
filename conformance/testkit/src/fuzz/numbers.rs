//! Ranges in headers.

use std::ops::Range;

use plugin_registry::fuzz as door;

/// A `Range` header for content of some size.
///
/// The first eight bytes are the size, shifted by the ninth, so that small sizes are as likely as large ones.
pub fn range(data: &[u8]) {
    let Some((size, rest)) = data.split_first_chunk::<8>() else { return };
    let Some((shift, header)) = rest.split_first() else { return };
    let size = u64::from_le_bytes(*size) >> (shift % 64);
    let header = &*String::from_utf8_lossy(header);
    let parsed = door::ranges(header, size).ok();
    if let Some(Some(ranges)) = &parsed {
        assert!((1..=32).contains(&ranges.len()), "{header:?}");
        assert!(ranges.iter().all(|range| range.start < range.end && range.end <= size), "{header:?}");
        let total: u128 = ranges.iter().map(|range| u128::from(range.end - range.start)).sum();
        assert!(total <= u128::from(size), "{header:?}: more than the content");
    }
    assert_eq!(parsed, naive_ranges(header, size.into()), "{header:?} of {size}");
}

/// A `Content-Range` header of a chunk.
pub fn content_range(data: &[u8]) {
    let header = &*String::from_utf8_lossy(data);
    let parsed = door::content_range(header).ok();
    if let Some((start, length)) = parsed {
        assert!(length > 0 && start.checked_add(length).is_some(), "{header:?}");
        // The values that we send are read in the same way.
        let printed = format!("{start}-{}", start + (length - 1));
        assert_eq!(door::content_range(&printed).ok(), parsed);
        assert_eq!(door::content_range(&format!("bytes {printed}/*")).ok(), parsed);
    }
    assert_eq!(parsed, naive_chunk(header), "{header:?}");
}

/// One item of a list of ranges.
enum Item {
    Bad,
    Backwards,
    Span(u128, u128),
}

/// The meaning of a `Range` header by RFC 9110 and the decisions in `http/range.rs`.
///
/// `None` is an error, and `Some(None)` the whole content. The first item that cannot be a range decides.
fn naive_ranges(header: &str, size: u128) -> Option<Option<Vec<Range<u64>>>> {
    let Some(list) = header.trim().strip_prefix("bytes=") else { return Some(None) };
    let mut spans = Vec::new();
    for (position, text) in list.split(',').map(str::trim).filter(|text| !text.is_empty()).enumerate() {
        match item(text, size) {
            _ if position == 32 => return Some(None),
            Item::Bad => return Some(None),
            Item::Backwards => return None,
            Item::Span(from, to) if from < to => spans.push((from, to)),
            Item::Span(..) => {}
        }
    }
    let total: u128 = spans.iter().map(|(from, to)| to - from).sum();
    match spans.len() {
        0 => None,
        2.. if total > size => Some(None),
        _ => Some(Some(spans.into_iter().map(|(from, to)| narrow(from)..narrow(to)).collect())),
    }
}

fn item(text: &str, size: u128) -> Item {
    let Some(dash) = text.find('-') else { return Item::Bad };
    let (first, last) = (&text[..dash], &text[dash + 1..]);
    let Some((first, last)) = decimal(first).zip(decimal(last)) else { return Item::Bad };
    match (first, last) {
        (None, None) => Item::Bad,
        (None, Some(last)) => Item::Span(size - size.min(last), size),
        (Some(first), None) => Item::Span(first, size),
        (Some(first), Some(last)) if last < first => Item::Backwards,
        (Some(first), Some(last)) => Item::Span(first, size.min(last + 1)),
    }
}

/// A decimal number, at most the length that a file can have. The inner `None` means no digits at all.
#[expect(clippy::option_option, reason = "no number and a bad one are two things")]
fn decimal(text: &str) -> Option<Option<u128>> {
    let mut number = None;
    for digit in text.chars() {
        let digit = digit.to_digit(10)?;
        let more = number.unwrap_or(0_u128).saturating_mul(10).saturating_add(digit.into());
        number = Some(more.min(u64::MAX.into()));
    }
    Some(number)
}

/// `first-last` with or without unit and size. Both ends are included.
fn naive_chunk(header: &str) -> Option<(u64, u64)> {
    let text = header.trim();
    let text = text.strip_prefix("bytes ").unwrap_or(text);
    let text = text.split('/').next().unwrap_or_default();
    let Item::Span(from, to) = item(text, u128::from(u64::MAX)) else { return None };
    let has_both = !text.starts_with('-') && !text.ends_with('-');
    let last = decimal(text.rsplit('-').next()?)??;
    // The last byte plus one must be an offset, too.
    (has_both && last < u128::from(u64::MAX)).then(|| (narrow(from), narrow(to - from)))
}

fn narrow(number: u128) -> u64 {
    u64::try_from(number).unwrap()
}
