//! Instructions that a document may not give to the driver (ADR 0031).
//!
//! Google's clients treat a document as instructions: they open the files that it names, run programs and post
//! tokens wherever it says. Here a file must be one that the host has named, a URL must be Google's, and
//! programs are not run.

use std::path::PathBuf;

use plugin_registry_core::store_url;
use serde_json::{Map, Value};

/// The URLs that tokens come from. All of them must be on these hosts.
const URLS: &[&str] = &["token_url", "token_info_url", "token_uri", "service_account_impersonation_url"];
const GOOGLE: &str = ".googleapis.com";
const ACCOUNTS: &str = "accounts.google.com";
const UNIVERSE: &str = "googleapis.com";

/// The source of an external account's token.
const SOURCE: &str = "credential_source";
/// The account behind an impersonated one.
const BEHIND: &str = "source_credentials";
/// The longest chain of accounts behind accounts. A longer one is a mistake.
const MAX_DEPTH: usize = 3;

/// Checks that a document gives no orders, or returns which one it gives.
pub(super) fn check(document: &Map<String, Value>, tokens: &[PathBuf]) -> Result<(), String> {
    within(document, tokens, "", 0)
}

fn within(
    document: &Map<String, Value>,
    tokens: &[PathBuf],
    place: &str,
    depth: usize,
) -> Result<(), String> {
    for key in URLS {
        if document.get(*key).is_some_and(|value| !is_of_google(value)) {
            let what = "tokens are sent nowhere else";
            return Err(format!("its `{place}{key}` has to be an https URL of {UNIVERSE}: {what}"));
        }
    }
    if document.get("universe_domain").is_some_and(|value| value != UNIVERSE && value != "") {
        return Err(format!("its `{place}universe_domain` has to be {UNIVERSE}"));
    }
    match document.get(SOURCE) {
        None | Some(Value::Null) => {}
        Some(Value::Object(source)) => of_source(source, tokens, place)?,
        Some(_) => return Err(format!("its `{place}{SOURCE}` has to be a JSON object")),
    }
    match document.get(BEHIND) {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Object(behind)) if depth < MAX_DEPTH => {
            within(behind, tokens, &format!("{place}{BEHIND}."), depth + 1)
        }
        Some(_) => Err(format!("its `{place}{BEHIND}` has to be an account document")),
    }
}

fn of_source(source: &Map<String, Value>, tokens: &[PathBuf], place: &str) -> Result<(), String> {
    for (key, value) in source {
        let wrong = match key.as_str() {
            "format" => continue,
            "file" if tokens.iter().any(|path| Some(path.as_path()) == value.as_str().map(AsRef::as_ref)) => {
                continue;
            }
            "file" => {
                "names a file that the host has not allowed: allow it with `tokenfiles`, \
                 `LocationCredentials::with_token_files` or `--token-file`"
            }
            "url" => "names an endpoint, and endpoints are not called: give the token as a file",
            "executable" => "names a program, and programs are not run: give the token as a file",
            "environment_id"
            | "region_url"
            | "regional_cred_verification_url"
            | "imdsv2_session_token_url" => {
                "asks for the identity of this process at another cloud: give the token as a file"
            }
            "certificate" => "names files: give the token as a file",
            _ => {
                return Err(format!(
                    "its `{place}{SOURCE}` has an unknown key; the known keys are `file` and `format`"
                ));
            }
        };
        return Err(format!("its `{place}{SOURCE}.{key}` {wrong}"));
    }
    Ok(())
}

