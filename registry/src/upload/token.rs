//! The upload state token, which a location carries so that any instance can continue the upload.

use std::{borrow::Cow, fmt};

use base64::{Engine, engine::general_purpose::URL_SAFE};
use hmac::{Hmac, KeyInit, Mac};
use plugin_registry_core::{Algorithm, RepositoryName, Secret};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::id::UploadId;

/// A token has about 250 bytes, or 500 with the longest name.
const MAX_TOKEN_LEN: usize = 8 * 1024;
const TAG_LEN: usize = 32;

/// The key of the tokens of one location. Every instance of the location has the same key, so that an upload
/// begun at one continues at another.
///
/// Without a configured secret, the key is made of the location's name, which is not secret. It then detects
/// damaged tokens and those of other locations, but anyone who knows the name can forge one. Forging has to be
/// worth no more than a POST. So a token opens a session only of the repository in the request's path, because
/// sessions are looked up by their repository ([`Sessions`](super::Sessions)), and it vouches for no bytes.
pub(crate) struct StateKey([u8; 32]);

impl StateKey {
    /// Makes the key from the host's secret, or else from the location's name, if it has one.
    pub(crate) fn new(secret: Option<&Secret>, location: Option<&str>) -> Self {
        let mut hash = Sha256::new();
        match (secret, location) {
            (None, Some(location)) => {
                hash.update(b"plugin-registry upload state of a location\0");
                hash.update(location);
            }
            (secret, _) => {
                hash.update(b"plugin-registry upload state\0");
                hash.update(secret.map(Secret::expose).unwrap_or_default());
            }
        }
        Self(hash.finalize().into())
    }

    fn tag(&self, payload: &[u8]) -> Option<Hmac<Sha256>> {
        let mut tag = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        tag.update(payload);
        Some(tag)
    }
}

impl fmt::Debug for StateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StateKey(…)")
    }
}

/// Where an upload stands, according to a `Location`.
///
/// It is encoded as URL-safe base64 of `HMAC-SHA256(key, J) || J`, where J is JSON with distribution's names
/// and the algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UploadState {
    id: UploadId,
    offset: u64,
    algorithm: Algorithm,
}

/// The JSON of a state.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Payload<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(rename = "UUID", borrow)]
    id: Cow<'a, str>,
    offset: u64,
    /// Set if it is not sha256.
    #[serde(default, skip_serializing_if = "Option::is_none", borrow)]
    algorithm: Option<Cow<'a, str>>,
}

impl UploadState {
    pub(crate) fn new(id: UploadId, offset: u64, algorithm: Algorithm) -> Self {
        Self { id, offset, algorithm }
    }

    pub(crate) fn id(&self) -> UploadId {
        self.id
    }

    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(crate) fn encode(&self, key: &StateKey, repository: &RepositoryName) -> String {
        let algorithm = (self.algorithm != Algorithm::Sha256).then(|| self.algorithm.to_string().into());
        let payload = Payload {
            name: repository.as_str().into(),
            id: self.id.to_string().into(),
            offset: self.offset,
            algorithm,
        };
        let payload = serde_json::to_vec(&payload).unwrap_or_default();
        let mut token = key.tag(&payload).map(|tag| tag.finalize().into_bytes().to_vec()).unwrap_or_default();
        token.extend_from_slice(&payload);
        URL_SAFE.encode(token)
    }

    /// Reads a token for this repository and session. The tag is compared in constant time.
    pub(crate) fn decode(
        token: &str,
        key: &StateKey,
        repository: &RepositoryName,
        id: UploadId,
    ) -> Option<Self> {
        let read = || {
            let bytes = (token.len() <= MAX_TOKEN_LEN).then(|| URL_SAFE.decode(token).ok()).flatten()?;
            let (tag, payload) = bytes.split_at_checked(TAG_LEN)?;
            key.tag(payload)?.verify_slice(tag).ok()?;
            let payload: Payload<'_> = serde_json::from_slice(payload).ok()?;
            let algorithm = payload.algorithm.map_or(Ok(Algorithm::Sha256), |name| name.parse()).ok()?;
            let is_for =
                payload.name == repository.as_str() && payload.id.parse().is_ok_and(|it: UploadId| it == id);
            is_for.then(|| Self::new(id, payload.offset, algorithm))
        };
        read()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_bound_to_key_repository_and_session() {
        let (a, b): (RepositoryName, RepositoryName) = ("a".parse().unwrap(), "b".parse().unwrap());
        let (id, other) = (UploadId::generate(), UploadId::generate());
        let key = StateKey::new(Some(&Secret::new("k")), None);
        let state = UploadState::new(id, 7, Algorithm::Sha512);
        let token = state.encode(&key, &a);
        assert_eq!(UploadState::decode(&token, &key, &a, id).unwrap(), state);
        assert_eq!(
            UploadState::decode(&token, &StateKey::new(Some(&Secret::new("k")), None), &a, id).unwrap(),
            state
        );
        assert!(UploadState::decode(&token, &StateKey::new(None, None), &a, id).is_none());
        assert!(UploadState::decode(&token, &key, &b, id).is_none());
        assert!(UploadState::decode(&token, &key, &a, other).is_none());
        for position in 0..token.len() {
            let mut forged = token.clone().into_bytes();
            forged[position] = if forged[position] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).unwrap();
            // The last character may only change bits that base64 does not use.
            if let Some(read) = UploadState::decode(&forged, &key, &a, id) {
                assert_eq!(read, state);
            }
        }
        for bad in ["", "x", "====", &"A".repeat(9000)] {
            assert!(UploadState::decode(bad, &key, &a, id).is_none());
        }
    }
}
