//! Holds a body to what was announced.

use bytes::Bytes;
use futures::{StreamExt, future, stream};

use super::{scope::Scope, span};
use crate::{
    error::{Error, ErrorKind, Result},
    file::Reader,
    metrics::Operation,
};

/// Wraps a reader so that it yields exactly the announced bytes or ends in an error.
///
/// So no caller takes a truncated body with a clean end for the whole (aws-sdk-rust#1079, attic#341).
pub(super) fn exact(reader: Reader, scope: Scope) -> Reader {
    let (info, range) = (reader.info().clone(), reader.range());
    let mut missing = reader.content_length();
    let not_empty = |piece: &Result<Bytes>| future::ready(!matches!(piece, Ok(piece) if piece.is_empty()));
    // An empty piece marks the end for the check. The filter behind it removes it again.
    let end = stream::once(future::ready(Ok(Bytes::new())));
    let span = scope.span(Operation::ReadBody);
    let stream = reader.into_stream().filter(not_empty).chain(end).map(move |piece| {
        let piece = piece.map_err(|error| scope.fail(error))?;
        scope.metrics.record_read(piece.len());
        match missing.checked_sub(piece.len() as u64) {
            Some(rest) if rest == 0 || !piece.is_empty() => missing = rest,
            _ => {
                let message = "the store sent fewer or more bytes than it announced";
                return Err(scope.fail(Error::new(ErrorKind::Unavailable).with_message(message)));
            }
        }
        Ok(piece)
    });
    Reader::new(info, range, span::within(span, stream.filter(not_empty)))
}
