//! What to check if a connection to the store fails before an answer comes.

use std::io;

use rustls::CertificateError;

/// Says what the error of a connection probably means. The text of the error alone names a detail of TLS or HTTP.
#[must_use]
pub fn hint(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    causes.find_map(|cause| of_one(wrapped(cause)))
}

/// What is within I/O errors, which leave out the error that they wrap when they name their source.
fn wrapped<'e>(error: &'e (dyn std::error::Error + 'static)) -> &'e (dyn std::error::Error + 'static) {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => wrapped(inner),
        None => error,
    }
}

fn of_one(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    use rustls::Error as Tls;
    if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse) {
        return Some(
            "the answer is not HTTP: if the store uses TLS, write https:// in the endpoint instead of http://",
        );
    }
    Some(match error.downcast_ref::<Tls>()? {
        Tls::InvalidMessage(_) => {
            "the answer is not TLS: if the store does not use it, write http:// in the endpoint instead of https://"
        }
        Tls::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "no known authority signed the certificate: pass the store's own in `cabundle` or `cabundlepath` \
             (Velero's `caCert`)"
        }
        Tls::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "the certificate is for another host: check the endpoint's host name",
        Tls::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => "check the certificate's dates and this machine's clock",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::{Error as Tls, InvalidMessage};

    #[test]
    fn a_failed_connection_says_what_to_check() {
        for (error, mark) in [
            (Tls::InvalidMessage(InvalidMessage::InvalidContentType), Some("http:// in the endpoint")),
            (Tls::InvalidCertificate(CertificateError::UnknownIssuer), Some("`cabundle`")),
            (Tls::InvalidCertificate(CertificateError::NotValidForName), Some("host name")),
            (Tls::InvalidCertificate(CertificateError::Expired), Some("clock")),
            (Tls::EncryptError, None),
        ] {
            let io = io::Error::new(io::ErrorKind::InvalidData, error.clone());
            let hint_of_wrapped = hint(&io::Error::other(io));
            assert_eq!(hint_of_wrapped, hint(&error));
            assert_eq!(hint_of_wrapped.is_some(), mark.is_some(), "{error}");
            assert!(hint_of_wrapped.unwrap_or_default().contains(mark.unwrap_or_default()), "{error}");
        }
        assert_eq!(hint(&io::Error::from(io::ErrorKind::ConnectionRefused)), None);
    }
}
