//! One `with_*` method for each setting.

use std::path::PathBuf;

use plugin_registry_core::Secret;
use url::Url;

use super::{GcsConfig, GcsCredentials};

macro_rules! setters {
    ($($with:ident($value:ident: $type:ty) sets $field:ident = $set:expr;)+) => {
        impl GcsConfig {
            $(
                #[doc = concat!("Sets [`", stringify!($field), "`](Self::", stringify!($field), ").")]
                #[must_use]
                pub fn $with(mut self, $value: $type) -> Self {
                    self.$field = $set;
                    self
                }
            )+
        }
    };
}

setters! {
    with_root_directory(path: impl AsRef<str>) sets root_directory = path.as_ref().trim_matches('/').to_owned();
    with_credentials(credentials: GcsCredentials) sets credentials = credentials;
    with_token_files(paths: Vec<PathBuf>) sets token_files = paths;
    with_endpoint(url: Url) sets endpoint = Some(url);
    with_chunk_size(bytes: u64) sets chunk_size = bytes;
    with_concurrency(operations: usize) sets concurrency = operations;
    with_user_agent(text: impl Into<String>) sets user_agent = Some(text.into());
    with_skip_verify(yes: bool) sets skip_verify = yes;
    with_ca_bundle(pem: impl Into<String>) sets ca_bundle = Some(pem.into());
    with_ca_bundle_path(path: impl Into<PathBuf>) sets ca_bundle_path = Some(path.into());
    with_proxy(url: Secret) sets proxy = Some(url);
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_setters_set_their_fields() {
        let url = || Url::parse("http://127.0.0.1:4443").unwrap();
        let config = GcsConfig::new("backup")
            .with_root_directory("/ns/")
            .with_credentials(GcsCredentials::Anonymous)
            .with_token_files(vec!["/token".into()])
            .with_endpoint(url())
            .with_chunk_size(1)
            .with_concurrency(2)
            .with_user_agent("backup/1.0")
            .with_skip_verify(true)
            .with_ca_bundle("pem")
            .with_ca_bundle_path("/ca.pem")
            .with_proxy(Secret::new("http://proxy"));
        assert_eq!((config.bucket.as_str(), config.root_directory.as_str()), ("backup", "ns"));
        assert!(matches!(config.credentials, GcsCredentials::Anonymous));
        assert_eq!(config.token_files, [Path::new("/token")]);
        assert_eq!((config.endpoint, config.chunk_size, config.concurrency), (Some(url()), 1, 2));
        assert_eq!((config.user_agent.as_deref(), config.skip_verify), (Some("backup/1.0"), true));
        assert_eq!(config.ca_bundle.as_deref(), Some("pem"));
        assert_eq!(config.ca_bundle_path.as_deref(), Some(Path::new("/ca.pem")));
        assert_eq!(config.proxy.unwrap().expose(), "http://proxy");
    }
}
