//! Foreign text in messages.

/// The most characters of a foreign text that a message repeats.
const MAX_SHOWN: usize = 64;
/// The most characters that a message repeats of another program's words.
const MAX_LINE: usize = 300;
/// The longest name that a message repeats, in bytes.
const MAX_NAME: usize = 128;
/// The longest word of letters; longer ones are not words of any language.
const MAX_LETTERS: usize = 24;
/// The longest word of letters and digits in any order, such as the random end of a bucket's name.
const MAX_MIXED: usize = 16;
/// The most digits after letters.
const MAX_DIGITS: usize = 4;

/// Returns a foreign text for a message: escaped, and cut after 64 characters.
///
/// It is for text that cannot be a secret, such as a name in an index or in a listing. A value that a person
/// wrote goes through [`shown_name`].
///
/// ```
/// use plugin_registry_core::shown;
/// assert_eq!(shown("a\u{1b}[2J"), "a\\u{1b}[2J");
/// assert_eq!(shown(&"a".repeat(100)).chars().count(), 65);
/// ```
#[must_use]
pub fn shown(text: &str) -> String {
    let mut escaped = text.escape_debug();
    let mut shown: String = escaped.by_ref().take(MAX_SHOWN).collect();
    if escaped.next().is_some() {
        shown.push('…');
    }
    shown
}

/// Returns another program's words, such as a store's message, for one line.
///
/// It is like [`shown`], but leaves quotes as they are and cuts after 300 characters.
///
/// ```
/// use plugin_registry_core::shown_line;
/// assert_eq!(shown_line("no \"a\"\n\u{1b}[2J"), "no \"a\"\\n\\u{1b}[2J");
/// assert_eq!(shown_line(&"a".repeat(1000)).chars().count(), 301);
/// ```
#[must_use]
pub fn shown_line(text: &str) -> String {
    // The first character of an escaped quote is the backslash.
    let is_quote = |c: char| matches!(c, '"' | '\'' | '\\');
    let mut escaped = text.chars().flat_map(|c| c.escape_debug().skip(usize::from(is_quote(c))));
    let mut shown: String = escaped.by_ref().take(MAX_LINE).collect();
    if escaped.next().is_some() {
        shown.push('…');
    }
    shown
}

/// Returns the text if it is written like a name, otherwise `None`.
///
/// Such a text cannot be a key, a token or a generated password. For `None`, a message says where the text is
/// instead.
///
/// A name is at most 128 bytes of words, with `.`, `_` and `-` between them. A word is letters followed by at
/// most 4 digits, or with one or two digits within; or up to 16 letters and digits in any order, of one case;
/// or up to 32 digits. A word of letters has at most 24 of them. If both cases occur, most are lower case.
///
/// ```
/// use plugin_registry_core::shown_name;
/// for name in ["prod-eu", "AZURE_STORAGE_ACCOUNT_ACCESS_KEY", "backup.k8s.7f3a2b9c1d", "storageAccount"] {
///     assert_eq!(shown_name(name), Some(name));
/// }
/// for secret in ["wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "bm90IGEga2V5IG9mIGFueWJvZHk==", "a b"] {
///     assert_eq!(shown_name(secret), None);
/// }
/// ```
#[must_use]
pub fn shown_name(text: &str) -> Option<&str> {
    shown_words(text, "._-")
}

/// Works like [`shown_name`], with other characters between words.
///
/// It is for a text that is known to be a path, an address or a sentence.
#[must_use]
pub fn shown_words<'a>(text: &'a str, between: &str) -> Option<&'a str> {
    let mut words = text.split(|c| between.contains(c)).filter(|word| !word.is_empty()).peekable();
    let is_name = text.len() <= MAX_NAME && words.peek().is_some() && words.all(is_word);
    is_name.then_some(text)
}

/// Returns the path of a file if it is written like one: names with `/` between them.
///
/// After the first component, a path that begins with `/`, `./` or `../` may have any short components of
/// letters, digits, spaces and `._-`.
///
/// ```
/// use plugin_registry_core::shown_path;
/// for path in ["cloud", "./a b/cloud.yaml", "/tmp/.tmpXq3Z9a/ca.pem"] {
///     assert_eq!(shown_path(path), Some(path));
/// }
/// assert_eq!(shown_path("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), None);
/// ```
#[must_use]
pub fn shown_path(path: &str) -> Option<&str> {
    let is_short = |component: &str| {
        component.len() <= MAX_LETTERS
            && component.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" ._-".contains(&byte))
    };
    let is_name = |component: &str| shown_name(component.trim_start_matches('.')).is_some();
    let (first, rest) = path.strip_prefix('/').unwrap_or(path).split_once('/').unwrap_or((path, ""));
    let first = first.trim_start_matches('/');
    let is_explicit = path.starts_with('/') || matches!(first, "." | "..");
    let is_first = matches!(first, "" | "." | "..") || is_name(first);
    let is_path = is_first
        && rest.split('/').all(|component| {
            component.is_empty() || is_name(component) || (is_explicit && is_short(component))
        });
    (is_path && !path.is_empty()).then_some(path)
}

