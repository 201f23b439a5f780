//! The faults that a test can inject.

use std::time::Duration;

/// How a body that is cut announces its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// `Content-Length` has the whole length, and the connection is closed early.
    Announced,
    /// `Content-Length` has the sent length, so the answer looks whole.
    Honest,
    /// There is no `Content-Length`, and the chunked coding ends cleanly.
    Chunked,
}

/// One way to go wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// F1, F5, F14, U10, U28: an error, without effect.
    Error {
        /// The status.
        status: u16,
        /// The code of the XML document. Empty for no document.
        code: String,
        /// Seconds of `Retry-After`.
        retry_after: Option<u64>,
    },
    /// F2, U8, U9: the effect, then an error.
    ErrorAfter {
        /// The status.
        status: u16,
        /// The code of the XML document.
        code: String,
    },
    /// F7, U7: 200 with an `<Error>` in the body, without effect.
    ErrorInside {
        /// The code of the XML document.
        code: String,
    },
    /// F7, U8: the same after the effect.
    ErrorInsideAfter {
        /// The code of the XML document.
        code: String,
    },
    /// U12: the answer of success, without effect.
    Swallowed,
    /// F1: the connection is closed without an answer, without effect.
    Close,
    /// F2, U8: the effect, then the connection is closed without an answer.
    CloseAfter,
    /// F6: the connection is reset without an answer, without effect.
    Reset,
    /// F2, F6: the effect, then the connection is reset.
    ResetAfter,
    /// F6: the connection is reset after this many bytes of the request's body have arrived.
    ResetReading {
        /// Bytes that are read.
        after: usize,
    },
    /// F6, U16: the connection is reset after this many bytes of the answer's body.
    ResetSending {
        /// Bytes that are sent.
        after: usize,
    },
    /// F8, U16: the answer's body ends early, without a reset.
    Truncated {
        /// Bytes that are sent.
        keep: usize,
        /// The length that the answer states.
        length: Length,
    },
    /// F9: one bit of the answer's body is flipped.
    Flipped {
        /// Which byte, counted from the beginning of this body.
        at: usize,
    },
    /// F9, U13: the body begins this many bytes later than asked, with the same length.
    Shifted {
        /// The number of bytes.
        by: usize,
    },
    /// F9, U13: the body is sent twice.
    Doubled,
    /// F9: the whole object for a range, with status 200.
    RangeIgnored,
    /// C12: the answer's body is sent in pieces with pauses.
    Trickle {
        /// Bytes of a piece.
        piece: usize,
        /// The pause before each piece.
        pause: Duration,
    },
    /// F13: the conditions of this write are ignored.
    ConditionsIgnored,
    /// F12, U6: a truncated list whose next token is the token of the request.
    RepeatedToken,
    /// F12, U6: a truncated list that leads to itself, by another token each time.
    FreshToken {
        /// Whether the entries are listed, or the pages are empty.
        full: bool,
    },
    /// F12, U6: a list whose end leads to its beginning, by another token each time.
    Circle,
    /// F12, U6: a truncated list without a token.
    NoToken,
    /// U6: a list that claims to be complete at the end of its first page.
    EarlyEnd,
    /// F12: a list, or a list of parts, in descending order.
    Unordered,
    /// F12: a list that has missed the latest write.
    Stale,
    /// U3, U5: ListParts and ListMultipartUploads ignore their markers and list everything again.
    MarkerIgnored,
    /// F11: DeleteObjects reports this error, inside a 200, for the keys that contain `key`, and keeps them.
    PartialDelete {
        /// A part of these keys.
        key: String,
        /// The code of each error.
        code: String,
    },
    /// 1c: ETags without quotes.
    UnquotedETag,
    /// F3, F18: never an answer, without effect.
    Hang,
    /// F4, F18: the effect, then never an answer.
    HangAfter,
    /// F10: carried out at once, and again later.
    Twice {
        /// When the second time begins.
        late: Duration,
    },
    /// A wait before the request is carried out, on top of the server's latency.
    Delay(Duration),
    /// 1c: 301 with `x-amz-bucket-region`.
    PermanentRedirect {
        /// The region that the answer names.
        region: String,
    },
}

