//! Where to connect to, and how. Messages never repeat a URL, since people put passwords into URLs.

use plugin_registry_core::{ParameterReader, store_url};
use url::{Host, Url};

use crate::config::{GcsConfig, GcsCredentials};

pub(super) fn endpoint(read: &mut ParameterReader<'_>) -> Option<Url> {
    let text = read.text("endpoint")?;
    let url = store_url(&text).filter(|url| url.path() == "/");
    if url.is_none() {
        read.mistake("endpoint", "has to be http(s)://HOST:PORT, without a path or query");
    }
    url
}

/// A token that travels unencrypted can be read by anyone on the way. An emulator on the same machine is safe.
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
