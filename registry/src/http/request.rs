//! A request, with its query and headers read as the API means them.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use http::{HeaderMap, Method, Request, header, request::Parts};
use http_body_util::BodyExt;
use percent_encoding::percent_decode_str;
use tokio::sync::SemaphorePermit;

use super::error::{RequestError, Result};
use crate::{
    error::{BoxError, RegistryError},
    limiter::{ManifestLimiter, SMALL_MANIFEST},
};

/// A request's body, whatever stack it came from.
pub(super) type Content = BoxStream<'static, Result<Bytes, BoxError>>;

/// A request without its body.
pub(super) struct ApiRequest {
    parts: Parts,
}

impl ApiRequest {
    pub(super) fn split<B>(request: Request<B>) -> (Self, Content)
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (parts, body) = request.into_parts();
        (Self { parts }, body.into_data_stream().map_err(Into::into).boxed())
    }

    pub(super) fn method(&self) -> &Method {
        &self.parts.method
    }

    pub(super) fn path(&self) -> &str {
        self.parts.uri.path()
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// Returns a header as text. A value that is not text becomes text that nothing accepts, instead of a
    /// missing header.
    pub(super) fn header(&self, name: header::HeaderName) -> Option<Cow<'_, str>> {
        self.headers().get(name).map(|value| String::from_utf8_lossy(value.as_bytes()))
    }

    /// Returns all values of a query parameter, decoded.
    pub(super) fn parameters<'a>(&'a self, name: &'a str) -> impl Iterator<Item = String> + 'a {
        let query = self.parts.uri.query().unwrap_or_default();
        query.split('&').filter_map(move |pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key) == name).then(|| decode(value))
        })
    }

    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        self.parameters(name).next()
    }

    /// Returns `n`, the page size, or `None` if it is absent or empty, as in distribution. A number too large
    /// for memory counts as the largest; nothing is allocated by it (CVE-2023-2253).
    pub(super) fn page_size(&self) -> Result<Option<usize>> {
        let Some(text) = self.parameter("n").filter(|text| !text.is_empty()) else { return Ok(None) };
        if !text.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(RequestError::PageSize);
        }
        Ok(Some(text.parse().unwrap_or(usize::MAX)))
    }

    pub(super) fn content_length(&self) -> Result<Option<u64>> {
        let mut values = self.headers().get_all(header::CONTENT_LENGTH).iter();
        let Some(first) = values.next() else { return Ok(None) };
        if values.any(|other| other != first) {
            return Err(RequestError::ContentLengths);
        }
        let digits = first.to_str().ok().filter(|text| text.bytes().all(|digit| digit.is_ascii_digit()));
        let length = digits.and_then(|digits| digits.parse().ok());
        length.map(Some).ok_or(RequestError::ContentLength)
    }

    /// Whether `If-None-Match` names this entity tag, quoted or bare.
    pub(super) fn matches_etag(&self, etag: &str) -> bool {
        let values =
            self.headers().get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|candidate| {
            let candidate = candidate.trim();
            let candidate = candidate.strip_prefix("W/").unwrap_or(candidate);
            candidate == "*" || candidate.trim_matches('"') == etag
        })
    }

    /// Reads the whole body, at most `limit` bytes; `None` if it is longer. A large one comes with its turn,
    /// which is held as long as the bytes: however many clients send slowly, only a limited number of bodies
    /// are in memory.
    pub(super) async fn read<'a>(
        &self,
        mut body: Content,
        limit: u64,
        limiter: &'a ManifestLimiter,
    ) -> Result<Option<(Bytes, Option<SemaphorePermit<'a>>)>> {
        let announced = self.content_length()?;
        if announced.is_some_and(|length| length > limit) {
            return Ok(None);
        }
        let wrong = || RequestError::from(RegistryError::BodyLength);
        let mut all = BytesMut::new();
        let mut turn = None;
        while let Some(piece) = body.try_next().await.map_err(RegistryError::Body)? {
            if turn.is_none() && (all.len() + piece.len()) as u64 > SMALL_MANIFEST {
                turn = limiter.receive().await;
            }
            all.extend_from_slice(&piece);
            match announced {
                Some(length) if all.len() as u64 > length => return Err(wrong()),
                None if all.len() as u64 > limit => return Ok(None),
                _ => {}
            }
        }
        match announced {
            Some(length) if length != all.len() as u64 => Err(wrong()),
            _ => Ok(Some((all.freeze(), turn))),
        }
    }
}

/// A plus stays a plus (RFC 3986): media types have them, and nothing in this API has a space.
fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}
