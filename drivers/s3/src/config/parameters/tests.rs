use std::path::Path;

use plugin_registry_core::ErrorKind;

use super::*;

fn parse(pairs: &[(&str, &str)]) -> Result<S3Config> {
    let least = Parameters::new().with("bucket", "b");
    S3Config::from_parameters(&pairs.iter().fold(least, |all, (key, value)| all.with(key, *value)))
}

fn config(pairs: &[(&str, &str)]) -> S3Config {
    parse(pairs).unwrap()
}

/// The message of settings that are refused, without what all have in common.
fn mistake(pairs: &[(&str, &str)]) -> String {
    let error = parse(pairs).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    let text = error.to_string();
    text.strip_prefix("s3 driver: invalid configuration: ").unwrap().to_owned()
}

fn keys(config: &S3Config) -> &AccessKeys {
    match &config.credentials {
        S3Credentials::AccessKeys(keys) => keys,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_bucket_alone_is_enough() {
    let from_text = format!("{:?}", config(&[]));
    assert_eq!(from_text, format!("{:?}", S3Config::new("b")));
    let missing = S3Config::from_parameters(&Parameters::new()).unwrap_err();
    assert!(missing.to_string().ends_with("`bucket`: required, but not given"), "{missing}");
}

#[test]
fn every_parameter_is_read() {
    let config = config(&[
        ("Bucket", "backup"),
        ("RootDirectory", "/ns/a/"),
        ("region", "eu-central-1"),
        ("regionendpoint", "https://s3.example:9000"),
        ("forcepathstyle", "true"),
        ("virtualhostedstyle", "false"),
        ("accesskey", "id"),
        ("secretkey", "key"),
        ("sessiontoken", "token"),
        ("secure", "false"),
        ("skipverify", "t"),
        ("cabundle", "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"),
        ("proxy", "http://me:secret@proxy:3128"),
        ("encrypt", "1"),
        ("keyid", "arn:aws:kms:eu-central-1:1:key/2"),
        ("storageclass", "glacier_ir"),
        ("objectacl", "bucket-owner-full-control"),
        ("useragent", "backup/1.0"),
        ("chunksize", "5242880"),
        ("multipartcopychunksize", "5242881"),
        ("multipartcopymaxconcurrency", "7"),
        ("multipartcopythresholdsize", "0"),
        ("multipartcombinesmallpart", "true"),
        ("v4auth", "true"),
        ("loglevel", "debugwithsigning"),
        ("redirectendpoint", "https://cdn.example"),
        ("checksums", "supported"),
        ("maxconcurrency", "9"),
        ("maxattempts", "2"),
        ("idletimeout", "1m30s"),
        ("answertimeout", "5s"),
        ("conditionalwrites", "true"),
        ("directories", "false"),
    ]);
    assert_eq!((config.bucket.as_str(), config.root_directory.as_str()), ("backup", "ns/a"));
    assert_eq!(config.region.as_deref(), Some("eu-central-1"));
    assert_eq!(config.endpoint.as_ref().unwrap().as_str(), "https://s3.example:9000/");
    assert_eq!((config.force_path_style, config.secure, config.skip_verify), (Some(true), false, true));
    assert!(config.ca_bundle.as_ref().unwrap().starts_with("-----BEGIN"));
    assert_eq!(config.proxy.as_ref().unwrap().expose(), "http://me:secret@proxy:3128");
    assert_eq!((config.encrypt, config.key_id.as_deref()), (true, Some("arn:aws:kms:eu-central-1:1:key/2")));
    assert_eq!(config.storage_class.as_deref(), Some("GLACIER_IR"));
    assert_eq!(config.object_acl.as_deref(), Some("bucket-owner-full-control"));
    assert_eq!(config.user_agent.as_deref(), Some("backup/1.0"));
    assert_eq!((config.chunk_size, config.copy_chunk_size), (5_242_880, 5_242_881));
    assert_eq!((config.copy_concurrency, config.copy_threshold), (7, 0));
    assert_eq!(config.redirect_endpoint.as_ref().unwrap().as_str(), "https://cdn.example/");
    assert_eq!((config.checksums, config.concurrency, config.max_attempts), (Checksums::Supported, 9, 2));
    let seconds = (config.idle_timeout.as_secs(), config.answer_timeout.as_secs());
    assert_eq!(seconds, (90, 5));
    for key in ["idletimeout", "answertimeout"] {
        for text in ["0", "999ms", "60", "2h", "soon"] {
            let expected = format!("`{key}`: has to be a duration from 1s to 1h, such as 100ms or 1.5s");
            assert_eq!(mistake(&[(key, text)]), expected);
        }
    }
    assert_eq!((config.conditional_writes, config.directories), (Some(true), Some(false)));
    let keys = keys(&config);
    assert_eq!((keys.access_key.expose(), keys.secret_key.expose()), ("id", "key"));
    assert_eq!(keys.session_token.as_ref().unwrap().expose(), "token");
    let shown = format!("{config:?}");
    for secret in ["\"id\"", "\"key\"", "token\"", "me:secret"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    // Only AWS itself has these.
    let aws = self::config(&[("usedualstack", "true"), ("usefipsendpoint", "true")]);
    assert_eq!((aws.dual_stack, aws.fips, aws.accelerate), (true, true, false));
    assert!(self::config(&[("accelerate", "true"), ("usedualstack", "true")]).accelerate);
}

#[test]
fn keys_arrive_byte_for_byte() {
    for text in ["0123456", "1e9", "a: b", "ab #c", "@abc", "'x'", "~", "null", "yes", "0x10", " x "] {
        let config = config(&[("accesskey", text), ("secretkey", text), ("sessiontoken", text)]);
        let keys = keys(&config);
        assert_eq!(keys.access_key.expose(), text);
        assert_eq!(keys.secret_key.expose(), text);
        assert_eq!(keys.session_token.as_ref().unwrap().expose(), text);
    }
    assert!(mistake(&[("accesskey", ""), ("secretkey", "k"), ("sessiontoken", "t")]).contains("is empty"));
    assert!(mistake(&[("accesskey", ""), ("secretkey", "k")]).contains("`accesskey`: is empty"));
    assert!(mistake(&[("accesskey", "a"), ("secretkey", "")]).contains("`secretkey`: is empty"));
}

#[test]
fn where_credentials_come_from() {
    assert!(matches!(config(&[]).credentials, S3Credentials::Chain));
    // As distribution 2.8.2 and 3.1.1 read them.
    for pairs in [
        &[("accesskey", ""), ("secretkey", "")][..],
        &[("accesskey", ""), ("secretkey", ""), ("sessiontoken", "")],
        &[("accesskey", "")],
        &[("secretkey", "")],
    ] {
        assert!(matches!(config(pairs).credentials, S3Credentials::Chain), "{pairs:?}");
    }
    let file = config(&[("credentialsconfigpath", "/tmp/credentials/ns/cloud"), ("profile", "two")]);
    let S3Credentials::File { path, profile } = &file.credentials else { panic!("{file:?}") };
    assert_eq!((path.as_path(), profile.as_deref()), (Path::new("/tmp/credentials/ns/cloud"), Some("two")));
    for (pairs, expected) in [
        (&[("accesskey", "a")][..], "`secretkey`: required with `accesskey`, but not given"),
        (&[("secretkey", "a")], "`accesskey`: required with `secretkey`, but not given"),
        (
            &[("accesskey", ""), ("secretkey", ""), ("sessiontoken", "a")],
            "`sessiontoken`: needs `accesskey` and `secretkey`",
        ),
        (&[("sessiontoken", "a")], "`sessiontoken`: needs `accesskey` and `secretkey`"),
        (
            &[("profile", "a")],
            "`profile`: needs `credentials` or `credentialsconfigpath`, which have the profiles",
        ),
        (
            &[("credentialsconfigpath", "/f"), ("accesskey", "a"), ("secretkey", "b")],
            "2 mistakes: `credentialsconfigpath`: cannot be given together with `accesskey`; \
             `credentialsconfigpath`: cannot be given together with `secretkey`",
        ),
    ] {
        assert_eq!(mistake(pairs), expected);
    }
}

/// The host's permissions for a file of credentials, and the content of a file.
#[test]
fn what_credentials_may_name() {
    let role = "[default]\nrole_arn=r\nweb_identity_token_file=/var/token\n";
    let allowed = config(&[("credentials", role), ("tokenfiles", "/var/other, /var/token")]);
    let S3Credentials::Text { text, profile: None } = &allowed.credentials else { panic!("{allowed:?}") };
    assert_eq!(text.expose(), role);
    assert_eq!(allowed.token_files, [Path::new("/var/other"), Path::new("/var/token")]);
    assert!(!format!("{allowed:?}").contains("role_arn"));
    let service = config(&[("stsendpoint", "https://sts.local"), ("stscabundlepath", "/ca.pem")]);
    assert_eq!(service.sts_endpoint.unwrap().as_str(), "https://sts.local/");
    assert_eq!(service.sts_ca_bundle_path.as_deref(), Some(Path::new("/ca.pem")));
    for (pairs, expected) in [
        (
            &[("credentials", role)][..],
            "`credentials`: line 3: `web_identity_token_file` names `/var/token`, which the host has not \
             allowed: allow it with `tokenfiles`, `LocationCredentials::with_token_files` or `--token-file`",
        ),
        (&[("credentials", role), ("profile", "p")], "`credentials`: has no profile `p`; it has `default`"),
        (&[("credentials", "")], "`credentials`: is empty"),
        (
            &[
                ("credentials", "[default]\naws_access_key_id=a\naws_secret_access_key=b\n"),
                ("credentialsconfigpath", "/f"),
            ],
            "`credentialsconfigpath`: cannot be given together with `credentials`",
        ),
        (
            &[("tokenfiles", "var/token")],
            "`tokenfiles`: has to be paths that begin with `/`, separated by `,`",
        ),
        (&[("tokenfiles", "/a,,/b")], "`tokenfiles`: has to be paths that begin with `/`, separated by `,`"),
        (&[("stsendpoint", "sts")], "`stsendpoint`: has to be http(s)://HOST:PORT, without a path or query"),
        (
            &[("stscabundle", "x")],
            "`stscabundle`: holds no PEM certificate; to name a file, use `stscabundlepath`",
        ),
    ] {
        assert_eq!(mistake(pairs), expected);
    }
}

#[test]
fn endpoints_get_a_scheme() {
    for (text, secure, expected) in [
        ("minio:9000", "true", "https://minio:9000/"),
        ("minio:9000", "false", "http://minio:9000/"),
        ("minio", "", "https://minio/"),
        ("127.0.0.1:9000", "false", "http://127.0.0.1:9000/"),
        ("[::1]:9000", "false", "http://[::1]:9000/"),
        ("http://minio:9000", "true", "http://minio:9000/"),
        ("https://minio/", "false", "https://minio/"),
        ("https://gateway/s3", "true", "https://gateway/s3"),
    ] {
        let config = config(&[("regionendpoint", text), ("secure", secure)]);
        assert_eq!(config.endpoint.unwrap().as_str(), expected, "{text} {secure}");
    }
    assert!(config(&[("regionendpoint", "")]).endpoint.is_none());
    for text in
        ["ftp://minio", "https://", "http://a b", "https://me:pw@minio", "https://m?x=1", "https://m#x"]
    {
        assert_eq!(
            mistake(&[("regionendpoint", text)]),
            "`regionendpoint`: has to be HOST, HOST:PORT or http(s)://HOST:PORT",
            "{text}"
        );
    }
}

#[test]
fn redirects_and_proxies() {
    for text in ["cdn.example", "https://cdn/path", "https://cdn/?q", "https://me@cdn", "ftp://cdn"] {
        let expected = "`redirectendpoint`: has to be http(s)://HOST:PORT, without a path or query";
        assert_eq!(mistake(&[("redirectendpoint", text)]), expected, "{text}");
    }
    for text in ["proxy:3128", "socks5://me:hunter2@proxy", "hunter2"] {
        let text = mistake(&[("proxy", text)]);
        assert!(text.starts_with("`proxy`: has to be http(s)://") && !text.contains("hunter2"), "{text}");
    }
    assert!(config(&[("proxy", "")]).proxy.is_none());
}

#[test]
fn path_style() {
    for (pairs, expected) in [
        (&[][..], None),
        (&[("forcepathstyle", "true")], Some(true)),
        (&[("forcepathstyle", "false")], Some(false)),
        (&[("virtualhostedstyle", "true")], Some(false)),
        (&[("virtualhostedstyle", "false")], None),
        (&[("forcepathstyle", "true"), ("virtualhostedstyle", "true")], Some(true)),
    ] {
        assert_eq!(config(pairs).force_path_style, expected, "{pairs:?}");
    }
}

#[test]
fn sizes_at_their_limits() {
    const PART: &str = "has to be a number of bytes from 5242880 (5 MiB) to 5368709120 (5 GiB)";
    for key in ["chunksize", "multipartcopychunksize"] {
        for good in ["5242880", "5368709120", "0x500000"] {
            parse(&[(key, good)]).unwrap();
        }
        for bad in ["5242879", "5368709121", "-1", "5MiB", "1e7"] {
            assert_eq!(mistake(&[(key, bad)]), format!("`{key}`: {PART}"), "{bad}");
        }
    }
    for (key, good, bad) in [
        ("multipartcopythresholdsize", &["0", "5368709120"][..], &["5368709121", "-1"][..]),
        ("multipartcopymaxconcurrency", &["1", "9223372036854775807"], &["0", "-1"]),
        ("maxconcurrency", &["1", "10000"], &["0", "10001"]),
        ("maxattempts", &["1", "20"], &["0", "21"]),
    ] {
        for good in good {
            parse(&[(key, good)]).unwrap();
        }
        for bad in bad {
            assert!(mistake(&[(key, bad)]).starts_with(&format!("`{key}`: has to be a number ")), "{bad}");
        }
    }
    assert_eq!(config(&[("multipartcopymaxconcurrency", "9223372036854775807")]).copy_concurrency, 10_000);
}

#[test]
fn classes_and_acls() {
    assert_eq!(config(&[("storageclass", "standard_ia")]).storage_class.as_deref(), Some("STANDARD_IA"));
    assert_eq!(config(&[("storageclass", "STANDARD")]).storage_class.as_deref(), Some("STANDARD"));
    assert_eq!(config(&[("storageclass", "none")]).storage_class, None);
    assert_eq!(
        mistake(&[("storageclass", "FOO")]),
        "`storageclass`: has to be one of NONE, STANDARD, REDUCED_REDUNDANCY, STANDARD_IA, ONEZONE_IA, \
         INTELLIGENT_TIERING, OUTPOSTS, GLACIER_IR, EXPRESS_ONEZONE"
    );
    for acl in ACLS {
        assert_eq!(config(&[("objectacl", acl)]).object_acl.as_deref(), Some(*acl));
    }
    assert!(
        mistake(&[("objectacl", "public")])
            .starts_with("`objectacl`: has to be one of private, public-read,")
    );
    assert_eq!(
        mistake(&[("checksums", "all")]),
        "`checksums`: has to be one of automatic, required, supported"
    );
}

#[test]
fn what_is_refused() {
    for (pairs, expected) in [
        (&[("v4auth", "false")][..], "`v4auth`: has to be true: only signature version 4 is supported"),
        (&[("secure", "yes")], "`secure`: has to be true or false"),
        (&[("multipartcombinesmallpart", "on")], "`multipartcombinesmallpart`: has to be true or false"),
        (
            &[("cabundle", "/etc/ca.pem")],
            "`cabundle`: holds no PEM certificate; to name a file, use `cabundlepath`",
        ),
        (&[("rootdirectory", "a/../b")], "`rootdirectory`: must not have `.` or `..` in it"),
        (&[("useragent", "a\nb")], "`useragent`: has to be printable ASCII"),
        (&[("keyid", "ä")], "`keyid`: has to be printable ASCII"),
        (&[("regionendpiont", "x")], "`regionendpiont`: unknown, did you mean `regionendpoint`?"),
        (&[("use_http", "true")], "`use_http`: unknown"),
        (
            &[("accelerate", "true"), ("usefipsendpoint", "true")],
            "`accelerate`: cannot be true together with `usefipsendpoint`",
        ),
        (
            &[("accelerate", "true"), ("forcepathstyle", "true")],
            "`accelerate`: cannot be true together with `forcepathstyle`",
        ),
        (
            &[("usedualstack", "true"), ("regionendpoint", "minio")],
            "`usedualstack`: chooses an AWS endpoint, so it cannot be true together with `regionendpoint`",
        ),
    ] {
        assert_eq!(mistake(pairs), expected);
    }
    let pem = "-----BEGIN CERTIFICATE-----";
    let both = mistake(&[("cabundle", pem), ("cabundlepath", "/ca.pem")]);
    assert_eq!(both, "`cabundle`: cannot be given together with `cabundlepath`");
    assert_eq!(config(&[("cabundlepath", "/ca.pem")]).ca_bundle_path.as_deref(), Some(Path::new("/ca.pem")));
}

#[test]
fn all_mistakes_at_once_and_no_secret_among_them() {
    let text = mistake(&[
        ("bukcet", "hunter2-hunter2"),
        ("accesskey", "hunter2"),
        ("chunksize", "12"),
        ("secure", "hunter2-hunter2"),
        ("regionendpoint", "https://hunter2@minio"),
        ("proxy", "hunter2"),
    ]);
    assert!(text.starts_with("6 mistakes: ") && !text.contains("hunter2"), "{text}");
}

/// Ceph has tenants. Elsewhere a colon is nothing that a bucket has.
#[test]
fn a_bucket_of_a_tenant_needs_an_endpoint() {
    let read = |bucket: &str, endpoint: &str| {
        let parameters = Parameters::new().with("bucket", bucket).with("region", "r");
        S3Config::from_parameters(&parameters.with("regionendpoint", endpoint)).map(|config| config.bucket)
    };
    assert_eq!(read("tenant:backups", "http://127.0.0.1:1").unwrap(), "tenant:backups");
    for (bucket, endpoint) in [
        ("tenant:backups", ""),
        ("tenant:", "http://127.0.0.1:1"),
        ("a:b:c", "http://127.0.0.1:1"),
        ("a-b:c", "http://h"),
    ] {
        let error = read(bucket, endpoint).unwrap_err().to_string();
        assert!(error.contains("`bucket`") && !error.contains(bucket), "{error}");
    }
}
