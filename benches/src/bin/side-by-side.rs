//! Copies images, pulls them and makes small requests, alternating with CNCF distribution called in process:
//! `cargo run --release -p plugin-registry-benches --bin side-by-side -- --help`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a harness: whatever fails ends the benchmark, and its figures are its output"
)]

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use clap::{Parser, Subcommand, ValueEnum};
use futures::{StreamExt, TryStreamExt, stream};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use plugin_registry::{
    Registry, RegistryService,
    manifest::{Manifest, ManifestKind},
};
use plugin_registry_benches::{MANIFEST, repository};
use plugin_registry_copy::{CopyOptions, LayoutImage, OciLayout, RegistryImage, copy};
use plugin_registry_core::{Algorithm, ByteRange, Digest, Hasher, Reference, StorageDriver, Tag};
use plugin_registry_drivers_fs::{FsConfig, FsDriver};
use tower_service::Service;

const TAG: &str = "latest";
/// The directory of the peer's Go module.
const PEER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/distribution");

/// Measures the embedded registry and CNCF distribution 3.1.1 alternately, each in its own process, both
/// without a socket, over one directory: wall time, CPU time and the peak of resident memory. Needs Go.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    one: Option<One>,
    /// Rounds; the medians are shown.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Layers of the image.
    #[arg(long, default_value_t = 4)]
    layers: usize,
    /// MiB of each layer.
    #[arg(long, default_value_t = 256)]
    layer_size: u64,
    /// Layers on the way at a time.
    #[arg(long, default_value_t = 3)]
    parallel: usize,
    /// Calls of each kind of small request.
    #[arg(long, default_value_t = 5000)]
    calls: usize,
    /// Where the image and the stores lie, on the disk that is meant. Default: beside this program.
    #[arg(long)]
    directory: Option<PathBuf>,
    /// Do without the peer.
    #[arg(long)]
    alone: bool,
}

#[derive(Subcommand)]
enum One {
    /// One piece of work with the embedded registry, whose figures are printed. What this program calls.
    #[command(hide = true)]
    Work { work: Work, layout: PathBuf, root: PathBuf, n: usize },
}

#[derive(Clone, Copy, ValueEnum)]
enum Work {
    Push,
    Pull,
    Head,
    Manifest,
    Get,
}

impl Work {
    const ALL: [Self; 5] = [Self::Push, Self::Pull, Self::Head, Self::Manifest, Self::Get];

    fn name(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Pull => "pull",
            Self::Head => "head",
            Self::Manifest => "manifest",
            Self::Get => "get",
        }
    }

    fn is_small(self) -> bool {
        matches!(self, Self::Head | Self::Manifest | Self::Get)
    }
}

/// What one process measured for one piece of work, or for one call of it.
#[derive(Clone, Copy)]
struct Figures {
    wall: u64,
    cpu: u64,
    peak: u64,
}

fn main() {
    let arguments = Arguments::parse();
    match &arguments.one {
        Some(One::Work { work, layout, root, n }) => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            let figures = runtime.block_on(work_once(*work, layout, root, *n));
            println!("{} {} {}", figures.wall, figures.cpu, figures.peak);
        }
        None => compare(&arguments),
    }
}

// One process.

async fn work_once(work: Work, layout: &Path, root: &Path, n: usize) -> Figures {
    let driver = open(root).await;
    let registry = Registry::builder(driver).build();
    match work {
        Work::Push => {
            let layout = OciLayout::open(open(layout).await, layout.display()).await.unwrap();
            let image = RegistryImage::new(registry.repository(repository()), TAG.parse::<Tag>().unwrap());
            let options = CopyOptions::default().with_concurrency(n);
            let source = LayoutImage::new(layout, None);
            measured(1, async {
                copy(&source, &image, &options, &()).await.unwrap();
            })
            .await
        }
        Work::Pull => measured(1, pull(&registry, n)).await,
        small => calls(small, &registry, n).await,
    }
}

