//! The least client: one connection a request, nothing retried.

use std::{
    collections::BTreeMap,
    io::{self, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use plugin_registry_emulator::s3::{Builder, Server};

/// An answer; its body may be shorter than announced.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The texts of an element.
    pub(crate) fn all(&self, element: &str) -> Vec<String> {
        let (open, close) = (format!("<{element}>"), format!("</{element}>"));
        let text = self.text();
        let found = text.split(&open).skip(1).filter_map(|rest| rest.split_once(&close));
        found.map(|(inner, _)| inner.replace("&quot;", "\"")).collect()
    }

    pub(crate) fn one(&self, element: &str) -> String {
        self.all(element).first().cloned().unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// Whether the body has the length that was announced.
    pub(crate) fn is_whole(&self) -> bool {
        self.header("content-length").parse() == Ok(self.body.len())
    }
}

/// A server that asks for no signature.
pub(crate) fn server(change: impl FnOnce(Builder) -> Builder) -> Server {
    change(Server::builder().auth(false)).start()
}

pub(crate) fn send(
    server: &Server,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(server.address())?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let target = if target.starts_with('/') {
        target.to_owned()
    } else {
        format!("/{}{}{target}", server.bucket(), if target.starts_with('?') { "" } else { "/" })
    };
    let mut head =
        format!("{method} {target} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", server.address());
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("content-length: {}\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), body].concat())?;
    let mut bytes = Vec::new();
    let end = stream.read_to_end(&mut bytes);
    let at = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let Some(at) = at else {
        end?;
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    let head = String::from_utf8_lossy(&bytes[..at]).into_owned();
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status line");
    let pairs = lines.filter_map(|line| line.split_once(": "));
    let headers = pairs.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    let mut answer = Answer { status, headers, body: bytes[at + 4..].to_vec() };
    if answer.header("transfer-encoding") == "chunked" {
        answer.body = unchunked(&answer.body);
    }
    // A reset in the middle of a body is an error, an early end is not.
    end.map(|_| answer)
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(line) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&rest[..line]).expect("a size");
        let size = usize::from_str_radix(size, 16).expect("a size");
        if size == 0 {
            break;
        }
        body.extend_from_slice(&rest[line + 2..line + 2 + size]);
        rest = &rest[line + 4 + size..];
    }
    body
}

/// A request that must be answered.
pub(crate) fn ask(
    server: &Server,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    send(server, method, target, headers, body).expect("an answer")
}

pub(crate) fn put(server: &Server, key: &str, body: &[u8]) -> Answer {
    ask(server, "PUT", key, &[], body)
}

pub(crate) fn get(server: &Server, target: &str) -> Answer {
    ask(server, "GET", target, &[], b"")
}

/// Begins an upload and gives its id.
pub(crate) fn begin(server: &Server, key: &str) -> String {
    ask(server, "POST", &format!("{key}?uploads"), &[], b"").one("UploadId")
}

/// Sends a part and gives its ETag.
pub(crate) fn part(server: &Server, key: &str, id: &str, number: i32, body: &[u8]) -> String {
    let answer = put(server, &format!("{key}?partNumber={number}&uploadId={id}"), body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.header("etag").to_owned()
}

pub(crate) fn complete(
    server: &Server,
    key: &str,
    id: &str,
    parts: &[(i32, &str)],
    headers: &[(&str, &str)],
) -> io::Result<Answer> {
    let list = parts
        .iter()
        .map(|(number, etag)| format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"));
    let body = format!("<CompleteMultipartUpload>{}</CompleteMultipartUpload>", list.collect::<String>());
    send(server, "POST", &format!("{key}?uploadId={id}"), headers, body.as_bytes())
}
