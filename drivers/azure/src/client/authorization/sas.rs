//! SAS tokens: one that was given, and one for a single blob.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use azure_core::{
    Error as SdkError,
    error::ErrorKind as SdkErrorKind,
    http::{
        AsyncRawResponse, Context, Request,
        policies::{Policy, PolicyResult},
    },
    time::{OffsetDateTime, parse_rfc3339, parse_rfc7231, to_rfc3339},
};
use plugin_registry_core::{Error, ErrorKind, Result, Secret, shown_line};
use url::Url;

use super::{super::send_next, SharedKey};
use crate::error::of_sdk;

/// The version of the text that is signed for a blob.
const VERSION: &str = "2022-11-02";
/// How long a URL that was signed for a blob is valid, as those of other stores.
const VALID: Duration = Duration::from_secs(20 * 60);

/// A SAS token that was given, as the query of a URL.
#[derive(Clone)]
pub(in crate::client) struct SasToken {
    query: Secret,
    expiry: Option<OffsetDateTime>,
}

impl fmt::Debug for SasToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SasToken").finish_non_exhaustive()
    }
}

impl SasToken {
    /// # Errors
    /// `InvalidConfig` if it has no signature.
    pub(super) fn new(token: &Secret) -> Result<Self> {
        let query = token.expose().trim_start_matches('?');
        let value = |name: &str| {
            url::form_urlencoded::parse(query.as_bytes())
                .find(|(found, _)| found == name)
                .map(|(_, value)| value.into_owned())
        };
        if value("sig").is_none_or(|signature| signature.is_empty()) {
            let message = "`sastoken`: is no SAS token: it has no `sig`";
            return Err(Error::new(ErrorKind::InvalidConfig).with_message(message));
        }
        let expiry = value("se").and_then(|time| parse_rfc3339(&time).ok());
        Ok(Self { query: Secret::new(query), expiry })
    }

    /// A URL with the token.
    pub(super) fn add_to(&self, mut url: Url) -> Secret {
        self.extend(&mut url);
        Secret::new(url.as_str())
    }

    /// Adds the token, unless an earlier attempt already has.
    pub(super) fn extend(&self, url: &mut Url) {
        if url.query_pairs().any(|(name, _)| name == "sig") {
            return;
        }
        let token = self.query.expose();
        let query = match url.query().filter(|query| !query.is_empty()) {
            Some(query) => format!("{query}&{token}"),
            None => token.to_owned(),
        };
        url.set_query(Some(&query));
    }

    /// Why the token was refused, if its time is over by the store's clock.
    fn refusal(&self, answer: &AsyncRawResponse) -> Option<SdkError> {
        let expiry = self.expiry?;
        let now = parse_rfc7231(answer.headers().get_optional_str(&"date".into())?).ok()?;
        let is_over = u16::from(answer.status()) == 403 && now > expiry;
        is_over.then(|| {
            let expiry = shown_line(&to_rfc3339(&expiry));
            SdkError::with_message(SdkErrorKind::Credential, format!("the SAS token expired at {expiry}"))
        })
    }
}

#[expect(elided_lifetimes_in_paths, reason = "as the trait has it, or the lifetimes would not match")]
#[async_trait]
impl Policy for SasToken {
    async fn send(&self, context: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        self.extend(request.url_mut());
        let answer = send_next(context, request, next).await?;
        match self.refusal(&answer) {
            Some(error) => Err(error),
            None => Ok(answer),
        }
    }
}

/// A URL at which a blob can be read for 20 minutes. The time is this machine's: no store is asked.
pub(super) fn presign(signer: &SharedKey, container: &str, key: &str, mut url: Url) -> Result<Url> {
    let expiry = to_rfc3339(
        &(OffsetDateTime::now_utc().replace_nanosecond(0).unwrap_or(OffsetDateTime::now_utc()) + VALID),
    );
    let protocol = if url.scheme() == "https" { "https" } else { "https,http" };
    let text = string_to_sign(signer.account(), container, key, &expiry, protocol);
    let signature = signer.sign(&text).map_err(|error| of_sdk(&error))?;
    url.query_pairs_mut()
        .append_pair("sv", VERSION)
        .append_pair("sp", "r")
        .append_pair("se", &expiry)
        .append_pair("spr", protocol)
        .append_pair("sr", "b")
        .append_pair("sig", &signature);
    Ok(url)
}

/// <https://learn.microsoft.com/rest/api/storageservices/create-service-sas>: permissions, start, expiry,
/// resource, identifier, addresses, protocol, version, kind of resource, and seven empty lines of snapshot,
/// scope and headers.
fn string_to_sign(account: &str, container: &str, key: &str, expiry: &str, protocol: &str) -> String {
    format!("r\n\n{expiry}\n/blob/{account}/{container}/{key}\n\n\n{protocol}\n{VERSION}\nb\n\n\n\n\n\n\n")
}

#[cfg(test)]
mod tests {
    use azure_core::http::{StatusCode, headers::Headers};

    use super::*;

    fn token(text: &str) -> SasToken {
        SasToken::new(&Secret::new(text)).unwrap()
    }

    #[test]
    fn a_token_is_added_once() {
        for text in ["?sv=2026&sig=a%2Bb%3D", "sv=2026&sig=a%2Bb%3D"] {
            let token = token(text);
            let mut url = Url::parse("https://a.blob.core.windows.net/c/b?comp=list").unwrap();
            (0..2).for_each(|_| token.extend(&mut url));
            assert_eq!(url.query(), Some("comp=list&sv=2026&sig=a%2Bb%3D"));
            let plain = token.add_to(Url::parse("https://a.blob.core.windows.net/c/b").unwrap());
            assert_eq!(plain.expose(), "https://a.blob.core.windows.net/c/b?sv=2026&sig=a%2Bb%3D");
            assert!(!format!("{token:?}").contains("sig"));
        }
        for text in ["", "sv=2026", "sig=", "canary"] {
            let error = SasToken::new(&Secret::new(text)).unwrap_err();
            assert_eq!(
                error.to_string(),
                "invalid configuration: `sastoken`: is no SAS token: it has no `sig`"
            );
        }
    }

    #[test]
    fn a_token_that_expired_names_its_date() {
        let answer = |status: u16| {
            let mut headers = Headers::new();
            headers.insert("date", "Mon, 30 Nov 2026 10:00:00 GMT");
            AsyncRawResponse::from_bytes(StatusCode::from(status), headers, "")
        };
        let old = token("se=2026-11-01T00%3A00%3A00Z&sig=x");
        let error = old.refusal(&answer(403)).unwrap();
        assert_eq!(of_sdk(&error).kind(), ErrorKind::Unauthenticated);
        assert!(of_sdk(&error).to_string().contains("expired at 2026-11-01T00:00:00"), "{error}");
        assert!(old.refusal(&answer(200)).is_none() && old.refusal(&answer(404)).is_none());
        assert!(token("se=2027-01-01T00%3A00%3A00Z&sig=x").refusal(&answer(403)).is_none());
        assert!(token("sig=x").refusal(&answer(403)).is_none());
    }

    #[test]
    fn a_url_for_a_blob_is_signed_as_documented() {
        assert_eq!(
            string_to_sign("a", "c", "/x/y", "2026-11-30T10:00:00Z", "https"),
            "r\n\n2026-11-30T10:00:00Z\n/blob/a/c//x/y\n\n\nhttps\n2022-11-02\nb\n\n\n\n\n\n\n"
        );
    }
}
