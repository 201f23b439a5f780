//! Bytes in the pieces in which they arrived.

use std::{convert::Infallible, io, ops::Range};

use bytes::{Bytes, BytesMut};
use futures::stream;
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use s3s::{
    Body,
    crypto::{Checksum as _, Md5},
};

use super::text::hex;

/// Bytes that are never copied together: a server in the measured process should cost little.
#[derive(Clone, Debug, Default)]
pub struct Content {
    pieces: Vec<Bytes>,
    length: usize,
}

impl Content {
    /// The number of bytes.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// All bytes in one piece. This copies them, unless they arrived so.
    pub fn to_bytes(&self) -> Bytes {
        if let [piece] = self.pieces.as_slice() {
            return piece.clone();
        }
        let mut whole = BytesMut::with_capacity(self.length);
        self.pieces.iter().for_each(|piece| whole.extend_from_slice(piece));
        whole.freeze()
    }

    /// The bytes of a range, which must be within the content.
    pub fn slice(&self, range: Range<usize>) -> Self {
        assert!(range.end <= self.length, "{range:?} of {} bytes", self.length);
        let (mut found, mut begin) = (Self::default(), 0);
        for piece in &self.pieces {
            let end = begin + piece.len();
            let (from, to) = (range.start.max(begin), range.end.min(end));
            if from < to {
                found.push(piece.slice(from - begin..to - begin));
            }
            begin = end;
        }
        found
    }

    /// The pieces.
    pub fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    pub(super) fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.length += piece.len();
            self.pieces.push(piece);
        }
    }

    pub(super) fn append(&mut self, other: &Self) {
        self.pieces.extend_from_slice(&other.pieces);
        self.length += other.length;
    }

    pub(super) fn truncate(&mut self, length: usize) {
        *self = self.slice(0..length.min(self.length));
    }

    pub(super) fn md5(&self) -> String {
        hex(&self.md5_bytes())
    }

    pub(super) fn md5_bytes(&self) -> [u8; 16] {
        let mut sum = Md5::new();
        self.pieces.iter().for_each(|piece| sum.update(piece));
        sum.finalize()
    }

    /// The body in the form that `s3s` takes.
    pub(super) fn into_body(mut self) -> Body {
        if self.pieces.len() <= 1 {
            return Body::from(self.pieces.pop().unwrap_or_default());
        }
        Body::http_body_unsync(frames(self.pieces))
    }

    /// The body in the form that hyper sends.
    pub(super) fn into_frames(mut self) -> UnsyncBoxBody<Bytes, io::Error> {
        if self.pieces.len() <= 1 {
            let whole = Full::new(self.pieces.pop().unwrap_or_default());
            return whole.map_err(|never| match never {}).boxed_unsync();
        }
        frames(self.pieces).map_err(|never| match never {}).boxed_unsync()
    }
}

fn frames(pieces: Vec<Bytes>) -> impl http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static {
    StreamBody::new(stream::iter(pieces.into_iter().map(|piece| Ok(Frame::data(piece)))))
}

impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        self.length == other.length && self.to_bytes() == other.to_bytes()
    }
}

impl From<Bytes> for Content {
    fn from(bytes: Bytes) -> Self {
        let mut content = Self::default();
        content.push(bytes);
        content
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_as_one() {
        let mut content = Content::default();
        for piece in ["abc", "", "de", "f"] {
            content.push(Bytes::from_static(piece.as_bytes()));
        }
        assert_eq!((content.len(), content.pieces().len()), (6, 3));
        assert_eq!(content.to_bytes(), "abcdef");
        assert!(content == Content::from(Bytes::from("abcdef")));
        for from in 0..=6 {
            for to in from..=6 {
                assert_eq!(content.slice(from..to).to_bytes(), "abcdef"[from..to]);
            }
        }
        assert_eq!(content.md5(), Content::from(Bytes::from("abcdef")).md5());
        content.truncate(4);
        assert_eq!(content.to_bytes(), "abcd");
    }
}