fn is_word(word: &str) -> bool {
    let digits = word.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let letters = word.len() - digits.len();
    let (upper, lower) = word.bytes().fold((0, 0), |(upper, lower), byte| {
        (upper + usize::from(byte.is_ascii_uppercase()), lower + usize::from(byte.is_ascii_lowercase()))
    });
    let (has_one_case, is_number) = (upper == 0 || lower == 0, letters == 0);
    if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return false;
    }
    let is_plain = letters <= MAX_LETTERS
        && digits.len() <= MAX_DIGITS
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (has_one_case || upper * 3 <= letters);
    // `s3ForcePathStyle`
    let inner = digits.trim_start_matches(|c: char| c.is_ascii_digit());
    let is_camel = lower > 0
        && upper * 3 <= upper + lower
        && (1..=2).contains(&(digits.len() - inner.len()))
        && inner.bytes().all(|byte| byte.is_ascii_alphabetic())
        && word.len() <= MAX_LETTERS;
    let is_all_digits = is_number && upper + lower == 0 && word.len() <= 32;
    is_plain || is_camel || is_all_digits || (has_one_case && word.len() <= MAX_MIXED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for name in [
            "default",
            "prod2",
            "k8s",
            "v1alpha1",
            "openshift-adp",
            "dpa-sample-1",
            "AZURE_STORAGE_ACCOUNT_ACCESS_KEY",
            "MINE",
            "storageAccountKeyEnvVar",
            "insecureSkipTLSVerify",
            "us-east-1",
            "s3Url",
            "s3ForcePathStyle",
            "s3.amazonaws.com",
            "cdk-hnb659fds-assets-123456789012-us-east-1",
            "6f9619ff-8b86-d011-b42d-00c04fc964ff",
            "terraform-20231115123456789000000001",
        ] {
            assert_eq!(shown_name(name), Some(name));
        }
    }

    #[test]
    fn secrets_are_no_names() {
        for secret in [
            // Keys of AWS, with and without characters that are not letters; of Azure; of Google; tokens.
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "wJalrXUtnFEMIaK7MDENGabPxRfiCYEXAMPLEKEY",
            "AKIAIOSFODNN7EXAMPLE",
            "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
            "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tqAK1SZFPTOtrAKBHBeksoGMGw",
            "dmT8Q~Aa1bC2dE3fG4hI5jK6lM7nO8pQ9rS0tU1v",
            "3b1f5e0c9d7a4f2e8c6b1a0d9e8f7c6b",
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
            "-----BEGIN PRIVATE KEY-----",
            "._-",
            "{\"private_key\": \"x\"}",
            "user:hunter2@host",
            "correct horse",
            "P@ssw0rd!",
            "xQ9vK2mP",
            "",
            "ä",
            "a\n",
        ] {
            assert_eq!(shown_name(secret), None);
            // Allowing the characters of paths does not allow these either.
            if !secret.is_ascii() || secret.len() >= 32 {
                assert_eq!(shown_words(secret, "._-/"), None);
            }
        }
        assert_eq!(shown_name(&"a-".repeat(70)), None);
    }

    #[test]
    fn paths() {
        for path in [
            "a",
            "/a",
            "/",
            "a/b",
            "./.x",
            "../../a",
            "/home/me/.aws/credentials",
            "cloud.yaml",
            "/dev/shm/.tmpXeeq02/config.yml",
            "/srv/a b/",
            "/var/lib/registry",
        ] {
            assert_eq!(shown_path(path), Some(path));
        }
        for path in [
            "",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "/wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
            "/tmp/wJalrXUtnFEMIaK7MDENGabPxRfiCYEXAMPLEKEY",
            "/tmp/a=b",
            "https://me:hunter2@host/a",
        ] {
            assert_eq!(shown_path(path), None);
        }
    }

    #[test]
    fn foreign_text_is_escaped_and_cut() {
        assert_eq!(shown("a\u{202e}b\n\"'"), "a\\u{202e}b\\n\\\"\\'");
        assert_eq!(shown(&"ä".repeat(64)), "ä".repeat(64));
        assert_eq!(shown(&"ä".repeat(65)), format!("{}…", "ä".repeat(64)));
    }
}
