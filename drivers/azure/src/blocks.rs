//! What the store accepts of the blocks of one blob.

use plugin_registry_core::{Error, ErrorKind};
use plugin_registry_drivers_objects::parts::PartLimits;

/// The most blocks in a blob.
pub(crate) const MAX_BLOCKS: usize = 50_000;
/// The most bytes in a block. One request writes more, but a writer that gathers never does.
pub(crate) const MAX_BLOCK: u64 = 4000 << 20;
/// The largest blob: about 190 TiB.
pub(crate) const MAX_BLOB: u64 = MAX_BLOCKS as u64 * MAX_BLOCK;

/// The same, for the sizes of blocks.
pub(crate) const LIMITS: PartLimits =
    PartLimits { parts: MAX_BLOCKS as u64, part: MAX_BLOCK, file: MAX_BLOB, name: "an Azure blob" };

/// The error if a file does not fit into the blocks that Azure accepts.
pub(crate) fn too_many_blocks() -> Error {
    let message =
        "more than 50,000 blocks: announce the size, raise `chunksize`, or close a stage less often";
    Error::new(ErrorKind::TooLarge).with_message(message)
}
