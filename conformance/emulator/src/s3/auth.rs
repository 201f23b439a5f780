//! Authentication and access.

use std::{collections::BTreeMap, sync::Arc};

use s3s::{
    S3Result,
    access::{S3Access, S3AccessContext},
    auth::{S3Auth, SecretKey},
    s3_error,
};

use super::{shared::Shared, text::decode};

#[derive(Clone, Debug)]
struct Pair {
    secret: String,
    token: Option<String>,
    expired: bool,
}

/// The known pairs of keys.
#[derive(Debug, Default)]
pub(super) struct Keys {
    pairs: BTreeMap<String, Pair>,
    current: String,
}

impl Keys {
    pub(super) fn new(access: &str, secret: &str) -> Self {
        let mut keys = Self::default();
        keys.add(access, secret, None);
        keys
    }

    /// Adds a pair, which becomes the current one.
    pub(super) fn add(&mut self, access: &str, secret: &str, token: Option<&str>) {
        let pair = Pair { secret: secret.to_owned(), token: token.map(str::to_owned), expired: false };
        self.pairs.insert(access.to_owned(), pair);
        access.clone_into(&mut self.current);
    }

    pub(super) fn forget(&mut self) {
        self.pairs.clear();
    }

    pub(super) fn expire(&mut self) {
        self.pairs.values_mut().for_each(|pair| pair.expired = true);
    }

    pub(super) fn current(&self) -> (String, String) {
        let secret = self.pairs.get(&self.current).map_or_else(String::new, |pair| pair.secret.clone());
        (self.current.clone(), secret)
    }
}

pub(super) struct Guard(pub(super) Arc<Shared>);

#[async_trait::async_trait]
impl S3Auth for Guard {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        match self.0.keys.lock().unwrap().pairs.get(access_key) {
            Some(pair) if pair.expired => Err(s3_error!(ExpiredToken, "The provided token has expired.")),
            Some(pair) => Ok(SecretKey::from(pair.secret.as_str())),
            None => Err(s3_error!(
                InvalidAccessKeyId,
                "The AWS Access Key Id you provided does not exist in our records."
            )),
        }
    }
}

#[async_trait::async_trait]
impl S3Access for Guard {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let Some(credentials) = cx.credentials() else {
            return if self.0.auth { Err(s3_error!(AccessDenied, "Access Denied")) } else { Ok(()) };
        };
        let header = cx.headers().get("x-amz-security-token").and_then(|token| token.to_str().ok());
        let mut pairs = cx.uri().query().unwrap_or_default().split('&');
        let query = pairs.find_map(|pair| pair.strip_prefix("X-Amz-Security-Token="));
        let given = header.map(str::to_owned).or_else(|| query.map(|token| decode(token, true)));
        let keys = self.0.keys.lock().unwrap();
        let expected = keys.pairs.get(&credentials.access_key).and_then(|pair| pair.token.clone());
        if given == expected {
            return Ok(());
        }
        Err(s3_error!(InvalidToken, "The provided token is malformed or otherwise invalid."))
    }
}
