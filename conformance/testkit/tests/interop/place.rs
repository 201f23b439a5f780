//! Where a store lies: in a directory, or in the bucket of an emulator.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use plugin_registry_conformance::report;
use plugin_registry_emulator::programs::SeaweedFs;

/// A separate store in the one bucket of all tests.
#[derive(Debug)]
pub(crate) struct Bucket {
    emulator: &'static SeaweedFs,
    root: String,
}

/// The store that a program serves.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'a> {
    Directory(&'a Path),
    Bucket(&'a Bucket),
}

impl<'a> From<&'a Path> for Place<'a> {
    fn from(root: &'a Path) -> Self {
        Self::Directory(root)
    }
}

impl<'a> From<&'a Bucket> for Place<'a> {
    fn from(bucket: &'a Bucket) -> Self {
        Self::Bucket(bucket)
    }
}

impl Bucket {
    /// An empty one.
    pub(crate) fn new(emulator: &'static SeaweedFs) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        Self { emulator, root: format!("store{}", NUMBER.fetch_add(1, Ordering::Relaxed)) }
    }

    /// The emulator of this process; where it is not installed, says that the test is skipped.
    pub(crate) fn emulator(test: &str) -> Option<&'static SeaweedFs> {
        let missing = match SeaweedFs::shared() {
            Ok(emulator) => return Some(emulator),
            Err(missing) => missing,
        };
        report::skip("interop", test, &missing.to_string(), "programs");
        None
    }
}

impl Place<'_> {
    /// The driver of a store as distribution's configuration has it.
    pub(crate) fn driver(self) -> String {
        match self {
            Self::Directory(root) => format!("filesystem: {{rootdirectory: '{}'}}", root.display()),
            // 3.1.1 needs a setting for the path style; 2.8 has no other style with an endpoint. A redirect
            // would lead clients to the emulator.
            Self::Bucket(Bucket { emulator, root }) => format!(
                "s3: {{accesskey: '{}', secretkey: '{}', region: us-east-1, regionendpoint: '{}', bucket: '{}', \
                 rootdirectory: '/{root}', secure: false, v4auth: true, forcepathstyle: true}}\n  redirect: \
                 {{disable: true}}",
                emulator.access_key(),
                emulator.secret_key(),
                emulator.endpoint(),
                emulator.bucket(),
            ),
        }
    }

    /// The arguments that lead our commands there; the configuration file is in `work`.
    pub(crate) fn arguments(self, work: &Path) -> [OsString; 2] {
        match self {
            Self::Directory(root) => ["--root".into(), root.into()],
            Self::Bucket(_) => {
                let config = work.join("Ours.yaml");
                fs::write(&config, format!("version: 0.1\nstorage:\n  {}\n", self.driver())).unwrap();
                ["--config".into(), config.into()]
            }
        }
    }

    /// All files but those of uploads, by path.
    pub(crate) fn files(self) -> BTreeMap<String, Vec<u8>> {
        let is_upload = |directory: &str| directory.rsplit('/').next() == Some("_uploads");
        match self {
            Self::Directory(root) => {
                let mut found = BTreeMap::new();
                let mut directories: Vec<PathBuf> = vec![root.to_owned()];
                while let Some(directory) = directories.pop() {
                    for entry in fs::read_dir(directory).unwrap() {
                        let path = entry.unwrap().path();
                        let relative = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                        if !path.is_dir() {
                            found.insert(relative, fs::read(&path).unwrap());
                        } else if !is_upload(&relative) {
                            directories.push(path);
                        }
                    }
                }
                found
            }
            Self::Bucket(Bucket { emulator, root }) => {
                emulator.objects(&format!("{root}/"), |directory| !is_upload(directory))
            }
        }
    }

    /// Removes what no S3 of the clouds shows: directories without files.
    pub(crate) fn settle(self) {
        if let Self::Bucket(Bucket { emulator, root }) = self {
            emulator.prune(&format!("{root}/"));
        }
    }

    /// Whether 3.1.1 hides tags here: on S3 its list of tags has none whose name another one begins with, or the
    /// other way around (one walk for all tags, which leaves a directory too early).
    pub(crate) fn hides_tags(self) -> bool {
        matches!(self, Self::Bucket(_))
    }
}
