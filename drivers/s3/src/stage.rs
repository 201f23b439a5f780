//! A stage that can be resumed: parts that the store has, and the bytes after them that are too few for a
//! part.
//!
//! All of it is one object beside the file, written as a whole. Without parts it is the bytes themselves, and
//! its metadata names the stage. With parts, or in a store that keeps no metadata, it begins with a
//! description. So a resume never depends on a listing of multipart uploads or parts, which stores get wrong
//! (distribution issue 3420, PR 2389). Bytes of a writer that was killed after its last close do not count.
//!
//! Each close has its own identity. Writers that resume the same bytes continue the same upload. So each writes
//! only parts of numbers that it has reserved, by rewriting the object on the condition of its ETag: no writer
//! ever sends a part of a number that another one's close names (ADR 0039).

use std::ops::RangeInclusive;

use bytes::{BufMut, Bytes, BytesMut};
use plugin_registry_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::{
    client::{Part, UploadId},
    content::Content,
    parts::MAX_PARTS,
};

/// The beginning of such an object.
const MAGIC: &[u8] = b"plugin-registry stage 2\n";

/// The last number that a writer may use. One more is kept for the bytes after its parts.
pub(crate) const LAST: i32 = MAX_PARTS as i32 - 1;

/// How many part numbers a writer reserves at once.
const RESERVED: i32 = 100;

/// Everything but the last bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stage {
    /// Unique to these bytes.
    pub(crate) id: String,
    /// The multipart upload of its parts, once it has some.
    pub(crate) upload: Option<StagedUpload>,
    /// The size of all bytes, including those after the parts.
    pub(crate) size: u64,
}

/// A multipart upload that a stage continues.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StagedUpload {
    pub(crate) id: UploadId,
    /// The mark of the object that it becomes.
    pub(crate) mark: String,
    /// Whether it began with a CRC32 for each part.
    pub(crate) has_crc32: bool,
    /// Its parts, in order. Numbers may be missing.
    pub(crate) parts: Vec<Part>,
    /// The number of a part for the last bytes, if nothing else comes. Anything else gets later numbers.
    pub(crate) next: i32,
    /// A commit has begun: the upload may be used up, and no writer may continue it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) is_ending: bool,
}

impl Stage {
    /// A stage without parts.
    pub(crate) fn of_bytes(id: String, size: u64) -> Self {
        Self { id, upload: None, size }
    }

    /// Encodes the object for this stage and the bytes after its parts.
    pub(crate) fn encode(&self, tail: &Content) -> Result<Bytes> {
        let text =
            serde_json::to_vec(self).map_err(|error| Error::new(ErrorKind::Other).with_source(error))?;
        let length = u32::try_from(text.len()).map_err(|_| ErrorKind::TooLarge)?;
        let mut bytes = BytesMut::with_capacity(MAGIC.len() + 4 + text.len() + tail.len());
        bytes.put_slice(MAGIC);
        bytes.put_u32(length);
        bytes.put_slice(&text);
        tail.pieces().iter().for_each(|piece| bytes.put_slice(piece));
        Ok(bytes.freeze())
    }

    /// Reads such an object.
    ///
    /// # Errors
    /// `Corrupted` for anything else.
    pub(crate) fn decode(object: &Bytes) -> Result<(Self, Bytes)> {
        let (stage, begin) = Self::head(object).ok_or_else(damaged)?;
        let tail = object.slice(begin..);
        if stage.staged_in_parts() + tail.len() as u64 != stage.size {
            return Err(damaged());
        }
        Ok((stage, tail))
    }

    /// Reads the beginning of such an object. Also returns where its last bytes begin.
    pub(crate) fn head(object: &[u8]) -> Option<(Self, usize)> {
        let (length, rest) = object.strip_prefix(MAGIC)?.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let stage: Self = serde_json::from_slice(rest.get(..length)?).ok()?;
        stage.upload.as_ref().is_none_or(StagedUpload::is_sound).then_some((stage, MAGIC.len() + 4 + length))
    }

