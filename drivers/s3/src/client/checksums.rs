//! Which checksum uploads carry, and whether the store accepts it.
//!
//! The checksum is a header, never a trailer: older stores do not know trailers, and some store them as part of
//! the object (velero issue 9951). A bucket with Object Lock accepts no upload without a checksum (ADR 0026).

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use aws_smithy_types::base64;
use md5::{Digest as _, Md5};
use plugin_registry_core::{Error, Result};

use crate::{config::Checksums, content::Content, error::is_not_understood};

/// The checksum that proves that bytes arrived as they were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChecksumMode {
    /// `x-amz-checksum-crc32`.
    Crc32,
    /// Nothing.
    None,
    /// `Content-MD5`, which every store knows.
    Md5,
}

/// Requests that may carry a checksum. A store may accept it in only some of them.
#[derive(Clone, Copy, Debug)]
pub(super) enum RequestKind {
    Object,
    Begin,
    Part,
}

/// The headers of an upload.
#[derive(Clone, Debug, Default)]
pub(super) struct Headers {
    pub(super) crc32: Option<String>,
    pub(super) md5: Option<String>,
}

impl ChecksumMode {
    pub(super) fn of(self, content: &Content) -> Headers {
        match self {
            Self::Crc32 => {
                let mut hasher = crc32fast::Hasher::new();
                content.pieces().iter().for_each(|piece| hasher.update(piece));
                let sum = base64::encode(hasher.finalize().to_be_bytes());
                Headers { crc32: Some(sum), md5: None }
            }
            Self::None => Headers::default(),
            Self::Md5 => {
                let mut hasher = Md5::new();
                content.pieces().iter().for_each(|piece| hasher.update(piece));
                Headers { crc32: None, md5: Some(base64::encode(hasher.finalize())) }
            }
        }
    }
}

/// One request on its way to being understood.
#[derive(Debug)]
pub(super) struct Attempt {
    carrier: RequestKind,
    first: ChecksumMode,
    /// The checksum that it carries now.
    pub(super) sum: ChecksumMode,
    refusal: Option<Error>,
}

/// The checksum of one store. The first upload learns it if the settings leave it open.
#[derive(Debug)]
pub(super) struct ChecksumNegotiation {
    sum: AtomicU8,
    is_open: bool,
    /// The checksums with which each carrier has succeeded.
    proven: [[AtomicBool; 3]; 3],
}

const ORDER: [ChecksumMode; 3] = [ChecksumMode::Crc32, ChecksumMode::None, ChecksumMode::Md5];

impl ChecksumNegotiation {
    pub(super) fn new(setting: Checksums) -> Self {
        let sum = if setting == Checksums::Required { ChecksumMode::None } else { ChecksumMode::Crc32 };
        let is_open = setting == Checksums::Automatic;
        Self { sum: AtomicU8::new(sum as u8), is_open, proven: Default::default() }
    }

    pub(super) fn now(&self) -> ChecksumMode {
        let at = usize::from(self.sum.load(Ordering::Relaxed));
        ORDER.get(at).copied().unwrap_or(ChecksumMode::None)
    }

    /// An attempt to send a request, whose first checksum is `first`.
    pub(super) fn attempt(carrier: RequestKind, first: ChecksumMode) -> Attempt {
        Attempt { carrier, first, sum: first, refusal: None }
    }

    /// Takes the result of an attempt. `None` asks for another attempt: a request that the store did not
    /// understand is sent without a checksum, and then with `Content-MD5`, unless such a request has succeeded
    /// with the checksum it had. The error of the last attempt is not about the checksum.
    pub(super) fn settle<T>(&self, attempt: &mut Attempt, result: Result<T>) -> Option<Result<T>> {
        let error = match result {
            Ok(answer) => {
                if let Some(error) = &attempt.refusal {
                    self.learn(attempt, error);
                }
                if let Some(proven) = self.proven(attempt) {
                    proven.store(true, Ordering::Relaxed);
                }
                return Some(Ok(answer));
            }
            Err(error) => error,
        };
        let is_proven = self.proven(attempt).is_some_and(|proven| proven.load(Ordering::Relaxed));
        let is_refused = self.is_open && !is_proven && is_not_understood(&error);
        match self.after(attempt.sum).filter(|_| is_refused) {
            Some(next) => {
                attempt.sum = next;
                attempt.refusal.get_or_insert(error);
                None
            }
            None => Some(Err(error)),
        }
    }

    /// The next checksum to try: the one that another attempt has found to work meanwhile, otherwise the next
    /// in order.
    fn after(&self, sum: ChecksumMode) -> Option<ChecksumMode> {
        let mut later = ORDER.into_iter().filter(|other| *other as u8 > sum as u8);
        let now = self.now();
        if now as u8 > sum as u8 { Some(now) } else { later.next() }
    }

    /// Later uploads use the accepted checksum, unless they no longer use the one that this attempt began with.
    fn learn(&self, attempt: &Attempt, error: &Error) {
        let (first, now) = (attempt.first as u8, attempt.sum);
        if self.sum.compare_exchange(first, now as u8, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            tracing::debug!(%error, ?now, "the store refuses this checksum: uploads continue with another or none");
        }
    }

