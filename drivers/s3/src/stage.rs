//! What waits to be resumed: parts that the store has, and the bytes after them that are too few for one.
//!
//! All of it is one object beside the file, written as a whole. Without parts it is the bytes themselves, and its
//! metadata says of which stage; with parts, or in a store that keeps no metadata, it begins with a description.
//! So a resume never depends on a listing of
//! multipart uploads or parts, which stores get wrong (distribution issue 3420, PR 2389), and bytes of a
//! writer that was killed after its last close do not count.

use bytes::{BufMut, Bytes, BytesMut};
use plugin_registry_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::{
    client::{Part, UploadId},
    content::Content,
};

/// What such an object begins with.
const MAGIC: &[u8] = b"plugin-registry stage 1\n";

/// Everything but the last bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stage {
    /// Unique to the stage, from its first close to its end.
    pub(crate) id: String,
    /// The multipart upload of its parts, once it has some.
    pub(crate) upload: Option<UploadId>,
    /// Its parts, from the first on.
    pub(crate) parts: Vec<Part>,
    /// Whether the upload began with a CRC32 for each part. Descriptions of older releases do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) has_crc32: Option<bool>,
    /// All bytes, those after the parts included.
    pub(crate) size: u64,
}

impl Stage {
    /// One without parts.
    pub(crate) fn of_bytes(id: String, size: u64) -> Self {
        Self { id, upload: None, parts: Vec::new(), has_crc32: None, size }
    }

    /// Whether the parts to come have a CRC32.
    pub(crate) fn has_crc32(&self) -> bool {
        self.has_crc32.unwrap_or_else(|| self.parts.iter().all(|part| part.crc32.is_some()))
    }

    /// The object for this and the bytes after its parts.
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

    /// Reads the beginning of such an object, and where its last bytes begin.
    pub(crate) fn head(object: &[u8]) -> Option<(Self, usize)> {
        let (length, rest) = object.strip_prefix(MAGIC)?.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let stage: Self = serde_json::from_slice(rest.get(..length)?).ok()?;
        let in_order = stage.parts.iter().zip(1..).all(|(part, number)| part.number == number);
        let is_sound = in_order && (stage.upload.is_some() || stage.parts.is_empty());
        is_sound.then_some((stage, MAGIC.len() + 4 + length))
    }

    /// The bytes in parts.
    pub(crate) fn staged_in_parts(&self) -> u64 {
        self.parts.iter().map(|part| part.size).sum()
    }
}

fn damaged() -> Error {
    Error::new(ErrorKind::Corrupted).with_message("what waits to be resumed is damaged or none of ours")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(text: &'static str) -> Content {
        Bytes::from(text).into()
    }

    fn stage() -> Stage {
        let part = |number| Part { number, size: 5, etag: format!("\"{number}\""), crc32: None };
        let parts = vec![part(1), part(2)];
        Stage { id: "id".into(), upload: Some("u".into()), parts, has_crc32: Some(true), size: 13 }
    }

    #[test]
    fn what_is_written_is_read() {
        for (stage, tail) in
            [(stage(), "abc"), (Stage { upload: None, parts: vec![], size: 0, ..stage() }, "")]
        {
            let object = stage.encode(&content(tail)).unwrap();
            assert_eq!(Stage::decode(&object).unwrap(), (stage, Bytes::from(tail)));
        }
    }

    /// Descriptions of releases that did not note it.
    #[test]
    fn how_an_older_upload_began_is_told_by_its_parts() {
        for (sum, expected) in [("", false), (r#","crc32":"y/Q5Jg==""#, true)] {
            let text = format!(
                r#"{{"id":"i","upload":"u","parts":[{{"number":1,"size":5,"etag":"e"{sum}}}],"size":5}}"#
            );
            let length = u32::try_from(text.len()).unwrap().to_be_bytes();
            let object = Bytes::from([MAGIC, &length, text.as_bytes()].concat());
            let (stage, _) = Stage::decode(&object).unwrap();
            assert_eq!((stage.has_crc32, stage.has_crc32()), (None, expected));
            let stage = Stage { has_crc32: Some(!expected), ..stage };
            assert_eq!(stage.has_crc32(), !expected);
        }
    }

    #[test]
    fn damage_is_noticed() {
        let good = stage().encode(&content("abc")).unwrap();
        for cut in 0..good.len() {
            assert!(Stage::decode(&good.slice(..cut)).is_err(), "cut at {cut}");
        }
        let longer = Bytes::from([&good[..], b"d"].concat());
        for object in [longer, Stage { upload: None, ..stage() }.encode(&content("abc")).unwrap(), {
            let mut stage = stage();
            stage.parts.swap(0, 1);
            stage.encode(&content("abc")).unwrap()
        }] {
            assert_eq!(Stage::decode(&object).unwrap_err().kind(), ErrorKind::Corrupted);
        }
    }
}
