//! Settings for people to read. Text that does not look like a name is hidden: it may be a misplaced secret.

use std::fmt;

use plugin_registry_core::shown_name;

use super::{S3Config, S3Credentials};

impl fmt::Debug for S3Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |text: &str| shown_name(text).unwrap_or("…").to_owned();
        f.debug_struct("S3Config")
            .field("bucket", &name(&self.bucket))
            .field("region", &self.region.as_deref().map(name))
            .field("force_path_style", &self.force_path_style)
            .field("credentials", &self.credentials)
            .field("encrypt", &self.encrypt)
            .field("storage_class", &self.storage_class.as_deref().map(name))
            .field("chunk_size", &self.chunk_size)
            .field("checksums", &self.checksums)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for S3Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chain => f.write_str("Chain"),
            Self::AccessKeys(keys) => f.debug_tuple("AccessKeys").field(keys).finish(),
            Self::Text { .. } => f.debug_struct("Text").finish_non_exhaustive(),
            Self::File { .. } => f.debug_struct("File").finish_non_exhaustive(),
            Self::Source(source) => f.debug_tuple("Source").field(source).finish(),
        }
    }
}
