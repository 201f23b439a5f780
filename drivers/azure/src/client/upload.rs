//! Bodies of uploads for the SDK.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use async_trait::async_trait;
use azure_core::{
    http::{Body, NoFormat, RequestContent},
    stream::SeekableStream,
};
use bytes::{Buf, Bytes};
use futures::io::AsyncRead;
use plugin_registry_drivers_objects::content::Content;

/// How many bytes are copied at a time.
const PIECE: usize = 256 << 10;

/// Content as the SDK sends it: in pieces, and again from its beginning.
#[derive(Clone, Debug)]
struct ContentStream {
    content: Content,
    /// The piece that is read, and what is left of it.
    next: usize,
    piece: Bytes,
}

/// The body of a request for this content.
pub(super) fn body(content: Content) -> RequestContent<Bytes, NoFormat> {
    let body = match content.pieces().len() {
        0 | 1 => Body::Bytes(content.to_bytes()),
        _ => Body::SeekableStream(Box::new(ContentStream { content, next: 0, piece: Bytes::new() })),
    };
    body.into()
}

impl AsyncRead for ContentStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut read = 0;
        while let Some(rest) = buffer.get_mut(read..).filter(|rest| !rest.is_empty()) {
            if self.piece.is_empty() {
                let Some(piece) = self.content.pieces().get(self.next).cloned() else { break };
                (self.piece, self.next) = (piece, self.next + 1);
            }
            let size = rest.len().min(self.piece.len());
            if let Some(rest) = rest.get_mut(..size) {
                self.piece.copy_to_slice(rest);
            }
            read += size;
        }
        Poll::Ready(Ok(read))
    }
}

#[async_trait]
impl SeekableStream for ContentStream {
    async fn reset(&mut self) -> azure_core::Result<()> {
        (self.next, self.piece) = (0, Bytes::new());
        Ok(())
    }

    fn len(&self) -> Option<u64> {
        Some(self.content.len() as u64)
    }

    fn buffer_size(&self) -> usize {
        PIECE
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use plugin_registry_drivers_objects::content::ContentBuilder;

    use super::*;

    #[tokio::test]
    async fn a_body_can_be_sent_again() {
        let (mut gathering, mut all) = (ContentBuilder::default(), Vec::new());
        for (number, size) in [70_000, 5, 600_000, 1].into_iter().enumerate() {
            let piece = Bytes::from(vec![number as u8; size]);
            all.extend_from_slice(&piece);
            gathering.push(piece);
        }
        let content = gathering.take();
        let Body::SeekableStream(mut stream) = body(content).into() else { panic!("it has many pieces") };
        assert_eq!(stream.len(), Some(all.len() as u64));
        for _ in 0..2 {
            let (mut read, mut copy) = (Vec::new(), stream.clone());
            while let Some(piece) = copy.next().await {
                read.extend_from_slice(&piece.unwrap());
            }
            assert_eq!(read, all);
            while stream.next().await.is_some() {}
            stream.reset().await.unwrap();
        }
        let Body::Bytes(one) = body(Bytes::from("one").into()).into() else { panic!("it has one piece") };
        assert_eq!(one, "one");
    }
}
