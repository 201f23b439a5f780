//! Keys that change while the driver works.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use plugin_registry_core::{ErrorKind, PutMode, Result, Secret, StorageDriver};
use plugin_registry_drivers_s3::{AccessKeys, CredentialsSource, S3Credentials, S3Driver};
use plugin_registry_emulator::s3::Server;

use crate::support::*;

/// How the keys of before end.
#[derive(Clone, Copy, Debug)]
enum End {
    /// 403 `InvalidAccessKeyId`.
    Deleted,
    /// 400 `ExpiredToken`.
    Expired,
}

/// Rotates the server's keys at every `every`th question, and is one answer late.
#[derive(Debug)]
struct Rotating {
    server: Arc<Server>,
    end: End,
    every: usize,
    calls: AtomicUsize,
    rotations: AtomicUsize,
    current: Mutex<AccessKeys>,
}

fn keys(access: &str, secret: &str) -> AccessKeys {
    AccessKeys::new(Secret::new(access), Secret::new(secret))
}

impl Rotating {
    fn new(server: &Arc<Server>, end: End, every: usize, first: usize) -> Arc<Self> {
        let current = Mutex::new(keys(&server.access_key(), &server.secret_key()));
        let (calls, rotations) = (AtomicUsize::new(first), AtomicUsize::new(0));
        Arc::new(Self { server: server.clone(), end, every, calls, rotations, current })
    }

    fn rotate(&self) {
        let number = self.rotations.fetch_add(1, Ordering::Relaxed) + 1;
        let (access, secret, token) =
            (format!("AKIA{number}"), format!("secret{number}"), format!("token{number}"));
        match self.end {
            End::Deleted => self.server.rotate_session(&access, &secret, &token),
            End::Expired => {
                self.server.expire_keys();
                self.server.add_keys(&access, &secret, Some(&token));
            }
        }
        *self.current.lock().unwrap() = keys(&access, &secret).with_session_token(Secret::new(token));
    }

