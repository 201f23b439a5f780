//! Registries as separate processes on loopback: `plugin-registry serve`, and those of other projects.

use std::{
    error::Error,
    fs::{self, File},
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// An error of a program, as text.
pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// How long a server may take to listen.
const START_TIME: Duration = Duration::from_secs(60);
/// How long a server may take to end. `serve` gives itself 10 s.
const END_TIME: Duration = Duration::from_secs(15);

/// Builds the `plugin-registry` of this workspace, so that no stale one is run.
///
/// It is built next to this executable, in its profile.
///
/// # Errors
/// If it does not build.
pub fn build_server() -> Outcome<PathBuf> {
    let own = std::env::current_exe()?;
    // A test's executable is in `deps`, one level below.
    let mut directories = own.ancestors().skip(1);
    let name = format!("plugin-registry{}", std::env::consts::EXE_SUFFIX);
    let directory = directories
        .find(|directory| directory.file_name().is_some_and(|name| name != "deps"))
        .ok_or("this executable has no directory")?;
    let server = directory.join(name);
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--package", "plugin-registry-cli"]);
    build.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
    if directory.ends_with("release") {
        build.arg("--release");
    }
    let built = build.status().map_err(|error| format!("cargo does not run: {error}"))?;
    if !built.success() {
        return Err("plugin-registry-cli does not build".into());
    }
    if !server.is_file() {
        return Err(format!("`{}` is missing after its build", server.display()).into());
    }
    Ok(server)
}

/// A running server, which ends with this value at the latest. Its standard error goes to a file.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: String,
    log: PathBuf,
    /// Whether it ends by itself after SIGTERM. Distribution 2.8 has no handler.
    is_graceful: bool,
}

impl Server {
    /// Starts `plugin-registry serve`, whose first line on standard output is its URL.
    ///
    /// # Errors
    /// If it does not start.
    pub fn serve(command: &mut Command, log: &Path) -> Outcome<Self> {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(log)?)
            .spawn()
            .map_err(|error| format!("{command:?} does not run: {error}"))?;
        let mut server = Self { child, address: String::new(), log: log.to_owned(), is_graceful: true };
        let stdout = server.child.stdout.take().ok_or("the server has no output")?;
        let mut url = String::new();
        BufReader::new(stdout).read_line(&mut url)?;
        let Some(address) = url.trim_end().strip_prefix("http://") else {
            return Err(format!("{command:?} did not print its URL: {}", server.log()).into());
        };
        server.address = address.to_owned();
        Ok(server)
    }

    /// Starts a server of distribution that is configured to listen on port 0 of loopback and to log its
    /// address.
    ///
    /// # Errors
    /// If it does not log its address within a minute.
    pub fn distribution(command: &mut Command, log: &Path) -> Outcome<Self> {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{command:?} does not run: {error}"))?;
        let mut server = Self { child, address: String::new(), log: log.to_owned(), is_graceful: false };
        let stderr = server.child.stderr.take().ok_or("the server has no log")?;
        let mut file = File::create(log)?;
        let (found, address) = mpsc::channel();
        // Reads on until the server ends, because a full pipe would stop it.
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = writeln!(file, "{line}");
                if let Some((_, rest)) = line.split_once("listening on ") {
                    let end = rest.find(|end: char| !end.is_ascii_digit() && !".:".contains(end));
                    let _ = found.send(rest[..end.unwrap_or(rest.len())].to_owned());
                }
            }
        });
        server.address = address
            .recv_timeout(START_TIME)
            .map_err(|_| format!("{command:?} does not listen: {}", server.log()))?;
        Ok(server)
    }

    /// Host and port.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The server's log so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends the server as its users do, and expects a clean end.
    ///
    /// # Errors
    /// If it does not end cleanly.
    pub fn end(mut self) -> Outcome<()> {
        match self.signal_and_wait(Signal::TERM)? {
            Some(ended) if ended.success() || !self.is_graceful => Ok(()),
            Some(ended) => Err(format!("the server ended with {ended} after SIGTERM: {}", self.log()).into()),
            None => Err("the server did not end after SIGTERM".into()),
        }
    }

    /// Kills the server without a warning.
    ///
    /// # Errors
    /// If the signal cannot be sent.
    pub fn kill(mut self) -> Outcome<()> {
        let _ = self.signal_and_wait(Signal::KILL)?;
        Ok(())
    }

    fn signal_and_wait(&mut self, signal: Signal) -> Outcome<Option<ExitStatus>> {
        kill_process(Pid::from_child(&self.child), signal)?;
        Ok(wait(&mut self.child, END_TIME)?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Errors mean that it has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for a program to end, for at most this long.
///
/// # Errors
/// Only those of the system.
pub fn wait(child: &mut Child, time: Duration) -> io::Result<Option<ExitStatus>> {
    let begin = Instant::now();
    loop {
        match child.try_wait()? {
            Some(ended) => return Ok(Some(ended)),
            None if begin.elapsed() > time => return Ok(None),
            None => thread::sleep(Duration::from_millis(20)),
        }
    }
}