/// Whether this is a URL of Google, or absent.
fn is_of_google(value: &Value) -> bool {
    let Value::String(text) = value else { return value.is_null() };
    let Some(url) = store_url(text) else { return text.is_empty() };
    let host = url.host_str().unwrap_or_default();
    url.scheme() == "https" && url.port().is_none() && (host.ends_with(GOOGLE) || host == ACCOUNTS)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(document: Value) -> String {
        let Value::Object(document) = document else { panic!() };
        let tokens = ["/var/run/secrets/openshift/serviceaccount/token".into()];
        super::check(&document, &tokens).err().unwrap_or_default()
    }

    /// As OADP, gcloud and the workload identity of Google write them.
    #[test]
    fn legitimate_documents() {
        let impersonation = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a@b.iam.gserviceaccount.com:generateAccessToken";
        for document in [
            json!({
                "type": "external_account",
                "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
                "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
                "token_url": "https://sts.googleapis.com/v1/token",
                "service_account_impersonation_url": impersonation,
                "credential_source": {
                    "file": "/var/run/secrets/openshift/serviceaccount/token",
                    "format": { "type": "text" },
                },
            }),
            json!({
                "type": "service_account",
                "auth_uri": "https://accounts.google.com/o/oauth2/auth",
                "token_uri": "https://oauth2.googleapis.com/token",
                "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
                "universe_domain": "googleapis.com",
            }),
            json!({ "type": "service_account", "token_uri": "https://accounts.google.com/o/oauth2/token" }),
            json!({
                "type": "impersonated_service_account",
                "service_account_impersonation_url": impersonation,
                "delegates": [],
                "source_credentials": { "type": "authorized_user", "client_id": "i" },
            }),
        ] {
            assert_eq!(check(document.clone()), "", "{document}");
        }
    }

    #[test]
    fn a_document_gives_no_orders() {
        let of_source = |source: Value| json!({ "type": "external_account", "credential_source": source });
        for (document, expected) in [
            (
                of_source(json!({ "file": "/proc/self/environ" })),
                "`credential_source.file` names a file that the host",
            ),
            (of_source(json!({ "url": "http://127.0.0.1" })), "`credential_source.url` names an endpoint"),
            (
                of_source(json!({ "executable": { "command": "/bin/x" } })),
                "`credential_source.executable` names a program",
            ),
            (
                of_source(json!({ "environment_id": "aws1" })),
                "`credential_source.environment_id` asks for the identity",
            ),
            (of_source(json!({ "certificate": {} })), "`credential_source.certificate` names files"),
            (of_source(json!({ "canary": 1 })), "`credential_source` has an unknown key"),
            (of_source(json!("/etc/passwd")), "`credential_source` has to be a JSON object"),
            (
                json!({ "token_url": "https://thief.example/v1/token" }),
                "`token_url` has to be an https URL of googleapis.com",
            ),
            (
                json!({ "token_url": "http://sts.googleapis.com/v1/token" }),
                "`token_url` has to be an https URL of",
            ),
            (
                json!({ "token_url": "https://sts.googleapis.com:8443/" }),
                "`token_url` has to be an https URL of",
            ),
            (
                json!({ "token_url": "https://sts.googleapis.com@thief.example/" }),
                "`token_url` has to be an https URL of",
            ),
            (
                json!({ "token_url": "https://thief.example#.googleapis.com" }),
                "`token_url` has to be an https URL of",
            ),
            (json!({ "token_url": "https://thiefgoogleapis.com/" }), "`token_url` has to be an https URL of"),
            (json!({ "token_url": 7 }), "`token_url` has to be an https URL of"),
            (json!({ "token_uri": "http://127.0.0.1/" }), "`token_uri` has to be an https URL of"),
            (json!({ "token_info_url": "http://127.0.0.1/" }), "`token_info_url` has to be an https URL of"),
            (
                json!({ "service_account_impersonation_url": "https://thief.example/" }),
                "`service_account_impersonation_url` has to be an https URL of",
            ),
            (json!({ "universe_domain": "thief.example" }), "`universe_domain` has to be googleapis.com"),
            (
                json!({ "source_credentials": of_source(json!({ "url": "http://127.0.0.1" })) }),
                "`source_credentials.credential_source.url` names an endpoint",
            ),
            (json!({ "source_credentials": [] }), "`source_credentials` has to be an account document"),
        ] {
            let found = check(document.clone());
            assert!(found.starts_with(&format!("its {expected}")), "{document}: {found}");
        }
        let mut deep = json!({});
        for _ in 0..5 {
            deep = json!({ "source_credentials": deep });
        }
        assert!(check(deep).ends_with("has to be an account document"));
    }
}
