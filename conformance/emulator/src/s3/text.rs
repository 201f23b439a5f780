//! Small conversions of text.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use s3s::dto::{Timestamp, TimestampFormat};

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || !digits.is_ascii() {
        return None;
    }
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

/// Percent-decodes a piece of a path or, with `plus`, of a query.
pub(super) fn decode(text: &str, plus: bool) -> String {
    let spaced = if plus { text.replace('+', " ") } else { text.to_owned() };
    percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

/// The text of each `<Key>` of a document, one per line.
pub(super) fn keys_of(xml: &str) -> String {
    let keys = xml.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>"));
    keys.map(|(key, _)| unescape(key)).collect::<Vec<_>>().join("\n")
}

fn unescape(text: &str) -> String {
    let plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    plain.replace("&apos;", "'").replace("&amp;", "&")
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A time in the format of `Date`.
pub(super) fn http_date(time: SystemTime) -> String {
    let mut text = Vec::new();
    Timestamp::from(time).format(TimestampFormat::HttpDate, &mut text).expect("a time of this age");
    String::from_utf8(text).expect("a date is ASCII")
}

/// Reads `x-amz-date`, such as `20260131T235959Z`, as seconds since 1970.
pub(super) fn amz_date(text: &str) -> Option<i64> {
    if text.len() != 16 || !text.is_ascii() {
        return None;
    }
    let number = |at: usize, length: usize| text.get(at..at + length)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(4, 2)?, number(6, 2)?);
    let (hour, minute, second) = (number(9, 2)?, number(11, 2)?, number(13, 2)?);
    // Days of the civil calendar, counted from March so that the leap day is the last.
    let (shifted, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * shifted + shifted / 4 - shifted / 100 + shifted / 400 + (153 * month + 2) / 5 + day - 1;
    Some((days - 719_468) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// A time moved by seconds of either sign.
pub(super) fn moved(time: SystemTime, seconds: i64) -> SystemTime {
    let by = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { time - by } else { time + by }
}

pub(super) fn unix(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read() {
        assert_eq!(amz_date("19700101T000000Z"), Some(0));
        assert_eq!(amz_date("20240229T120001Z"), Some(1_709_208_001));
        assert_eq!(amz_date("20240301T000000Z"), Some(1_709_251_200));
        assert_eq!(amz_date("today"), None);
    }

    #[test]
    fn keys_are_found() {
        assert_eq!(keys_of("<D><Key>a&amp;b</Key><Key>c</Key></D>"), "a&b\nc");
    }
}
