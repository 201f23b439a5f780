//! Durations as Go writes them: `168h`, `1h30m`, `1.5s`.

use std::time::Duration;

/// If one unit begins with another, the longer one comes first.
const UNITS: &[(&str, u128)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
];
/// Go counts nanoseconds in 63 bits, which is 292 years.
const MAX: u128 = i64::MAX as u128;
/// As many digits as the largest number of nanoseconds has before its point; fewer count behind one.
const MAX_DIGITS: usize = 19;

/// Reads what Go's `time.ParseDuration` reads, except what begins with `-`, even `-0`, and more than 19 digits
/// in a row. `0` needs no unit; a fraction of a nanosecond is dropped.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut total = 0_u128;
    loop {
        let (whole, after) = digits(rest)?;
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => digits(after)?,
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let (unit, after) = UNITS.iter().find_map(|(name, unit)| Some((*unit, after.strip_prefix(name)?)))?;
        // 19 digits times 42 bits, added up three times, stay below 128 bits.
        let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        total += whole * unit + parts(fraction)? * unit / 10_u128.pow(u32::try_from(fraction.len()).ok()?);
        if total > MAX {
            return None;
        }
        if after.is_empty() {
            return u64::try_from(total).ok().map(Duration::from_nanos);
        }
        rest = after;
    }
}

fn parts(fraction: &str) -> Option<u128> {
    if fraction.is_empty() { Some(0) } else { fraction.parse().ok() }
}

/// The digits at the beginning, and what comes after.
fn digits(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, after) = text.split_at_checked(end)?;
    (digits.len() <= MAX_DIGITS).then_some((digits, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_reads() {
        for (text, nanoseconds) in [
            ("0", 0),
            ("+0", 0),
            ("0s", 0),
            ("168h", 604_800_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("90s", 90_000_000_000),
            ("100ms", 100_000_000),
            ("1h2m3s4ms5us6ns", 3_723_004_005_006),
            ("7µs", 7_000),
            ("7μs", 7_000),
            ("1.5h", 5_400_000_000_000),
            (".5s", 500_000_000),
            ("5.s", 5_000_000_000),
            ("+5s", 5_000_000_000),
            ("30m1h", 5_400_000_000_000),
            ("0.9ns", 0),
            ("007s", 7_000_000_000),
            ("9223372036854775807ns", 9_223_372_036_854_775_807),
        ] {
            assert_eq!(parse(text), Some(Duration::from_nanos(nanoseconds)), "{text}");
        }
    }

    #[test]
    fn what_go_refuses_and_what_is_below_zero() {
        for text in [
            "",
            "+",
            "-",
            "-1h",
            "-0",
            "168",
            "1",
            "h",
            ".h",
            ".",
            "1.2.3s",
            "1 h",
            " 1h",
            "1h ",
            "1h30",
            "1d",
            "7days",
            "1H",
            "++1s",
            "1h-1m",
            "1e3s",
            "0x1s",
            "١s",
            "9223372036854775808ns",
            "2562048h",
            "99999999999999999999h",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
