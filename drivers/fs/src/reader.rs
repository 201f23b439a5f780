//! Reading. The first piece comes with the file's description, each later piece is read ahead.

use std::{
    fs::File,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use plugin_registry_core::{ByteRange, Error, ErrorKind, FileInfo, Reader, Result, StoragePath};
use rustix::{buffer::spare_capacity, io::Errno};

use crate::{cached, error, job::Job, root::Root};

/// Reads a whole file of at most `limit` bytes.
pub(crate) async fn read_whole(root: &Arc<Root>, path: &StoragePath, limit: u64) -> Result<Bytes> {
    let whole = move |info: &FileInfo| {
        if info.size > limit {
            let message = format!("{} bytes, the limit is {limit}", info.size);
            return Err(Error::new(ErrorKind::TooLarge).with_message(message));
        }
        Ok(0..info.size)
    };
    let at_hand = cached::read(root, path, cached::SMALL, whole);
    let at_hand = at_hand.map(|read| read.map(|(_, _, bytes)| bytes));
    let path = path.clone();
    let read = move |root: &Arc<Root>| {
        let (file, info) = root.open_file(&path)?;
        read_exact(&file, whole(&info)?)
    };
    root.cached_or(at_hand, read).await
}

/// Opens a file. A range of one piece takes at most one piece of blocking work.
pub(crate) async fn open(root: &Arc<Root>, path: &StoragePath, range: ByteRange) -> Result<Reader> {
    let most = root.config.read_piece as u64;
    let at_hand = cached::read(root, path, most, |info| range.resolve(info.size));
    let at_hand =
        at_hand.map(|read| read.map(|(info, range, bytes)| (info, range, Piece { bytes, rest: None })));
    let path = path.clone();
    let read = move |root: &Arc<Root>| {
        let (file, info) = root.open_file(&path)?;
        let range = range.resolve(info.size)?;
        let rest = Rest { file, range: range.clone(), open: Open::new(&root.streams), most };
        Ok((info, range, rest.read()?))
    };
    let (info, range, first) = root.cached_or(at_hand, read).await?;
    Ok(Reader::new(info, range, pieces(root.clone(), first)))
}

fn pieces(root: Arc<Root>, first: Piece) -> BoxStream<'static, Result<Bytes>> {
    stream::try_unfold(Next::Read(first), move |next| {
        let root = root.clone();
        async move {
            let Piece { bytes, rest } = match next {
                Next::Read(piece) => piece,
                Next::Reading(job) => job.await?,
                Next::End => return Ok(None),
            };
            let next = match rest {
                Some(rest) => Next::Reading(root.start(move |_, _| rest.read()).await?),
                None => Next::End,
            };
            Ok((!bytes.is_empty()).then_some((bytes, next)))
        }
    })
    .boxed()
}

enum Next {
    Read(Piece),
    Reading(Job<Piece>),
    End,
}

/// A piece and the rest that follows it. The file is closed with the last piece.
struct Piece {
    bytes: Bytes,
    rest: Option<Rest>,
}

struct Rest {
    file: File,
    range: Range<u64>,
    open: Open,
    most: u64,
}

/// The bytes that all streams of a root read at a time, approximately: as much as stays in the caches until it
/// is hashed and sent on. A stream that its client does not read holds three pieces.
const AT_A_TIME: u64 = 2 << 20;
/// The least that a stream reads at a time.
const LEAST: u64 = 64 << 10;

