//! `location check` against SeaweedFS, which checks keys, rights and buckets.

use std::{
    io::Write,
    sync::LazyLock,
    thread::sleep,
    time::{Duration, Instant},
};

use plugin_registry_conformance::report;
use plugin_registry_emulator::programs::{Missing, SeaweedFs};

use crate::{
    Files, NOBODY, check,
    common::{Ran, command, run, server::Server},
    profile, steady,
};

/// The head before the steps.
const HEAD: &str = "location: velero/default\ndriver: s3\n  accesskey: …\n";

/// The steps that pass with all permissions.
const STEPS: [&str; 9] =
    ["list", "missing", "write", "read", "replace", "conditional write", "stage", "find stages", "delete"];

/// How long the first write to a new bucket may take.
const FIRST_WRITE: Duration = Duration::from_secs(120);

/// Names of users, which are in their keys, and what they may do with the bucket's objects and the bucket.
const USERS: [(&str, &str); 4] = [
    ("unwriting", "s3:GetObject s3:ListBucket s3:ListBucketMultipartUploads s3:ListMultipartUploadParts"),
    (
        "unlisting",
        "s3:GetObject s3:PutObject s3:DeleteObject s3:ListMultipartUploadParts s3:AbortMultipartUpload",
    ),
    (
        "undeleting",
        "s3:GetObject s3:PutObject s3:ListBucket s3:ListBucketMultipartUploads s3:ListMultipartUploadParts \
         s3:AbortMultipartUpload",
    ),
    (
        "unreading",
        "s3:PutObject s3:DeleteObject s3:ListBucket s3:ListBucketMultipartUploads s3:ListMultipartUploadParts \
         s3:AbortMultipartUpload",
    ),
];

/// A SeaweedFS with the users, whose bucket can be written to; or a counted skip.
fn seaweed(test: &str) -> Option<&'static SeaweedFs> {
    static READY: LazyLock<Result<&'static SeaweedFs, Missing>> = LazyLock::new(|| {
        let program = SeaweedFs::shared()?;
        add_users(program);
        let begun = Instant::now();
        let mut ran = right(program);
        while ran.code != 0 && begun.elapsed() < FIRST_WRITE {
            sleep(Duration::from_millis(500));
            ran = right(program);
        }
        ran.ok();
        Ok(program)
    });
    READY
        .as_ref()
        .map_err(|missing| report::skip("cli", test, &missing.to_string(), "location"))
        .ok()
        .copied()
}

fn right(program: &SeaweedFs) -> Ran {
    checked(program, program.access_key(), program.secret_key())
}

fn checked(program: &SeaweedFs, access_key: &str, secret_key: &str) -> Ran {
    let files = Files::new();
    let location = files.location("aws", program.bucket(), &program.endpoint());
    let cloud = files.cloud(access_key, secret_key);
    check(&["--location", &location, "--credentials", &cloud])
}

/// By its own shell, as an administrator would.
fn add_users(program: &SeaweedFs) {
    let files = Files::new();
    let mut script = String::new();
    let bucket = program.bucket();
    for (user, rights) in USERS {
        let actions: Vec<&str> = rights.split_whitespace().collect();
        let policy = serde_json::json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Action": actions,
                "Resource": [format!("arn:aws:s3:::{bucket}"), format!("arn:aws:s3:::{bucket}/*")],
            }],
        });
        let file = files.write(user, policy.to_string());
        script += &format!("s3.policy -put -name={user} -file={file}\n");
        script += &format!(
            "s3.configure -user={user} -access_key={user}-key -secret_key={user}-secret -policies={user} -apply\n"
        );
    }
    let said = program.shell(&script);
    // The store hears of them a moment later.
    let begun = Instant::now();
    for (user, _) in USERS {
        let knows = || {
            !checked(program, &format!("{user}-key"), &format!("{user}-secret"))
                .err
                .contains("InvalidAccessKeyId")
        };
        while !knows() {
            assert!(begun.elapsed() < FIRST_WRITE, "{user} is unknown: {said}");
            sleep(Duration::from_millis(200));
        }
    }
}

