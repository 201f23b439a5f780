//! Settings that are not mistakes, but probably not what a user wants.

use plugin_registry_core::go_bool;

use super::{provider::Provider, resource::BackupStorageLocation};
use crate::config::{
    Warning, WarningKind,
    cleartext::{CLEARTEXT, is_cleartext},
};

/// Where images are in every bucket.
const IMAGES: &str = "docker/registry/v2";

impl BackupStorageLocation {
    /// Returns warnings for the user who set the location up. The registry still works.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let mut warn = |kind, text: String| warnings.push(Warning::new(kind, text));
        if let Some(text) = self.prefix() {
            warn(WarningKind::Prefix, text);
        }
        if self.is_read_only() {
            let text = "`spec.accessMode` is ReadOnly: images can be restored, but not backed up";
            warn(WarningKind::ReadOnly, text.to_owned());
        }
        let is_on = |key| self.spec.config.get(key).is_some_and(|text| go_bool(text) == Some(true));
        if is_on("insecureSkipTLSVerify") {
            let what = "is true: any certificate is accepted, so others can read and change what is stored";
            warn(
                WarningKind::AnyCertificate,
                format!("`spec.config.insecureSkipTLSVerify` {what}; use `caCert` instead"),
            );
        }
        for key in ["s3Url", "storageAccountURI", "storeEndpoint"] {
            if self.spec.config.get(key).is_some_and(|url| is_cleartext(url)) {
                warn(WarningKind::Cleartext, format!("`spec.config.{key}` {CLEARTEXT}"));
            }
        }
        let has_no_region = self.spec.config.get("region").is_none_or(String::is_empty);
        if matches!(self.provider(), Ok(Provider::Aws)) && is_on("s3ForcePathStyle") && has_no_region {
            let text = "`spec.config.region` is not set: oadp-operator refuses `s3ForcePathStyle` without it";
            warn(WarningKind::NoRegion, text.to_owned());
        }
        warnings
    }

    fn prefix(&self) -> Option<String> {
        let prefix = self.spec.object_storage.prefix.trim_matches('/');
        let images = format!("{IMAGES}/");
        if prefix.is_empty() {
            return Some(invalid("is empty", "docker"));
        }
        let below = images.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/'));
        match below.map(|rest| rest.split('/').next().unwrap_or_default()) {
            Some("") => Some(invalid("is the directory of the images", "blobs repositories")),
            Some(next) => Some(invalid("is above the directory of the images", next)),
            None if prefix.starts_with(&images) => Some(
                "`spec.objectStorage.prefix` is inside the directory of the images: what Velero writes there \
                 damages the registry"
                    .to_owned(),
            ),
            None => None,
        }
    }
}

/// Describes what Velero makes of a prefix below which it finds images.
fn invalid(what: &str, found: &str) -> String {
    format!(
        "`spec.objectStorage.prefix` {what}: Velero will report the location as unavailable once it has images \
         (\"Backup store contains invalid top-level directories: [{found}]\")"
    )
}