    fn proven(&self, attempt: &Attempt) -> Option<&AtomicBool> {
        self.proven.get(attempt.carrier as usize)?.get(attempt.sum as usize)
    }
}

#[cfg(test)]
mod tests {
    use plugin_registry_core::ErrorKind;

    use super::*;

    const ALL: [RequestKind; 3] = [RequestKind::Object, RequestKind::Begin, RequestKind::Part];

    /// One request to a store that takes these.
    fn send(
        sums: &ChecksumNegotiation,
        carrier: RequestKind,
        taken: &[ChecksumMode],
        failure: ErrorKind,
    ) -> (Vec<ChecksumMode>, Result<()>) {
        let (mut attempt, mut sent) = (ChecksumNegotiation::attempt(carrier, sums.now()), Vec::new());
        loop {
            sent.push(attempt.sum);
            let result = if taken.contains(&attempt.sum) { Ok(()) } else { Err(Error::new(failure)) };
            if let Some(result) = sums.settle(&mut attempt, result) {
                return (sent, result);
            }
        }
    }

    /// The checksums that are sent for each of three uploads.
    fn sent(setting: Checksums, taken: &[ChecksumMode], carrier: RequestKind) -> Vec<Vec<ChecksumMode>> {
        let sums = ChecksumNegotiation::new(setting);
        (0..3).map(|_| send(&sums, carrier, taken, ErrorKind::Unsupported).0).collect()
    }

    #[test]
    fn a_store_is_asked_once() {
        use ChecksumMode::{Crc32, Md5, None};
        for carrier in ALL {
            for (setting, taken, expected) in [
                (Checksums::Automatic, &[Crc32, None, Md5][..], [&[Crc32][..], &[Crc32], &[Crc32]]),
                (Checksums::Automatic, &[None, Md5], [&[Crc32, None], &[None], &[None]]),
                (Checksums::Automatic, &[Md5], [&[Crc32, None, Md5], &[Md5], &[Md5]]),
                (Checksums::Supported, &[None], [&[Crc32], &[Crc32], &[Crc32]]),
                (Checksums::Required, &[Md5], [&[None], &[None], &[None]]),
            ] {
                assert_eq!(sent(setting, taken, carrier), expected, "{setting:?} {taken:?}");
            }
        }
    }

    #[test]
    fn other_errors_are_no_refusal() {
        for kind in
            [ErrorKind::PermissionDenied, ErrorKind::AlreadyExists, ErrorKind::Unavailable, ErrorKind::Other]
        {
            let sums = ChecksumNegotiation::new(Checksums::Automatic);
            let (sent, refused) = send(&sums, RequestKind::Object, &[], kind);
            assert_eq!((sent, refused.unwrap_err().kind()), (vec![ChecksumMode::Crc32], kind));
            assert_eq!(sums.now(), ChecksumMode::Crc32);
        }
    }

    fn refused() -> Result<()> {
        Err(ErrorKind::Unsupported.into())
    }

    #[test]
    fn a_refusal_that_comes_after_anothers_success_is_no_end() {
        let sums = ChecksumNegotiation::new(Checksums::Automatic);
        let [mut first, mut second] =
            [(); 2].map(|()| ChecksumNegotiation::attempt(RequestKind::Object, sums.now()));
        for _ in 0..2 {
            assert!(sums.settle(&mut first, refused()).is_none());
        }
        assert!(sums.settle(&mut first, Ok(())).is_some());
        assert_eq!((first.sum, sums.now()), (ChecksumMode::Md5, ChecksumMode::Md5));
        // At once with what the other has learnt.
        assert!(sums.settle(&mut second, refused()).is_none());
        assert_eq!(second.sum, ChecksumMode::Md5);
        assert!(sums.settle(&mut second, refused()).is_some_and(|settled| settled.is_err()));
    }

    /// Parts of an upload that began differently say nothing about later uploads.
    #[test]
    fn what_an_older_upload_takes_is_not_learnt() {
        let sums = ChecksumNegotiation::new(Checksums::Automatic);
        let mut attempt = ChecksumNegotiation::attempt(RequestKind::Part, ChecksumMode::None);
        assert!(sums.settle(&mut attempt, refused()).is_none());
        assert!(sums.settle(&mut attempt, Ok(())).is_some());
        assert_eq!((attempt.sum, sums.now()), (ChecksumMode::Md5, ChecksumMode::Crc32));
    }

    #[test]
    fn headers_are_those_of_all_pieces() {
        let content = Content::from(bytes::Bytes::from_static(b"123456789"));
        assert_eq!(ChecksumMode::Crc32.of(&content).crc32.as_deref(), Some("y/Q5Jg=="));
        assert_eq!(ChecksumMode::Md5.of(&content).md5.as_deref(), Some("JfnnlDI7RTiF9RgfG2JNCw=="));
        assert!(
            ChecksumMode::None.of(&content).crc32.is_none() && ChecksumMode::None.of(&content).md5.is_none()
        );
    }
}
