//! The first of several identities that gives a token.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use azure_core::{
    Error, Result,
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    error::ErrorKind,
};

use crate::error::causes;

/// No link has given a token yet.
const NONE: usize = usize::MAX;

/// Asks each credential in turn. From the first token on, only the one that gave it is asked: an instance
/// never changes its identity.
pub(super) struct Chain {
    links: Vec<(&'static str, Arc<dyn TokenCredential>)>,
    chosen: AtomicUsize,
}

impl Chain {
    pub(super) fn new(links: Vec<(&'static str, Arc<dyn TokenCredential>)>) -> Self {
        Self { links, chosen: AtomicUsize::new(NONE) }
    }
}

#[async_trait]
impl TokenCredential for Chain {
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> Result<AccessToken> {
        let chosen = self.chosen.load(Ordering::Relaxed);
        if let Some((_, credential)) = self.links.get(chosen) {
            return credential.get_token(scopes, options).await;
        }
        let mut failures = Vec::new();
        for (index, (name, credential)) in self.links.iter().enumerate() {
            match credential.get_token(scopes, options.clone()).await {
                Ok(token) => {
                    tracing::debug!(identity = name, "an identity of this process gives tokens");
                    self.chosen.store(index, Ordering::Relaxed);
                    return Ok(token);
                }
                Err(error) => failures.push(format!("{name}: {}", causes(&error))),
            }
        }
        let text = format!("no identity of this process gives a token: {}", failures.join("; "));
        Err(Error::with_message(ErrorKind::Credential, text))
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.links.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use azure_core::time::{Duration, OffsetDateTime};

    use super::*;

    /// Gives a token of its name, unless it is without one.
    #[derive(Debug)]
    struct Link(Option<&'static str>, AtomicUsize);

    #[async_trait]
    impl TokenCredential for Link {
        async fn get_token(&self, _: &[&str], _: Option<TokenRequestOptions<'_>>) -> Result<AccessToken> {
            self.1.fetch_add(1, Ordering::Relaxed);
            let token = self.0.ok_or_else(|| Error::with_message(ErrorKind::Credential, "none here"))?;
            Ok(AccessToken::new(token, OffsetDateTime::now_utc() + Duration::hours(1)))
        }
    }

    #[tokio::test]
    async fn the_first_that_gives_a_token_is_kept() {
        let links =
            [None, Some("second"), Some("third")].map(|name| Arc::new(Link(name, AtomicUsize::new(0))));
        let names = ["one", "two", "three"];
        let chain =
            Chain::new(names.into_iter().zip(links.clone()).map(|(name, link)| (name, link as _)).collect());
        for _ in 0..3 {
            assert_eq!(chain.get_token(&["s"], None).await.unwrap().token.secret(), "second");
        }
        assert_eq!(links.map(|link| link.1.load(Ordering::Relaxed)), [1, 3, 0]);
    }

    #[tokio::test]
    async fn without_any_all_failures_are_said() {
        let link = || Arc::new(Link(None, AtomicUsize::new(0))) as Arc<dyn TokenCredential>;
        let chain = Chain::new(vec![("one", link()), ("two", link())]);
        let error = chain.get_token(&["s"], None).await.unwrap_err();
        assert_eq!(
            causes(&error),
            "no identity of this process gives a token: one: none here; two: none here"
        );
    }
}
