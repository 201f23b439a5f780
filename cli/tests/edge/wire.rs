//! A connection on which the test controls every byte.

use std::{
    fmt::Write as _,
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    time::Duration,
};

use crate::common::server::Server;

/// The smallest request, and what its answer holds.
pub(crate) const PING: &[u8] = b"GET /v2/ HTTP/1.1\r\nhost: localhost\r\n\r\n";
const PONG: &[u8] = b"{}\n";

/// A connection to the server.
pub(crate) struct Wire {
    stream: TcpStream,
    /// Read and not yet looked at.
    ahead: Vec<u8>,
}

/// An answer, read by the rules of RFC 9112.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) version: String,
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Wire {
    pub(crate) fn open(server: &Server) -> Self {
        Self { stream: server.connect(), ahead: Vec::new() }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends to a server that may have said that it wants no more. Whether all was sent.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Sends no more.
    pub(crate) fn finish_sending(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Waits until something has come, and does not read it.
    pub(crate) fn wait(&self) {
        assert_eq!(self.stream.peek(&mut [0]).unwrap(), 1);
    }

    /// Another handle, for sending while answers are read.
    pub(crate) fn sender(&self) -> TcpStream {
        self.stream.try_clone().unwrap()
    }

    pub(crate) fn ask(&mut self, request: impl AsRef<[u8]>) -> Answer {
        self.send(request);
        self.answer()
    }

    /// The answer to a request that may wait for others.
    pub(crate) fn slow_answer_to(&mut self, request: &[u8]) -> Answer {
        self.stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        self.ask(request)
    }

    /// The connection is in order: the next request gets the answer to that request.
    #[track_caller]
    pub(crate) fn assert_usable(&mut self) {
        let answer = self.ask(PING);
        assert_eq!((answer.status, &answer.body[..]), (200, PONG), "{answer:?}");
    }

    /// The server ends the connection, and nothing more comes.
    #[track_caller]
    pub(crate) fn assert_ended(mut self) {
        while self.fill() {}
        assert!(self.ahead.is_empty(), "more came: {}", String::from_utf8_lossy(&self.ahead));
    }

    /// Asserts that nothing comes for a while.
    #[track_caller]
    pub(crate) fn assert_silent(&mut self, time: Duration) {
        assert!(self.ahead.is_empty(), "{}", String::from_utf8_lossy(&self.ahead));
        let before = self.stream.read_timeout().unwrap();
        self.stream.set_read_timeout(Some(time)).unwrap();
        let mut piece = [0; 1024];
        let read = self.stream.read(&mut piece);
        let is_silent = read
            .as_ref()
            .is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
        assert!(is_silent, "{read:?}: {}", String::from_utf8_lossy(&piece));
        self.stream.set_read_timeout(before).unwrap();
    }

    /// The next answer to anything but HEAD.
    #[track_caller]
    pub(crate) fn answer(&mut self) -> Answer {
        let mut answer = self.answer_to_head();
        if !(matches!(answer.status, 204 | 304) || answer.status < 200) {
            let length: usize = answer.header("content-length").parse().unwrap();
            while self.ahead.len() < length {
                assert!(self.fill(), "the connection ended in the body: {answer:?}");
            }
            answer.body = self.ahead.drain(..length).collect();
        }
        answer
    }

    /// The next final answer, after any number of `100 Continue`.
    #[track_caller]
    pub(crate) fn final_answer(&mut self) -> Answer {
        loop {
            let answer = self.answer();
            if answer.status != 100 {
                return answer;
            }
        }
    }

    /// The next answer, which has no body whatever its Content-Length says.
    #[track_caller]
    pub(crate) fn answer_to_head(&mut self) -> Answer {
        let end = loop {
            if let Some(end) = self.ahead.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            assert!(self.fill(), "no answer: {:?}", String::from_utf8_lossy(&self.ahead));
        };
        let head: Vec<u8> = self.ahead.drain(..end + 4).collect();
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let (version, rest) = lines.next().unwrap().split_once(' ').unwrap();
        assert!(version.starts_with("HTTP/1."), "no status line: {head}");
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_lowercase(), value.to_owned())
        });
        Answer {
            version: version.to_owned(),
            status: rest[..3].parse().unwrap(),
            headers: headers.collect(),
            body: Vec::new(),
        }
    }

    /// At most this many of the next bytes, as they are.
    pub(crate) fn some(&mut self, most: usize) -> Vec<u8> {
        if self.ahead.is_empty() {
            self.fill();
        }
        let length = most.min(self.ahead.len());
        self.ahead.drain(..length).collect()
    }

    /// Reads more; false at the end. A reset is a failure: it can take an answer away.
    #[track_caller]
    fn fill(&mut self) -> bool {
        let mut piece = vec![0; 64 * 1024];
        let read = self.stream.read(&mut piece).unwrap_or_else(|error| panic!("no answer: {error}"));
        self.ahead.extend_from_slice(&piece[..read]);
        read > 0
    }
}

impl Answer {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|header| header.0 == name);
        let value = values.next().map(|header| header.1.as_str());
        assert!(values.next().is_none(), "{name} twice: {self:?}");
        value
    }

    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        self.get(name).unwrap_or_else(|| panic!("no {name}: {self:?}"))
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?} {}", String::from_utf8_lossy(&self.body));
        self
    }

    /// Whether the server says that it ends the connection.
    pub(crate) fn closes(&self) -> bool {
        self.get("connection") == Some("close")
    }
}

/// The head of a request, to its end; `headers` are whole lines.
pub(crate) fn head(method: &str, target: &str, headers: &[&str]) -> Vec<u8> {
    let mut text = format!("{method} {target} HTTP/1.1\r\nhost: localhost\r\n");
    for line in headers {
        let _ = write!(text, "{line}\r\n");
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// A request with a body of a declared length.
pub(crate) fn whole(method: &str, target: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let length = format!("content-length: {}", body.len());
    let mut request = head(method, target, &[headers, &[&length]].concat());
    request.extend_from_slice(body);
    request
}

/// A request with a chunked body: these chunks, and then `end`, for which [`LAST`] is right.
pub(crate) fn chunked(
    method: &str,
    target: &str,
    headers: &[&str],
    body: &[u8],
    size: usize,
    end: &[u8],
) -> Vec<u8> {
    let mut request = head(method, target, &[headers, &["transfer-encoding: chunked"]].concat());
    for piece in body.chunks(size) {
        request.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        request.extend_from_slice(piece);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(end);
    request
}

/// The last chunk, without trailers.
pub(crate) const LAST: &[u8] = b"0\r\n\r\n";
