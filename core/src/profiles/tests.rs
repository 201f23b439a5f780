use super::*;

/// What a profile gives, or what is wrong with it.
fn said(text: &str, name: &str, tokens: &[&str]) -> String {
    let tokens: Vec<PathBuf> = tokens.iter().map(PathBuf::from).collect();
    match find(text, name, &tokens) {
        Ok(profile) => shown(&profile),
        Err(mistakes) => mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
    }
}

fn shown(profile: &Profile<'_>) -> String {
    match profile {
        Profile::AccessKeys(keys) => {
            let token = keys.token.map(|token| format!(" {}", token.text)).unwrap_or_default();
            format!("{} {}{token}", keys.access.text, keys.secret.text)
        }
        Profile::Role(role) => {
            let of =
                |value: Option<Value<'_>>| value.map(|value| format!(" {}", value.text)).unwrap_or_default();
            let more = format!("{}{}{}", of(role.session_name), of(role.external_id), of(role.region));
            match &role.base {
                RoleSource::Token(path) => format!("{}{more} by {}", role.arn.text, path.display()),
                RoleSource::Profile(profile) => format!("{}{more} by ({})", role.arn.text, shown(profile)),
            }
        }
    }
}

/// What OADP, EKS and Velero's documentation write.
#[test]
fn legitimate_profiles() {
    let tokens = [OPENSHIFT_TOKEN_FILE, EKS_TOKEN_FILE];
    for (text, expected) in [
        ("[default]\naws_access_key_id=a\naws_secret_access_key=b\n", "a b".to_owned()),
        (
            "[default]\naws_access_key_id=a\naws_secret_access_key=b\naws_session_token=c\nregion=x y\n",
            "a b c".to_owned(),
        ),
        (
            "[default]\nsts_regional_endpoints = regional\nrole_arn = arn:r\nweb_identity_token_file = \
             /var/run/secrets/openshift/serviceaccount/token",
            format!("arn:r by {OPENSHIFT_TOKEN_FILE}"),
        ),
        (
            "[default]\nrole_arn = arn:r\nrole_session_name = velero\nregion = eu-west-1\nweb_identity_token_file = \
             /var/run/secrets/eks.amazonaws.com/serviceaccount/token\n",
            format!("arn:r velero eu-west-1 by {EKS_TOKEN_FILE}"),
        ),
        (
            "[default]\nrole_arn=arn:r\nexternal_id=e\nsource_profile=base\n[base]\naws_access_key_id=a\n\
             aws_secret_access_key=b\n",
            "arn:r e by (a b)".to_owned(),
        ),
        // With the keys beside it, by the profile's own name or without one.
        (
            "[default]\nrole_arn=arn:r\naws_access_key_id=a\naws_secret_access_key=b\n",
            "arn:r by (a b)".to_owned(),
        ),
        (
            "[default]\nrole_arn=arn:r\nsource_profile=default\naws_access_key_id=a\naws_secret_access_key=b\n",
            "arn:r by (a b)".to_owned(),
        ),
        (
            "[default]\nrole_arn=arn:r\nsource_profile=irsa\n[profile irsa]\nrole_arn=arn:s\n\
             web_identity_token_file=/var/run/secrets/eks.amazonaws.com/serviceaccount/token\n",
            format!("arn:r by (arn:s by {EKS_TOKEN_FILE})"),
        ),
        // Keys sign, although a token that was not allowed is beside them.
        (
            "[default]\nrole_arn=arn:r\naws_access_key_id=a\naws_secret_access_key=b\nweb_identity_token_file=/other\n",
            "arn:r by (a b)".to_owned(),
        ),
        (
            "[default]\nrole_arn=arn:r\naws_access_key_id=\nweb_identity_token_file=\
             /var/run/secrets/eks.amazonaws.com/serviceaccount/token\n",
            format!("arn:r by {EKS_TOKEN_FILE}"),
        ),
        ("[default]\naws_access_key_id: a\naws_secret_access_key : b=\n", "a b=".to_owned()),
        // Of other profiles nothing matters.
        (
            "[default]\naws_access_key_id=a\naws_secret_access_key=b\ns3 =\n  endpoint_url = http://x\n[p]\n\
             credential_process=/bin/x\ngarbage\n",
            "a b".to_owned(),
        ),
        (
            "[default]\naws_access_key_id=a\naws_secret_access_key=b\nendpoint_url=\nrole_arn=\n",
            "a b".to_owned(),
        ),
    ] {
        assert_eq!(said(text, "default", &tokens), expected, "{text}");
    }
}

