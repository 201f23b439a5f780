//! One `with_*` method for each setting.

use std::{path::PathBuf, time::Duration};

use plugin_registry_core::Secret;
use url::Url;

use super::{Checksums, S3Config, S3Credentials};

macro_rules! setters {
    ($($with:ident($value:ident: $type:ty) sets $field:ident = $set:expr;)+) => {
        impl S3Config {
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
    with_region(region: impl Into<String>) sets region = Some(region.into());
    with_endpoint(url: Url) sets endpoint = Some(url);
    with_force_path_style(yes: bool) sets force_path_style = Some(yes);
    with_credentials(credentials: S3Credentials) sets credentials = credentials;
    with_token_files(paths: Vec<PathBuf>) sets token_files = paths;
    with_sts_endpoint(url: Url) sets sts_endpoint = Some(url);
    with_sts_ca_bundle(pem: impl Into<String>) sets sts_ca_bundle = Some(pem.into());
    with_sts_ca_bundle_path(path: impl Into<PathBuf>) sets sts_ca_bundle_path = Some(path.into());
    with_secure(yes: bool) sets secure = yes;
    with_skip_verify(yes: bool) sets skip_verify = yes;
    with_ca_bundle(pem: impl Into<String>) sets ca_bundle = Some(pem.into());
    with_ca_bundle_path(path: impl Into<PathBuf>) sets ca_bundle_path = Some(path.into());
    with_proxy(url: Secret) sets proxy = Some(url);
    with_encrypt(yes: bool) sets encrypt = yes;
    with_key_id(id: impl Into<String>) sets key_id = Some(id.into());
    with_storage_class(class: impl Into<String>) sets storage_class = Some(class.into());
    with_object_acl(acl: impl Into<String>) sets object_acl = Some(acl.into());
    with_user_agent(text: impl Into<String>) sets user_agent = Some(text.into());
    with_chunk_size(bytes: u64) sets chunk_size = bytes;
    with_copy_chunk_size(bytes: u64) sets copy_chunk_size = bytes;
    with_copy_concurrency(parts: usize) sets copy_concurrency = parts;
    with_copy_threshold(bytes: u64) sets copy_threshold = bytes;
    with_dual_stack(yes: bool) sets dual_stack = yes;
    with_accelerate(yes: bool) sets accelerate = yes;
    with_fips(yes: bool) sets fips = yes;
    with_redirect_endpoint(url: Url) sets redirect_endpoint = Some(url);
    with_checksums(checksums: Checksums) sets checksums = checksums;
    with_concurrency(parts: usize) sets concurrency = parts;
    with_conditional_writes(yes: bool) sets conditional_writes = Some(yes);
    with_directories(yes: bool) sets directories = Some(yes);
    with_max_attempts(attempts: u32) sets max_attempts = attempts;
    with_idle_timeout(limit: Duration) sets idle_timeout = limit;
    with_answer_timeout(limit: Duration) sets answer_timeout = limit;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setters_set_their_fields() {
        let url = || Url::parse("https://minio:9000").unwrap();
        let config = S3Config::new("b")
            .with_root_directory("/ns/")
            .with_endpoint(url())
            .with_redirect_endpoint(url())
            .with_token_files(vec!["/token".into()])
            .with_sts_endpoint(url())
            .with_sts_ca_bundle("pem")
            .with_force_path_style(true)
            .with_ca_bundle_path("/ca.pem")
            .with_chunk_size(1)
            .with_copy_chunk_size(2)
            .with_copy_threshold(3)
            .with_copy_concurrency(4)
            .with_concurrency(5)
            .with_max_attempts(6)
            .with_idle_timeout(Duration::from_secs(7))
            .with_answer_timeout(Duration::from_secs(8));
        assert_eq!((config.root_directory.as_str(), config.endpoint), ("ns", Some(url())));
        assert_eq!((config.redirect_endpoint, config.force_path_style), (Some(url()), Some(true)));
        assert_eq!((config.sts_endpoint, config.sts_ca_bundle.as_deref()), (Some(url()), Some("pem")));
        assert_eq!(config.token_files, [PathBuf::from("/token")]);
        assert_eq!((config.chunk_size, config.copy_chunk_size, config.copy_threshold), (1, 2, 3));
        assert_eq!((config.copy_concurrency, config.concurrency, config.max_attempts), (4, 5, 6));
        let limits = (config.idle_timeout, config.answer_timeout);
        assert_eq!(limits, (Duration::from_secs(7), Duration::from_secs(8)));
    }
}
