//! The process environment. Children are this binary with one test, since a process may not change its own.

use std::{
    fs,
    process::{Command, Output},
};

use http::Method;
use plugin_registry_core::{ErrorKind, StorageDriver};
use plugin_registry_drivers_s3::{Checksums, S3Credentials, S3Driver};
use plugin_registry_emulator::s3::Server;

use crate::{
    common,
    support::{Authority, Face, Front, attempt, check, path},
};

/// Which work a child has, and with what.
const WORK: &str = "CONNECTIONS_WORK";
const ENDPOINT: &str = "CONNECTIONS_ENDPOINT";
const DONE: &str = "the child is done";
/// Nothing answers there.
const NOWHERE: &str = "http://127.0.0.1:9";
const ACCESS: &str = "given-key";
const SECRET: &str = "given-secret";

/// Runs the test `child` of this binary in this environment and no other.
pub(crate) async fn run(work: &str, endpoint: &str, environment: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "environment::child", "--nocapture"])
        .env_clear()
        .envs(environment.iter().copied())
        .env(WORK, work)
        .env(ENDPOINT, endpoint);
    let Output { status, stdout, stderr } =
        tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&stdout).into_owned();
    assert!(status.success(), "{said}\n{}", String::from_utf8_lossy(&stderr));
    assert!(said.contains(DONE), "the child did nothing: {said}");
    said
}

/// Nothing, unless it is run as a child.
#[tokio::test]
async fn child() {
    let (Ok(work), Ok(endpoint)) = (std::env::var(WORK), std::env::var(ENDPOINT)) else { return };
    let config = common::config(&endpoint, "bucket", ACCESS, SECRET)
        .with_checksums(Checksums::Required)
        .with_conditional_writes(true)
        .with_directories(false);
    match work.as_str() {
        "keys" => {
            attempt(&config).await.unwrap();
            let driver = S3Driver::open(config).await.unwrap();
            let url = driver.redirect_url(&path("/a"), &Method::GET).await.unwrap().unwrap();
            assert!(url.as_str().starts_with(&endpoint), "{url}");
            let scope = url.query_pairs().find(|(name, _)| name == "X-Amz-Credential").unwrap().1;
            assert!(scope.starts_with(ACCESS) && scope.contains("/us-east-1/s3/"), "{scope}");
        }
        "file" => {
            let file = std::env::var("HOME").unwrap() + "/given";
            let credentials = S3Credentials::File { path: file.into(), profile: None };
            attempt(&config.with_credentials(credentials)).await.unwrap();
        }
        "role" => {
            let file = std::env::var("HOME").unwrap() + "/given";
            let credentials = S3Credentials::File { path: file.into(), profile: None };
            let variable = |name| std::env::var(name).unwrap();
            let config = config
                .with_token_files(vec![variable("ROLE_TOKEN").into()])
                .with_sts_endpoint(variable("ROLE_SERVICE").parse().unwrap());
            attempt(&config.with_credentials(credentials)).await.unwrap();
        }
        "chain" => attempt(&config.with_credentials(S3Credentials::Chain)).await.unwrap(),
        "untrusted" => {
            let error = attempt(&config).await.unwrap_err();
            check(&error, ErrorKind::Unavailable, &["certificate"], &[SECRET]);
        }
        "opening" => crate::opening::measure(&endpoint).await,
        other => panic!("no work is called {other}"),
    }
    println!("{DONE}");
}

/// A server that knows the keys that are given, and no other.
fn server() -> Server {
    let server = Server::builder().bucket("bucket").start();
    server.rotate_keys(ACCESS, SECRET);
    server
}

/// Whatever could lead a request elsewhere.
fn hostile(home: &str) -> Vec<(&str, &str)> {
    let mut all = vec![
        ("HOME", home),
        ("AWS_ACCESS_KEY_ID", "leaked-key"),
        ("AWS_SECRET_ACCESS_KEY", "leaked-secret"),
        ("AWS_SESSION_TOKEN", "leaked-token"),
        ("AWS_REGION", "leaked-region-1"),
        ("AWS_DEFAULT_REGION", "leaked-region-1"),
        ("AWS_PROFILE", "leaked"),
        ("AWS_CA_BUNDLE", "/leaked"),
        ("AWS_MAX_ATTEMPTS", "1"),
        ("AWS_SDK_UA_APP_ID", "leaked"),
        ("AWS_USE_FIPS_ENDPOINT", "true"),
        ("AWS_USE_DUALSTACK_ENDPOINT", "true"),
        ("AWS_REQUEST_CHECKSUM_CALCULATION", "when_supported"),
        ("AWS_EXECUTION_ENV", "leaked"),
        ("AWS_LAMBDA_FUNCTION_NAME", "leaked"),
        ("_X_AMZN_TRACE_ID", "leaked"),
    ];
    for name in [
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ] {
        all.push((name, NOWHERE));
    }
    all
}

/// A home with the files of AWS, which all say something else, and with those that are given.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join(".aws")).unwrap();
    let settings = format!(
        "region = leaked-region-1\nendpoint_url = {NOWHERE}\nrequest_checksum_calculation = when_supported\n"
    );
    let keys = "aws_access_key_id = leaked-key\naws_secret_access_key = leaked-secret\n";
    fs::write(home.path().join(".aws/config"), format!("[default]\n{settings}[profile leaked]\n{settings}"))
        .unwrap();
    fs::write(home.path().join(".aws/credentials"), format!("[default]\n{keys}[leaked]\n{keys}")).unwrap();
    let given = format!("[default]\naws_access_key_id = {ACCESS}\naws_secret_access_key = {SECRET}\n");
    fs::write(home.path().join("given"), given).unwrap();
    home
}

#[tokio::test]
async fn what_is_set_is_not_asked_of_the_environment() {
    let (server, home) = (server(), home());
    for work in ["keys", "file"] {
        server.forget();
        run(work, &server.endpoint(), &hostile(home.path().to_str().unwrap())).await;
        assert_eq!(server.count(), 2);
        for request in server.requests() {
            assert_eq!(request.status, 200, "{request:?}");
            assert!(!format!("{request:?}").contains("leaked"), "{request:?}");
            assert!(
                !request.headers.keys().any(|name| name.as_str().contains("checksum-crc")),
                "{request:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_bundle_of_the_environment_is_not_believed() {
    let (server, authority, home) = (server(), Authority::new(), home());
    let front = Front::start(&authority, Face::default(), server.address()).await;
    let bundle = home.path().join("ca.pem");
    fs::write(&bundle, authority.pem()).unwrap();
    run("untrusted", &front.endpoint(), &[("AWS_CA_BUNDLE", bundle.to_str().unwrap())]).await;
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn the_chain_asks_the_environment_for_keys() {
    let (server, home) = (server(), home());
    let home = home.path().to_str().unwrap();
    let mut environment = hostile(home);
    environment.retain(|(name, _)| *name != "AWS_SESSION_TOKEN");
    environment.extend([("AWS_ACCESS_KEY_ID", ACCESS), ("AWS_SECRET_ACCESS_KEY", SECRET)]);
    run("chain", &server.endpoint(), &environment).await;
    assert_eq!(server.count(), 2);

    server.rotate_session(ACCESS, SECRET, "given-token");
    environment.push(("AWS_SESSION_TOKEN", "given-token"));
    run("chain", &server.endpoint(), &environment).await;
    // The shared files are further links of the chain.
    server.rotate_keys("leaked-key", "leaked-secret");
    run("chain", &server.endpoint(), &[("HOME", home), ("AWS_PROFILE", "leaked")]).await;
}
