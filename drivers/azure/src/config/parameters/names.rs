//! Names that Azure has rules for.
//!
//! Messages never repeat one: a value that does not look like a name may be a key in the wrong place.

use plugin_registry_core::ParameterReader;

use super::connection_string::{self, ConnectionString};

/// Containers with a special meaning. `$root` takes no blob with a slash in its name, only Azure writes
/// `$logs`, and `$web` is open to the world.
const SPECIAL: &[&str] = &["$root", "$logs", "$web"];

pub(super) fn account(read: &mut ParameterReader<'_>, string: Option<&ConnectionString>) -> String {
    let (name, what) = match string {
        // Without a name it is a mistake already.
        Some(string) => (string.account.clone().unwrap_or_default(), "has an `AccountName` that is not"),
        None => (read.required("accountname"), "has to be"),
    };
    if !name.is_empty() && !is_account(&name) {
        let key = if string.is_some() { connection_string::KEY } else { "accountname" };
        read.mistake(key, format_args!("{what} 3 to 24 lower-case letters and digits"));
    }
    name
}

pub(super) fn container(read: &mut ParameterReader<'_>) -> String {
    let name = read.required("container");
    if SPECIAL.contains(&name.as_str()) {
        read.mistake("container", "is one of $root, $logs and $web, which cannot hold a registry");
    } else if !name.is_empty() && !is_container(&name) {
        read.mistake(
            "container",
            "has to be 3 to 63 lower-case letters, digits and single hyphens, with no hyphen at its ends",
        );
    }
    name
}

pub(super) fn realm(read: &mut ParameterReader<'_>, string: Option<&ConnectionString>) -> Option<String> {
    if let Some(string) = string {
        let realm = string.realm.clone()?;
        if !is_domain(&realm) {
            read.mistake(connection_string::KEY, "has an `EndpointSuffix` that is no domain");
        }
        return Some(realm);
    }
    let realm = read.text("realm")?;
    if !is_domain(&realm) {
        read.mistake(
            "realm",
            "has to be just a domain, such as core.windows.net; put a URL into `serviceurl`",
        );
    } else if realm.starts_with("blob.") {
        read.mistake("realm", "must not begin with `blob.`, which is added to it");
    }
    Some(realm)
}

fn is_account(name: &str) -> bool {
    (3..=24).contains(&name.len()) && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9'))
}

fn is_container(name: &str) -> bool {
    let is_part =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9'));
    (3..=63).contains(&name.len()) && name.split('-').all(is_part)
}

fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts() {
        for name in ["abc", "000", "devstoreaccount1", &"a".repeat(24)] {
            assert!(is_account(name), "{name}");
        }
        for name in ["ab", "Abc", "a-b", "a_b", "a.b", "äbc", "abc ", &"a".repeat(25)] {
            assert!(!is_account(name), "{name}");
        }
    }

    #[test]
    fn containers() {
        for name in ["abc", "a-b", "0-1-2", "000", &"a".repeat(63)] {
            assert!(is_container(name), "{name}");
        }
        for name in ["ab", "-ab", "ab-", "a--b", "A-b", "a_b", "a.b", "a/b", "$abc", "äbc", &"a".repeat(64)]
        {
            assert!(!is_container(name), "{name}");
        }
    }

    #[test]
    fn domains() {
        let long = format!("{}.net", "a".repeat(63));
        for text in ["core.windows.net", "localhost", "Core.Windows.NET", "a-b.c1", &long] {
            assert!(is_domain(text), "{text}");
        }
        let (label, all) = (format!("{}.net", "a".repeat(64)), "a.".repeat(126) + "bb");
        for text in
            ["", "a..b", ".a", "a.", "-a.b", "a-.b", "a b", "a:1", "https://a", "a/b", "a@b", &label, &all]
        {
            assert!(!is_domain(text), "{text}");
        }
    }
}
