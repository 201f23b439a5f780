//! Roles, and which services are asked for their keys.

use std::{
    fs,
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use aws_smithy_types::{DateTime, date_time::Format};
use bytes::Bytes;
use plugin_registry_core::{ErrorKind, PutMode, Secret, StorageDriver};
use plugin_registry_drivers_s3::{S3Config, S3Driver};
use plugin_registry_emulator::s3::Server;

use crate::{
    common::{
        self,
        sts::{Listener, ROLE, TokenFile},
    },
    support::{Authority, Face, Front, Proxy, attempt, check, path},
};

/// A server that knows the role's keys alone.
fn server() -> Server {
    let server = Server::start();
    server.rotate_session("role-key", "role-secret", "role-token");
    server
}

fn config(server: &Server, sts: SocketAddr, token: &TokenFile) -> S3Config {
    common::of_server(server)
        .with_token_files(vec![token.path.clone()])
        .with_sts_endpoint(format!("http://{sts}").parse().unwrap())
}

#[tokio::test]
async fn the_bearer_of_an_allowed_token_has_the_role() {
    let (server, token) = (server(), TokenFile::new("first"));
    for credentials in token.forms(&token.profile("role_session_name = backup\n")) {
        let sts = Listener::sts().await;
        let config = config(&server, sts.address, &token).with_credentials(credentials);
        fs::write(&token.path, "first").unwrap();
        attempt(&config).await.unwrap();
        // A mounted token is replaced while the process runs.
        fs::write(&token.path, "second").unwrap();
        attempt(&config).await.unwrap();
        let heard = sts.heard();
        let of = |token: &str| heard.iter().filter(|request| request.contains(&format!("={token}"))).count();
        assert!(
            of("first") > 0 && of("second") > 0 && of("first") + of("second") == heard.len(),
            "{heard:?}"
        );
        assert!(heard.iter().all(|request| request.contains("RoleSessionName=backup")), "{heard:?}");
    }
}

#[tokio::test]
async fn keys_of_the_same_file_have_the_role() {
    let (server, token) = (server(), TokenFile::new("unused"));
    let text = format!(
        "[default]\nrole_arn = {ROLE}\nexternal_id = outside\nsource_profile = base\n[base]\naws_access_key_id = \
         AKIABASE\naws_secret_access_key = hidden-base\n"
    );
    for credentials in token.forms(&text) {
        let sts = Listener::sts().await;
        attempt(&config(&server, sts.address, &token).with_credentials(credentials)).await.unwrap();
        for request in sts.heard() {
            assert!(
                request.contains("Credential=AKIABASE/") && request.contains("ExternalId=outside"),
                "{request}"
            );
            assert!(!request.contains("hidden-base") && !request.contains("unused"), "{request}");
        }
        assert!(!sts.heard().is_empty());
    }
}

/// Without an endpoint of the host it is AWS, in the region of the settings, or else in that of the profile.
#[tokio::test]
async fn the_service_is_that_of_the_region() {
    let (server, token, nobody) = (server(), TokenFile::new("token"), Listener::start(None).await);
    for (region, expected) in [(Some("eu-west-1"), "sts.eu-west-1"), (None, "sts.eu-central-1")] {
        let proxy = Proxy::start(nobody.address).await;
        let mut config = config(&server, nobody.address, &token);
        (config.sts_endpoint, config.region) = (None, region.map(str::to_owned));
        let [credentials, _] = token.forms(&token.profile("region = eu-central-1\n"));
        let url = Secret::new(format!("http://{}", proxy.address));
        let error = attempt(&config.with_credentials(credentials).with_proxy(url)).await.unwrap_err();
        check(&error, ErrorKind::Timeout, &["token service"], &[]);
        let heads = proxy.heads();
        assert!(!heads.is_empty(), "{error}");
        assert!(
            heads.iter().all(|head| head.starts_with(&format!("CONNECT {expected}.amazonaws.com:443 "))),
            "{heads:?}"
        );
    }
}

/// Certificates of the store may be a tenant's.
#[tokio::test]
async fn certificates_of_the_store_are_not_those_of_the_service() {
    let (server, token, sts, authority) =
        (server(), TokenFile::new("token"), Listener::sts().await, Authority::new());
    let front = Front::start(&authority, Face::default(), sts.address).await;
    let [credentials, _] = token.forms(&token.profile(""));
    let config = config(&server, sts.address, &token).with_sts_endpoint(front.endpoint().parse().unwrap());
    let config = config.with_credentials(credentials);
    let error = attempt(&config.clone().with_ca_bundle(authority.pem())).await.unwrap_err();
    check(&error, ErrorKind::Unavailable, &["certificate"], &["role-secret"]);
    let skipping = config.clone().with_skip_verify(true);
    check(&attempt(&skipping).await.unwrap_err(), ErrorKind::Unavailable, &["certificate"], &[]);
    assert_eq!(sts.heard(), [""; 0]);
    attempt(&config.clone().with_sts_ca_bundle(authority.pem())).await.unwrap();
    let bundle = token.directory.path().join("ca.pem");
    fs::write(&bundle, authority.pem()).unwrap();
    attempt(&config.with_sts_ca_bundle_path(bundle)).await.unwrap();
}

/// A service that is down or slow may be back at the next request; one that refuses will not.
#[tokio::test]
async fn a_service_that_fails_is_no_refusal() {
    let (server, token, sts) = (server(), TokenFile::new("hidden-token"), Listener::sts().await);
    let [credentials, _] = token.forms(&token.profile(""));
    let config = config(&server, sts.address, &token).with_credentials(credentials);
    let said = |code: &str| {
        format!("<ErrorResponse><Error><Code>{code}</Code><Message>m</Message></Error></ErrorResponse>")
    };
    for (status, document, kind) in [
        ("500 Internal Server Error", said("InternalFailure"), ErrorKind::Unavailable),
        ("502 Bad Gateway", String::new(), ErrorKind::Unavailable),
        ("400 Bad Request", said("Throttling"), ErrorKind::RateLimited),
        ("400 Bad Request", said("IDPCommunicationError"), ErrorKind::Unavailable),
        ("403 Forbidden", said("AccessDenied"), ErrorKind::Unauthenticated),
        ("400 Bad Request", said("InvalidIdentityToken"), ErrorKind::Unauthenticated),
    ] {
        sts.turn(status, document);
        let error = attempt(&config).await.unwrap_err();
        check(&error, kind, &["profile `default`", "token service"], &["hidden-token"]);
        assert_eq!(error.is_retryable(), kind != ErrorKind::Unauthenticated, "{error}");
    }
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = config.with_sts_endpoint(format!("http://{nobody}").parse().unwrap());
    check(
        &attempt(&config).await.unwrap_err(),
        ErrorKind::Unavailable,
        &["token service"],
        &["hidden-token"],
    );
    assert_eq!(server.count(), 0);
}

/// Keys that are to be renewed are good until their end.
#[tokio::test]
async fn keys_are_used_until_their_end() {
    let soon = SystemTime::now() + Duration::from_secs(60);
    let soon = DateTime::from(soon).fmt(Format::DateTime).unwrap();
    let (server, token, sts) = (server(), TokenFile::new("token"), Listener::sts_until(&soon).await);
    let [credentials, _] = token.forms(&token.profile(""));
    let config = config(&server, sts.address, &token).with_credentials(credentials);
    let driver = S3Driver::open(config.with_max_attempts(1)).await.unwrap();
    let at = path("/a");
    let put = || driver.put_content(&at, Bytes::from_static(b"text"), PutMode::Overwrite);
    put().await.unwrap();
    sts.turn("500 Internal Server Error", "");
    let before = sts.heard().len();
    put().await.unwrap();
    let after = sts.heard().len();
    assert!(after > before);
    // Not asked at each request while it is down.
    put().await.unwrap();
    assert_eq!(sts.heard().len(), after);
    // Keys that the store has refused are not used again.
    server.rotate_session("other-key", "role-secret", "role-token");
    check(&put().await.unwrap_err(), ErrorKind::Unauthenticated, &[], &["role-secret"]);
}

/// A region becomes a part of the name of the service's host.
#[tokio::test]
async fn a_region_leads_nowhere_else() {
    let (server, token, nobody) = (server(), TokenFile::new("token"), Listener::start(None).await);
    for region in ["a.evil.example", "a_b", "evil.example/"] {
        let [credentials, _] = token.forms(&token.profile(""));
        let mut config = config(&server, nobody.address, &token).with_credentials(credentials);
        (config.sts_endpoint, config.region) = (None, Some(region.to_owned()));
        let proxy = Proxy::start(nobody.address).await;
        let config = config.with_proxy(Secret::new(format!("http://{}", proxy.address)));
        check(&attempt(&config).await.unwrap_err(), ErrorKind::InvalidConfig, &["region"], &[]);
        assert_eq!(proxy.heads(), [""; 0], "{region}");
    }
}

/// The message of the service arrives, without anything from the request.
#[tokio::test]
async fn a_service_that_refuses() {
    let (server, token, sts) = (server(), TokenFile::new("hidden-token"), Listener::start(None).await);
    for credentials in token.forms(&token.profile("")) {
        let config = config(&server, sts.address, &token).with_credentials(credentials);
        let error = attempt(&config).await.unwrap_err();
        check(&error, ErrorKind::Unauthenticated, &["profile `default`", "token service"], &["hidden-token"]);
    }
    let [credentials, _] = token.forms(&token.profile(""));
    fs::remove_file(&token.path).unwrap();
    let config = config(&server, sts.address, &token).with_credentials(credentials);
    check(&attempt(&config).await.unwrap_err(), ErrorKind::Unauthenticated, &["web identity token"], &[]);
    assert_eq!(server.count(), 0);
}
