//! The name of a bucket, by Google's rules.

use std::net::Ipv4Addr;

use plugin_registry_core::ParameterReader;

/// Never repeats the value in a message: one that does not look like a name may be a key in the wrong place.
pub(super) fn bucket(read: &mut ParameterReader<'_>) -> String {
    let name = read.required("bucket");
    if !name.is_empty() && !is_bucket(&name) {
        read.mistake(
            "bucket",
            "has to be 3 to 63 lower-case letters, digits, `-` and `_`, or several such parts joined by \
             dots, 222 characters in all, with a letter or digit at both ends",
        );
    }
    name
}

fn is_bucket(name: &str) -> bool {
    let is_outer = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9');
    let is_inner = |byte: u8| is_outer(byte) || matches!(byte, b'-' | b'_');
    let is_part = |part: &str| (1..=63).contains(&part.len()) && part.bytes().all(is_inner);
    (3..=222).contains(&name.len())
        && name.split('.').all(is_part)
        && name.bytes().next().is_some_and(is_outer)
        && name.bytes().last().is_some_and(is_outer)
        && name.parse::<Ipv4Addr>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets() {
        let part = "a".repeat(63);
        let longest = format!("{part}.{part}.{part}.{}", "a".repeat(30));
        for name in ["abc", "000", "a-b_c", "a.b", "1.2.3", "example.com", "1.2.3.4.5", &part, &longest] {
            assert!(is_bucket(name), "{name}");
        }
        let (part, long) = (format!("{part}a"), format!("{longest}a"));
        for name in [
            "ab",
            "Abc",
            "-abc",
            "abc-",
            "_abc",
            "abc_",
            ".abc",
            "abc.",
            "a..b",
            "a b",
            "a/b",
            "gs://abc",
            "äbc",
            "192.168.5.4",
            &part,
            &long,
        ] {
            assert!(!is_bucket(name), "{name}");
        }
    }
}
