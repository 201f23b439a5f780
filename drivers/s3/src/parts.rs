//! What S3 accepts of the parts of one file.

use plugin_registry_drivers_objects::parts::PartLimits;
pub(crate) use plugin_registry_drivers_objects::parts::PartSizes;

/// The most parts that S3 accepts.
pub(crate) const MAX_PARTS: u64 = 10_000;
/// The least bytes in each part but the last.
pub(crate) const MIN_PART: u64 = 5 << 20;
/// The most bytes in a part, and the most that one request copies.
pub(crate) const MAX_PART: u64 = 5 << 30;
/// The largest object.
pub(crate) const MAX_FILE: u64 = 5 << 40;

/// The same, for the sizes of parts.
pub(crate) const LIMITS: PartLimits =
    PartLimits { parts: MAX_PARTS, part: MAX_PART, file: MAX_FILE, name: "an S3 object" };
