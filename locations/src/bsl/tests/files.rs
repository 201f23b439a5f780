//! The credentials file of AWS.

use super::*;

/// The keys of a profile.
fn keys(contents: &str, profile: &str) -> Vec<String> {
    parameters(&aws().with_config("profile", profile), &file(contents))
}

#[test]
fn forms_of_keys() {
    let expected = ["accesskey=id", "secretkey=k#e;y"];
    for contents in [
        "[default]\naws_access_key_id=id\naws_secret_access_key=k#e;y\n",
        "[default]\naws_access_key_id=id\naws_secret_access_key=k#e;y",
        "[default]\r\naws_access_key_id=id\r\naws_secret_access_key=k#e;y\r\n",
        "\u{feff}[default]\naws_access_key_id=id\naws_secret_access_key=k#e;y\n",
        "[default]\naws_access_key_id = \"id\"\naws_secret_access_key = 'k#e;y'\n",
        "[default]\naws_access_key_id = id # of Tuesday\naws_secret_access_key = k#e;y ; secret\n",
        "[default]\naws_access_key_id = \"id\" # of Tuesday\naws_secret_access_key = \"k#e;y\" ; secret\n",
        "# mine\n\n[ default ] # first\n  aws_access_key_id=id\n\taws_secret_access_key=k#e;y\n",
        "[profile default]\naws_access_key_id=id\naws_secret_access_key=k#e;y\n",
        "[default]\nAWS_ACCESS_KEY_ID=id\nAws_Secret_Access_Key=k#e;y\n",
        "[default]\nregion=x\naws_access_key_id=id\naws_secret_access_key=k#e;y\ns3 =\n  aws_access_key_id = no\n",
        "[default]\naws_access_key_id=old\naws_access_key_id=id\naws_secret_access_key=k#e;y\n",
        "[default]\naws_access_key_id=id\n[b]\naws_access_key_id=no\n[default]\naws_secret_access_key=k#e;y\n",
        "[default]\naws_access_key_id=a\naws_secret_access_key=b\n[default]\naws_access_key_id=id\naws_secret_access_key=k#e;y\n",
        "[default]\naws_access_key_id=id\naws_secret_access_key=k#e;y\naws_session_token=\nrole_arn=\n",
        "[default]\naws_access_key_id=id\naws_secret_access_key=k#e;y\nsts_regional_endpoints=regional\n",
        "[default]\naws_access_key_id=id\naws_secret_access_key=k#e;y\n[b]\ngarbage\nrole_arn=x\n",
        "[sso-session default]\nsso_region=x\n[default]\naws_access_key_id=id\naws_secret_access_key=k#e;y\n",
    ] {
        assert_eq!(keys(contents, ""), expected, "{contents}");
        assert_eq!(keys(contents, "default"), expected, "{contents}");
    }
    for text in ["0123456", "1e9", "a: b", "@abc", "~", "null", "yes", "0x10", "a=b/+"] {
        let contents = format!("[default]\naws_access_key_id={text}\naws_secret_access_key={text}\n");
        assert_eq!(keys(&contents, ""), [format!("accesskey={text}"), format!("secretkey={text}")]);
    }
}

#[test]
fn profiles() {
    let contents = "[default]\naws_access_key_id=a\naws_secret_access_key=b\n\
                    [backup]\naws_access_key_id=c\naws_secret_access_key=d\naws_session_token=e\n\
                    [profile \"two words\"]\naws_access_key_id=f\naws_secret_access_key=g\n";
    assert_eq!(keys(contents, "default"), ["accesskey=a", "secretkey=b"]);
    assert_eq!(keys(contents, "backup"), ["accesskey=c", "secretkey=d", "sessiontoken=e"]);
    assert_eq!(keys(contents, "two words"), ["accesskey=f", "secretkey=g"]);
}

/// A Secret is data: what the SDK would take for an order is a mistake, whatever else is passed.
#[test]
fn a_secret_gives_no_orders() {
    for property in [
        "endpoint_url=http://127.0.0.1",
        "SERVICES = mine",
        "ca_bundle=/etc/passwd",
        "credential_process=/bin/x",
        "credential_source=Environment",
        "sso_session=s",
        "sso_account_id=1",
    ] {
        let key = property.split('=').next().unwrap().trim().to_lowercase();
        let contents = format!("[default]\naws_access_key_id=a\naws_secret_access_key=b\n{property}\n");
        let whole = file(&contents).with_path("/c").with_token_files(["/t"]).with_ambient();
        for credentials in [file(&contents), whole] {
            let found = wrong(&aws(), &credentials);
            assert!(found.starts_with(&format!("credentials file, line 4: `{key}` ")), "{found}");
        }
    }
    let contents = "[default]\nrole_arn=r\nweb_identity_token_file=/proc/self/environ\n";
    for credentials in
        [file(contents), file(contents).with_path("/c"), file(contents).with_token_files(["/t"])]
    {
        let found = wrong(&aws(), &credentials);
        assert!(found.contains("`/proc/self/environ`, which the host has not allowed"), "{found}");
    }
}

