//! Secrets are in no text: canaries go through every kind of error.

use std::{error::Error as _, fmt::Debug};

use bytes::Bytes;
use plugin_registry_core::{
    ByteRange, Error, PutMode, Result, Secret, StageId, Staged, StorageDriver, WriteMode,
};
use plugin_registry_drivers_s3::{AccessKeys, S3Config, S3Credentials, S3Driver};
use plugin_registry_emulator::s3::{Kind, Length, Server};

use crate::support::*;

const ACCESS: &str = "AKIACANARY";
const SECRET: &str = "canary-secret-7f3a";
const TOKEN: &str = "canary-token-91bc";
const PASSWORD: &str = "canary-password-c4d2";

/// Settings full of secrets.
fn canaries(server: &Server) -> S3Config {
    let keys =
        AccessKeys::new(Secret::new(ACCESS), Secret::new(SECRET)).with_session_token(Secret::new(TOKEN));
    config(server).with_credentials(S3Credentials::AccessKeys(keys)).with_max_attempts(2)
}

fn is_clean(text: &str) {
    let signed =
        ["X-Amz-Signature", "AWS4-HMAC-SHA256", "Signature=", "x-amz-security-token", "uthorization:"];
    for secret in [SECRET, TOKEN, PASSWORD].iter().chain(&signed) {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

fn debug_is_clean(value: &impl Debug) {
    is_clean(&format!("{value:?}"));
    is_clean(&format!("{value:#?}"));
}

fn error_is_clean(error: &Error) {
    debug_is_clean(error);
    is_clean(&error.to_string());
    is_clean(&format!("{error:#}"));
    let mut cause = error.source();
    while let Some(error) = cause {
        is_clean(&format!("{error} {error:?}"));
        cause = error.source();
    }
}

/// The errors of every kind of request. Those that still succeed are left out.
async fn errors(driver: &S3Driver) -> Vec<Error> {
    let staged = Staged::new(path("/f"), 100, StageId::of("any"));
    let results: Vec<Result<()>> = vec![
        put(driver, "/f", "x", PutMode::Overwrite).await,
        put(driver, "/f", "x", PutMode::CreateOnly).await,
        read(driver, "/f").await.map(drop),
        read_range(driver, "/f", ByteRange::new(1, 5)).await.map(drop),
        driver.get_content(&path("/f"), 100).await.map(drop),
        driver.stat(&path("/f")).await.map(drop),
        names(driver, "/", None).await.map(drop),
        walked(driver, "/", None).await.map(drop),
        marked(driver, "/", None).await.map(drop),
        write(driver, "/g", &in_parts()).await,
        write_to(driver, "/f", &in_parts(), "/g").await,
        close(driver, "/up/f", &in_parts()).await.map(drop),
        driver.delete(&path("/f")).await,
        driver.delete_many(vec![path("/f"), path("/g")], &[]).await.and_then(|report| report.into_result()),
        stages(driver, "/up").await.map(drop),
        driver.find_staged(&path("/f")).await.map(drop),
        driver.writer(&path("/f"), WriteMode::Resume(staged.clone())).await.map(drop),
        driver.commit_staged(&staged, &path("/g")).await,
    ];
    results.into_iter().filter_map(Result::err).collect()
}

/// I9: the answers of the store, and of another server in its place.
#[tokio::test]
async fn no_error_of_an_answer_tells_a_secret() {
    let faults = [
        Kind::error(500, "InternalError"),
        Kind::error(502, ""),
        Kind::slow_down(Some(0)),
        Kind::access_denied(),
        Kind::forbidden_without_code(),
        Kind::expired_token(),
        Kind::time_skewed(),
        Kind::error(403, "SignatureDoesNotMatch"),
        Kind::error(403, "InvalidAccessKeyId"),
        Kind::error(400, "InvalidToken"),
        Kind::error(404, "NoSuchBucket"),
        Kind::error(400, "Unheard"),
        Kind::error(418, ""),
        Kind::PermanentRedirect { region: "eu-west-7".into() },
        Kind::Close,
        Kind::Reset,
        Kind::ResetReading { after: 3 },
        Kind::ResetSending { after: 20 },
        Kind::Truncated { keep: 20, length: Length::Honest },
        Kind::ErrorInside { code: "InternalError".into() },
    ];
    let seen = std::cell::Cell::new(0);
    at_once(faults, async |fault| {
        let server = server();
        server.rotate_session(ACCESS, SECRET, TOKEN);
        server.put_raw(&key("/f"), content(100));
        let driver = S3Driver::open(canaries(&server)).await.unwrap();
        server.fault(plugin_registry_emulator::s3::Fault::new(fault.clone()).forever());
        let errors = errors(&driver).await;
        assert!(!errors.is_empty(), "{fault:?}");
        errors.iter().for_each(error_is_clean);
        seen.set(seen.get() + errors.len());
    })
    .await;
    assert!(seen.get() > 150, "{} errors", seen.get());
}

/// I9: keys that the store does not know, or does not believe.
#[tokio::test]
async fn no_error_of_refused_keys_tells_a_secret() {
    for known in [None, Some("another secret")] {
        let server = server();
        server.rotate_session(known.map_or("AKIAOTHER", |_| ACCESS), "another secret", TOKEN);
        let driver = S3Driver::open(canaries(&server)).await.unwrap();
        let errors = errors(&driver).await;
        assert!(errors.len() > 10);
        errors.iter().for_each(error_is_clean);
    }
}

/// I9: no server answers, or a proxy is not there.
#[tokio::test]
async fn no_error_of_a_connection_tells_a_secret() {
    let server = server();
    let nobody = "http://127.0.0.1:1".parse().unwrap();
    let proxy = Secret::new(format!("http://user:{PASSWORD}@127.0.0.1:1"));
    for config in [canaries(&server).with_endpoint(nobody), canaries(&server).with_proxy(proxy)] {
        debug_is_clean(&config);
        let driver = S3Driver::open(config).await.unwrap();
        let errors = errors(&driver).await;
        assert_eq!(errors.len(), 18);
        errors.iter().for_each(error_is_clean);
    }
    for proxy in
        [format!("no url {PASSWORD}"), format!("ftp://user:{PASSWORD}@host"), format!("http://u:{PASSWORD}@")]
    {
        if let Err(error) = S3Driver::open(canaries(&server).with_proxy(Secret::new(proxy))).await {
            error_is_clean(&error);
        }
    }
}

/// I9: what is printed of things that hold secrets.
#[tokio::test]
async fn no_debug_text_tells_a_secret() {
    let server = server();
    server.rotate_session(ACCESS, SECRET, TOKEN);
    let config = canaries(&server);
    debug_is_clean(&config);
    debug_is_clean(&config.credentials);
    let driver = S3Driver::open(config).await.unwrap();
    debug_is_clean(&driver);
    let mut writer = driver.writer(&path("/f"), WriteMode::direct()).await.unwrap();
    writer.write(Bytes::from_static(b"x")).await.unwrap();
    debug_is_clean(&writer);
    writer.commit(&path("/f")).await.unwrap();
    for bytes in [content(10), in_parts()] {
        let staged = close(&driver, "/up", &bytes).await.unwrap();
        debug_is_clean(&staged);
        debug_is_clean(&after(&driver, &staged, &bytes).await.unwrap());
        // The driver's private state of the stage is not shown.
        let shown = format!("{staged:?}");
        assert!(staged.state().is_empty() || !shown.contains(staged.state()), "{shown}");
        forget(&driver, &staged).await;
    }
    let reader = driver.reader(&path("/f"), ByteRange::full()).await.unwrap();
    debug_is_clean(&reader);
    debug_is_clean(&driver.stat(&path("/f")).await.unwrap());
}

/// I9: a signed URL is a secret, but it does not reveal the key.
#[tokio::test]
async fn a_signed_url_does_not_tell_the_key() {
    let server = server();
    server.rotate_session(ACCESS, SECRET, TOKEN);
    let driver = S3Driver::open(canaries(&server)).await.unwrap();
    let url = driver.redirect_url(&path("/f"), &http::Method::GET).await.unwrap().unwrap();
    assert!(!url.as_str().contains(SECRET));
    assert_eq!(server.count(), 0);
}
