//! Signs requests with the account's key, which the SDK does not.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use azure_core::{
    credentials::Secret as SdkSecret,
    hmac::hmac_sha256,
    http::{
        Context, Request,
        policies::{Policy, PolicyResult},
    },
    time::{OffsetDateTime, to_rfc7231},
};
use plugin_registry_core::Secret;
use url::Url;

/// The headers that are signed by their place, in order. `date` is empty, since `x-ms-date` is signed.
const SIGNED: [&str; 11] = [
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
];

/// The key of an account. It signs each attempt anew, with its time.
#[derive(Clone)]
pub(in crate::client) struct SharedKey {
    account: String,
    key: SdkSecret,
}

impl std::fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedKey").finish_non_exhaustive()
    }
}

impl SharedKey {
    pub(super) fn new(account: &str, key: &Secret) -> Self {
        Self { account: account.to_owned(), key: SdkSecret::new(key.expose().to_owned()) }
    }

    pub(super) fn account(&self) -> &str {
        &self.account
    }

    /// The signature of a text, in base64.
    pub(super) fn sign(&self, text: &str) -> azure_core::Result<String> {
        hmac_sha256(text, &self.key)
    }

    /// Sets the time and the signature of a request.
    pub(super) fn authorize(&self, request: &mut Request, now: OffsetDateTime) -> azure_core::Result<()> {
        request.insert_header("x-ms-date", to_rfc7231(&now));
        let signature = self.sign(&string_to_sign(&self.account, request))?;
        request.insert_header("authorization", format!("SharedKey {}:{signature}", self.account));
        Ok(())
    }
}

#[expect(elided_lifetimes_in_paths, reason = "as the trait has it, or the lifetimes would not match")]
#[async_trait]
impl Policy for SharedKey {
    async fn send(&self, context: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        self.authorize(request, OffsetDateTime::now_utc())?;
        super::super::send_next(context, request, next).await
    }
}

/// What is signed of a request:
/// <https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key>.
fn string_to_sign(account: &str, request: &Request) -> String {
    let headers: BTreeMap<&str, &str> =
        request.headers().iter().map(|(name, value)| (name.as_str(), value.as_str().trim())).collect();
    let mut text = format!("{}\n", request.method().as_ref());
    for name in SIGNED {
        // The length that the transport will send.
        let length =
            request.body().len().filter(|_| name == "content-length").map(|length| length.to_string());
        let value = headers.get(name).map(|value| (*value).to_owned()).or(length).unwrap_or_default();
        let is_left_out = name == "date" || (name == "content-length" && value == "0");
        text.push_str(if is_left_out { "" } else { &value });
        text.push('\n');
    }
    for (name, value) in headers.iter().filter(|(name, _)| name.starts_with("x-ms-")) {
        text.push_str(&format!("{name}:{value}\n"));
    }
    text.push_str(&canonical_resource(account, request.url()));
    text
}

/// The account, the path as it is sent, and the parameters in order, decoded.
fn canonical_resource(account: &str, url: &Url) -> String {
    let mut parameters: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in url.query_pairs() {
        parameters.entry(name.to_lowercase()).or_default().push(value.into_owned());
    }
    let mut text = format!("/{account}{}", url.path());
    for (name, mut values) in parameters {
        values.sort_unstable();
        text.push_str(&format!("\n{name}:{}", values.join(",")));
    }
    text
}

#[cfg(test)]
mod tests {
    use azure_core::http::Method;

    use super::*;

    /// The well-known key of the emulators.
    const KEY: &str =
        "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

    fn request(method: Method, url: &str) -> Request {
        Request::new(url.parse().unwrap(), method)
    }

    /// The example of the documentation, of a list with parameters.
    #[test]
    fn a_list_is_signed_as_documented() {
        let url =
            "https://myaccount.blob.core.windows.net/mycontainer?restype=container&comp=metadata&timeout=20";
        let mut request = request(Method::Get, url);
        request.insert_header("x-ms-version", "2015-02-21");
        request.insert_header("x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT");
        assert_eq!(
            string_to_sign("myaccount", &request),
            "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n\
             /myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20"
        );
    }

    #[test]
    fn a_write_is_signed_with_its_length_and_conditions() {
        let mut request =
            request(Method::Put, "http://127.0.0.1:10000/devstoreaccount1/c/%2Fa%2Fb?comp=block");
        request.insert_header("content-type", "application/xml");
        request.insert_header("if-match", "\"etag\"");
        request.insert_header("x-ms-meta-stage", "id");
        request.set_body("12345");
        assert_eq!(
            string_to_sign("devstoreaccount1", &request),
            "PUT\n\n\n5\n\napplication/xml\n\n\n\"etag\"\n\n\n\nx-ms-meta-stage:id\n\
             /devstoreaccount1/devstoreaccount1/c/%2Fa%2Fb\ncomp:block"
        );
        request.set_body("");
        assert!(string_to_sign("a", &request).starts_with("PUT\n\n\n\n\napplication/xml\n"));
    }

    #[test]
    fn a_signature_is_that_of_the_key() {
        let key = SharedKey::new("devstoreaccount1", &Secret::new(KEY));
        let mut request = request(Method::Head, "http://127.0.0.1:10000/devstoreaccount1/c/b");
        key.authorize(&mut request, OffsetDateTime::UNIX_EPOCH).unwrap();
        let header = |name: &'static str| request.headers().get_optional_string(&name.into()).unwrap();
        assert_eq!(header("x-ms-date"), "Thu, 01 Jan 1970 00:00:00 GMT");
        let expected = key.sign(&string_to_sign("devstoreaccount1", &request)).unwrap();
        assert_eq!(header("authorization"), format!("SharedKey devstoreaccount1:{expected}"));
        assert!(!format!("{key:?}").contains("Eby8"));
    }
}
