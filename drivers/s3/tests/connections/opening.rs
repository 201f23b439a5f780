//! The costs of opening: no request, no connection, little time and little memory.

use std::{
    fs,
    io::ErrorKind,
    net::{Ipv4Addr, TcpListener},
    time::{Duration, Instant},
};

use plugin_registry_drivers_s3::{S3Config, S3Driver};

use crate::{common, environment};

const COUNT: u32 = 200;

fn config(endpoint: &str) -> S3Config {
    common::config(endpoint, "bucket", "key", "secret").with_conditional_writes(true).with_directories(false)
}

#[tokio::test]
async fn opening_connects_to_nobody() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    for scheme in ["http", "https"] {
        let config = config(&format!("{scheme}://localhost:{port}"));
        let drivers = [
            S3Driver::open(config.clone()).await.unwrap(),
            S3Driver::open(config.clone().with_skip_verify(true)).await.unwrap(),
        ];
        // Whatever was started meanwhile would arrive.
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(drivers);
    }
}

/// Runs in its own process, because memory is per process.
#[tokio::test]
async fn opening_is_cheap() {
    for endpoint in ["http://127.0.0.1:9", "https://127.0.0.1:9"] {
        let said = environment::run("opening", endpoint, &[]).await;
        said.lines().filter(|line| line.contains("opening")).for_each(|line| println!("{line}"));
    }
}

fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

pub(crate) async fn measure(endpoint: &str) {
    let config = config(endpoint);
    let mut kept = Vec::with_capacity(COUNT as usize);
    let mut best = Duration::MAX;
    // The best of three: the other tests run meanwhile. The first round warms up as well.
    for _ in 0..3 {
        let begin = Instant::now();
        for _ in 0..COUNT {
            drop(S3Driver::open(config.clone()).await.unwrap());
        }
        best = best.min(begin.elapsed() / COUNT);
    }
    let before = resident();
    for _ in 0..COUNT {
        kept.push(S3Driver::open(config.clone()).await.unwrap());
    }
    let each = (resident() - before) / u64::from(COUNT);
    println!("opening {endpoint}: {best:?}, {each} KiB at rest, {before} KiB before");
    let most = if cfg!(debug_assertions) { 20_000 } else { 500 };
    assert!(best <= Duration::from_micros(most), "opening takes {best:?}");
    assert!(each <= 400, "{each} KiB for each driver");
}
