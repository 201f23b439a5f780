//! The bytes of one request, in the pieces in which they came. They are not copied into one buffer, and
//! sending a request again takes no extra memory.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    vec,
};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use plugin_registry_core::{Algorithm, Hasher};

/// Shorter pieces are copied together: each piece costs some bytes, and may keep a larger buffer alive.
const SHORT: usize = 64 << 10;
/// The most that is reserved to copy them to.
const BLOCK: usize = 256 << 10;

/// Bytes that are sent as they are, and can be sent again.
#[derive(Clone, Debug, Default)]
pub struct Content {
    pieces: Vec<Bytes>,
    length: usize,
}

impl Content {
    /// The number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The pieces, none of them empty.
    #[must_use]
    pub fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    /// All pieces in one. A copy, unless there is only one.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match self.pieces.as_slice() {
            [] => Bytes::new(),
            [piece] => piece.clone(),
            pieces => pieces.concat().into(),
        }
    }

    /// The hash that a signature names: 64 hexadecimal digits.
    #[must_use]
    pub fn sha256(&self) -> String {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        self.pieces.iter().for_each(|piece| hasher.update(piece));
        hasher.finish().hex()
    }

    /// The body of a request. Its length is known.
    #[must_use]
    pub fn into_body(self) -> Body {
        Body { left: self.length, pieces: self.pieces.into_iter() }
    }

    fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.length += piece.len();
            self.pieces.push(piece);
        }
    }
}

impl From<Bytes> for Content {
    fn from(bytes: Bytes) -> Self {
        let mut content = Self::default();
        content.push(bytes);
        content
    }
}

/// Content on its way. A clone of one that has not begun is the same body again.
#[derive(Clone, Debug)]
pub struct Body {
    pieces: vec::IntoIter<Bytes>,
    left: usize,
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.pieces.next();
        self.left -= piece.as_ref().map_or(0, Bytes::len);
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left as u64)
    }
}

/// Content that grows. It holds the pieces that were pushed, so it takes as much memory as they do.
#[derive(Debug, Default)]
pub struct ContentBuilder {
    content: Content,
    /// Short pieces, which follow those of `content`.
    short: BytesMut,
}

impl ContentBuilder {
    /// The number of bytes so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.content.length + self.short.len()
    }

    /// Whether nothing was pushed yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends bytes.
    pub fn push(&mut self, piece: Bytes) {
        if piece.len() >= SHORT {
            self.seal();
            self.content.push(piece);
            return;
        }
        if self.short.capacity() - self.short.len() < piece.len() {
            self.seal();
            // A small file takes little memory, whatever it grows to.
            self.short = BytesMut::with_capacity(self.len().min(BLOCK).max(piece.len()));
        }
        self.short.extend_from_slice(&piece);
    }

    /// Takes what has gathered and leaves nothing.
    pub fn take(&mut self) -> Content {
        self.seal();
        std::mem::take(&mut self.content)
    }

    fn seal(&mut self) {
        self.content.push(std::mem::take(&mut self.short).freeze());
    }
}

impl From<Bytes> for ContentBuilder {
    fn from(bytes: Bytes) -> Self {
        Self { content: bytes.into(), short: BytesMut::new() }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures::FutureExt;
    use plugin_registry_core::Digest;

    use super::*;

    fn gathered(sizes: &[usize]) -> (ContentBuilder, Vec<u8>) {
        let (mut gathering, mut all) = (ContentBuilder::default(), Vec::new());
        for (number, size) in sizes.iter().enumerate() {
            let piece = vec![number as u8; *size];
            all.extend_from_slice(&piece);
            gathering.push(piece.into());
            assert_eq!(gathering.len(), all.len());
        }
        (gathering, all)
    }

    #[test]
    fn pieces_are_in_order_and_few() {
        let cases = [
            (vec![], 0..1),
            (vec![0, 0], 0..1),
            (vec![1, 2, 3], 1..4),
            (vec![SHORT, 1, 2, SHORT, SHORT], 4..5),
            (vec![100; 100_000], 30..60),
        ];
        for (sizes, pieces) in cases {
            let (mut gathering, all) = gathered(&sizes);
            let content = gathering.take();
            assert!(gathering.is_empty());
            assert_eq!(content.to_bytes(), all);
            assert_eq!(content.len(), all.len());
            assert!(pieces.contains(&content.pieces().len()), "{}", content.pieces().len());
        }
    }

    #[test]
    fn a_hash_is_that_of_all_bytes() {
        let (mut gathering, all) = gathered(&[SHORT, 5, SHORT]);
        assert_eq!(gathering.take().sha256(), Digest::sha256(&all).hex());
    }

    #[test]
    fn a_body_can_be_had_again() {
        let (mut gathering, all) = gathered(&[SHORT, 5, 2 * SHORT]);
        let body = gathering.take().into_body();
        assert_eq!(http_body::Body::size_hint(&body).exact(), Some(all.len() as u64));
        for mut body in [body.clone(), body] {
            let mut read = Vec::new();
            let next = |body: &mut Body| {
                let frame = poll_fn(|cx| http_body::Body::poll_frame(Pin::new(body), cx));
                frame.now_or_never().flatten()
            };
            while let Some(Ok(frame)) = next(&mut body) {
                read.extend_from_slice(&frame.into_data().unwrap());
            }
            assert_eq!(read, all);
            assert!(http_body::Body::is_end_stream(&body));
        }
    }
}