async fn open(root: &Path) -> Arc<dyn StorageDriver> {
    Arc::new(FsDriver::open(FsConfig::new(root)).await.unwrap())
}

async fn manifest(registry: &Registry) -> Manifest {
    let tag: Reference = TAG.parse().unwrap();
    registry.repository(repository()).manifests().get(&tag).await.unwrap()
}

fn config_of(manifest: &Manifest) -> Digest {
    match manifest.kind() {
        ManifestKind::Image { config: Some(config), .. } => config.descriptor.digest,
        _ => panic!("an image of another kind"),
    }
}

/// The registry verifies what it reads, so the reader does not hash the bytes again.
async fn pull(registry: &Registry, parallel: usize) {
    let manifest = manifest(registry).await;
    let blobs = registry.repository(repository()).blobs();
    stream::iter(plugin_registry::manifest::links_of(&manifest).blobs)
        .map(|blob| {
            let blobs = blobs.clone();
            async move {
                let reader = blobs.open(&blob.digest, ByteRange::full()).await?;
                reader.into_stream().try_fold(0, |size, piece| async move { Ok(size + piece.len()) }).await
            }
        })
        .buffer_unordered(parallel)
        .try_for_each(|_| async { Ok(()) })
        .await
        .unwrap();
}

async fn calls(work: Work, registry: &Registry, n: usize) -> Figures {
    let name = repository();
    let config = config_of(&manifest(registry).await);
    let (method, target) = match work {
        Work::Manifest => (Method::GET, format!("/v2/{name}/manifests/{TAG}")),
        Work::Head => (Method::HEAD, format!("/v2/{name}/blobs/{config}")),
        _ => (Method::GET, format!("/v2/{name}/blobs/{config}")),
    };
    let service = registry.service();
    call(&service, &method, &target).await;
    measured(n as u64, async {
        for _ in 0..n {
            call(&service, &method, &target).await;
        }
    })
    .await
}

async fn call(service: &RegistryService, method: &Method, target: &str) {
    let request = Request::builder()
        .method(method)
        .uri(target)
        .header("accept", MANIFEST)
        .body(Empty::<Bytes>::new())
        .unwrap();
    let answer = service.clone().call(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    answer.into_body().collect().await.unwrap();
}

async fn measured(calls: u64, work: impl Future<Output = ()>) -> Figures {
    let (wall, used) = (Instant::now(), cpu());
    work.await;
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap() / calls;
    Figures { wall: micros(wall.elapsed()), cpu: micros(cpu() - used), peak: peak() }
}

/// The CPU time that this process has used.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap())
}

/// The peak of resident memory, in KiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

// All of them alternately.

