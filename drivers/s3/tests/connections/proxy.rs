//! Through a proxy, and only through the configured one. The hosts' names do not exist, so requests that
//! arrive came through the proxy.

use plugin_registry_core::{ErrorKind, Secret};
use plugin_registry_emulator::s3::Server;

use crate::{
    common,
    support::{Authority, Face, Front, Proxy, attempt, check},
};

/// `Basic` of `user:p@ss word`.
const AUTHORIZATION: &str = "Basic dXNlcjpwQHNzIHdvcmQ=";
const WITH_PASSWORD: &str = "user:p%40ss%20word@";

fn url(proxy: &Proxy, user: &str) -> Secret {
    Secret::new(format!("http://{user}{}", proxy.address))
}

#[tokio::test]
async fn requests_without_tls_are_forwarded() {
    let server = Server::start();
    let proxy = Proxy::start(server.address()).await;
    let config = common::of_server(&server).with_endpoint("http://store.invalid:81".parse().unwrap());
    attempt(&config.clone().with_proxy(url(&proxy, ""))).await.unwrap();
    let heads = proxy.heads();
    assert!(heads.iter().all(|head| head.starts_with("PUT http://store.invalid:81/")), "{heads:?}");
    assert!(!heads[0].to_lowercase().contains("proxy-authorization"), "{heads:?}");

    server.forget();
    attempt(&config.with_proxy(url(&proxy, WITH_PASSWORD))).await.unwrap();
    assert_eq!(server.count(), 2);
    for request in server.requests() {
        // This proxy passes on what a real one keeps.
        assert_eq!(request.headers["proxy-authorization"], AUTHORIZATION, "{}", request.operation);
    }
}

#[tokio::test]
async fn requests_with_tls_go_through_a_tunnel() {
    let (server, authority) = (Server::start(), Authority::new());
    let face = Face { names: &["store.invalid"], ..Face::default() };
    let front = Front::start(&authority, face, server.address()).await;
    let proxy = Proxy::start(front.address).await;
    let config = common::of_server(&server).with_endpoint("https://store.invalid:444".parse().unwrap());
    let config = config.with_proxy(url(&proxy, WITH_PASSWORD));
    attempt(&config.clone().with_ca_bundle(authority.pem())).await.unwrap();
    let heads = proxy.heads();
    assert!(heads.iter().all(|head| head.starts_with("CONNECT store.invalid:444 ")), "{heads:?}");
    assert!(heads.iter().all(|head| head.contains(AUTHORIZATION)), "{heads:?}");
    // The store, behind TLS, does not see the proxy's password.
    assert_eq!(server.count(), 2);
    assert!(server.requests().iter().all(|request| !request.headers.contains_key("proxy-authorization")));

    server.forget();
    let error = attempt(&config).await.unwrap_err();
    let secrets = ["p%40ss", "p@ss", AUTHORIZATION, &server.secret_key()];
    check(&error, ErrorKind::Unavailable, &["certificate"], &secrets);
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn any_certificate_will_do_through_a_tunnel() {
    let (server, authority) = (Server::start(), Authority::new());
    let front = Front::start(&authority, Face::default(), server.address()).await;
    let proxy = Proxy::start(front.address).await;
    let config = common::of_server(&server).with_endpoint("https://store.invalid:444".parse().unwrap());
    attempt(&config.with_proxy(url(&proxy, "")).with_skip_verify(true)).await.unwrap();
    assert!(proxy.heads().iter().all(|head| head.starts_with("CONNECT store.invalid:444 ")));
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_not_gone_round() {
    let server = Server::start();
    let gone = "http://user:hidden@127.0.0.1:9";
    let error = attempt(&common::of_server(&server).with_proxy(Secret::new(gone))).await.unwrap_err();
    check(&error, ErrorKind::Unavailable, &[], &["hidden"]);
    assert_eq!(server.count(), 0);
    let strange = common::of_server(&server).with_proxy(Secret::new("::user:hidden@"));
    check(&attempt(&strange).await.unwrap_err(), ErrorKind::InvalidConfig, &["`proxy`"], &["hidden"]);
}
