//! Where to connect to, and how. Messages never repeat a URL, since people put passwords into URLs.

use plugin_registry_core::{ParameterReader, store_url};
use url::Url;

pub(super) fn service_url(read: &mut ParameterReader<'_>) -> Option<Url> {
    let text = read.text("serviceurl")?;
    let url = store_url(&text);
    if url.is_none() {
        read.mistake(
            "serviceurl",
            "has to be http(s)://HOST:PORT, with the account as path if the store needs it, and without a \
             user or a signature",
        );
    }
    url
}
