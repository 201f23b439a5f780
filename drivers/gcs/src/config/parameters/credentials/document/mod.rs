//! The document that Google's tools write for an account. Messages never repeat any of its content.

mod directives;
mod unique;

use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf};

use plugin_registry_core::Secret;
use serde_json::{Map, Value};

pub(super) const SERVICE_ACCOUNT: &str = "service_account";
pub(super) const AUTHORIZED_USER: &str = "authorized_user";

/// The kinds, each with the keys that a token cannot be requested without.
pub(super) const KINDS: &[(&str, &[&str])] = &[
    (SERVICE_ACCOUNT, &["client_email", "private_key"]),
    ("external_account", &["audience", "subject_token_type", "token_url"]),
    (AUTHORIZED_USER, &["client_id", "client_secret", "refresh_token"]),
    ("impersonated_service_account", &["service_account_impersonation_url"]),
];

/// The texts at the top level of a document, by name.
pub(super) type Fields = BTreeMap<String, Secret>;

/// Checks a document, or returns what is wrong with it. It may name only the files in `tokens`.
pub(super) fn check(json: &str, tokens: &[PathBuf]) -> Result<(), String> {
    let document = parse(json)?;
    directives::check(&document, tokens)?;
    let fields = texts(document);
    let kind = fields.get("type").map(Secret::expose);
    let Some((kind, _)) = KINDS.iter().find(|(known, _)| Some(*known) == kind) else {
        let kinds: Vec<_> = KINDS.iter().map(|(kind, _)| *kind).collect();
        return Err(format!("its `type` has to be one of {}", kinds.join(", ")));
    };
    let missing: Vec<_> = missing(kind, &fields).map(|name| format!("`{name}`")).collect();
    if !missing.is_empty() {
        return Err(format!("is of the type {kind}, but has no {}", missing.join(" and no ")));
    }
    check_key(&fields).map_err(|wrong| format!("its `private_key` {wrong}"))
}

/// The same check for a document in parts, as far as it says where tokens come from.
pub(super) fn check_directives(fields: &Fields) -> Result<(), String> {
    let named = fields.iter().filter(|(name, _)| matches!(name.as_str(), "token_uri" | "universe_domain"));
    directives::check(&named.map(|(name, text)| (name.clone(), Value::from(text.expose()))).collect(), &[])
}

/// The fields that a document of this kind lacks. An empty text counts as missing.
pub(super) fn missing<'a>(kind: &'a str, fields: &'a Fields) -> impl Iterator<Item = &'static str> + 'a {
    let required = KINDS.iter().filter(move |(known, _)| *known == kind).flat_map(|(_, required)| *required);
    required.copied().filter(|name| fields.get(*name).is_none_or(|text| text.expose().is_empty()))
}

/// Checks that the private key, if there is one, is in PEM.
pub(super) fn check_key(fields: &Fields) -> Result<(), &'static str> {
    let Some(key) = fields.get("private_key").map(Secret::expose) else { return Ok(()) };
    if !key.contains("-----BEGIN ") || !key.contains("PRIVATE KEY-----") {
        return Err("holds no PEM private key");
    }
    // PEM has no backslash, so it was meant as a line break. YAML only makes one of it in double quotes.
    if key.contains('\\') {
        return Err("has `\\n` as two characters instead of line breaks");
    }
    Ok(())
}

/// Writes these texts as a document.
pub(super) fn write(fields: &Fields) -> Secret {
    // Six times as long if everything is escaped. A string that grows would leave copies in memory.
    let most = fields.iter().map(|(name, text)| name.len() + 6 * text.expose().len() + 8).sum::<usize>() + 2;
    let mut json = String::with_capacity(most);
    json.push('{');
    for (index, (name, text)) in fields.iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        // Neither a name nor a text can fail to be written.
        let _ = write!(json, "\"{name}\":");
        let text = Secret::new(Value::from(text.expose()).to_string());
        json.push_str(text.expose());
    }
    json.push('}');
    Secret::new(json)
}

/// Reads a document.
fn parse(json: &str) -> Result<Map<String, Value>, String> {
    if !json.trim_start().starts_with('{') {
        return Err("is not a JSON object; to name a file, use `keyfile`".to_owned());
    }
    let document = unique::parse(json).map_err(|error| {
        let place = format!("its line {}, column {}", error.line(), error.column());
        if error.is_data() {
            format!("sets a name twice, at {place}")
        } else {
            format!("is invalid JSON at {place}")
        }
    })?;
    let Value::Object(document) = document else { return Ok(Map::new()) };
    Ok(document)
}

