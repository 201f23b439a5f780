//! A program that never outlives the process that started it.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How long a program may take to answer.
const START_TIME: Duration = Duration::from_secs(60);
/// How long a killed program may take to vanish.
const END_TIME: Duration = Duration::from_secs(15);
/// How long a request on loopback may take.
const REQUEST_TIME: Duration = Duration::from_secs(60);

/// Runs its arguments until they end or standard input does, which happens when the process at its other end
/// is gone. Then nothing is left of them. Signals of a terminal are left to that process.
const WATCH: &str = r#"
    trap '' INT TERM HUP
    exec 3<&0
    "$@" 3<&- </dev/null &
    program=$!
    echo "$program" >"$EMULATOR_DIRECTORY/pid"
    { cat <&3 >/dev/null; kill -KILL "$program"; } &
    watch=$!
    wait "$program"
    kill -KILL "$watch"
    rm -rf "$EMULATOR_DIRECTORY"
    for port in $EMULATOR_PORTS; do rm -f /tmp/seaweedfs-*-"$port".sock; done
"#;

/// A running program with its own directory.
#[derive(Debug)]
pub(super) struct Process {
    shell: Child,
    directory: PathBuf,
}

impl Process {
    /// Starts `program` in an empty directory, with the arguments that `arguments` makes from its path.
    ///
    /// It inherits no environment. In `/tmp`, a killed weed leaves sockets that are named after `ports`.
    pub(super) fn start(
        program: &Path,
        ports: &[u16],
        environment: &[(&str, &str)],
        arguments: impl FnOnce(&Path) -> Vec<String>,
    ) -> Self {
        // Next to the tools: on the disk of the build, which is meant to be written to.
        let parent = program.parent().and_then(Path::parent).unwrap().join("tmp");
        fs::create_dir_all(&parent).unwrap();
        let directory = tempfile::Builder::new().prefix("emulator").tempdir_in(parent).unwrap().keep();
        let log = File::create(directory.join("log")).unwrap();
        let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
        let shell = Command::new("/bin/sh")
            .args(["-c", WATCH, "sh"])
            .arg(program)
            .args(arguments(&directory))
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .envs(["HOME", "TMPDIR", "EMULATOR_DIRECTORY"].map(|name| (name, &directory)))
            .env("EMULATOR_PORTS", ports.join(" "))
            .envs(environment.iter().copied())
            .current_dir(&directory)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { shell, directory }
    }

    /// Waits until there is an answer. `Err` is the output of the program if it ended before that.
    pub(super) fn wait<T>(&mut self, mut answer: impl FnMut(&Self) -> Option<T>) -> Result<T, String> {
        let begin = Instant::now();
        // The directory is removed with the program.
        let mut log = String::new();
        loop {
            if self.shell.try_wait().unwrap().is_some() {
                return Err(log);
            }
            if let Some(answer) = answer(self) {
                return Ok(answer);
            }
            if let Some(now) = self.log() {
                log = now;
            }
            assert!(begin.elapsed() < START_TIME, "the emulator does not answer: {log}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub(super) fn log(&self) -> Option<String> {
        fs::read(self.directory.join("log")).ok().map(|log| String::from_utf8_lossy(&log).into_owned())
    }

    /// The number of the program's process.
    pub(super) fn id(&self) -> u32 {
        fs::read_to_string(self.directory.join("pid")).unwrap().trim().parse().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let begin = Instant::now();
        // The process ends in any case. A test that already fails does not need this error as well.
        while self.shell.try_wait().is_ok_and(|ended| ended.is_none()) && begin.elapsed() < END_TIME {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A port of loopback that was free just now. If another process takes it first, the caller tries again.
pub(super) fn free_port(port: u16) -> io::Result<TcpListener> {
    #[expect(clippy::disallowed_methods, reason = "a harness asks the system for a port and does not listen")]
    TcpListener::bind(("127.0.0.1", port))
}

/// Makes one request over its own connection. Returns status and body. HTTP/1.0, so that the answer has no
/// chunks.
pub(super) fn request(address: &str, method: &str, path: &str, body: &[u8]) -> io::Result<(u16, Vec<u8>)> {
    request_with(address, method, path, "", body)
}

/// The same with more headers, a line each.
pub(super) fn request_with(
    address: &str,
    method: &str,
    path: &str,
    headers: &str,
    body: &[u8],
) -> io::Result<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(REQUEST_TIME))?;
    let size = body.len();
    let head = format!(
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\nAccept: application/json\r\nContent-Length: {size}\r\n{headers}\r\n"
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
    let broken = || io::Error::new(io::ErrorKind::InvalidData, "no answer of HTTP");
    let body = answer.split_off(end.ok_or_else(broken)? + 4);
    let status = answer.get(9..12).and_then(|status| std::str::from_utf8(status).ok());
    Ok((status.and_then(|status| status.parse().ok()).ok_or_else(broken)?, body))
}
