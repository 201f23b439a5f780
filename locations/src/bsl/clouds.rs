//! The hosts of the clouds to which the identity of the process belongs.

use plugin_registry_core::store_url;

use super::{azure::CLOUDS, provider::Provider};

/// The domain of Azure accounts that have their own DNS zone.
const ZONES: &str = "storage.azure.net";
const GOOGLE: &str = ".googleapis.com";
const AMAZON: [&str; 2] = [".amazonaws.com", ".amazonaws.com.cn"];

/// The key of `spec.config` that names an endpoint.
pub(super) fn endpoint_key(provider: Provider) -> &'static str {
    match provider {
        Provider::Aws => "s3Url",
        Provider::Azure => "storageAccountURI",
        Provider::Gcp => "storeEndpoint",
    }
}

/// Whether an endpoint belongs to the cloud itself, over https. Hosts in its domains that customers have, such
/// as those of a load balancer, do not count.
pub(super) fn is_own(provider: Provider, text: &str) -> bool {
    let text = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let Some(url) = store_url(&text).filter(|url| url.scheme() == "https") else { return false };
    let host = url.host_str().unwrap_or_default();
    match provider {
        Provider::Aws => AMAZON.iter().any(|domain| host.strip_suffix(domain).is_some_and(is_s3)),
        Provider::Azure => {
            let realms = CLOUDS.iter().map(|(_, realm)| *realm).chain([ZONES]);
            host.split_once(".blob.").is_some_and(|(_, realm)| realms.into_iter().any(|known| known == realm))
        }
        Provider::Gcp => host.ends_with(GOOGLE),
    }
}

/// `s3`, `s3.REGION`, `s3-fips.dualstack.REGION` and similar.
fn is_s3(host: &str) -> bool {
    let mut labels = host.split('.');
    let is_service = matches!(labels.next(), Some("s3" | "s3-fips" | "s3-accelerate"));
    let rest: Vec<&str> = labels.filter(|label| *label != "dualstack").collect();
    is_service
        && match rest.as_slice() {
            [] => true,
            // For the load balancers of a region, the last label is `elb`.
            [region] => region.contains('-') && region.ends_with(|c: char| c.is_ascii_digit()),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_the_clouds() {
        for (provider, own, others) in [
            (
                Provider::Aws,
                &[
                    "https://s3.amazonaws.com",
                    "s3.eu-west-1.amazonaws.com",
                    "https://s3-fips.dualstack.us-gov-west-1.amazonaws.com/",
                    "https://S3.cn-north-1.amazonaws.com.cn",
                ][..],
                &[
                    "http://s3.eu-west-1.amazonaws.com",
                    "https://s3.elb.amazonaws.com",
                    "https://s3-1.eu-west-1.elb.amazonaws.com",
                    "https://api.execute-api.eu-west-1.amazonaws.com",
                    "https://s3.eu-west-1.amazonaws.com.evil.example",
                    "https://evil.example/s3.eu-west-1.amazonaws.com",
                    "https://evilamazonaws.com",
                    "https://s3.eu-west-1.amazonaws.com@evil.example",
                    "",
                ][..],
            ),
            (
                Provider::Azure,
                &[
                    "https://account.blob.core.windows.net",
                    "https://account.privatelink.blob.core.windows.net",
                    "https://account.z01.blob.storage.azure.net/",
                    "https://account.blob.core.chinacloudapi.cn",
                ],
                &[
                    "http://account.blob.core.windows.net",
                    "https://account.blob.core.windows.net.evil.example",
                    "https://evil.example",
                    "https://vm.cloudapp.azure.com",
                ],
            ),
            (
                Provider::Gcp,
                &["storage.googleapis.com", "https://storage-a.p.googleapis.com/storage/v1"],
                &[
                    "http://storage.googleapis.com",
                    "https://googleapis.com.evil.example",
                    "evilgoogleapis.com",
                ],
            ),
        ] {
            assert!(own.iter().all(|url| is_own(provider, url)), "{own:?}");
            for other in others {
                assert!(!is_own(provider, other), "{other}");
            }
        }
    }
}