/// Each property is a mistake by its line, with keys beside it too, and in a profile that is a source.
#[test]
fn a_profile_gives_no_orders() {
    for property in [
        "endpoint_url=http://127.0.0.1",
        "ENDPOINT_URL = http://127.0.0.1",
        "services=mine",
        "ca_bundle=/etc/passwd",
        "credential_process=/bin/sh -c id",
        "credential_source=Environment",
        "credential_source=Ec2InstanceMetadata",
        "sso_session=s",
        "SSO_account_id=1",
        "sso_start_url=http://127.0.0.1",
        "login_session=s",
        "mfa_serial=s",
    ] {
        let key = property.split('=').next().unwrap().trim().to_lowercase();
        let keys = "aws_access_key_id=a\naws_secret_access_key=b\n";
        for (text, line) in [
            (format!("[default]\n{property}\n"), 2),
            (format!("[default]\n{keys}{property}\n"), 4),
            (format!("[default]\nrole_arn=r\nweb_identity_token_file=/t\n{property}\n"), 4),
            (format!("[default]\nrole_arn=r\nsource_profile=p\n[p]\n{keys}{property}\n"), 7),
            (format!("[profile default]\n{property}\n[default]\n{keys}"), 2),
        ] {
            let found = said(&text, "default", &["/t"]);
            assert!(found.starts_with(&format!("line {line}: `{key}` ")), "{text}: {found}");
        }
    }
}

#[test]
fn roles_that_nobody_may_ask_for() {
    let role = "[default]\nrole_arn=arn:r\n";
    for (text, expected) in [
        (
            format!("{role}web_identity_token_file=/proc/self/environ\n"),
            "line 3: `web_identity_token_file` names `/proc/self/environ`, which the host has not allowed: \
             allow it with `tokenfiles`, `LocationCredentials::with_token_files` or `--token-file`",
        ),
        (
            // Letter for letter: whatever leads there may lead elsewhere.
            format!("{role}web_identity_token_file=/var//token\n"),
            "line 3: `web_identity_token_file` names `/var//token`, which the host has not allowed: allow it \
             with `tokenfiles`, `LocationCredentials::with_token_files` or `--token-file`",
        ),
        (
            role.to_owned(),
            "line 2: `role_arn` needs `web_identity_token_file`, `source_profile` or keys beside it, to \
             assume the role with",
        ),
        (
            "[default]\nweb_identity_token_file=/var/token\n".to_owned(),
            "line 2: `web_identity_token_file` needs `role_arn`, the role to assume",
        ),
        (
            format!(
                "{role}source_profile=b\nweb_identity_token_file=/var/token\n[b]\naws_access_key_id=a\naws_secret_access_key=b\n"
            ),
            "line 4: `web_identity_token_file` cannot be given together with `source_profile`",
        ),
        (
            format!("{role}aws_access_key_id=a\nweb_identity_token_file=/var/token\n"),
            "profile `default` (line 1): has no `aws_secret_access_key`",
        ),
        (
            format!("{role}source_profile=none\n"),
            "line 3: `source_profile`: has no profile `none`; it has `default`",
        ),
        (
            format!("{role}source_profile=b\n[b]\nrole_arn=x\nsource_profile=default\n"),
            "line 6: `source_profile` forms a circle, or a chain of too many profiles",
        ),
        (
            format!("{role}web_identity_token_file=/var/token\nregion=evil.example/\n"),
            "line 4: `region` has to be letters, digits and `-`",
        ),
    ] {
        assert_eq!(said(&text, "default", &["/var/token"]), expected, "{text}");
    }
    let many: String = (0..9).map(|n| format!("[p{n}]\nrole_arn=r\nsource_profile=p{}\n", n + 1)).collect();
    assert!(said(&many, "p0", &[]).ends_with("forms a circle, or a chain of too many profiles"));
}

/// As the SDK for Go, which Velero reads the file with, as credentials and as configuration at once.
#[test]
fn profiles_that_are_there_twice() {
    let keys = |name: &str, access: &str| {
        format!("[{name}]\naws_access_key_id={access}\naws_secret_access_key={access}s\n")
    };
    for (text, expected) in [
        // The last value of a property counts, whatever section of the name it is in.
        (keys("default", "a") + &keys("default", "b"), "b bs"),
        (keys("default", "a") + "[default]\naws_secret_access_key=c\n", "a c"),
        (keys("default", "a") + "[other]\nregion=x\n[default]\naws_session_token=t\n", "a as t"),
        // `[NAME]` wins over `[profile NAME]`, wherever it is.
        (keys("default", "a") + &keys("profile default", "b"), "a as"),
        (keys("profile default", "b") + &keys("default", "a"), "a as"),
        ("[profile default]\naws_session_token=t\n".to_owned() + &keys("default", "a"), "a as"),
        // A pair is never made of two sections of different kinds.
        (
            keys("profile default", "b") + "[default]\naws_access_key_id=a\n",
            "profile `default` (line 1): has no `aws_secret_access_key`",
        ),
    ] {
        assert_eq!(said(&text, "default", &[]), expected, "{text}");
    }
}