/// The texts at the top level.
fn texts(document: Map<String, Value>) -> Fields {
    let text = |(name, value)| match value {
        Value::String(text) => Some((name, Secret::new(text))),
        _ => None,
    };
    document.into_iter().filter_map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "-----BEGIN PRIVATE KEY-----\\nMA==\\n-----END PRIVATE KEY-----\\n";

    fn check(json: &str) -> String {
        super::check(&json.replace("KEY", KEY), &["/f".into()]).err().unwrap_or_default()
    }

    #[test]
    fn documents_of_each_kind() {
        for json in [
            r#"{"type": "service_account", "client_email": "a@b", "private_key": "KEY"}"#,
            r#"{"type":"external_account","audience":"a","subject_token_type":"t","token_url":"https://sts.googleapis.com/v1/token","credential_source":{"file":"/f"}}"#,
            r#"  {"type":"authorized_user","client_id":"i","client_secret":"s","refresh_token":"t","n":null} "#,
            r#"{"type":"impersonated_service_account","service_account_impersonation_url":"https://iamcredentials.googleapis.com/v1/x:generateAccessToken"}"#,
        ] {
            assert_eq!(check(json), "", "{json}");
        }
    }

    #[test]
    fn what_is_no_document() {
        let kinds = "its `type` has to be one of service_account, external_account, authorized_user, \
                     impersonated_service_account";
        for (json, expected) in [
            ("/etc/canary.json", "is not a JSON object; to name a file, use `keyfile`"),
            ("map[canary:canary]", "is not a JSON object; to name a file, use `keyfile`"),
            ("[]", "is not a JSON object; to name a file, use `keyfile`"),
            ("{\"type\": \"canary\",\n canary}", "is invalid JSON at its line 2, column 2"),
            ("{\"type\": \"canary", "is invalid JSON at its line 1, column 16"),
            ("{} {}", "is invalid JSON at its line 1, column 4"),
            ("{}", kinds),
            (r#"{"type": "canary"}"#, kinds),
            (r#"{"type": 7}"#, kinds),
            (
                r#"{"type": "service_account", "private_key": ""}"#,
                "is of the type service_account, but has no `client_email` and no `private_key`",
            ),
            (
                r#"{"type": "authorized_user", "client_id": "canary", "client_secret": "canary"}"#,
                "is of the type authorized_user, but has no `refresh_token`",
            ),
            (
                r#"{"type": "service_account", "client_email": "a@b", "private_key": "canary"}"#,
                "its `private_key` holds no PEM private key",
            ),
        ] {
            assert_eq!(check(json), expected, "{json}");
        }
        let twice = format!(
            r#"{{"type": "service_account", "client_email": "a@b", "private_key": "{}"}}"#,
            KEY.replace('\\', "\\\\")
        );
        let expected = "its `private_key` has `\\n` as two characters instead of line breaks";
        assert_eq!(check(&twice), expected);
    }

    /// The checked value has to be the one that the SDK reads, and the SDK may take the first of two.
    #[test]
    fn names_that_come_twice() {
        let account = r#""type": "service_account", "client_email": "a@b", "private_key": "KEY""#;
        let external = r#""type":"external_account","audience":"a","subject_token_type":"t","token_url":"https://sts.googleapis.com/v1/token""#;
        for json in [
            format!(
                r#"{{"token_uri": "https://evil.example", {account}, "token_uri": "https://oauth2.googleapis.com/token"}}"#
            ),
            format!(r#"{{{external}, "credential_source": {{"file": "/etc/passwd", "file": "/f"}}}}"#),
            format!(
                r#"{{{external}, "credential_source": {{"file": "/etc/passwd"}}, "credential_source": {{"file": "/f"}}}}"#
            ),
            format!(r#"{{{external}, "credential_source": {{"f\u0069le": "/etc/passwd", "file": "/f"}}}}"#),
            format!(r#"{{{account}, "a": [{{"b": 1, "b": 2}}]}}"#),
        ] {
            let found = check(&json);
            assert!(found.starts_with("sets a name twice, at its line 1, column "), "{json}: {found}");
        }
        assert_eq!(
            check(&format!(r#"{{{account}, "a": [{{"b": 1}}, {{"b": 2, "c": {{"b": null}}}}]}}"#)),
            ""
        );
    }

    #[test]
    fn texts_are_written_as_they_are() {
        for text in ["0123456", "1e9", "a: b", "'x'", "null", "\"q\"", "a\\nb", "a\nb", "\u{1}ä\u{1f600}", ""]
        {
            let fields =
                Fields::from([("a".to_owned(), Secret::new(text)), ("b".to_owned(), Secret::new("c"))]);
            let json = write(&fields);
            assert_eq!(texts(parse(json.expose()).unwrap()), fields, "{text}");
        }
        assert_eq!(write(&Fields::new()).expose(), "{}");
        let long = Fields::from([("a".to_owned(), Secret::new("\u{1}".repeat(99)))]);
        assert!(write(&long).expose().len() > 600);
    }
}
