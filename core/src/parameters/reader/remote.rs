//! Parameters that the drivers of all stores over HTTP have in common.

use url::Url;

use super::ParameterReader;
use crate::secret::Secret;

/// Parses an HTTP URL with a host, and without user, query and fragment.
///
/// The address of a store has none of these: people put passwords and signatures there. A caller that refuses
/// such a text does not repeat it.
#[must_use]
pub fn store_url(text: &str) -> Option<Url> {
    http_url(text).filter(|url| {
        let has_user = !url.username().is_empty() || url.password().is_some();
        !has_user && url.query().is_none() && url.fragment().is_none()
    })
}

fn http_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
}

impl ParameterReader<'_> {
    /// Reads the directory of the store that everything is below.
    ///
    /// It is returned without slashes at its ends, and is empty for the whole store.
    pub fn root_directory(&mut self, key: &'static str) -> String {
        let directory = self.text(key).unwrap_or_default();
        let directory = directory.trim_matches('/');
        // A URL made from such a name would lead elsewhere.
        if directory.split('/').any(|part| part == "." || part == "..") {
            self.mistake(key, "must not have `.` or `..` in it");
        }
        directory.to_owned()
    }

    /// Reads the URL of an HTTP proxy, which may hold a password.
    pub fn proxy(&mut self, key: &'static str) -> Option<Secret> {
        if !self.is_given(key) {
            return None;
        }
        let secret = self.secret(key)?;
        if http_url(secret.expose()).is_none() {
            self.mistake(key, "has to be http(s)://HOST:PORT, with USER:PASSWORD@ before HOST if needed");
        }
        Some(secret)
    }

    /// Reads certificates in PEM, which exclude those of a file. The TLS library looks closer.
    pub fn ca_bundle(&mut self, key: &'static str, file: &'static str) -> Option<String> {
        self.conflict(key, file);
        let pem = self.text(key)?;
        if !pem.contains("-----BEGIN CERTIFICATE-----") {
            self.mistake(key, format_args!("holds no PEM certificate; to name a file, use `{file}`"));
        }
        Some(pem)
    }

    /// Reads a text that is sent in a header.
    pub fn header(&mut self, key: &'static str) -> Option<String> {
        let text = self.text(key)?;
        if !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            self.mistake(key, "has to be printable ASCII");
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Parameters;

    #[test]
    fn addresses_of_stores_have_a_host_and_no_secrets() {
        for text in ["http://a", "https://a:1/b", "https://[::1]:9000"] {
            assert!(store_url(text).is_some(), "{text}");
        }
        for text in
            ["", "a", "a:1", "ftp://a", "http://", "http://u@a", "http://:p@a", "http://a?x", "http://a#x"]
        {
            assert!(store_url(text).is_none(), "{text}");
        }
    }

    #[test]
    fn wrong_values_are_mistakes_that_repeat_no_secret() {
        let parameters: Parameters = [
            ("rootdirectory", "/a/../b/"),
            ("proxy", "u:hunter2@a"),
            ("cabundle", "hunter2"),
            ("useragent", "ä"),
        ]
        .into_iter()
        .collect();
        let mut reader = parameters.reader();
        assert_eq!(reader.root_directory("rootdirectory"), "a/../b");
        let (_, _, _) =
            (reader.proxy("proxy"), reader.ca_bundle("cabundle", "cabundlepath"), reader.header("useragent"));
        let error = reader.finish().unwrap_err().to_string();
        assert!(error.contains("4 mistakes") && !error.contains("hunter2"), "{error}");
    }
}
