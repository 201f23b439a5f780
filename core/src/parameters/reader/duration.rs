//! Durations as Go writes them.

use std::{fmt, ops::RangeInclusive, time::Duration};

use super::ParameterReader;

impl ParameterReader<'_> {
    /// Reads a duration within a range, such as `100ms` or `1m30s`, as [`go_duration`] does.
    pub fn duration(&mut self, key: &'static str, range: RangeInclusive<Duration>) -> Option<Duration> {
        let value = self.value(key)?;
        let found = go_duration(value).filter(|duration| range.contains(duration));
        if found.is_none() {
            let (least, most) = (Written(*range.start()), Written(*range.end()));
            self.mistake(
                key,
                format_args!("has to be a duration from {least} to {most}, such as 100ms or 1.5s"),
            );
        }
        found
    }
}

/// An end of the range, in its largest unit.
struct Written(Duration);

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        let units = NANOS.iter().rev().filter(|(_, size)| nanos >= u128::from(*size));
        let exact = units.clone().find(|(_, size)| nanos.is_multiple_of(u128::from(*size)));
        match exact {
            Some((unit, size)) => write!(f, "{}{unit}", nanos / u128::from(*size)),
            None => write!(f, "{nanos}ns"),
        }
    }
}

/// If one unit begins with another, the longer one comes first.
const NANOS: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1_000),
    // The micro sign, and the Greek letter.
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];
/// Go counts nanoseconds in 63 bits, which is 292 years.
const MAX: u128 = i64::MAX as u128;
/// As many digits as the largest number of nanoseconds has before its point; fewer count behind one.
const MAX_DIGITS: usize = 19;

/// Parses a duration as Go's `time.ParseDuration` does: `168h`, `1h30m`, `1.5s`.
///
/// Unlike Go, it refuses a text that begins with `-`, even `-0`, and more than 19 digits in a row. `0` needs no
/// unit, and a fraction of a nanosecond is dropped.
///
/// ```
/// use std::time::Duration;
/// use plugin_registry_core::go_duration;
/// assert_eq!(go_duration("1h30m"), Some(Duration::from_secs(5400)));
/// assert_eq!(go_duration("90"), None);
/// ```
#[must_use]
pub fn go_duration(text: &str) -> Option<Duration> {
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
        let (nanos, after) =
            NANOS.iter().find_map(|(unit, nanos)| Some((u128::from(*nanos), after.strip_prefix(unit)?)))?;
        // 19 digits times 42 bits, added up three times, stay below 128 bits.
        total += number(whole)? * nanos
            + number(fraction)? * nanos / 10_u128.pow(u32::try_from(fraction.len()).ok()?);
        if total > MAX {
            return None;
        }
        if after.is_empty() {
            return u64::try_from(total).ok().map(Duration::from_nanos);
        }
        rest = after;
    }
}

fn number(digits: &str) -> Option<u128> {
    if digits.is_empty() { Some(0) } else { digits.parse().ok() }
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
        for (text, nanos) in [
            ("0", 0),
            ("+0", 0),
            ("0s", 0),
            ("1ns", 1),
            ("7us", 7_000),
            ("7\u{b5}s", 7_000),
            ("7\u{3bc}s", 7_000),
            ("100ms", 100_000_000),
            ("1.5s", 1_500_000_000),
            (".5s", 500_000_000),
            ("5.s", 5_000_000_000),
            ("+5s", 5_000_000_000),
            ("1m30s", 90_000_000_000),
            ("168h", 604_800_000_000_000),
            ("1.5h", 5_400_000_000_000),
            ("30m1h", 5_400_000_000_000),
            ("1h1m1.001s", 3_661_001_000_000),
            ("1h2m3s4ms5us6ns", 3_723_004_005_006),
            ("0.9ns", 0),
            ("0.000000001s", 1),
            ("0.0000000019s", 1),
            ("007s", 7_000_000_000),
            ("0.123456789h", 444_444_440_400),
            ("9223372036854775807ns", 9_223_372_036_854_775_807),
        ] {
            assert_eq!(go_duration(text), Some(Duration::from_nanos(nanos)), "{text}");
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
            "5",
            "168",
            "00",
            "s",
            ".s",
            ".",
            "1..5s",
            "1.2.3s",
            "++1s",
            "1 s",
            " 1s",
            "1s ",
            "1h30",
            "1h-1m",
            "1sec",
            "1d",
            "7days",
            "1S",
            "1e3s",
            "0x1s",
            "1,5s",
            "\u{661}s",
            "9223372036854775808ns",
            "2562048h",
            "99999999999999999999s",
        ] {
            assert_eq!(go_duration(text), None, "{text}");
        }
    }
}