/// The Secrets of OADP, Velero and EKS with a role, by the paths that are mounted there.
#[test]
fn roles_of_mounted_tokens() {
    use plugin_registry_core::profiles::{EKS_TOKEN_FILE, OPENSHIFT_TOKEN_FILE};
    let oadp = format!(
        "[default]\nsts_regional_endpoints = regional\nrole_arn = arn:aws:iam::1:role/r\nweb_identity_token_file = \
         {OPENSHIFT_TOKEN_FILE}"
    );
    let eks = format!(
        "[backup]\nrole_arn = arn:aws:iam::1:role/r\nrole_session_name = velero\nregion = eu-west-1\n\
         web_identity_token_file = {EKS_TOKEN_FILE}\n"
    );
    let keys = "[default]\nrole_arn=arn:aws:iam::1:role/r\nexternal_id=e\nsource_profile=b\n[b]\naws_access_key_id=i\n\
                aws_secret_access_key=k\n";
    for (contents, profile) in [(oadp.as_str(), "default"), (&eks, "backup"), (keys, "default")] {
        let location = aws().with_config("profile", profile).with_config("enableSharedConfig", "true");
        let location = location.with_credential("cloud-credentials", "cloud");
        let mounted = [OPENSHIFT_TOKEN_FILE, EKS_TOKEN_FILE];
        let found = config(&location, &file(contents).with_token_files(mounted)).parameters;
        assert_eq!(found.get("credentials"), Some(contents));
        assert_eq!(found.get("profile"), Some(profile));
        let path = location.velero_credentials_path(std::path::Path::new("/tmp/credentials")).unwrap();
        let credentials = LocationCredentials::none().with_path(path).with_token_files(mounted);
        let found = config(&location, &credentials).parameters;
        assert_eq!(
            found.get("credentialsconfigpath"),
            Some("/tmp/credentials/velero/cloud-credentials-cloud")
        );
        assert_eq!(found.get("tokenfiles"), Some(mounted.join(",").as_str()));
    }
}

#[test]
fn what_is_wrong_with_files() {
    const NONE: &str = "credentials file, profile `default` (line 1): has no";
    let before = |line| {
        format!(
            "credentials file, line {line}: is before the first profile: a profile begins with its name, \
             such as `[default]`"
        )
    };
    let no_profile = "credentials file: has no profile `default`; it has";
    for (contents, expected) in [
        ("", "credentials file: is empty".to_owned()),
        ("\r\n \n", "credentials file: is empty".to_owned()),
        ("# nothing\n", format!("{no_profile} no profiles")),
        ("[a]\nx=1\n[profile b]\n[services c]\n", format!("{no_profile} `a`, `b`")),
        ("[default]\n", format!("2 mistakes: {NONE} `aws_access_key_id`; {NONE} `aws_secret_access_key`")),
        ("[default]\naws_access_key_id=a\n", format!("{NONE} `aws_secret_access_key`")),
        ("[default]\naws_secret_access_key=a\n", format!("{NONE} `aws_access_key_id`")),
        (
            "[default]\naws_secret_access_key=a\naws_acess_key_id=b\n",
            format!("{NONE} `aws_access_key_id`; line 3 may be a misspelling of it"),
        ),
        (
            "[default]\naws_access_key_id=\naws_secret_access_key= # later\n",
            "2 mistakes: credentials file, line 2: `aws_access_key_id` is empty; credentials file, line 3: \
             `aws_secret_access_key` is empty"
                .to_owned(),
        ),
        (
            "[default]\naws_access_key_id a\n",
            "credentials file, line 2: has to be KEY = VALUE or [PROFILE]".to_owned(),
        ),
        ("aws_access_key_id=a\n[default]\naws_access_key_id=a\naws_secret_access_key=b\n", before(1)),
        (
            "[default\naws_access_key_id=a\n",
            format!("3 mistakes: {}; {}; {no_profile} no profiles", before(1), before(2)),
        ),
        (
            "a\nb\nc\nd\ne\n",
            format!("4 mistakes: {}; {}; {}; {no_profile} no profiles", before(1), before(2), before(3)),
        ),
    ] {
        assert_eq!(wrong(&aws(), &file(contents)), expected, "{contents}");
        // A path beside it changes nothing: the SDK would read the same.
        assert_eq!(wrong(&aws(), &file(contents).with_path("/c")), expected, "{contents}");
    }
    let many: String = (10..22).map(|number| format!("[p{number}]\n")).collect();
    let found = wrong(&aws().with_config("profile", "x"), &file(&many));
    assert!(
        found.starts_with("credentials file: has no profile `x`; it has `p10`, ")
            && found.ends_with("`p19`, others"),
        "{found}"
    );
}