/// One of the users.
fn user(program: &SeaweedFs, name: &str) -> Ran {
    checked(program, &format!("{name}-key"), &format!("{name}-secret"))
}

/// The line of a step.
fn step<'a>(ran: &'a Ran, verb: &str) -> &'a str {
    let begin = format!("{verb}: ");
    ran.out.lines().find_map(|line| line.strip_prefix(&begin)).unwrap_or_else(|| panic!("{verb}: {ran:?}"))
}

/// Which steps did not pass.
fn failed(ran: &Ran) -> Vec<&'static str> {
    STEPS.into_iter().filter(|verb| !step(ran, verb).starts_with("passed (")).collect()
}

#[test]
fn right_is_0() {
    let Some(program) = seaweed("right_is_0") else { return };
    let ran = right(program).ok();
    assert!(ran.out.starts_with(HEAD) && ran.err.is_empty(), "{ran:?}");
    assert_eq!(failed(&ran), [""; 0]);
    assert!(ran.out.contains("\nlayout: no registry yet at docker/registry/v2\n"), "{ran:?}");
}

#[test]
fn both_forms_of_the_provider_and_any_form_of_the_file_are_right() {
    let Some(program) = seaweed("both_forms") else { return };
    let files = Files::new();
    let location = files.location("velero.io/aws", program.bucket(), &program.endpoint());
    let (key, secret) = (program.access_key(), program.secret_key());
    let text = format!(
        "\u{feff}# a comment\r\n[other]\r\naws_access_key_id = x\r\n[default]\r\naws_access_key_id = \"{key}\" # who\r\n\
         aws_secret_access_key = '{secret}'  ; secret\r\n"
    );
    let cloud = files.write("cloud", text);
    check(&["--location", &location, "--credentials", &cloud]).ok();
    let env = files.write("r.env", "REGISTRY_STORAGE_S3_ROOTDIRECTORY=images\n");
    let ran = check(&["--location", &location, "--credentials", &cloud, "--env-file", &env]).ok();
    assert!(ran.out.contains("\n  rootdirectory: images\n"), "{ran:?}");
    // A location that passed the check can be used.
    let from = ["--location", &location, "--credentials", &cloud, "--env-file", &env];
    run(["quickstart", "--yes"].iter().chain(&from)).ok();
    assert_eq!(run(["ls"].iter().chain(&from)).ok().out, "quickstart/app\nquickstart/copy\n");
    let ran = check(&from).ok();
    assert!(ran.out.contains("\nlayout: 2 repositories; blobs (sha256)\n"), "{ran:?}");
}

#[test]
fn wrong_keys_are_told_apart() {
    let Some(program) = seaweed("wrong_keys_are_told_apart") else { return };
    for (access_key, secret_key, why) in [
        (
            "nobody",
            program.secret_key(),
            "InvalidAccessKeyId: The access key ID you provided does not exist in our records. (check `accesskey`)",
        ),
        (
            program.access_key(),
            "wrong",
            "SignatureDoesNotMatch: The request signature we calculated does not match the signature you provided. \
             Check your key and signing method. (check `secretkey` and `region`)",
        ),
    ] {
        let files = Files::new();
        let location = files.location("aws", program.bucket(), &program.endpoint());
        let cloud = files.cloud(access_key, secret_key);
        let arguments = ["--location", &location, "--credentials", &cloud];
        let ran = check(&arguments);
        let expected = format!(
            "error: `{location}` with `{cloud}`: s3 driver: list: not authenticated: {why}, request …\n  The \
             credentials are wrong or expired: check the access key, the secret key, the session token or the role in \
             `{cloud}`, and this machine's clock.\n"
        );
        assert_eq!((ran.code, steady(&ran.err)), (1, expected));
        assert!(
            ran.out.starts_with(HEAD)
                && ran.out.ends_with("changes: pushes, and deletes by `rm`; no deletes by clients\n"),
            "{ran:?}"
        );
        let document = check(&[&arguments[..], &["--format", "json"]].concat()).json();
        let error = &document["error"];
        assert_eq!(error["kind"], "not authenticated");
        assert!(error["error"].as_str().unwrap().contains(why), "{document}");
        assert!(error["hint"].as_str().unwrap().starts_with("The credentials are wrong"), "{document}");
        assert!(document.get("probe").is_none() && document["driver"] == "s3", "{document}");
    }
}

