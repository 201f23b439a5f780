//! Requests that list.

use azure_core::{
    http::{Method, Request},
    xml::from_xml,
};
use plugin_registry_core::{Error, ErrorKind, Result};
use plugin_registry_drivers_objects::list::{Listing, Page};
use serde::Deserialize;

use super::{AzureClient, blobs::modified};
use crate::error::of_sdk;

/// An answer to List Blobs.
#[derive(Debug, Deserialize)]
struct Document {
    #[serde(rename = "Blobs", default)]
    blobs: Items,
    #[serde(rename = "NextMarker", default)]
    next: Option<String>,
}

/// Blobs and prefixes come in one list, in order of their names.
#[derive(Debug, Default, Deserialize)]
struct Items {
    #[serde(rename = "$value", default)]
    items: Vec<Item>,
}

#[derive(Debug, Deserialize)]
enum Item {
    Blob(BlobItem),
    BlobPrefix(PrefixItem),
}

#[derive(Debug, Deserialize)]
struct BlobItem {
    #[serde(rename = "Name")]
    name: Name,
    #[serde(rename = "Properties", default)]
    properties: Properties,
}

#[derive(Debug, Deserialize)]
struct PrefixItem {
    #[serde(rename = "Name")]
    name: Name,
}

/// A name. Characters that XML cannot have are escaped, and then an attribute says so.
#[derive(Debug, Deserialize)]
struct Name {
    #[serde(rename = "@Encoded", default)]
    is_encoded: bool,
    #[serde(rename = "$text", default)]
    text: String,
}

#[derive(Debug, Default, Deserialize)]
struct Properties {
    #[serde(rename = "Content-Length", default)]
    size: Option<u64>,
    #[serde(rename = "Last-Modified", default)]
    modified: Option<String>,
    #[serde(rename = "CopyStatus", default)]
    copy: Option<String>,
    /// `directory`, of an account with a hierarchical namespace.
    #[serde(rename = "ResourceType", default)]
    kind: Option<String>,
}

impl Properties {
    /// Whether this is a file, and whole.
    fn is_visible(&self) -> bool {
        self.copy.as_deref().is_none_or(|status| status == "success")
            && self.kind.as_deref() != Some("directory")
    }
}

impl Name {
    fn into_text(self) -> String {
        if !self.is_encoded {
            return self.text;
        }
        percent_encoding::percent_decode_str(&self.text).decode_utf8_lossy().into_owned()
    }
}

impl AzureClient {
    /// Lists one page. `token` comes from the page before. The store cannot begin after a key, so earlier
    /// keys come too.
    pub(crate) async fn list(&self, listing: &Listing<'_>, token: Option<&str>) -> Result<Page> {
        let mut url = self.url().clone();
        {
            let mut query = url.query_pairs_mut();
            // With the state of copies: what is not whole is not listed.
            query.extend_pairs([("restype", "container"), ("comp", "list"), ("include", "copy")]);
            query.append_pair("prefix", listing.prefix);
            if let Some(delimiter) = listing.delimiter {
                query.append_pair("delimiter", delimiter);
            }
            if let Some(limit) = listing.limit {
                query.append_pair("maxresults", &limit.to_string());
            }
            if let Some(token) = token {
                query.append_pair("marker", token);
            }
        }
        let mut request = Request::new(url, Method::Get);
        request.insert_header("accept", "application/xml");
        let answer = self.send(request).await?;
        let page = page(answer.body().as_ref())?;
        // A store may return the same page for ever.
        if page.next.is_some() && page.next.as_deref() == token {
            let message = "the store returned the same marker twice";
            return Err(Error::new(ErrorKind::Unavailable).with_message(message).with_retryable(false));
        }
        Ok(page)
    }
}

fn page(document: &[u8]) -> Result<Page> {
    let document: Document = from_xml(document).map_err(|error| of_sdk(&error))?;
    let mut page = Page { next: document.next.filter(|next| !next.is_empty()), ..Page::default() };
    for item in document.blobs.items {
        match item {
            Item::Blob(BlobItem { name, properties }) if properties.is_visible() => {
                let time = properties.modified.as_deref().and_then(modified);
                page.objects.push((name.into_text(), properties.size.unwrap_or_default(), time));
            }
            Item::Blob(_) => {}
            Item::BlobPrefix(PrefixItem { name }) => page.prefixes.push(name.into_text()),
        }
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the service answers: blobs and prefixes in one list, a name that is encoded, a copy that is not
    /// finished, a directory.
    const PAGE: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<EnumerationResults ServiceEndpoint="https://a.blob.core.windows.net/" ContainerName="c">
<Prefix>x/</Prefix><Delimiter>/</Delimiter><Blobs>
<Blob><Name>x/a</Name><Properties><Creation-Time>Mon, 30 Nov 2026 10:00:00 GMT</Creation-Time>
<Last-Modified>Mon, 30 Nov 2026 10:00:01 GMT</Last-Modified><Etag>0x8D</Etag><Content-Length>7</Content-Length>
<Content-MD5 /><BlobType>BlockBlob</BlobType></Properties><OrMetadata /></Blob>
<BlobPrefix><Name>x/a-b/</Name></BlobPrefix>
<Blob><Name Encoded="true">x/b%EF%BF%BE</Name><Properties><Content-Length>0</Content-Length></Properties></Blob>
<Blob><Name>x/c</Name><Properties><Content-Length>5</Content-Length><CopyStatus>pending</CopyStatus></Properties></Blob>
<Blob><Name>x/d</Name><Properties><Content-Length>5</Content-Length><CopyStatus>success</CopyStatus></Properties></Blob>
<Blob><Name>x/e</Name><Properties><ResourceType>directory</ResourceType></Properties></Blob>
<BlobPrefix><Name>x/f&amp;/</Name></BlobPrefix>
</Blobs><NextMarker>2!72!x</NextMarker></EnumerationResults>"#;

    #[test]
    fn a_page_is_read() {
        let found = page(PAGE.as_bytes()).unwrap();
        let names: Vec<_> = found.objects.iter().map(|(name, size, _)| (name.as_str(), *size)).collect();
        assert_eq!(names, [("x/a", 7), ("x/b\u{fffe}", 0), ("x/d", 5)]);
        assert!(found.objects.first().unwrap().2.is_some());
        assert_eq!(found.prefixes, ["x/a-b/", "x/f&/"]);
        assert_eq!(found.next.as_deref(), Some("2!72!x"));
    }

    #[test]
    fn an_empty_page_is_the_last() {
        for blobs in ["<Blobs />", "<Blobs></Blobs>"] {
            let document = format!("<EnumerationResults>{blobs}<NextMarker /></EnumerationResults>");
            let found = page(document.as_bytes()).unwrap();
            assert!(found.objects.is_empty() && found.prefixes.is_empty() && found.next.is_none());
        }
        assert_eq!(page(b"not XML at all").unwrap_err().kind(), ErrorKind::Unavailable);
    }
}
