//! Stores for the suites: the project's own server, SeaweedFS, moto. Each test has its own directory.

#![allow(dead_code, reason = "each test binary uses some of it")]

pub(crate) mod sts;

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
use plugin_registry_drivers_s3::{AccessKeys, S3Config, S3Credentials, S3Driver};
use plugin_registry_emulator::{
    programs::{Moto, SeaweedFs},
    s3::{Quirks, Server},
};
use url::Url;

/// Settings for a bucket of an emulator.
pub(crate) fn config(endpoint: &str, bucket: &str, access_key: &str, secret_key: &str) -> S3Config {
    let keys = AccessKeys::new(Secret::new(access_key), Secret::new(secret_key));
    S3Config::new(bucket)
        .with_region("us-east-1")
        .with_endpoint(endpoint.parse().unwrap())
        .with_credentials(S3Credentials::AccessKeys(keys))
}

/// The same in a directory that no other test has.
pub(crate) fn in_a_directory(config: S3Config) -> S3Config {
    config.with_root_directory(directory())
}

fn directory() -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{}-{number}/root", std::process::id())
}

/// Settings for the project's own server, without questions before the first write.
pub(crate) fn of_server(server: &Server) -> S3Config {
    unsaid(server).with_conditional_writes(true).with_directories(false)
}

/// The same, which say nothing about the kind of store.
pub(crate) fn unsaid(server: &Server) -> S3Config {
    config(&server.endpoint(), server.bucket(), &server.access_key(), &server.secret_key())
}

/// A server that differs from S3, with pages that end in the middle of most lists, and small parts.
pub(crate) fn quirky(change: impl FnOnce(&mut Quirks)) -> Server {
    Server::builder().page_size(40).min_part(1).quirks(change).start()
}

/// A store of the suites on it, with settings that say nothing about its kind. Little is written: volume proves
/// nothing here.
pub(crate) fn quirky_store(server: &'static Server) -> Store {
    let mut sizes = Sizes::small().with_many_files(100);
    (sizes.large_stream, sizes.append_chunk) = (1 << 20, 200_000);
    (sizes.read_size, sizes.write_size) = (500_000, 100_000);
    sizes.part = 300_000;
    own_store(server, unsaid(server).with_chunk_size(256 << 10)).with_sizes(sizes)
}

/// Settings for SeaweedFS; why not, where it is not installed.
pub(crate) fn of_seaweed() -> Result<S3Config, String> {
    let program = SeaweedFs::shared().map_err(|missing| missing.to_string())?;
    Ok(config(&program.endpoint(), program.bucket(), program.access_key(), program.secret_key()))
}

/// Settings for moto; why not, where it is not installed.
pub(crate) fn of_moto() -> Result<S3Config, String> {
    let program = Moto::shared().map_err(|missing| missing.to_string())?;
    Ok(config(&program.endpoint(), program.bucket(), program.access_key(), program.secret_key()))
}

/// The settings, or a counted skip.
pub(crate) fn or_skip(config: Result<S3Config, String>, test: &str) -> Option<S3Config> {
    config.map_err(|missing| report::skip("s3", test, &missing, "programs")).ok()
}

/// A store of the suites over a program that may not be installed.
pub(crate) fn store_of(config: Result<S3Config, String>) -> Store {
    config.map_or_else(Store::missing, store)
}

/// A store of the suites over another process, which does not say when it has finished what it was asked.
pub(crate) fn store(config: S3Config) -> Store {
    opened(in_a_directory(config)).with_settle(|| tokio::time::sleep(Duration::from_secs(1)))
}

/// A store of the suites over the project's own server.
pub(crate) fn own_store(server: &'static Server, config: S3Config) -> Store {
    let root = directory();
    opened(config.with_root_directory(root.clone())).with_settle(move || server.settled(&root))
}

/// The same through a slow link, which may hold bytes that the server has not seen.
pub(crate) fn slow_store(server: &'static Server, config: S3Config) -> Store {
    let root = directory();
    opened(config.with_root_directory(root.clone())).with_settle(move || {
        let root = root.clone();
        async move {
            server.settled(&root).await;
            tokio::time::sleep(Duration::from_millis(250)).await;
            server.settled(&root).await;
        }
    })
}

fn opened(config: S3Config) -> Store {
    Store::new(move || S3Driver::open(config.clone())).with_sizes(Sizes::small()).with_fetch(fetch)
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
