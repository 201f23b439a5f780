//! A connection string: the account, its credentials and its endpoint in one text, as the portal shows it.

use plugin_registry_core::{ParameterReader, Secret, store_url};
use url::Url;

pub(super) const KEY: &str = "connectionstring";

/// The parameters that a connection string stands for.
const PARTS: [&str; 10] = [
    "accountname",
    "accountkey",
    "sastoken",
    "serviceurl",
    "realm",
    "credentials.type",
    "credentials.clientid",
    "credentials.tenantid",
    "credentials.secret",
    "credentials.tokenfile",
];

/// Parts that are of no use here: other services of the account.
const OTHERS: [&str; 7] = [
    "QueueEndpoint",
    "TableEndpoint",
    "FileEndpoint",
    "BlobSecondaryEndpoint",
    "QueueSecondaryEndpoint",
    "TableSecondaryEndpoint",
    "FileSecondaryEndpoint",
];

/// What a connection string says.
#[derive(Debug, Default)]
pub(super) struct ConnectionString {
    pub(super) account: Option<String>,
    pub(super) key: Option<Secret>,
    pub(super) sas: Option<Secret>,
    pub(super) endpoint: Option<Url>,
    pub(super) realm: Option<String>,
}

/// Reads the connection string, if one is given. Messages never repeat any of it.
pub(super) fn read(read: &mut ParameterReader<'_>) -> Option<ConnectionString> {
    if !read.is_given("connectionstring") {
        return None;
    }
    let text = read.secret(KEY)?;
    for part in PARTS {
        if read.is_given(part) {
            read.mistake(part, format_args!("cannot be given together with `{KEY}`"));
        }
    }
    let found = parse(text.expose());
    if let Err(mistake) = &found {
        read.mistake(KEY, mistake);
    }
    // Whatever is missing is among the mistakes.
    Some(found.unwrap_or_default())
}

fn parse(text: &str) -> Result<ConnectionString, &'static str> {
    let mut found = ConnectionString::default();
    let mut protocol = "https";
    for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').ok_or("has a part without `=`")?;
        match name {
            "AccountName" => found.account = Some(value.to_owned()),
            "AccountKey" => found.key = Some(Secret::new(value)),
            "SharedAccessSignature" => found.sas = Some(Secret::new(value)),
            "BlobEndpoint" => {
                found.endpoint = Some(store_url(value).ok_or("has a `BlobEndpoint` that is no URL")?)
            }
            "EndpointSuffix" => found.realm = Some(value.to_owned()),
            "DefaultEndpointsProtocol" if matches!(value, "http" | "https") => protocol = value,
            "DefaultEndpointsProtocol" => {
                return Err("has a `DefaultEndpointsProtocol` other than http and https");
            }
            other if OTHERS.contains(&other) => {}
            _ => return Err("has a part with an unknown name"),
        }
    }
    if found.account.is_none() {
        return Err("has no `AccountName`");
    }
    if found.key.is_none() && found.sas.is_none() {
        return Err("has neither `AccountKey` nor `SharedAccessSignature`");
    }
    if protocol == "http" && found.endpoint.is_none() {
        let account = found.account.as_deref().unwrap_or_default();
        let realm = found.realm.as_deref().unwrap_or("core.windows.net");
        found.endpoint = store_url(&format!("http://{account}.blob.{realm}"));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read() {
        let found = parse(
            "DefaultEndpointsProtocol=https;AccountName=account;AccountKey=YWJj+/==;EndpointSuffix=core.windows.net",
        )
        .unwrap();
        assert_eq!(
            (found.account.as_deref(), found.realm.as_deref()),
            (Some("account"), Some("core.windows.net"))
        );
        assert_eq!((found.key.unwrap().expose(), found.endpoint), ("YWJj+/==", None));
        let emulator = "AccountName=devstoreaccount1;AccountKey=YWJj;BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;";
        let url = parse(emulator).unwrap().endpoint.unwrap();
        assert_eq!(url.as_str(), "http://127.0.0.1:10000/devstoreaccount1");
        let sas = parse("AccountName=a;SharedAccessSignature=sv=2026&sig=a%3D").unwrap().sas.unwrap();
        assert_eq!(sas.expose(), "sv=2026&sig=a%3D");
        let plain = parse("DefaultEndpointsProtocol=http;AccountName=abc;AccountKey=YWJj").unwrap();
        assert_eq!(plain.endpoint.unwrap().as_str(), "http://abc.blob.core.windows.net/");
    }

    #[test]
    fn mistakes_repeat_nothing() {
        for (text, expected) in [
            ("", "has no `AccountName`"),
            ("canary", "has a part without `=`"),
            ("Canary=canary", "has a part with an unknown name"),
            ("AccountName=canary", "has neither `AccountKey` nor `SharedAccessSignature`"),
            ("AccountKey=canary", "has no `AccountName`"),
            ("AccountName=a;AccountKey=b;BlobEndpoint=canary", "has a `BlobEndpoint` that is no URL"),
            ("DefaultEndpointsProtocol=canary", "has a `DefaultEndpointsProtocol` other than http and https"),
        ] {
            assert_eq!(parse(text).unwrap_err(), expected);
        }
    }
}