    /// The number of bytes in parts.
    pub(crate) fn staged_in_parts(&self) -> u64 {
        self.upload.iter().flat_map(|upload| &upload.parts).map(|part| part.size).sum()
    }
}

impl StagedUpload {
    fn is_sound(&self) -> bool {
        let numbers = || self.parts.iter().map(|part| part.number).chain([self.next]);
        numbers().zip(numbers().skip(1)).all(|(one, other)| one < other) && numbers().all(|number| number > 0)
    }

    /// Takes numbers that no other writer may use. They belong to the caller once the stage is written without
    /// them. The next number is kept for the last bytes, unless there are none.
    ///
    /// # Errors
    /// `TooLarge` if there are none left.
    pub(crate) fn reserve(&mut self, has_no_tail: bool) -> Result<RangeInclusive<i32>> {
        let first = if has_no_tail { self.next } else { self.next + 1 };
        let last = self.next.saturating_add(RESERVED).min(LAST);
        if first > last {
            return Err(too_many_parts());
        }
        self.next = last + 1;
        Ok(first..=last)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde passes")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// The error if a file does not fit into the parts that S3 accepts.
pub(crate) fn too_many_parts() -> Error {
    let message =
        "more than 10,000 parts, including those that broke off: announce the size, or raise `chunksize`";
    Error::new(ErrorKind::TooLarge).with_message(message)
}

fn damaged() -> Error {
    Error::new(ErrorKind::Corrupted).with_message("the stage is damaged or was not written by this driver")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(text: &'static str) -> Content {
        Bytes::from(text).into()
    }

    fn part(number: i32) -> Part {
        Part { number, size: 5, etag: format!("\"{number}\""), crc32: None }
    }

    fn stage() -> Stage {
        let parts = vec![part(1), part(102)];
        let upload = StagedUpload {
            id: "u".into(),
            mark: "m".into(),
            has_crc32: true,
            parts,
            next: 103,
            is_ending: false,
        };
        Stage { id: "id".into(), upload: Some(upload), size: 13 }
    }

    #[test]
    fn what_is_written_is_read() {
        for (stage, tail) in [(stage(), "abc"), (Stage::of_bytes("id".into(), 0), "")] {
            let object = stage.encode(&content(tail)).unwrap();
            assert_eq!(Stage::decode(&object).unwrap(), (stage, Bytes::from(tail)));
        }
    }

    #[test]
    fn numbers_are_reserved_once() {
        let mut upload = stage().upload.unwrap();
        let mut taken = Vec::new();
        while let Ok(range) = upload.reserve(taken.is_empty()) {
            assert!(range.start() >= &103 && !taken.contains(range.start()) && range.end() < &upload.next);
            taken.extend(range);
            assert!(!taken.contains(&upload.next), "the number of the last bytes is nobody's");
        }
        assert_eq!(taken.last(), Some(&9_999));
        assert_eq!(upload.reserve(false).unwrap_err().kind(), ErrorKind::TooLarge);
    }

    #[test]
    fn damage_is_noticed() {
        let good = stage().encode(&content("abc")).unwrap();
        for cut in 0..good.len() {
            assert!(Stage::decode(&good.slice(..cut)).is_err(), "cut at {cut}");
        }
        let longer = Bytes::from([&good[..], b"d"].concat());
        let changed = |change: fn(&mut StagedUpload)| {
            let mut stage = stage();
            change(stage.upload.as_mut().unwrap());
            stage.encode(&content("abc")).unwrap()
        };
        for object in [
            longer,
            Stage { upload: None, ..stage() }.encode(&content("abc")).unwrap(),
            changed(|upload| upload.parts.swap(0, 1)),
            changed(|upload| upload.next = 102),
            changed(|upload| upload.parts[0].number = 0),
        ] {
            assert_eq!(Stage::decode(&object).unwrap_err().kind(), ErrorKind::Corrupted);
        }
    }
}