#[test]
fn a_wrong_bucket_is_told() {
    let Some(program) = seaweed("a_wrong_bucket_is_told") else { return };
    let files = Files::new();
    let location = files.location("aws", "nobodys-bucket", &program.endpoint());
    let cloud = files.cloud(program.access_key(), program.secret_key());
    let ran = check(&["--location", &location, "--credentials", &cloud]);
    let expected = format!(
        "error: `{location}` with `{cloud}`: s3 driver: list: invalid configuration: NoSuchBucket: The specified bucket \
         does not exist (check `bucket` and `regionendpoint`), request …\n  Check the bucket (`objectStorage.bucket`), \
         the region (`region`) and the endpoint (`s3Url`).\n"
    );
    assert_eq!((ran.code, steady(&ran.err)), (1, expected));
    assert!(ran.out.contains("\n  bucket: nobodys-bucket\n"), "{ran:?}");
}

/// Needs no program, and is reported like the others.
#[test]
fn an_endpoint_where_nobody_listens_is_told() {
    let files = Files::new();
    let location = files.location("aws", "backup", NOBODY);
    let cloud = files.cloud("key", "secret");
    let ran = check(&["--location", &location, "--credentials", &cloud]);
    let expected = format!(
        "error: `{location}` with `{cloud}`: s3 driver: list: store unavailable: dispatch failure: io error: client \
         error (Connect): tcp connect error: Connection refused (os error 111)\n  Check the endpoint (`s3Url`), its \
         certificate, the network and the proxy, and the state of the store itself.\n"
    );
    assert_eq!((ran.code, ran.err.as_str()), (1, expected.as_str()));
    assert!(ran.out.contains(&format!("\n  regionendpoint: {NOBODY}\n")), "{ran:?}");
}

/// The SDK finds no credentials: the environment is empty, there are no files, and no service is asked.
#[test]
fn missing_credentials_are_told_with_where_they_are() {
    let files = Files::new();
    let location = files.location("aws", "backup", NOBODY);
    let output = command()
        .args(["location", "check", "--ambient", "--location", &location])
        .env_clear()
        .envs([("HOME", files.root()), ("AWS_EC2_METADATA_DISABLED", "true".to_owned())])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    let secret = "key `cloud` of Secret `velero/cloud-credentials`";
    assert!(out.contains(&format!("\ncredentials: none given; they are in {secret}\n")), "{out}");
    assert!(err.starts_with(&format!("error: `{location}`: s3 driver: list: not authenticated: ")), "{err}");
    let hint = format!(
        "\n  Without --credentials, the SDK looks for some by itself. The location's credentials are in \
         {secret}: save its value as a file and add --credentials FILE.\n"
    );
    assert!(err.ends_with(&hint), "{err}");
}

#[test]
fn who_may_not_write_is_told_so() {
    let Some(program) = seaweed("who_may_not_write_is_told_so") else { return };
    let ran = user(program, "unwriting");
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(ran.err, "error: no backup can be made: these steps failed: write, stage\n");
    assert!(ran.out.starts_with(HEAD), "{ran:?}");
    assert_eq!(failed(&ran), ["write", "replace", "conditional write", "stage", "delete"]);
    let write = step(&ran, "write");
    assert!(write.starts_with("not permitted: ") && write.contains("AccessDenied"), "{write}");
    assert!(write.ends_with("; needed: s3:PutObject on the bucket's objects"), "{write}");
    assert_eq!(step(&ran, "conditional write"), "skipped: the write failed");
    assert_eq!(step(&ran, "delete"), "skipped: nothing was written");
    // It is enough to restore.
    let files = Files::new();
    let location = files.location("aws", program.bucket(), &program.endpoint());
    let cloud = files.cloud("unwriting-key", "unwriting-secret");
    let ran = check(&["--location", &location, "--credentials", &cloud, "--read-only"]).ok();
    assert_eq!(step(&ran, "write"), "skipped: the registry is read-only");
}

