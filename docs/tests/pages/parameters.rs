//! The page of the S3 driver's parameters beside the code that reads them.

use std::{collections::BTreeSet, fs};

use plugin_registry_core::Parameters;
use plugin_registry_drivers_s3::S3Config;

use super::{Page, repository};

/// What a parameter is read by.
const READERS: &[&str] = &[
    ".required(",
    ".text(",
    ".flag(",
    ".number(",
    ".bytes(",
    ".choice(",
    ".secret(",
    "header(read, ",
    "concurrency(read, ",
];

/// The names in the first cells of the page's rows. A row may be about several.
fn described() -> BTreeSet<String> {
    let page = Page::read(&repository(), "docs/src/reference/s3-parameters.md");
    let rows = page.prose().into_iter().filter(|(_, line)| line.starts_with("| `"));
    rows.flat_map(|(_, line)| {
        let cell = line.split('|').nth(1).unwrap();
        cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()
    })
    .collect()
}

/// The names that the code reads.
fn read() -> BTreeSet<String> {
    let source = fs::read_to_string(repository().join("drivers/s3/src/config/parameters.rs")).unwrap();
    let name = |rest: &str| {
        let (name, _) = rest.trim_start().strip_prefix('"')?.split_once('"')?;
        Some(name.to_owned())
    };
    READERS.iter().flat_map(|reader| source.split(reader).skip(1).filter_map(name)).collect()
}

#[test]
fn every_parameter_of_s3_is_described() {
    let (described, read) = (described(), read());
    assert_eq!(described, read, "left: reference/s3-parameters.md, right: parameters.rs");
    assert!(read.len() > 30, "{read:?}");
    // And the code knows each of them.
    for name in described {
        let unknown = format!("`{name}`: unknown");
        let told = S3Config::from_parameters(&Parameters::new().with(&name, "?"));
        assert!(told.is_ok() || !told.unwrap_err().to_string().contains(&unknown), "{name}");
    }
}
