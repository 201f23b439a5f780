//! Maps a path to an endpoint.

use http::Method;
use percent_encoding::percent_decode_str;

use super::error::RequestError;
use crate::{error::RegistryError, options::Options};

/// The endpoints of the specification, and the catalog of distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// end-1.
    Base,
    /// distribution's catalog.
    Catalog,
    /// end-8a, end-8b.
    Tags,
    /// end-3, end-7, end-9.
    Manifest,
    /// end-2, end-10.
    Blob,
    /// end-4, end-11.
    UploadStart,
    /// end-5, end-6, end-13, end-14.
    Upload,
    /// end-12.
    Referrers,
}

impl Endpoint {
    fn methods(self) -> &'static [&'static str] {
        match self {
            Self::Base | Self::Catalog | Self::Tags | Self::Referrers => &["GET", "HEAD"],
            Self::Manifest => &["GET", "HEAD", "PUT", "DELETE"],
            Self::Blob => &["GET", "HEAD", "DELETE"],
            Self::UploadStart => &["POST"],
            Self::Upload => &["GET", "HEAD", "PATCH", "PUT", "DELETE"],
        }
    }

    /// Returns the methods that a registry with these options takes, as an `Allow` header lists them. It leaves
    /// out `refused`: a store may refuse what the options do not.
    pub(super) fn allowed(self, refused: &Method, options: &Options) -> String {
        let allowed = self.methods().iter();
        let allowed =
            allowed.filter(|method| **method != refused.as_str() && switched_off(method, options).is_none());
        allowed.copied().collect::<Vec<_>>().join(", ")
    }

    /// Returns why a method is not taken, whatever the request is about.
    pub(super) fn refuse(self, method: &Method, options: &Options) -> Option<RequestError> {
        if self.methods().contains(&method.as_str()) {
            switched_off(method.as_str(), options)
        } else {
            Some(RequestError::Method)
        }
    }
}

fn switched_off(method: &str, options: &Options) -> Option<RequestError> {
    match method {
        "GET" | "HEAD" => None,
        _ if options.read_only => Some(RegistryError::ReadOnly.into()),
        "DELETE" if !options.delete => Some(RegistryError::DeletesOff.into()),
        _ => None,
    }
}

/// A request's path, taken apart. Name and argument are not parsed yet, so that a bad one gets the error code
/// of its kind instead of a plain 404.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) endpoint: Endpoint,
    pub(crate) name: String,
    pub(crate) argument: String,
}

impl Route {
    /// Parses a path from its end, because names hold slashes.
    ///
    /// Percent-encoding is decoded first; what it may hide is refused by the identifiers' own grammars. An
    /// encoded slash is not one of the path's separators, and nothing that this API names contains one.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        if path.to_ascii_lowercase().contains("%2f") {
            return None;
        }
        let path = percent_decode_str(path).decode_utf8().ok()?;
        let rest = path.strip_prefix("/v2")?;
        if rest.is_empty() || rest == "/" {
            return Some(Self::new(Endpoint::Base, "", ""));
        }
        let rest = rest.strip_prefix('/')?;
        if rest == "_catalog" {
            return Some(Self::new(Endpoint::Catalog, "", ""));
        }
        if let Some(name) = rest.strip_suffix("/tags/list") {
            return Some(Self::new(Endpoint::Tags, name, ""));
        }
        if let Some(name) =
            rest.strip_suffix("/blobs/uploads/").or_else(|| rest.strip_suffix("/blobs/uploads"))
        {
            return Some(Self::new(Endpoint::UploadStart, name, ""));
        }
        let (before, argument) = rest.rsplit_once('/')?;
        if let Some(name) = before.strip_suffix("/blobs/uploads") {
            return Some(Self::new(Endpoint::Upload, name, argument));
        }
        let (name, kind) = before.rsplit_once('/')?;
        let endpoint = match kind {
            "manifests" => Endpoint::Manifest,
            "blobs" => Endpoint::Blob,
            "referrers" => Endpoint::Referrers,
            _ => return None,
        };
        Some(Self::new(endpoint, name, argument))
    }

    fn new(endpoint: Endpoint, name: &str, argument: &str) -> Self {
        Self { endpoint, name: name.to_owned(), argument: argument.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_from_their_end() {
        for (path, endpoint, name, argument) in [
            ("/v2", Endpoint::Base, "", ""),
            ("/v2/", Endpoint::Base, "", ""),
            ("/v2/_catalog", Endpoint::Catalog, "", ""),
            ("/v2/a/tags/list", Endpoint::Tags, "a", ""),
            ("/v2/a/b/c/tags/list", Endpoint::Tags, "a/b/c", ""),
            ("/v2/a/manifests/tags/list", Endpoint::Tags, "a/manifests", ""),
            ("/v2/a/manifests/latest", Endpoint::Manifest, "a", "latest"),
            ("/v2/a/blobs/uploads/manifests/latest", Endpoint::Manifest, "a/blobs/uploads", "latest"),
            ("/v2/a/manifests/sha256%3aab", Endpoint::Manifest, "a", "sha256:ab"),
            ("/v2/a/blobs/sha256:ab", Endpoint::Blob, "a", "sha256:ab"),
            ("/v2/a/blobs/uploads/", Endpoint::UploadStart, "a", ""),
            ("/v2/a/blobs/uploads", Endpoint::UploadStart, "a", ""),
            ("/v2/a/blobs/uploads/x", Endpoint::Upload, "a", "x"),
            ("/v2/a/referrers/sha256:ab", Endpoint::Referrers, "a", "sha256:ab"),
            ("/v2/../manifests/x", Endpoint::Manifest, "..", "x"),
            ("/v2/%2e%2e/manifests/x", Endpoint::Manifest, "..", "x"),
        ] {
            assert_eq!(Route::parse(path), Some(Route::new(endpoint, name, argument)), "{path}");
        }
        for path in [
            "",
            "/",
            "/v1/",
            "/v2x",
            "/v2/a",
            "/v2/a/b",
            "/v2/a/things/x",
            "/v2/manifests/x",
            "/v2/%ff/manifests/x",
            "/v2/a%2Fb/manifests/x",
        ] {
            assert_eq!(Route::parse(path), None, "{path}");
        }
    }
}