impl Kind {
    /// An error before the effect.
    pub fn error(status: u16, code: &str) -> Self {
        Self::Error { status, code: code.to_owned(), retry_after: None }
    }

    /// An error after the effect: the answer is lost.
    pub fn error_after(status: u16, code: &str) -> Self {
        Self::ErrorAfter { status, code: code.to_owned() }
    }

    /// F5, U28: 503 SlowDown, with `Retry-After` if it is given.
    pub fn slow_down(retry_after: Option<u64>) -> Self {
        Self::Error { status: 503, code: "SlowDown".to_owned(), retry_after }
    }

    /// U10, F13: 409 ConditionalRequestConflict, although nothing exists.
    pub fn conflict() -> Self {
        Self::error(409, "ConditionalRequestConflict")
    }

    /// F14: 403 AccessDenied.
    pub fn access_denied() -> Self {
        Self::error(403, "AccessDenied")
    }

    /// 1c: 403 without a document, as in the answer to HEAD.
    pub fn forbidden_without_code() -> Self {
        Self::error(403, "")
    }

    /// F16: 403 RequestTimeTooSkewed.
    pub fn time_skewed() -> Self {
        Self::error(403, "RequestTimeTooSkewed")
    }

    /// F14, C1: 400 ExpiredToken.
    pub fn expired_token() -> Self {
        Self::error(400, "ExpiredToken")
    }

    /// Whether the operation itself goes wrong, not the layer in front of it.
    pub(super) fn is_of_the_store(&self) -> bool {
        matches!(
            self,
            Self::ConditionsIgnored
                | Self::RepeatedToken
                | Self::FreshToken { .. }
                | Self::Circle
                | Self::NoToken
                | Self::EarlyEnd
                | Self::Unordered
                | Self::Stale
                | Self::MarkerIgnored
                | Self::PartialDelete { .. }
        )
    }
}

/// A [`Kind`], and the requests to which it happens. By default, the next one of any kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    kind: Kind,
    operation: Option<String>,
    key: Option<String>,
    skip: usize,
    left: Option<usize>,
}

impl Fault {
    /// Makes a fault for the next request.
    pub fn new(kind: Kind) -> Self {
        Self { kind, operation: None, key: None, skip: 0, left: Some(1) }
    }

    /// Only for this operation, such as `PutObject`.
    pub fn on(mut self, operation: &str) -> Self {
        self.operation = Some(operation.to_owned());
        self
    }

    /// Only if the key contains `part`. The key of a list is its prefix, that of DeleteObjects all keys, one
    /// per line.
    pub fn key(mut self, part: &str) -> Self {
        self.key = Some(part.to_owned());
        self
    }

    /// From the `n`th matching request on, counted from 1.
    pub fn nth(mut self, n: usize) -> Self {
        self.skip = n.saturating_sub(1);
        self
    }

    /// This many times.
    pub fn times(mut self, times: usize) -> Self {
        self.left = Some(times);
        self
    }

    /// Until the faults are cleared.
    pub fn forever(mut self) -> Self {
        self.left = None;
        self
    }

    /// The fault of a request: the first one in the queue that matches.
    pub(super) fn take(queue: &mut Vec<Self>, operation: &str, key: &str) -> Option<Kind> {
        let matching = |fault: &Self| {
            fault.operation.as_ref().is_none_or(|name| name == operation)
                && fault.key.as_ref().is_none_or(|part| key.contains(part.as_str()))
        };
        for at in 0..queue.len() {
            let fault = &mut queue[at];
            if !matching(fault) {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            let kind = fault.kind.clone();
            fault.left = fault.left.map(|left| left.saturating_sub(1));
            if fault.left == Some(0) {
                queue.remove(at);
            }
            return Some(kind);
        }
        None
    }
}
