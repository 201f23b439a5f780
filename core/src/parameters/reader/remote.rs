//! What the drivers of all stores that are reached over HTTP have in common.

use url::Url;

use super::ParameterReader;
use crate::secret::Secret;

/// A URL over HTTP with a host, and without user, query and fragment, which no address of a store has: people put
/// passwords and signatures there. Whoever refuses one does not repeat it.
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
    /// The part of a store below which everything lies, without slashes at its ends; empty for all of it.
    pub fn root_directory(&mut self, key: &'static str) -> String {
        let directory = self.text(key).unwrap_or_default();
        let directory = directory.trim_matches('/');
        // Whoever makes a URL of such a name would end elsewhere.
        if directory.split('/').any(|part| part == "." || part == "..") {
            self.mistake(key, "must not have `.` or `..` in it");
        }
        directory.to_owned()
    }

    /// An HTTP proxy, which may hold a password.
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

    /// Certificates in PEM, which contradict those of a file. The TLS library looks closer.
    pub fn ca_bundle(&mut self, key: &'static str, file: &'static str) -> Option<String> {
        self.conflict(key, file);
        let pem = self.text(key)?;
        if !pem.contains("-----BEGIN CERTIFICATE-----") {
            self.mistake(key, format_args!("holds no certificate in PEM; for a file there is `{file}`"));
        }
        Some(pem)
    }

    /// A text that is sent in a header.
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
