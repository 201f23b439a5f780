//! Durations as Go writes them.

use std::{fmt, ops::RangeInclusive, time::Duration};

use super::ParameterReader;

impl ParameterReader<'_> {
    /// Reads a duration such as `100ms`, `1.5s` or `1m30s`, within a range.
    pub fn duration(&mut self, key: &'static str, range: RangeInclusive<Duration>) -> Option<Duration> {
        let value = self.value(key)?;
        let found = parse(value).filter(|duration| range.contains(duration));
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

/// Adds numbers, each with its unit: `100ms`, `1.5s`, `1m30s`. Signs are not read, and neither are numbers
/// without a unit, except for `0`. Parts smaller than a nanosecond do not count.
fn parse(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (mut rest, mut total) = (text, None);
    while !rest.is_empty() {
        let (number, after) = split(rest, |c| c.is_ascii_digit() || c == '.');
        let (unit, after) = split(after, |c| !c.is_ascii_digit() && c != '.');
        let (_, nanos) = NANOS.iter().find(|(known, _)| *known == unit)?;
        let sum = total.unwrap_or(0_u64).checked_add(times(number, *nanos)?)?;
        (rest, total) = (after, Some(sum));
    }
    total.map(Duration::from_nanos)
}

/// Returns so many units. The number is digits, with a point among them or at an end.
fn times(number: &str, nanos: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let (mut part, mut digit_of) = (0, nanos);
    for digit in fraction.bytes() {
        // Rounds down: the digits after nanoseconds count nothing, or for hours at most a nanosecond less.
        digit_of /= 10;
        part += digit_of * u64::from(digit - b'0');
    }
    whole.checked_mul(nanos)?.checked_add(part)
}

fn split(text: &str, is_first: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !is_first(c)).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_writes() {
        for (text, nanos) in [
            ("0", 0),
            ("0s", 0),
            ("1ns", 1),
            ("7us", 7_000),
            ("7\u{b5}s", 7_000),
            ("7\u{3bc}s", 7_000),
            ("100ms", 100_000_000),
            ("1.5s", 1_500_000_000),
            (".5s", 500_000_000),
            ("5.s", 5_000_000_000),
            ("1m30s", 90_000_000_000),
            ("1h1m1.001s", 3_661_001_000_000),
            ("0.000000001s", 1),
            ("0.0000000019s", 1),
            ("007s", 7_000_000_000),
            ("0.123456789h", 444_444_440_400),
        ] {
            assert_eq!(parse(text), Some(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration() {
        for text in [
            "",
            "5",
            "00",
            "s",
            ".s",
            "1..5s",
            "1.2.3s",
            "-1s",
            "+1s",
            "1 s",
            " 1s",
            "1s ",
            "1sec",
            "1d",
            "1S",
            "1e3s",
            "1,5s",
            "99999999999999999999s",
            "9999999h",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
