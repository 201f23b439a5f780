//! A credentials file is data: it opens no file, runs no program and contacts no service (ADR 0031).

use std::{fs, path::Path};

use plugin_registry_core::ErrorKind;
use plugin_registry_drivers_s3::S3Credentials;
use plugin_registry_emulator::s3::Server;

use crate::{
    common::{
        self,
        sts::{Listener, TokenFile},
    },
    support::{attempt, check},
};

/// In files that were not passed.
const CANARY: &str = "canary-token-6e1d";

/// A file that is not passed, and what a program would make.
fn strangers(directory: &Path) -> (String, String) {
    let (file, made) = (directory.join("stranger"), directory.join("made"));
    fs::write(&file, CANARY).unwrap();
    (file.display().to_string(), made.display().to_string())
}

#[tokio::test]
async fn a_file_is_not_obeyed() {
    let (server, thief, directory) =
        (Server::start(), Listener::start(None).await, tempfile::tempdir().unwrap());
    let (stranger, made) = strangers(directory.path());
    let thief_url = format!("http://{}", thief.address);
    let keys =
        format!("aws_access_key_id={}\naws_secret_access_key={}\n", server.access_key(), server.secret_key());
    let role = "role_arn=arn:aws:iam::123456789012:role/r\n";
    for (text, words) in [
        // Reads a file and sends it away.
        (
            format!("[default]\n{role}web_identity_token_file={stranger}\nendpoint_url={thief_url}\n"),
            ["line 4", "`endpoint_url`"],
        ),
        (
            format!(
                "[default]\n{role}web_identity_token_file={stranger}\nservices=s\n[services s]\nsts =\n  \
                 endpoint_url={thief_url}\n"
            ),
            ["line 4", "`services`"],
        ),
        (
            format!("[default]\n{role}web_identity_token_file={stranger}\n"),
            ["line 3", "`web_identity_token_file`"],
        ),
        // Runs a program.
        (
            format!("[default]\ncredential_process=/bin/sh -c 'touch {made}'\n"),
            ["line 2", "`credential_process`"],
        ),
        (
            format!("[default]\n{role}source_profile=p\n[p]\ncredential_process=/bin/sh -c 'touch {made}'\n"),
            ["line 5", "`credential_process`"],
        ),
        // Sends requests that keys sign.
        (
            format!("[default]\n{role}source_profile=p\nendpoint_url={thief_url}\n[p]\n{keys}"),
            ["line 4", "`endpoint_url`"],
        ),
        // Borrows the identity of the process.
        (format!("[default]\n{role}credential_source=Environment\n"), ["line 3", "`credential_source`"]),
        (
            format!(
                "[default]\nsso_start_url={thief_url}\nsso_region=us-east-1\nsso_account_id=1\nsso_role_name=r\n{keys}"
            ),
            ["line 2", "`sso_start_url`"],
        ),
        (format!("[default]\n{keys}ca_bundle={stranger}\n"), ["line 4", "`ca_bundle`"]),
    ] {
        let path = directory.path().join("cloud");
        fs::write(&path, &text).unwrap();
        let config = common::of_server(&server).with_credentials(S3Credentials::File { path, profile: None });
        let result = attempt(&config).await;
        assert_eq!(thief.heard(), [""; 0], "{text}");
        assert!(!Path::new(&made).exists(), "{text}");
        check(&result.unwrap_err(), ErrorKind::Unauthenticated, &words, &[CANARY, &server.secret_key()]);
    }
    assert_eq!(server.count(), 0, "no request without keys");
}

/// Nor does the environment lead what a file asks for elsewhere: the role is asked for where the host says.
#[tokio::test]
async fn the_environment_is_not_obeyed() {
    let (server, thief, sts) =
        (Server::builder().bucket("bucket").start(), Listener::start(None).await, Listener::sts().await);
    server.rotate_session("role-key", "role-secret", "role-token");
    let token = TokenFile::new("given-token");
    fs::write(token.directory.path().join("given"), token.profile("")).unwrap();
    let thief_url = format!("http://{}", thief.address);
    let environment = [
        ("HOME", token.directory.path().to_str().unwrap()),
        ("AWS_ENDPOINT_URL_STS", &thief_url),
        ("AWS_ENDPOINT_URL", &thief_url),
        ("AWS_STS_REGIONAL_ENDPOINTS", "legacy"),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/other"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/proc/self/environ"),
        ("ROLE_TOKEN", token.path.to_str().unwrap()),
        ("ROLE_SERVICE", &format!("http://{}", sts.address)),
    ];
    crate::environment::run("role", &server.endpoint(), &environment).await;
    assert_eq!(thief.heard(), [""; 0]);
    assert!(sts.heard().iter().all(|request| request.contains("given-token")), "{:?}", sts.heard());
    assert_eq!(server.count(), 2);
}
