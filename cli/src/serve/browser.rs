//! Requests that a web page makes on behalf of its reader.

use std::net::IpAddr;

use http::{HeaderName, HeaderValue, Request, header, uri::Authority};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Distinguishes a client's requests from those of a web page. There is no authentication: every request that
/// reaches the port is answered, and a browser on this machine reaches it for any page.
#[derive(Clone, Debug)]
pub(super) struct Door {
    /// The names by which the registry may be called; `None`: any.
    names: Option<Names>,
}

/// `localhost`, loopback addresses, and the host given to `--listen`.
#[derive(Clone, Debug)]
struct Names {
    listen: String,
}

impl Door {
    /// For a listener that this machine alone reaches by TCP. A page whose name was made to lead here (DNS
    /// rebinding) has the same origin as the registry: only its name gives it away.
    pub(super) fn loopback(listen: &str) -> Self {
        let host = listen.rsplit_once(':').map_or(listen, |(host, _)| host);
        Self { names: Some(Names { listen: host.to_owned() }) }
    }

    /// For a listener whose names are not known, or that no browser reaches.
    pub(super) fn any_name() -> Self {
        Self { names: None }
    }

    /// Why a request is refused. Clients of registries send neither `Origin` nor `Sec-Fetch-Site`.
    pub(super) fn refusal<B>(&self, request: &Request<B>) -> Option<&'static str> {
        let headers = request.headers();
        let host = headers.get(header::HOST);
        if let Some(names) = &self.names {
            // The host in a target counts as well (RFC 9112, section 3.2.2). A request without any host, as
            // in HTTP/1.0, is not from a browser.
            let target = request.uri().authority();
            let is_named = host.is_none_or(|host| {
                Authority::try_from(host.as_bytes()).is_ok_and(|authority| names.has(&authority))
            });
            if !is_named || target.is_some_and(|target| !names.has(target)) {
                return Some(
                    "the Host is not localhost, a loopback address or the host given to --listen; \
                     a web page may be behind the request",
                );
            }
        }
        if headers.get_all(SEC_FETCH_SITE).iter().any(|site| site != "same-origin" && site != "none") {
            return Some("the request comes from a web page of another site (Sec-Fetch-Site)");
        }
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let is_foreign = origins.any(|origin| !host.is_some_and(|host| is_of(origin, host)));
        is_foreign.then_some("the request comes from a web page of another origin (Origin)")
    }
}

impl Names {
    fn has(&self, authority: &Authority) -> bool {
        let host = authority.host();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let is_known = match address {
            Ok(address) if address.to_canonical().is_loopback() => true,
            _ => host.eq_ignore_ascii_case("localhost") || host.eq_ignore_ascii_case(&self.listen),
        };
        is_known && !authority.as_str().contains('@')
    }
}

/// Whether an origin is that of the host, with http or, behind a proxy, https.
fn is_of(origin: &HeaderValue, host: &HeaderValue) -> bool {
    let origin = origin.as_bytes();
    let own = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
    own.is_some_and(|own| own.eq_ignore_ascii_case(host.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_let_in(door: &Door, target: &str, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        door.refusal(&request.body(()).unwrap()).is_none()
    }

    #[test]
    fn names() {
        let door = Door::loopback("Registry.internal:5000");
        for host in [
            "localhost",
            "LocalHost:1",
            "localhost:",
            "127.0.0.1:5000",
            "127.9.8.7",
            "[::1]:5000",
            "[::1]",
            "[::ffff:127.0.0.1]:5000",
            "registry.internal:5000",
            "registry.INTERNAL",
        ] {
            assert!(is_let_in(&door, "/v2/", &[("host", host)]), "{host}");
        }
        for host in [
            "",
            "x",
            "evil.example:5000",
            "localhost.evil.example",
            "evil.localhost",
            "127.0.0.1.evil.example",
            "127.0.0.1@evil.example",
            "evil.example@127.0.0.1",
            "localhost, evil.example",
            "0.0.0.0:5000",
            "[::]:5000",
            "10.0.0.1",
            "[::ffff:10.0.0.1]",
            "registry.internal.evil.example",
            "internal",
        ] {
            assert!(!is_let_in(&door, "/v2/", &[("host", host)]), "{host}");
            assert!(is_let_in(&Door::any_name(), "/v2/", &[("host", host)]), "{host}");
        }
        assert!(is_let_in(&door, "/v2/", &[]), "HTTP/1.0 has no Host");
        assert!(is_let_in(&door, "http://localhost:1/v2/", &[("host", "localhost")]));
        assert!(!is_let_in(&door, "http://evil.example/v2/", &[("host", "localhost")]));
        assert!(!is_let_in(&door, "http://localhost/v2/", &[("host", "evil.example")]));
        let address = Door::loopback("[::1]:0");
        assert!(is_let_in(&address, "/v2/", &[("host", "localhost:5000")]));
        assert!(!is_let_in(&address, "/v2/", &[("host", "evil.example")]));
    }

    #[test]
    fn sites_and_origins() {
        for door in [Door::any_name(), Door::loopback("localhost:0")] {
            let is_let_in = |headers: &[(&str, &str)]| {
                is_let_in(&door, "/v2/", &[&[("host", "localhost:5000")], headers].concat())
            };
            for site in ["none", "same-origin"] {
                assert!(is_let_in(&[("sec-fetch-site", site)]), "{site}");
            }
            for site in ["cross-site", "same-site", "", "None", "x"] {
                assert!(!is_let_in(&[("sec-fetch-site", site)]), "{site}");
            }
            assert!(!is_let_in(&[("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")]));
            for origin in ["http://localhost:5000", "http://LOCALHOST:5000", "https://localhost:5000"] {
                assert!(is_let_in(&[("origin", origin)]), "{origin}");
            }
            for origin in [
                "null",
                "",
                "http://evil.example",
                "http://localhost",
                "http://localhost:5001",
                "http://localhost:50000",
                "http://127.0.0.1:5000",
                "localhost:5000",
                "chrome-extension://localhost:5000",
            ] {
                assert!(!is_let_in(&[("origin", origin)]), "{origin}");
            }
            assert!(!is_let_in(&[("origin", "http://localhost:5000"), ("origin", "http://evil.example")]));
        }
    }
}
