//! Keys from a file, and their token.

use std::path::Path;

use plugin_registry_core::{ErrorKind, Secret, StorageDriver};
use plugin_registry_drivers_s3::{AccessKeys, S3Config, S3Credentials, S3Driver};
use plugin_registry_emulator::s3::Server;

use crate::{
    common,
    support::{attempt, check, path},
};

const SECRET: &str = "wJalrXUtnFEMI-hidden";

fn of_file(server: &Server, path: &Path, profile: Option<&str>) -> S3Config {
    let (path, profile) = (path.to_owned(), profile.map(str::to_owned));
    common::of_server(server).with_credentials(S3Credentials::File { path, profile })
}

fn profile(name: &str, access: &str, secret: &str) -> String {
    format!("[{name}]\naws_access_key_id = {access}\naws_secret_access_key = {secret}\n")
}

#[tokio::test]
async fn the_profile_of_a_file() {
    let server = Server::start();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cloud");
    server.rotate_keys("first", SECRET);
    server.add_keys("second", "other", None);
    let text = profile("default", "first", SECRET) + &profile("backup", "second", "other");
    std::fs::write(&file, text + &profile("wrong", "nobody", SECRET)).unwrap();
    attempt(&of_file(&server, &file, None)).await.unwrap();
    attempt(&of_file(&server, &file, Some("backup"))).await.unwrap();
    // Which keys were used is known from those that the server forgets.
    server.rotate_keys("second", "other");
    attempt(&of_file(&server, &file, Some("backup"))).await.unwrap();
    for other in [None, Some("wrong")] {
        let error = attempt(&of_file(&server, &file, other)).await.unwrap_err();
        check(&error, ErrorKind::Unauthenticated, &["invalidaccesskeyid"], &[SECRET]);
    }
}

#[tokio::test]
async fn a_replaced_file_is_read_at_the_next_request() {
    let server = Server::start();
    let directory = tempfile::tempdir().unwrap();
    let (file, new) = (directory.path().join("cloud"), directory.path().join("new"));
    server.rotate_keys("key-0", SECRET);
    std::fs::write(&file, profile("default", "key-0", SECRET)).unwrap();
    let driver = S3Driver::open(of_file(&server, &file, None)).await.unwrap();
    drop(driver.list_of_root().await);
    for number in 1..5 {
        // Keys of the same length, perhaps within the same tick of the clock.
        let key = format!("key-{number}");
        std::fs::write(&new, profile("default", &key, SECRET)).unwrap();
        std::fs::rename(&new, &file).unwrap();
        server.rotate_keys(&key, SECRET);
        driver.list_of_root().await.unwrap();
    }
}

#[tokio::test]
async fn a_file_without_keys_is_named() {
    let server = Server::start();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cloud");
    let refused = async |profile: Option<&str>, words: &[&str]| {
        let error = attempt(&of_file(&server, &file, profile)).await.unwrap_err();
        check(&error, ErrorKind::Unauthenticated, words, &[SECRET]);
    };
    refused(None, &["/cloud`", "cannot be read"]).await;
    std::fs::write(&file, profile("default", "key", SECRET)).unwrap();
    refused(Some("absent"), &["/cloud`", "profile `absent`"]).await;
    std::fs::write(&file, format!("[default]\naws_secret_access_key = {SECRET}\n")).unwrap();
    refused(None, &["/cloud`", "has no `aws_access_key_id`"]).await;
    std::fs::write(&file, format!("[default\n{SECRET}\n")).unwrap();
    refused(None, &["/cloud`", "line 1"]).await;
    let long = format!("{}{}", profile("default", "key", SECRET), "# long\n".repeat(200_000));
    std::fs::write(&file, long).unwrap();
    refused(None, &["/cloud`", "longer than 1048576 bytes"]).await;
    #[cfg(unix)]
    {
        let endless = of_file(&server, Path::new("/dev/zero"), None);
        let error = attempt(&endless).await.unwrap_err();
        check(&error, ErrorKind::Unauthenticated, &["`/dev/zero`", "longer than"], &[]);
    }
    assert_eq!(server.count(), 0, "no request without keys");
}

#[tokio::test]
async fn a_session_token_is_sent() {
    let server = Server::start();
    server.rotate_session("temporary", SECRET, "token+/=");
    let keys = || AccessKeys::new(Secret::new("temporary"), Secret::new(SECRET));
    let with = |keys| common::of_server(&server).with_credentials(S3Credentials::AccessKeys(keys));
    attempt(&with(keys().with_session_token(Secret::new("token+/=")))).await.unwrap();
    let error = attempt(&with(keys())).await.unwrap_err();
    check(&error, ErrorKind::Unauthenticated, &["invalidtoken"], &[SECRET]);

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cloud");
    let text = profile("default", "temporary", SECRET) + "aws_session_token = token+/=\n";
    std::fs::write(&file, text).unwrap();
    attempt(&of_file(&server, &file, None)).await.unwrap();
}

/// A request that needs nothing to be there.
trait OneRequest {
    async fn list_of_root(&self) -> plugin_registry_core::Result<()>;
}

impl OneRequest for S3Driver {
    async fn list_of_root(&self) -> plugin_registry_core::Result<()> {
        use futures::TryStreamExt;
        self.list(&path("/"), None).try_collect::<Vec<_>>().await.map(drop)
    }
}
