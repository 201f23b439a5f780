//! One `with_*` method for each setting.

use std::{path::PathBuf, time::Duration};

use plugin_registry_core::Secret;
use url::Url;

use super::{AzureConfig, AzureCredentials, LeadingSlash, ServicePrincipal};

macro_rules! setters {
    ($($with:ident($value:ident: $type:ty) sets $field:ident = $set:expr;)+) => {
        impl AzureConfig {
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
    with_credentials(credentials: AzureCredentials) sets credentials = credentials;
    with_environment(principal: ServicePrincipal) sets environment = Some(principal);
    with_programs(yes: bool) sets programs = yes;
    with_realm(domain: impl Into<String>) sets realm = domain.into();
    with_service_url(url: Url) sets service_url = Some(url);
    with_root_directory(path: impl AsRef<str>) sets root_directory = path.as_ref().trim_matches('/').to_owned();
    with_leading_slash(slash: LeadingSlash) sets leading_slash = slash;
    with_max_retries(retries: u32) sets max_retries = retries;
    with_retry_delay(delay: Duration) sets retry_delay = delay;
    with_skip_verify(yes: bool) sets skip_verify = yes;
    with_ca_bundle(pem: impl Into<String>) sets ca_bundle = Some(pem.into());
    with_ca_bundle_path(path: impl Into<PathBuf>) sets ca_bundle_path = Some(path.into());
    with_proxy(url: Secret) sets proxy = Some(url);
    with_chunk_size(bytes: u64) sets chunk_size = bytes;
    with_concurrency(blocks: usize) sets concurrency = blocks;
    with_max_attempts(attempts: u32) sets max_attempts = attempts;
    with_idle_timeout(limit: Duration) sets idle_timeout = limit;
    with_answer_timeout(limit: Duration) sets answer_timeout = limit;
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_setters_set_their_fields() {
        let url = || Url::parse("http://127.0.0.1:10000/devstoreaccount1").unwrap();
        let config = AzureConfig::new("account", "backup")
            .with_credentials(AzureCredentials::SharedKey(Secret::new("a")))
            .with_environment(ServicePrincipal::new("client", "tenant", Secret::new("b")))
            .with_programs(true)
            .with_realm("core.chinacloudapi.cn")
            .with_service_url(url())
            .with_root_directory("/ns/")
            .with_leading_slash(LeadingSlash::Yes)
            .with_max_retries(1)
            .with_retry_delay(Duration::from_secs(2))
            .with_skip_verify(true)
            .with_ca_bundle("pem")
            .with_ca_bundle_path("/ca.pem")
            .with_proxy(Secret::new("http://proxy"))
            .with_chunk_size(1 << 20)
            .with_concurrency(7)
            .with_max_attempts(2)
            .with_idle_timeout(Duration::from_secs(3))
            .with_answer_timeout(Duration::from_secs(4));
        assert_eq!((config.account_name.as_str(), config.container.as_str()), ("account", "backup"));
        assert!(matches!(&config.credentials, AzureCredentials::SharedKey(key) if key.expose() == "a"));
        assert!(config.programs && config.environment.is_some_and(|given| given.client_id == "client"));
        assert_eq!((config.realm.as_str(), config.service_url), ("core.chinacloudapi.cn", Some(url())));
        assert_eq!((config.root_directory.as_str(), config.leading_slash), ("ns", LeadingSlash::Yes));
        assert_eq!((config.max_retries, config.retry_delay), (1, Duration::from_secs(2)));
        assert_eq!((config.skip_verify, config.ca_bundle.as_deref()), (true, Some("pem")));
        assert_eq!(config.ca_bundle_path.as_deref(), Some(Path::new("/ca.pem")));
        assert_eq!(config.proxy.unwrap().expose(), "http://proxy");
        assert_eq!((config.chunk_size, config.concurrency, config.max_attempts), (1 << 20, 7, 2));
        assert_eq!((config.idle_timeout.as_secs(), config.answer_timeout.as_secs()), (3, 4));
    }
}
