//! "Did you mean": finds the nearest known word.

/// Longer words are not slips of the pen, and would cost time.
const MAX_LEN: usize = 64;
/// Shorter words begin and end too many others.
const MIN_PART: usize = 4;

/// Returns the known word that `word` was probably meant to be, if one is near.
///
/// Every third character may be wrong, and two swapped neighbours count once. Otherwise returns one that begins
/// or ends with the word.
///
/// ```
/// use plugin_registry_core::did_you_mean;
/// assert_eq!(did_you_mean("bukcet", ["region", "bucket"]), Some("bucket"));
/// assert_eq!(did_you_mean("tls", ["region", "bucket"]), None);
/// ```
#[must_use]
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > MAX_LEN {
        return None;
    }
    let word = word.to_lowercase();
    let near = known.into_iter().filter_map(|candidate| {
        let known = candidate.to_lowercase();
        let distance = distance(&word, &known);
        let is_near = distance <= (known.chars().count() / 3).max(1);
        let is_part = word.len() >= MIN_PART && (known.starts_with(&word) || known.ends_with(&word));
        (is_near || is_part).then_some((distance, candidate))
    });
    near.min_by_key(|(distance, _)| *distance).map(|(_, candidate)| candidate)
}

/// Counts the characters to add, drop, replace or swap with their neighbour to make one word of the other.
/// Holds three rows of the table.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let (mut before, mut above) = (Vec::new(), (0..=to.len()).collect::<Vec<usize>>());
    let mut last = None;
    for (line, c) in from.chars().enumerate() {
        let mut row = vec![line + 1];
        for (column, other) in to.iter().enumerate() {
            let cell = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX / 2);
            let replaced = cell(&above, column) + usize::from(c != *other);
            let mut least = replaced.min(cell(&above, column + 1) + 1).min(cell(&row, column) + 1);
            let is_swapped =
                last == Some(*other) && column.checked_sub(1).and_then(|at| to.get(at)) == Some(&c);
            if is_swapped {
                least = least.min(cell(&before, column - 1) + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
        last = Some(c);
    }
    above.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (from, to, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("bucket", "bucket", 0),
            ("buket", "bucket", 1),
            ("bukcet", "bucket", 1),
            ("buckets", "bucket", 1),
            ("bycket", "bucket", 1),
            ("ba", "ab", 1),
            ("kitten", "sitting", 3),
            ("ä", "ö", 1),
        ] {
            assert_eq!(distance(from, to), expected, "{from} {to}");
            assert_eq!(distance(to, from), expected, "{to} {from}");
        }
    }

    #[test]
    fn the_nearest_wins_and_far_ones_do_not() {
        let known = ["accesskey", "secretkey", "region", "regionendpoint", "tls"];
        for (word, expected) in [
            ("regoin", Some("region")),
            ("REGIONENDPOINT", Some("regionendpoint")),
            ("regionendpiont", Some("regionendpoint")),
            ("access_key", Some("accesskey")),
            ("tsl", Some("tls")),
            ("endpoint", Some("regionendpoint")),
            ("secret", Some("secretkey")),
            ("key", None),
            ("s3", None),
            ("password", None),
            ("", None),
        ] {
            assert_eq!(did_you_mean(word, known), expected, "{word}");
        }
        assert_eq!(did_you_mean(&"a".repeat(65), ["a"]), None);
        assert_eq!(did_you_mean("a", []), None);
    }
}
