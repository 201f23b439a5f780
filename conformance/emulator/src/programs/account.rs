//! The data that a client needs.

/// An S3 server with one bucket, which exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub(super) address: String,
    pub(super) access_key: String,
    pub(super) secret_key: String,
    pub(super) bucket: String,
}

impl Account {
    /// Makes an account for the server at this host and port.
    ///
    /// Keys have the form of AWS's, because distribution reads them from YAML, where a key of only digits
    /// would be a number.
    pub(super) fn new(address: String, bucket: String) -> Self {
        Self {
            address,
            access_key: "AKIAEMULATOR00000000".to_owned(),
            secret_key: "emulator/secret+of/forty+characters/0000".to_owned(),
            bucket,
        }
    }

    /// The URL of the server: plain HTTP on loopback, path style.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The access key ID.
    #[must_use]
    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    /// The secret access key.
    #[must_use]
    pub fn secret_key(&self) -> &str {
        &self.secret_key
    }

    /// The name of the bucket.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.bucket
    }
}