fn compare(arguments: &Arguments) {
    let beside = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let directory = tempfile::tempdir_in(arguments.directory.as_ref().unwrap_or(&beside)).unwrap();
    let mut contestants =
        vec![("ours", vec![std::env::current_exe().unwrap().into_os_string(), "work".into()])];
    if !arguments.alone {
        let peer = beside.join("bench-distribution");
        println!("building distribution 3.1.1");
        let built = Command::new("go").args(["build", "-C", PEER, "-o"]).arg(&peer).arg(".").status();
        assert!(
            built.expect("the peer needs Go; --alone does without it").success(),
            "the peer did not build"
        );
        contestants.push(("distribution", vec![peer.into_os_string()]));
    }
    let layout = directory.path().join("layout");
    write_layout(&layout, arguments.layers, arguments.layer_size << 20);

    let mut figures = vec![vec![Vec::new(); contestants.len()]; Work::ALL.len()];
    for round in 1..=arguments.rounds {
        println!("round {round} of {}", arguments.rounds);
        for (which, (_, command)) in contestants.iter().enumerate() {
            let root = directory.path().join("root");
            for (work, figures) in Work::ALL.into_iter().zip(&mut figures) {
                let n = if work.is_small() { arguments.calls } else { arguments.parallel };
                let program = Command::new(&command[0])
                    .args(&command[1..])
                    .arg(work.name())
                    .args([&layout, &root])
                    .arg(n.to_string())
                    .stderr(Stdio::inherit())
                    .output()
                    .unwrap();
                assert!(program.status.success(), "{command:?} failed");
                figures[which].push(parse(&String::from_utf8(program.stdout).unwrap()));
            }
            fs::remove_dir_all(&root).unwrap();
            // The disk's work for one must not delay the next.
            rustix::fs::sync();
        }
    }

    println!("\n{:<10} {:<14} {:>12} {:>12} {:>12}", "work", "of", "wall", "CPU", "peak");
    for (work, figures) in Work::ALL.into_iter().zip(&mut figures) {
        for ((name, _), figures) in contestants.iter().zip(figures) {
            let median = |of: fn(&Figures) -> u64| median(figures.iter().map(of).collect());
            let time = |micros: u64| match work.is_small() {
                true => format!("{micros} us"),
                false => format!("{:.2} s", Duration::from_micros(micros).as_secs_f64()),
            };
            println!(
                "{:<10} {name:<14} {:>12} {:>12} {:>9} MiB",
                work.name(),
                time(median(|of| of.wall)),
                time(median(|of| of.cpu)),
                median(|of| of.peak) >> 10
            );
        }
    }
}

fn parse(line: &str) -> Figures {
    let mut figures = line.split_whitespace().map(|figure| figure.parse().unwrap());
    let mut next = || figures.next().expect("three figures");
    Figures { wall: next(), cpu: next(), peak: next() }
}

fn median(mut figures: Vec<u64>) -> u64 {
    figures.sort_unstable();
    figures[figures.len() / 2]
}

/// An image of layers that cannot be compressed, and a config of 4 KiB.
fn write_layout(layout: &Path, layers: usize, size: u64) {
    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let layers: Vec<_> = (0..layers as u64).map(|seed| write_layer(&blobs, seed, size)).collect();
    let mut config =
        r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]},"comment":""#
            .to_owned();
    config.extend(std::iter::repeat_n('x', 4096 - config.len() - 2));
    config.push_str("\"}");
    let config = write_blob(&blobs, config.as_bytes());
    let mut manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":4096}},"layers":["#
    );
    for (n, digest) in layers.iter().enumerate() {
        let comma = if n == 0 { "" } else { "," };
        write!(manifest, r#"{comma}{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{digest}","size":{size}}}"#).unwrap();
    }
    manifest.push_str("]}");
    let digest = write_blob(&blobs, manifest.as_bytes());
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{MANIFEST}","digest":"{digest}","size":{}}}]}}"#,
        manifest.len()
    );
    fs::write(layout.join("index.json"), index).unwrap();
    fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}

fn write_blob(blobs: &Path, content: &[u8]) -> Digest {
    let digest = Digest::sha256(content);
    fs::write(blobs.join(digest.to_string().trim_start_matches("sha256:")), content).unwrap();
    digest
}

fn write_layer(blobs: &Path, seed: u64, size: u64) -> Digest {
    let temporary = blobs.join("layer");
    let (mut file, mut hasher) =
        (BufWriter::new(File::create(&temporary).unwrap()), Hasher::new(Algorithm::Sha256));
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut piece = vec![0; 1 << 20];
    let mut left = size;
    while left > 0 {
        for word in piece.chunks_exact_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_le_bytes());
        }
        let bytes = &piece[..usize::try_from(left.min(1 << 20)).unwrap()];
        hasher.update(bytes);
        file.write_all(bytes).unwrap();
        left -= bytes.len() as u64;
    }
    file.into_inner().unwrap().sync_all().unwrap();
    let digest = hasher.finish();
    fs::rename(temporary, blobs.join(digest.to_string().trim_start_matches("sha256:"))).unwrap();
    digest
}
