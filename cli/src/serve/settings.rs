//! The settings from the arguments and the configuration file.

use std::{
    io::{self, Write},
    net::SocketAddr,
};

use plugin_registry::Registry;
use plugin_registry_core::shown_words;

use crate::{args::Serve, failure::Failure, source::Configured, store::Opened};

/// A free port, reachable only from this machine.
const ADDRESS: &str = "127.0.0.1:0";

/// The registry as the file has it, unless an argument says otherwise. Each of the two can refuse changes.
pub(super) fn registry(options: &Serve, opened: Opened) -> Registry {
    let config = opened.configured.as_ref().map(|configured| &configured.config);
    let read_only = options.read_only || config.is_some_and(|config| config.read_only);
    let delete = options.delete || config.is_some_and(|config| config.delete);
    let mut builder = opened.builder().read_only(read_only).delete(delete);
    if let Some(references) = options.references {
        builder = builder.references(references.into());
    }
    if let Some(entries) = options.max_page {
        builder = builder.max_page_size(entries);
    }
    builder.build()
}

/// Where to listen. Settings of the file that do not apply are reported on standard error.
pub(super) fn address(options: &Serve, configured: Option<&Configured>) -> Result<String, Failure> {
    let mut err = io::stderr().lock();
    if let Some(Configured { config, place, .. }) = configured {
        for ignored in &config.ignored {
            writeln!(err, "notice: {place}: {ignored}")?;
        }
    }
    let config = configured.map(|configured| &configured.config);
    if let Some(listen) = &options.listen {
        return Ok(listen.clone());
    }
    match config.and_then(|config| config.addr.as_deref()) {
        Some(address) if is_loopback(address) => Ok(address.to_owned()),
        // Distribution's usual `:5000` listens on all interfaces. Here an address beyond loopback has to be
        // asked for on purpose.
        Some(address) => {
            // Text that is not written like an address may be a secret in the wrong place.
            let is_address = address.parse::<SocketAddr>().is_ok();
            let is_shown = is_address || shown_words(address.trim_start_matches(':'), ".:-").is_some();
            let shown = if is_shown { format!("`{address}`") } else { "it".to_owned() };
            writeln!(
                err,
                "notice: http.addr is ignored: {shown} is not a loopback address; to listen there anyway, \
                 use --listen"
            )?;
            Ok(ADDRESS.to_owned())
        }
        None => Ok(ADDRESS.to_owned()),
    }
}

/// Whether only this machine can reach an address. A name is not looked up, and `localhost` is the only one that
/// can be trusted.
fn is_loopback(address: &str) -> bool {
    match address.parse::<SocketAddr>() {
        Ok(address) => address.ip().to_canonical().is_loopback(),
        Err(_) => {
            let port = address.strip_prefix("localhost:");
            port.is_some_and(|port| port.parse::<u16>().is_ok())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_addresses() {
        for address in
            ["127.0.0.1:5000", "127.1.2.3:0", "[::1]:5000", "localhost:5000", "[::ffff:127.0.0.1]:1"]
        {
            assert!(is_loopback(address), "{address}");
        }
        for address in [
            ":5000",
            "0.0.0.0:5000",
            "[::]:5000",
            "10.0.0.1:5000",
            "registry:5000",
            "localhost",
            "localhost:x",
            "",
            "/s",
        ] {
            assert!(!is_loopback(address), "{address}");
        }
    }
}
