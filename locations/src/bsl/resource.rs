//! The BackupStorageLocation of Velero (`velero.io/v1`), as far as it concerns images.

use std::{collections::BTreeMap, fmt};

use plugin_registry_core::shown_words;
use serde::{Deserialize, Deserializer};

use crate::config::source::shown;

/// Shown in place of what may be a secret.
const HIDDEN: &str = "…";

/// A BackupStorageLocation. Fields that do not concern images, such as `status`, are skipped when one is read.
///
/// A host that has it from the Kubernetes API deserializes it. [`from_text`](Self::from_text) reads files and
/// describes mistakes better.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct BackupStorageLocation {
    /// `metadata`.
    pub metadata: LocationMetadata,
    /// `spec`.
    pub spec: LocationSpec,
}

/// The names of a location.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct LocationMetadata {
    /// `name`.
    pub name: String,
    /// `namespace`, which is Velero's.
    pub namespace: String,
}

/// The settings of a location.
///
/// `Debug` shows no value of [`config`](Self::config), since people put passwords into URLs. It also hides any
/// other value that is not written like a name.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct LocationSpec {
    /// `provider`, such as `aws` or `velero.io/aws`.
    pub provider: String,
    /// `config`: settings of the provider. All values are texts, even `"true"`.
    #[serde(deserialize_with = "nullable")]
    pub config: BTreeMap<String, String>,
    /// `credential`: where the credentials are.
    pub credential: Option<SecretKeyRef>,
    /// `objectStorage`.
    #[serde(deserialize_with = "nullable")]
    pub object_storage: ObjectStorage,
    /// `accessMode`: `ReadOnly` or `ReadWrite`; empty means `ReadWrite`.
    pub access_mode: String,
}

/// Where the objects are.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct ObjectStorage {
    /// `bucket`: a bucket, or a container in Azure.
    pub bucket: String,
    /// `prefix`: Velero writes its files below it, but images are not below it.
    pub prefix: String,
    /// `caCert`: certificates in PEM, as base64.
    pub ca_cert: Option<String>,
    /// `caCertRef`: the key of a Secret that holds certificates in PEM.
    pub ca_cert_ref: Option<SecretKeyRef>,
}

/// A key of a Secret, in the namespace of the location.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct SecretKeyRef {
    /// The name of the Secret.
    pub name: String,
    /// The key in it.
    pub key: String,
}

impl BackupStorageLocation {
    /// Makes a location without settings.
    #[must_use]
    pub fn new(
        namespace: impl Into<String>,
        name: impl Into<String>,
        provider: impl Into<String>,
        bucket: impl Into<String>,
    ) -> Self {
        let metadata = LocationMetadata { name: name.into(), namespace: namespace.into() };
        let object_storage = ObjectStorage { bucket: bucket.into(), ..ObjectStorage::default() };
        let spec = LocationSpec { provider: provider.into(), object_storage, ..LocationSpec::default() };
        Self { metadata, spec }
    }

    /// Sets a key of `spec.config`.
    #[must_use]
    pub fn with_config(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.spec.config.insert(key.into(), value.into());
        self
    }

    /// Sets `spec.credential`. An empty name or key means the provider's usual one.
    #[must_use]
    pub fn with_credential(mut self, name: impl Into<String>, key: impl Into<String>) -> Self {
        self.spec.credential = Some(SecretKeyRef { name: name.into(), key: key.into() });
        self
    }

    /// Sets `spec.objectStorage.prefix`.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.spec.object_storage.prefix = prefix.into();
        self
    }

    /// Sets `spec.objectStorage.caCert`: certificates in PEM, as base64.
    #[must_use]
    pub fn with_ca_cert(mut self, base64: impl Into<String>) -> Self {
        self.spec.object_storage.ca_cert = Some(base64.into());
        self
    }

    /// Sets `spec.accessMode`: `ReadOnly` or `ReadWrite`.
    #[must_use]
    pub fn with_access_mode(mut self, mode: impl Into<String>) -> Self {
        self.spec.access_mode = mode.into();
        self
    }

    /// Returns the location as a source of settings.
    pub(super) fn place(&self) -> String {
        let LocationMetadata { namespace, name } = &self.metadata;
        if namespace.is_empty() && name.is_empty() {
            return "BackupStorageLocation".to_owned();
        }
        format!("BackupStorageLocation {}/{}", shown(namespace), shown(name))
    }

    /// Whether `spec.accessMode` forbids writes.
    pub(super) fn is_read_only(&self) -> bool {
        self.spec.access_mode == "ReadOnly"
    }
}

impl fmt::Debug for LocationSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config: BTreeMap<_, _> = self.config.keys().map(|key| (shown(key), format_args!("…"))).collect();
        f.debug_struct("LocationSpec")
            .field("provider", &shown_words(&self.provider, "._-/").unwrap_or(HIDDEN))
            .field("config", &config)
            .field("credential", &self.credential)
            .field("object_storage", &self.object_storage)
            .field("access_mode", &shown(&self.access_mode))
            .finish()
    }
}

impl fmt::Debug for LocationMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocationMetadata")
            .field("name", &shown(&self.name))
            .field("namespace", &shown(&self.namespace))
            .finish()
    }
}

impl fmt::Debug for ObjectStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectStorage")
            .field("bucket", &shown(&self.bucket))
            .field("prefix", &shown_words(&self.prefix, "._-/").unwrap_or(HIDDEN))
            .field("ca_cert", &self.ca_cert.as_ref().map(|_| format_args!("…")))
            .field("ca_cert_ref", &self.ca_cert_ref)
            .finish()
    }
}

impl fmt::Debug for SecretKeyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKeyRef")
            .field("name", &shown(&self.name))
            .field("key", &shown(&self.key))
            .finish()
    }
}

/// `null` counts as unset.
fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
