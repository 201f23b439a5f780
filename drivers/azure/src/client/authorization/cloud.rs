//! Which cloud an account is in, and so who gives tokens for it.

use azure_core::cloud::CloudConfiguration;

use crate::config::AzureConfig;

/// The clouds by the domains of their accounts. Any other domain belongs to the public one.
const CLOUDS: &[(&str, CloudConfiguration)] = &[
    ("core.usgovcloudapi.net", CloudConfiguration::AzureGovernment),
    ("core.chinacloudapi.cn", CloudConfiguration::AzureChina),
];

/// By the host of `serviceurl`, or by `realm`.
///
/// It is always given to the SDK, which would ask the process environment otherwise.
pub(super) fn of(config: &AzureConfig) -> CloudConfiguration {
    let domain = config.service_url.as_ref().and_then(|url| url.host_str()).unwrap_or(&config.realm);
    let domain = domain.to_ascii_lowercase();
    let is_below =
        |parent: &str| domain.strip_suffix(parent).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    let found = CLOUDS.iter().find(|(parent, _)| is_below(parent));
    found.map_or(CloudConfiguration::AzurePublic, |(_, cloud)| cloud.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clouds_by_realm_and_by_url() {
        use CloudConfiguration::{AzureChina, AzureGovernment, AzurePublic};
        let config = || AzureConfig::new("account", "backup");
        for (realm, expected) in [
            ("core.windows.net", AzurePublic),
            ("core.usgovcloudapi.net", AzureGovernment),
            ("Core.ChinaCloudAPI.cn", AzureChina),
            ("evilcore.chinacloudapi.cn", AzurePublic),
            ("stack.example", AzurePublic),
        ] {
            assert_eq!(of(&config().with_realm(realm)), expected, "{realm}");
        }
        for (url, expected) in [
            ("https://account.blob.core.usgovcloudapi.net", AzureGovernment),
            ("https://account.privatelink.blob.core.chinacloudapi.cn", AzureChina),
            ("https://account.blob.core.windows.net", AzurePublic),
            ("https://127.0.0.1:10000/account", AzurePublic),
        ] {
            let config = config().with_realm("core.chinacloudapi.cn").with_service_url(url.parse().unwrap());
            assert_eq!(of(&config), expected, "{url}");
        }
    }
}