#[test]
fn who_may_not_list_is_told_so() {
    let Some(program) = seaweed("who_may_not_list_is_told_so") else { return };
    let ran = user(program, "unlisting");
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(ran.err, "error: it cannot be used: these steps failed: list, find stages, delete\n");
    assert_eq!(failed(&ran), ["list", "find stages", "delete"]);
    let list = step(&ran, "list");
    assert!(list.starts_with("not permitted: "), "{list}");
    assert!(list.ends_with("; needed: s3:ListBucket on the bucket"), "{list}");
    assert!(step(&ran, "find stages").contains("; needed: s3:ListBucketMultipartUploads and "), "{ran:?}");
}

#[test]
fn who_may_not_delete_is_told_so() {
    let Some(program) = seaweed("who_may_not_delete_is_told_so") else { return };
    let ran = user(program, "undeleting");
    // Leftovers of uploads stay; images can be pushed.
    assert_eq!((ran.code, &*ran.err), (0, ""), "{ran:?}");
    assert_eq!(failed(&ran), ["delete"]);
    assert!(ran.out.contains("\nchanges: pushes, and deletes by `rm`; no deletes by clients\n"), "{ran:?}");
    let delete = step(&ran, "delete");
    assert!(delete.starts_with("not permitted: "), "{delete}");
    assert!(delete.contains("; needed: s3:DeleteObject, "), "{delete}");
    assert!(
        steady(&ran.out).contains(
            "\nwarning: objects of this probe may be left in /docker/registry/v2/gc/probe/…: delete them\n"
        ),
        "{ran:?}"
    );
}

#[test]
fn who_may_not_read_is_told_so() {
    let Some(program) = seaweed("who_may_not_read_is_told_so") else { return };
    let ran = user(program, "unreading");
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.starts_with("error: it cannot be used: these steps failed: read"), "{ran:?}");
    assert!(step(&ran, "read").contains("; needed: s3:GetObject on the bucket's objects"), "{ran:?}");
}

/// With a store that answers: every line of `serve` at its most talkative, and what `ls` prints.
#[test]
fn a_store_that_answers_makes_nobody_tell_secrets() {
    let Some(program) = seaweed("a_store_that_answers") else { return };
    let files = Files::new();
    let location = files.location("aws", program.bucket(), &program.endpoint());
    let cloud = files.write("cloud", profile(program.access_key(), program.secret_key()));
    let env =
        files.write("r.env", "REGISTRY_STORAGE_S3_ROOTDIRECTORY=silent\nREGISTRY_HTTP_SECRET=canary-http\n");
    let from = ["--location", &location, "--credentials", &cloud, "--env-file", &env];
    let mut server = Server::start(&[&from[..], &["--log", "trace"]].concat());
    let mut stream = server.connect();
    write!(stream, "GET /v2/_catalog HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let answer = std::io::read_to_string(stream).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    server.signal(rustix::process::Signal::TERM);
    let (code, out, err) = server.wait();
    assert_eq!(code, Some(0));
    assert!(err.lines().count() > 3, "it was asked to say everything: {err}");
    // Nothing was written, so there is no registry yet: the message names the bucket and the prefix.
    let ran = run(["ls"].iter().chain(&from));
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("no repositories at `silent/docker/registry/v2` in bucket"), "{ran:?}");
    for said in [&out, &err, &ran.out, &ran.err] {
        assert!(!said.contains(program.secret_key()) && !said.contains("canary"), "{said}");
    }
}
