//! Where to connect to, and how. No message repeats a URL, since people put passwords into them.

use plugin_registry_core::{ParameterReader, Secret};
use url::{Host, Url};

use crate::config::{GcsConfig, GcsCredentials};

pub(super) fn endpoint(read: &mut ParameterReader<'_>) -> Option<Url> {
    let text = read.text("endpoint")?;
    let url = web_url(&text).filter(|url| !has_extras(url));
    if url.is_none() {
        read.mistake("endpoint", "has to be http(s)://HOST:PORT, without path and query");
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

pub(super) fn user_agent(read: &mut ParameterReader<'_>) -> Option<String> {
    let text = read.text("useragent")?;
    if !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        read.mistake("useragent", "has to be printable ASCII");
    }
    Some(text)
}

/// A token that travels without encryption is everybody's. On the way to an emulator of the same machine nobody
/// listens.
pub(super) fn contradictions(read: &mut ParameterReader<'_>, config: &GcsConfig) {
    let is_open = config.endpoint.as_ref().is_some_and(|url| url.scheme() == "http" && !is_loopback(url));
    if is_open && !matches!(config.credentials, GcsCredentials::Anonymous) {
        read.mistake(
            "endpoint",
            "has to be https, or `anonymous` true: a token would travel unencrypted to another machine",
        );
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// A URL over HTTP with a host.
fn web_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
}

/// Whether there is anything in the URL beside scheme, host and port.
fn has_extras(url: &Url) -> bool {
    let has_user = !url.username().is_empty() || url.password().is_some();
    has_user || url.path() != "/" || url.query().is_some() || url.fragment().is_some()
}
