//! The pages of the drivers' parameters beside the code that reads them.

use std::{collections::BTreeSet, fs, path::PathBuf};

use plugin_registry_core::{Parameters, Result};
use plugin_registry_drivers_azure::AzureConfig;
use plugin_registry_drivers_gcs::GcsConfig;
use plugin_registry_drivers_s3::S3Config;

use super::{Page, repository};

/// The functions that read a parameter.
const READERS: &[&str] = &[
    ".required(",
    ".text(",
    ".flag(",
    ".number(",
    ".bytes(",
    ".duration(",
    ".choice(",
    ".secret(",
    ".is_given(",
    ".header(",
    ".proxy(",
    ".ca_bundle(",
    ".root_directory(",
    "concurrency(read, ",
];

/// The names in the first cells of a page's rows. A row may be about several.
fn described(page: &str) -> BTreeSet<String> {
    let page = Page::read(&repository(), page);
    let rows = page.prose().into_iter().filter(|(_, line)| line.starts_with("| `"));
    rows.flat_map(|(_, line)| {
        let cell = line.split('|').nth(1).unwrap();
        cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()
    })
    .collect()
}

/// The sources of `config/parameters`, without their tests.
fn sources(driver: &str) -> String {
    let root = repository().join("drivers").join(driver).join("src/config");
    let (mut text, mut open) = (String::new(), vec![root.join("parameters.rs"), root.join("parameters")]);
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
            open.extend(entries.collect::<Vec<PathBuf>>());
        } else if path.is_file() && !path.ends_with("tests.rs") {
            let source = fs::read_to_string(path).unwrap();
            text.push_str(source.split("#[cfg(test)]").next().unwrap());
        }
    }
    text
}

/// The names that the code of a driver reads. Names of a section are also recognised by their beginning,
/// since they are read from a list.
fn read(driver: &str) -> BTreeSet<String> {
    let source = sources(driver);
    let name = |rest: &str| {
        let (name, _) = rest.trim_start().strip_prefix('"')?.split_once('"')?;
        Some(name.to_owned())
    };
    let sectioned = source.split("\"credentials.").skip(1).filter_map(|rest| {
        let (name, _) = rest.split_once('"')?;
        (!name.is_empty()).then(|| format!("credentials.{name}"))
    });
    let read = READERS.iter().flat_map(|reader| source.split(reader).skip(1).filter_map(name));
    read.chain(sectioned).collect()
}

/// Compares a page with the code, which has to know each of the names.
fn compare(driver: &str, from_parameters: impl Fn(&Parameters) -> Result<()>, least: usize) {
    let page = format!("docs/src/reference/{driver}-parameters.md");
    let (described, read) = (described(&page), read(driver));
    assert_eq!(described, read, "left: {page}, right: drivers/{driver}/src/config/parameters");
    assert!(read.len() >= least, "{read:?}");
    for name in described {
        let unknown = format!("`{name}`: unknown");
        let told = from_parameters(&Parameters::new().with(&name, "?"));
        assert!(told.is_ok() || !told.unwrap_err().to_string().contains(&unknown), "{name}");
    }
}

#[test]
fn every_parameter_of_s3_is_described() {
    compare("s3", |parameters| S3Config::from_parameters(parameters).map(drop), 31);
}

#[test]
fn every_parameter_of_gcs_is_described() {
    compare("gcs", |parameters| GcsConfig::from_parameters(parameters).map(drop), 27);
}

#[test]
fn every_parameter_of_azure_is_described() {
    compare("azure", |parameters| AzureConfig::from_parameters(parameters).map(drop), 24);
}