/// Counts one more stream until it is dropped.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn new(streams: &Arc<AtomicUsize>) -> Self {
        streams.fetch_add(1, Ordering::Relaxed);
        Self(streams.clone())
    }

    /// How much to read: the more streams there are, the less.
    fn piece(&self, most: u64) -> u64 {
        let streams = self.0.load(Ordering::Relaxed).max(1) as u64;
        (AT_A_TIME / streams / LEAST * LEAST).max(LEAST).min(most)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Rest {
    fn read(mut self) -> Result<Piece> {
        let end = self.range.end.min(self.range.start.saturating_add(self.open.piece(self.most)));
        let bytes = read_exact(&self.file, self.range.start..end)?;
        self.range.start = end;
        Ok(Piece { bytes, rest: (!self.range.is_empty()).then_some(self) })
    }
}

/// Reads a range into one allocation of its size, without clearing it first.
fn read_exact(file: &File, mut range: Range<u64>) -> Result<Bytes> {
    let size = usize::try_from(range.end - range.start).map_err(|_| ErrorKind::TooLarge)?;
    let mut buffer = Vec::new();
    buffer
        .try_reserve_exact(size)
        .map_err(|_| Error::new(ErrorKind::TooLarge).with_message("out of memory"))?;
    while !range.is_empty() {
        // A buffer with more capacity than requested must not read beyond the range: take only what is wanted.
        match rustix::io::pread(file, spare_capacity(&mut buffer), range.start) {
            Ok(0) => {
                let message = "the file got shorter while it was being read";
                return Err(Error::new(ErrorKind::Corrupted).with_message(message));
            }
            Ok(read) => range.start = range.start.saturating_add(read as u64),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error::read(error.into())),
        }
    }
    buffer.truncate(size);
    Ok(buffer.into())
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;
    use crate::FsConfig;

    fn root(piece: usize) -> (tempfile::TempDir, Arc<Root>) {
        let directory = tempfile::tempdir().unwrap();
        let mut config = FsConfig::new(directory.path());
        config.read_piece = piece;
        let root = Arc::new(Root::open(config).unwrap());
        (directory, root)
    }

    #[tokio::test]
    async fn a_small_file_is_one_allocation_of_its_size() {
        let (directory, root) = root(1 << 20);
        std::fs::write(directory.path().join("f"), vec![7; 4096]).unwrap();
        let path: StoragePath = "/f".parse().unwrap();
        let reader = open(&root, &path, ByteRange::full()).await.unwrap();
        let pieces: Vec<Bytes> = reader.into_stream().try_collect().await.unwrap();
        let [piece] = <[Bytes; 1]>::try_from(pieces).unwrap();
        // A unique buffer turns back into its allocation.
        assert_eq!(Vec::from(piece).capacity(), 4096);
        assert_eq!(Vec::from(read_whole(&root, &path, 4096).await.unwrap()).capacity(), 4096);
        assert_eq!(read_whole(&root, &path, 4095).await.unwrap_err().kind(), ErrorKind::TooLarge);
    }

    /// A thousand streams that are not read do not hold a thousand times the pieces of one.
    #[tokio::test]
    async fn many_streams_read_less_at_a_time() {
        let (directory, root) = root(1 << 20);
        std::fs::write(directory.path().join("f"), vec![7; 3 << 20]).unwrap();
        let path: StoragePath = "/f".parse().unwrap();
        let first = async || {
            let mut stream = open(&root, &path, ByteRange::full()).await.unwrap().into_stream();
            let piece = stream.next().await.unwrap().unwrap();
            (piece.len(), stream)
        };
        let mut streams = Vec::new();
        for _ in 0..1000 {
            streams.push(first().await);
        }
        let sizes: Vec<usize> = streams.iter().map(|(size, _)| *size).collect();
        assert_eq!(sizes[..4], [1 << 20, 1 << 20, 640 << 10, 512 << 10]);
        assert!(sizes.is_sorted_by(|before, after| before >= after));
        assert_eq!(sizes[999], 64 << 10);
        let held: usize = sizes.iter().sum();
        assert!(held < 128 << 20, "{held}");
        drop(streams);
        // What is being read ahead ends on its own thread.
        let closed = || root.streams.load(Ordering::Relaxed) == 0;
        for _ in 0..30_000 {
            if closed() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        assert!(closed());
        let (size, stream) = first().await;
        assert_eq!(size, 1 << 20);
        let rest: Vec<Bytes> = stream.try_collect().await.unwrap();
        assert_eq!(rest.iter().map(Bytes::len).sum::<usize>(), 2 << 20);
        assert_eq!(root.streams.load(Ordering::Relaxed), 0, "a file is closed with its last piece");
    }

    #[tokio::test]
    async fn ranges_come_in_pieces() {
        let (directory, root) = root(4);
        std::fs::write(directory.path().join("f"), "0123456789").unwrap();
        let path: StoragePath = "/f".parse().unwrap();
        for (range, expected) in [
            (ByteRange::full(), vec!["0123", "4567", "89"]),
            (ByteRange::new(1, 8), vec!["1234", "5678"]),
            (ByteRange::new(9, 8), vec!["9"]),
            (ByteRange::from(10), vec![]),
            (ByteRange::new(3, 0), vec![]),
        ] {
            let reader = open(&root, &path, range).await.unwrap();
            assert_eq!(reader.content_length(), expected.concat().len() as u64);
            let pieces: Vec<Bytes> = reader.into_stream().try_collect().await.unwrap();
            assert_eq!(pieces, expected);
        }
        let beyond = open(&root, &path, ByteRange::from(11)).await.unwrap_err();
        assert_eq!(beyond.kind(), ErrorKind::InvalidOffset);
    }

    #[tokio::test]
    async fn a_file_that_shrinks_is_an_error() {
        let (directory, root) = root(4);
        let file = directory.path().join("f");
        std::fs::write(&file, "0123456789").unwrap();
        let reader = open(&root, &"/f".parse().unwrap(), ByteRange::full()).await.unwrap();
        std::fs::write(&file, "012345").unwrap();
        let mut stream = reader.into_stream();
        assert_eq!(stream.try_next().await.unwrap().unwrap(), "0123");
        assert_eq!(stream.try_next().await.unwrap_err().kind(), ErrorKind::Corrupted);
        assert!(stream.try_next().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_replaced_file_gives_its_old_bytes() {
        let (directory, root) = root(4);
        let file = directory.path().join("f");
        std::fs::write(&file, "0123456789").unwrap();
        let reader = open(&root, &"/f".parse().unwrap(), ByteRange::full()).await.unwrap();
        std::fs::remove_file(&file).unwrap();
        std::fs::write(&file, "abcdefghij").unwrap();
        let pieces: Vec<Bytes> = reader.into_stream().try_collect().await.unwrap();
        assert_eq!(pieces.concat(), b"0123456789");
    }
}