    fn rotations(&self) -> usize {
        self.rotations.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl CredentialsSource for Rotating {
    async fn keys(&self) -> Result<AccessKeys> {
        let keys = self.current.lock().unwrap().clone();
        if (self.calls.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(self.every) {
            self.rotate();
        }
        Ok(keys)
    }
}

async fn rotating(end: End, every: usize, concurrency: usize) -> (Arc<Server>, Arc<Rotating>, S3Driver) {
    let server = Arc::new(server());
    let source = Rotating::new(&server, end, every, 0);
    let config = config(&server)
        .with_credentials(S3Credentials::Source(source.clone()))
        .with_concurrency(concurrency)
        .with_max_attempts(10);
    let driver = S3Driver::open(config).await.unwrap();
    (server, source, driver)
}

/// Uploads this many parts. Returns the bytes that were sent more than once.
async fn upload(server: &Server, driver: &S3Driver, parts: usize) -> u64 {
    let bytes = content(parts * PART);
    write(driver, "/f", &bytes).await.unwrap();
    assert_eq!(stored(server, "/f").unwrap(), bytes);
    assert!(server.uploads().is_empty());
    let sent: u64 = server.requests_of("UploadPart").iter().map(|request| request.bytes_in).sum();
    sent - bytes.len() as u64
}

/// C1, R14: the keys of before die at once, every few requests: no failure, and no more than a part sent again
/// for each rotation.
#[tokio::test]
async fn an_upload_of_200_parts_survives_100_rotations() {
    let one = async |end| {
        let (server, source, driver) = rotating(end, 3, 1).await;
        let again = upload(&server, &driver, 200).await;
        let rotations = source.rotations();
        assert!(rotations >= 100, "{rotations}");
        assert!(again <= (rotations * PART) as u64, "{again} bytes again in {rotations} rotations");
    };
    futures::join!(one(End::Deleted), one(End::Expired));
}

/// C1: several parts are on their way: those of a moment may all be refused, and all of them arrive.
#[tokio::test]
async fn parts_on_their_way_survive_rotations() {
    for end in [End::Deleted, End::Expired] {
        let (server, source, driver) = rotating(end, 20, 3).await;
        let again = upload(&server, &driver, 200).await;
        let rotations = source.rotations();
        assert!(rotations >= 10 && again <= (3 * rotations * PART) as u64, "{again} {rotations}");
    }
}

/// C1: every call meets keys that have just expired, including HEAD, whose refusal has no document.
#[tokio::test]
async fn every_call_survives_a_rotation() {
    for end in [End::Deleted, End::Expired] {
        // The first, second or third request meets dead keys, and every third one after it.
        let cases = crate::calls::CALLS.iter().flat_map(|call| [2, 1, 0].map(|first| (call, first)));
        at_once(cases, async |((name, run), first)| {
            let server = Arc::new(server());
            crate::calls::fill(&server, name).await;
            let source = Rotating::new(&server, end, 3, first);
            let config = config(&server).with_credentials(S3Credentials::Source(source.clone()));
            let driver = S3Driver::open(config.with_max_attempts(10)).await.unwrap();
            let result = run(&driver).await;
            result.unwrap_or_else(|error| panic!("{name}: {end:?} {first}: {error}"));
            assert!(source.rotations() > 0 || server.count() < 3 - first, "{name}");
        })
        .await;
    }
}

/// C1: the file of a pod's secret is replaced, and the old keys are gone.
#[tokio::test]
async fn a_replaced_credentials_file_is_read_again() {
    let server = server();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cloud");
    let save = |access: &str, secret: &str| {
        let text = format!("[velero]\naws_access_key_id = {access}\naws_secret_access_key = {secret}\n");
        std::fs::write(&file, text).unwrap();
    };
    save(&server.access_key(), &server.secret_key());
    let credentials = S3Credentials::File { path: file.clone(), profile: Some("velero".into()) };
    let driver = S3Driver::open(config(&server).with_credentials(credentials)).await.unwrap();
    put(&driver, "/f", "x", PutMode::Overwrite).await.unwrap();
    for round in 0..3 {
        server.rotate_keys(&format!("AKIAROUND{round}"), &format!("a-secret-of-round-{round}"));
        save(&server.access_key(), &server.secret_key());
        driver.stat(&path("/f")).await.unwrap();
        write(&driver, "/g", &in_parts()).await.unwrap();
    }
}

/// C1: there is no other key: one request, one clear error.
#[tokio::test]
async fn fixed_keys_that_are_wrong_fail_once() {
    let server = server();
    for (access, secret, setting) in [
        ("AKIAUNKNOWN", server.secret_key(), "`accesskey`"),
        (server.access_key().as_str(), "wrong".to_owned(), "`secretkey`"),
    ] {
        let config = config(&server).with_credentials(S3Credentials::AccessKeys(keys(access, &secret)));
        let driver = S3Driver::open(config).await.unwrap();
        server.forget();
        for error in [
            failure(read(&driver, "/f").await),
            failure(put(&driver, "/f", "x", PutMode::Overwrite).await),
            failure(names(&driver, "/", None).await),
        ] {
            assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Unauthenticated, false), "{error}");
            assert!(error.to_string().contains(setting), "{error}");
        }
        // A HEAD has no error text; the list after it has one.
        let error = failure(driver.stat(&path("/f")).await);
        assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{error}");
        assert!(error.to_string().contains(setting), "{error}");
        assert_eq!(server.count(), 5);
    }
    assert!(server.objects().is_empty());
}

/// C1: fixed keys whose token has expired.
#[tokio::test]
async fn a_fixed_token_that_expired_fails_once() {
    let server = server();
    let driver = open(&server).await;
    server.expire_keys();
    let error = failure(put(&driver, "/f", "x", PutMode::Overwrite).await);
    assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{error}");
    assert!(error.to_string().contains("token"), "{error}");
    assert_eq!(server.count(), 1);
}

/// C1: a source that gives the same wrong keys for ever is asked for a bounded time.
#[tokio::test]
async fn a_source_without_other_keys_fails() {
    let server = Arc::new(server());
    let source = Rotating::new(&server, End::Deleted, usize::MAX, 0);
    let config = config(&server).with_credentials(S3Credentials::Source(source)).with_max_attempts(3);
    let driver = S3Driver::open(config).await.unwrap();
    server.rotate_keys("AKIAOTHER", "another secret");
    assert_eq!(kind(put(&driver, "/f", "x", PutMode::Overwrite).await), ErrorKind::Unauthenticated);
    assert_eq!(server.count(), 3);
    // A HEAD's 403 may as well be a missing right: it is tried once more, not each time.
    server.forget();
    for _ in 0..3 {
        assert_eq!(kind(driver.stat(&path("/f")).await), ErrorKind::Unauthenticated);
    }
    assert_eq!((server.count_of("HeadObject"), server.count_of("ListObjectsV2")), (4, 9));
}

/// A source that fails: its words reach the caller, and nothing is sent.
#[tokio::test]
async fn a_source_that_fails_keeps_its_kind() {
    #[derive(Debug)]
    struct Failing(ErrorKind);
    #[async_trait]
    impl CredentialsSource for Failing {
        async fn keys(&self) -> Result<AccessKeys> {
            Err(plugin_registry_core::Error::new(self.0).with_message("the vault is sealed"))
        }
    }
    for (said, expected) in [
        (ErrorKind::Unavailable, ErrorKind::Unavailable),
        (ErrorKind::Unauthenticated, ErrorKind::Unauthenticated),
        (ErrorKind::PermissionDenied, ErrorKind::Unauthenticated),
    ] {
        let server = server();
        let config = config(&server).with_credentials(S3Credentials::Source(Arc::new(Failing(said))));
        let driver = S3Driver::open(config.with_max_attempts(2)).await.unwrap();
        let error = failure(put(&driver, "/f", "x", PutMode::Overwrite).await);
        assert_eq!(error.kind(), expected, "{error}");
        assert!(error.to_string().contains("the vault is sealed"), "{error}");
        assert_eq!(server.count(), 0);
    }
}
