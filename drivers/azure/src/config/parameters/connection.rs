//! Where to connect to, and how. No message repeats a URL, since people put passwords into them.

use plugin_registry_core::{ParameterReader, Secret};
use url::Url;

pub(super) fn service_url(read: &mut ParameterReader<'_>) -> Option<Url> {
    let text = read.text("serviceurl")?;
    let url = web_url(&text).filter(|url| !has_extras(url));
    if url.is_none() {
        read.mistake(
            "serviceurl",
            "has to be http(s)://HOST:PORT, with the account as path where the store wants it; a user or a \
             signature has no place in it",
        );
    }
    url
}

pub(super) fn proxy(read: &mut ParameterReader<'_>) -> Option<Secret> {
    if !read.is_given("proxy") {
        return None;
    }
    let secret = read.secret("proxy")?;
    if web_url(secret.expose()).is_none() {
        read.mistake("proxy", "has to be http(s)://HOST:PORT, with USER:PASSWORD@ before HOST if needed");
    }
    Some(secret)
}

pub(super) fn ca_bundle(read: &mut ParameterReader<'_>) -> Option<String> {
    read.conflict("cabundle", "cabundlepath");
    let pem = read.text("cabundle")?;
    if !pem.contains("-----BEGIN CERTIFICATE-----") {
        read.mistake("cabundle", "holds no certificate in PEM; for a file there is `cabundlepath`");
    }
    Some(pem)
}

/// A URL over HTTP with a host.
fn web_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
}

/// Whether there is anything in the URL that no address of an account has. A query would be a shared access
/// signature, which is a secret.
fn has_extras(url: &Url) -> bool {
    let has_user = !url.username().is_empty() || url.password().is_some();
    has_user || url.query().is_some() || url.fragment().is_some()
}
