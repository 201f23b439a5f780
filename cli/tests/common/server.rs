//! A running `serve`.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::TcpStream,
    process::{Child, ChildStdout, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use super::command;

/// A running `serve`, killed when the test ends. One that has panicked fails the test.
pub struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
    pub url: String,
}

impl Server {
    pub fn start(arguments: &[&str]) -> Self {
        let mut child = command()
            .arg("serve")
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut url = String::new();
        stdout.read_line(&mut url).unwrap();
        Self { child, stdout, url: url.trim_end().to_owned() }
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.url.strip_prefix("http://").unwrap()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(120))).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The exit code and everything else that it printed.
    pub fn wait(&mut self) -> (Option<i32>, String, String) {
        let code = self.child.wait().unwrap().code();
        let mut out = String::new();
        self.stdout.read_to_string(&mut out).unwrap();
        (code, out, self.errors())
    }

    /// Whether it has not ended.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// How many file descriptors it has open.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// A line of `/proc/PID/status` in KiB: `VmRSS` is the resident memory, `VmHWM` the most there was.
    pub fn memory(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
    }

    fn errors(&mut self) -> String {
        let mut text = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            stderr.read_to_string(&mut text).unwrap();
        }
        assert!(!text.contains("panicked"), "{text}");
        text
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !std::thread::panicking() {
            self.errors();
        }
    }
}
