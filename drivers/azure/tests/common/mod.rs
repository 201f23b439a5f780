//! Stores for the suites, on Azurite. Each test has its own directory.

#![allow(dead_code, reason = "each test binary uses some of it")]

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use bytes::Bytes;
use http::Method;
use plugin_registry_conformance::{
    driver::{Sizes, Store},
    report,
};
use plugin_registry_core::Secret;
use plugin_registry_drivers_azure::{AzureConfig, AzureCredentials, AzureDriver, LeadingSlash};
use plugin_registry_emulator::programs::Azurite;
use url::Url;

/// Settings for Azurite; why not, where it is not installed.
pub(crate) fn of_azurite() -> Result<AzureConfig, String> {
    let program = Azurite::shared().map_err(|missing| missing.to_string())?;
    let key = AzureCredentials::SharedKey(Secret::new(program.key()));
    Ok(AzureConfig::new(program.account(), program.container())
        .with_service_url(program.endpoint().parse().unwrap())
        .with_credentials(key)
        .with_leading_slash(LeadingSlash::No))
}

/// Settings for a new, empty container of Azurite, which [`or_skip`] has found.
pub(crate) fn of_container(program: &Azurite, name: &str) -> AzureConfig {
    program.create_container(name);
    let key = AzureCredentials::SharedKey(Secret::new(program.key()));
    AzureConfig::new(program.account(), name)
        .with_service_url(program.endpoint().parse().unwrap())
        .with_credentials(key)
}

/// Azurite, or a counted skip.
pub(crate) fn or_skip(test: &str) -> Option<&'static Azurite> {
    Azurite::shared().map_err(|missing| report::skip("azure", test, &missing.to_string(), "azurite")).ok()
}

/// A store of the suites with a slash before names, and with small blocks, of which its files have several.
/// Little is written: volume proves nothing here.
pub(crate) fn store_of_small_blocks() -> Store {
    let mut sizes = Sizes::small().with_many_files(100);
    (sizes.large_stream, sizes.append_chunk) = (1 << 20, 200_000);
    (sizes.read_size, sizes.write_size) = (500_000, 100_000);
    sizes.part = 300_000;
    let config =
        of_azurite().map(|config| config.with_chunk_size(256 << 10).with_leading_slash(LeadingSlash::Yes));
    store_of(config).with_sizes(sizes)
}

/// The same in a directory that no other test has.
pub(crate) fn in_a_directory(config: AzureConfig) -> AzureConfig {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    config.with_root_directory(format!("{}-{number}/root", std::process::id()))
}

/// A store of the suites over a program that may not be installed, and does not say when it has finished what
/// it was asked.
pub(crate) fn store_of(config: Result<AzureConfig, String>) -> Store {
    let store = |config: AzureConfig| {
        let config = in_a_directory(config);
        Store::new(move || AzureDriver::open(config.clone()))
            .with_sizes(Sizes::small())
            .with_fetch(fetch)
            .with_settle(|| tokio::time::sleep(Duration::from_secs(1)))
    };
    config.map_or_else(Store::missing, store)
}

/// Fetches a URL as a client would.
pub(crate) async fn fetch(method: Method, url: Url) -> (u16, Bytes) {
    let fetch = move || {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let answer = if method == Method::HEAD { agent.head(url.as_str()) } else { agent.get(url.as_str()) };
        let mut answer = answer.call().unwrap();
        let body = answer.body_mut().with_config().limit(64 << 20).read_to_vec().unwrap();
        (answer.status().as_u16(), Bytes::from(body))
    };
    tokio::task::spawn_blocking(fetch).await.unwrap()
}
