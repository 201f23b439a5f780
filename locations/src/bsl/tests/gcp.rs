//! Provider gcp.

use super::*;

const ACCOUNT: &str = r#"{
  "type": "service_account",
  "private_key": "-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----\n",
  "client_email": "a@b"
}"#;

#[test]
fn credentials() {
    let none = LocationCredentials::none();
    assert_eq!(parameters(&gcp(), &none), [""; 0]);
    assert_eq!(parameters(&gcp(), &file(ACCOUNT)), [format!("credentials={ACCOUNT}")]);
    // The driver takes JSON, which begins with no byte order mark.
    assert_eq!(parameters(&gcp(), &file(&format!("\u{feff}{ACCOUNT}"))), [format!("credentials={ACCOUNT}")]);
    // The checked content is the one that is used.
    assert_eq!(parameters(&gcp(), &file(ACCOUNT).with_path("/key.json")), [format!("credentials={ACCOUNT}")]);
    let allowed = file(ACCOUNT).with_token_files(["/token"]);
    assert_eq!(
        parameters(&gcp(), &allowed),
        [format!("credentials={ACCOUNT}"), "tokenfiles=/token".to_owned()]
    );
    assert_eq!(parameters(&gcp(), &none.with_path("/key.json")), ["keyfile=/key.json"]);
    // There is no such Secret for Google.
    assert_eq!(parameters(&gcp(), &registry(&[("access_key", "")])), [""; 0]);
    for kind in ["external_account", "authorized_user", "impersonated_service_account"] {
        let contents = format!(r#"{{"type": "{kind}", "more": [1, {{}}]}}"#);
        assert_eq!(parameters(&gcp(), &file(&contents)), [format!("credentials={contents}")]);
    }
}

#[test]
fn what_is_no_account() {
    let kinds = "`type` has to be one of service_account, external_account, authorized_user, \
                 impersonated_service_account";
    let other = "has to be the JSON of a service account or another account";
    for (contents, expected) in [
        ("", "is empty"),
        (" \n", "is empty"),
        ("[default]\naws_access_key_id=a\n", other),
        ("[]", other),
        ("\"text\"", other),
        ("{", "line 1, column 1: invalid JSON"),
        ("{\n  \"type\": \"service_account\",\n", "line 3, column 0: invalid JSON"),
        ("{} x", "line 1, column 4: invalid JSON"),
        ("{}", kinds),
        (r#"{"type": null}"#, kinds),
        (r#"{"type": 7}"#, kinds),
        (r#"{"type": {"a": 1}}"#, kinds),
        (r#"{"type": "service-account"}"#, kinds),
    ] {
        for credentials in [file(contents), file(contents).with_path("/k")] {
            assert_eq!(wrong(&gcp(), &credentials), format!("credentials file: {expected}"), "{contents}");
        }
    }
}

#[test]
fn settings() {
    let none = LocationCredentials::none();
    for (text, expected) in [
        ("storage-a.p.googleapis.com", "endpoint=https://storage-a.p.googleapis.com"),
        ("http://127.0.0.1:1", "endpoint=http://127.0.0.1:1"),
        ("https://a.example/storage/v1/", "endpoint=https://a.example"),
    ] {
        let ambient = LocationCredentials::ambient();
        assert_eq!(parameters(&gcp().with_config("storeEndpoint", text), &ambient), [expected]);
    }
    let location = gcp()
        .with_config("kmsKeyName", "projects/p")
        .with_config("serviceAccount", "a@b")
        .with_config("universeDomain", "googleapis.com");
    assert_eq!(
        ignored(&location, &none),
        [
            "spec.config.kmsKeyName is ignored: images are encrypted with the bucket's default key",
            "spec.config.serviceAccount is ignored: URLs are signed by the owner of the credentials",
        ]
    );
    assert_eq!(
        wrong(&gcp().with_config("universeDomain", "example.com"), &none),
        "`spec.config.universeDomain`: has to be googleapis.com"
    );
    assert_eq!(
        wrong(&gcp().with_config("serviceaccount", "a"), &none),
        "`spec.config.serviceaccount`: unknown, did you mean `spec.config.serviceAccount`?"
    );
}
