//! Hosts, paths and headers.

use plugin_registry_core::{Secret, StorageDriver};
use plugin_registry_drivers_s3::{Checksums, S3Driver};
use plugin_registry_emulator::s3::Server;

use crate::{
    common,
    support::{Proxy, attempt, path},
};

/// The head of one request. Through a proxy, since few machines know the hosts below `localhost`.
async fn head(is_path_style: bool) -> String {
    let server = Server::start();
    let proxy = Proxy::start(server.address()).await;
    let config = common::of_server(&server)
        .with_endpoint("http://localhost:81".parse().unwrap())
        .with_proxy(Secret::new(format!("http://{}", proxy.address)))
        .with_force_path_style(is_path_style);
    let driver = S3Driver::open(config.with_max_attempts(1)).await.unwrap();
    // Whether the server knows buckets by hosts is not the question.
    drop(driver.stat(&path("/a")).await);
    proxy.heads()[0].to_lowercase()
}

#[tokio::test]
async fn the_bucket_is_in_the_host_or_in_the_path() {
    let bucket = Server::start().bucket().to_owned();
    let by_host = head(false).await;
    assert!(by_host.contains(&format!("\r\nhost: {bucket}.localhost:81\r\n")), "{by_host}");
    assert!(by_host.starts_with(&format!("head http://{bucket}.localhost:81/a")), "{by_host}");
    let by_path = head(true).await;
    assert!(by_path.contains("\r\nhost: localhost:81\r\n"), "{by_path}");
    assert!(by_path.starts_with(&format!("head http://localhost:81/{bucket}/a")), "{by_path}");
}

#[tokio::test]
async fn the_user_agent_arrives_as_it_was_given() {
    let server = Server::start();
    for agent in ["velero", "velero/1.16 (linux; amd64)"] {
        server.forget();
        attempt(&common::of_server(&server).with_user_agent(agent)).await.unwrap();
        for request in server.requests() {
            let said = request.headers["user-agent"].to_str().unwrap();
            assert!(said.starts_with("aws-sdk-rust/") && said.ends_with(&format!(" {agent}")), "{said}");
        }
    }
    server.forget();
    attempt(&common::of_server(&server)).await.unwrap();
    assert!(!server.requests()[0].headers["user-agent"].to_str().unwrap().contains("velero"));
}

#[tokio::test]
async fn checksums_are_sent_where_they_are_wanted() {
    let server = Server::start();
    let sent = || {
        let headers = server.requests_of("PutObject")[0].headers.clone();
        assert!(!headers.contains_key("x-amz-trailer"), "{headers:?}");
        let is_any = headers.keys().any(|name| name.as_str().contains("checksum"));
        (headers.contains_key("x-amz-checksum-crc32"), is_any)
    };
    attempt(&common::of_server(&server).with_checksums(Checksums::Required)).await.unwrap();
    assert_eq!(sent(), (false, false), "required");
    server.forget();
    attempt(&common::of_server(&server)).await.unwrap();
    assert_eq!(sent(), (true, true), "automatic");
    server.forget();
    attempt(&common::of_server(&server).with_checksums(Checksums::Supported)).await.unwrap();
    assert_eq!(sent(), (true, true), "supported");
}