#[test]
fn values_are_not_shown() {
    let text = "[default]\nrole_arn=hunter2\nexternal_id=hunter2\naws_access_key_id=hunter2\naws_secret_access_key=hunter2\n";
    assert!(!format!("{:?}", find(text, "default", &[])).contains("hunter2"));
    let text = "[default]\nrole_arn=r\nweb_identity_token_file=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n";
    assert!(!said(text, "default", &[]).contains("wJalr"));
    let text = "[default]\nrole_arn=r\nweb_identity_token_file=correct-horse\n";
    assert!(said(text, "default", &[]).contains("names a file, which the host has not allowed"));
}

/// A file of another kind has a mistake in each line.
#[test]
fn few_of_many_mistakes_are_told() {
    let many: String = (0..1000).map(|n| format!("sso_{n}=x\n")).collect();
    let found = find(&format!("[default]\n{many}"), "default", &[]).unwrap_err();
    assert_eq!(found.len(), 11);
    assert_eq!(
        (found[9].place(), found[10].to_string().as_str()),
        (Some("line 11"), "has 990 more mistakes")
    );
}

#[test]
fn a_file_has_a_limit() {
    let most = usize::try_from(MAX_FILE).unwrap();
    let text = "[default]\naws_access_key_id=a\naws_secret_access_key=b\n".to_owned();
    let longest = format!("{text}#{}", "x".repeat(most - text.len() - 1));
    assert_eq!(said(&longest, "default", &[]), "a b");
    assert_eq!(said(&(longest + "x"), "default", &[]), "is longer than 1048576 bytes");
}

/// The CPU time of this thread in nanoseconds, so that a busy machine does not matter. The wall time on other
/// systems.
fn computed() -> u128 {
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let spent = spent.split(' ').next().and_then(|spent| spent.parse().ok());
    spent.unwrap_or_else(|| {
        std::time::UNIX_EPOCH.elapsed().map(|elapsed| elapsed.as_nanos()).unwrap_or_default()
    })
}

/// A file sixteen times as long takes about as much as sixteen files, and not sixteen times as much.
#[test]
fn long_files_take_no_more_for_each_line() {
    let headers = |count: usize| (0..count).map(|n| format!("[{n}]\n")).collect::<String>();
    let properties = |count: usize| {
        let lines: String = (0..count).map(|n| format!("p{n}=x\n")).collect();
        format!("[default]\n{lines}")
    };
    let cost = |text: &str, files: usize| {
        let run = || {
            let begin = computed();
            (0..files).for_each(|_| assert!(find(text, "default", &[]).is_err()));
            computed() - begin
        };
        (0..5).map(|_| run()).min().unwrap()
    };
    for (short, long) in [(headers(4000), headers(64_000)), (properties(4000), properties(64_000))] {
        let (short, long) = (cost(&short, 16), cost(&long, 1));
        assert!(long < short * 8, "{short} ns, {long} ns");
    }
}

#[test]
fn profiles_that_name_nobody() {
    for text in [
        "[default]\nregion=eu-west-1\n",
        "[default]\n",
        "[profile default]\ns3 =\n  addressing_style = path\n",
    ] {
        assert!(has_no_identity(text, "default"), "{text}");
    }
    for text in [
        "",
        "[other]\n",
        "region=x\n[default]\n",
        "[default]\naws_access_key_id=\n",
        "[default]\naws_acess_key_id=a\n",
        "[default]\naws_session_token=a\n",
        "[default]\nROLE_ARN=a\n",
        "[default]\nsso_session=a\n",
        "[default]\ncredential_process=a\n",
        "[default]\ngarbage\n",
        "[default]\nregion=x\n[profile default]\nsource_profile=a\n",
    ] {
        assert!(!has_no_identity(text, "default"), "{text}");
    }
}

#[test]
fn regions() {
    for text in ["us-east-1", "jp-tok", "X1", "1"] {
        assert!(is_region(text), "{text}");
    }
    for text in ["", "a.b", "a_b", "a/", "ä", &"a".repeat(64)] {
        assert!(!is_region(text), "{text}");
    }
}
