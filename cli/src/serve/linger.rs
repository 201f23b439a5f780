//! The end of a connection whose client may still be sending.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::watch,
    time::{Instant, timeout},
};

use super::{guarded::Guarded, patience::Patience};

/// How long the rest of an unwanted body is read after the answer.
const TIME: Duration = Duration::from_secs(30);
/// How long a client has for the next [`LEAST`] bytes: 64 KiB/s.
const STEP: Duration = Duration::from_secs(2);
const LEAST: usize = 128 * 1024;
/// How much is read at a time.
const PIECE: usize = 64 * 1024;

/// Ends the sending side, and reads what the client still sends. Closing with unread bytes would reset the
/// connection, and a client that sends everything before it reads would lose the answer. It reads any amount,
/// as long as the bytes keep coming, there is time, and no other client waits for the place.
pub(super) async fn linger(mut stream: Guarded, patience: &Patience, closing: &watch::Receiver<bool>) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let mut piece = vec![0; PIECE];
    let end = Instant::now() + TIME;
    while let Ok(true) = timeout(STEP, pass(&mut stream, &mut piece)).await {
        if Instant::now() >= end || patience.is_crowded() || *closing.borrow() {
            return;
        }
    }
}

/// Reads [`LEAST`] bytes; false when the client has ended.
async fn pass(stream: &mut Guarded, piece: &mut [u8]) -> bool {
    let mut left = LEAST;
    while let Ok(read @ 1..) = stream.read(piece).await {
        left = left.saturating_sub(read);
        if left == 0 {
            return true;
        }
    }
    false
}
