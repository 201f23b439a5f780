//! The emulators start, answer, and leave nothing behind.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test harness: a failed check is a panic of the test"
)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use plugin_registry_conformance::report;
use plugin_registry_emulator::programs::{Account, Azurite, Moto, SeaweedFs};

/// What is in `report::skip`'s line.
const SUITE: &str = "emulator";

/// The status of an unsigned request for the bucket.
fn status(account: &Account) -> String {
    let address = account.endpoint().strip_prefix("http://").unwrap().to_owned();
    let mut stream = TcpStream::connect(&address).unwrap();
    let request = format!("GET /{} HTTP/1.0\r\nHost: {address}\r\n\r\n", account.bucket());
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).unwrap();
    answer[9..12].to_owned()
}

/// Memory in KiB, and whether there is such a process at all.
fn memory(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Waits until a process is gone.
#[track_caller]
fn assert_ends(process: u32) {
    let begin = Instant::now();
    while memory(process).is_some() {
        assert!(begin.elapsed() < Duration::from_secs(10), "process {process} was left behind");
        sleep(Duration::from_millis(10));
    }
}

/// Says how long a start took and how much memory it needs.
fn report(name: &str, begin: Instant, process: u32) {
    println!("{name}: ready after {} ms, {} KiB", begin.elapsed().as_millis(), memory(process).unwrap());
}

#[test]
fn seaweedfs_starts_and_ends() {
    let begin = Instant::now();
    let (first, second) = match (SeaweedFs::start(), SeaweedFs::start()) {
        (Ok(first), Ok(second)) => (first, second),
        (Err(missing), _) | (_, Err(missing)) => {
            return report::skip("seaweedfs", "starts_and_ends", &missing.to_string(), SUITE);
        }
    };
    report("two of SeaweedFS", begin, second.process_id());
    assert_ne!(first.endpoint(), second.endpoint());
    assert_ne!(first.bucket(), second.bucket());
    // It wants a signature.
    assert_eq!((status(&first), status(&second)), ("403".to_owned(), "403".to_owned()));
    assert!(first.objects("", |_| true).is_empty(), "the bucket is empty");
    for emulator in [first, second] {
        let process = emulator.process_id();
        drop(emulator);
        assert_ends(process);
    }
}

#[test]
fn moto_starts_and_ends() {
    let begin = Instant::now();
    let moto = match Moto::start() {
        Ok(moto) => moto,
        Err(missing) => return report::skip("moto", "starts_and_ends", &missing.to_string(), SUITE),
    };
    let process = moto.process_id();
    report("moto", begin, process);
    assert_eq!(status(&moto), "200");
    assert!(moto.log().contains("GET /bucket"), "{}", moto.log());
    drop(moto);
    assert_ends(process);
}

#[test]
fn azurite_starts_and_ends() {
    let begin = Instant::now();
    let azurite = match Azurite::start() {
        Ok(azurite) => azurite,
        Err(missing) => return report::skip("azurite", "starts_and_ends", &missing.to_string(), SUITE),
    };
    let process = azurite.process_id();
    report("azurite", begin, process);
    azurite.append_blob(&format!("{}/a/b", azurite.container()), b"content");
    assert_eq!(azurite.names(azurite.container()), ["a/b"]);
    azurite.create_container("another");
    assert!(azurite.names("another").is_empty());
    drop(azurite);
    assert_ends(process);
}

#[test]
#[ignore = "the work of shared_ones_end_with_their_process"]
fn start_shared_ones() {
    let (seaweedfs, moto) = (SeaweedFs::shared().unwrap(), Moto::shared().unwrap());
    assert_eq!(SeaweedFs::shared().unwrap().process_id(), seaweedfs.process_id());
    println!("\nprocess {}\nprocess {}", seaweedfs.process_id(), moto.process_id());
    let _ = std::io::stdin().read(&mut [0]);
    // A static is not dropped when the process ends by itself.
}

/// Whether the process that has them ends by itself or is killed.
#[test]
fn shared_ones_end_with_their_process() {
    if let Some(missing) = SeaweedFs::start().err().or(Moto::start().err()) {
        return report::skip("shared", "end_with_their_process", &missing.to_string(), SUITE);
    }
    for is_killed in [true, false] {
        let own = std::env::current_exe().unwrap();
        let mut child = Command::new(own)
            .args(["--exact", "start_shared_ones", "--ignored", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Open until it ends: it says more.
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let processes = lines.by_ref().filter_map(|line| line.strip_prefix("process ")?.parse().ok());
        let processes: Vec<u32> = processes.take(2).collect();
        assert_eq!(processes.len(), 2);
        let directories = processes.iter().map(|process| {
            let directory = std::fs::read_link(format!("/proc/{process}/cwd")).unwrap();
            assert!(directory.is_dir() && memory(*process).is_some());
            directory
        });
        let directories: Vec<_> = directories.collect();
        if is_killed {
            child.kill().unwrap();
        }
        drop(child.stdin.take());
        let _ = child.wait().unwrap();
        processes.into_iter().for_each(assert_ends);
        let begin = Instant::now();
        while directories.iter().any(|directory| Path::exists(directory)) {
            assert!(begin.elapsed() < Duration::from_secs(10), "{directories:?} were left behind");
            sleep(Duration::from_millis(10));
        }
    }
}
