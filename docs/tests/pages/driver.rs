//! The how-to for drivers beside the contract: its tables of methods, and the order of the work.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use futures::{StreamExt, future, stream, stream::BoxStream};
use plugin_registry_conformance::{
    driver::{self, Sizes, Store},
    intercept::{Intercept, Intercepted},
};
use plugin_registry_core::{ErrorKind, Operation, Result, StoragePath};
use plugin_registry_drivers_memory::MemoryDriver;

use super::{Page, repository};

const PAGE: &str = "docs/src/how-to/add-a-driver.md";

/// The rows of a table below its header, each as its cells.
fn table(page: &Page, header: &str) -> Vec<Vec<String>> {
    let lines = page.prose().into_iter().map(|(_, line)| line);
    let rows = lines.skip_while(|line| !line.starts_with(header)).skip(2);
    let cells = |row: &str| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    rows.take_while(|line| line.starts_with('|')).map(cells).collect()
}

/// The methods of a trait in the order of its source, and whether each is required.
fn methods(source: &str, name: &str) -> Vec<(String, bool)> {
    let body = source.split_once(&format!("pub trait {name}:")).unwrap().1;
    let body = body.split_once("\n}\n").unwrap().0;
    let mut found: Vec<(String, bool)> = Vec::new();
    for line in body.lines().filter(|line| !line.trim_start().starts_with("//")) {
        if let Some((_, rest)) =
            line.split_once("fn ").filter(|(before, _)| matches!(before.trim(), "" | "async"))
        {
            let end = rest.find(['(', '<']).unwrap();
            found.push((rest[..end].to_owned(), false));
        }
        // The end of a signature, at the indentation of the methods.
        if line.starts_with("    ") && !line.starts_with("     ") && line.ends_with(';') {
            found.last_mut().unwrap().1 = true;
        }
    }
    found
}

#[test]
fn the_tables_of_methods_are_the_traits() {
    let page = Page::read(&repository(), PAGE);
    let source = fs::read_to_string(repository().join("core/src/driver/mod.rs")).unwrap();
    for (name, least) in [("StorageDriver", 19), ("FileWriter", 5)] {
        let real = methods(&source, name);
        assert!(real.len() >= least, "{name}: {real:?}");
        let rows = table(&page, &format!("| `{name}` |"));
        let shown: Vec<(String, bool)> =
            rows.iter().map(|row| (row[0].trim_matches('`').to_owned(), row[1] == "required")).collect();
        assert_eq!(shown, real, "{name}: left is the page, right is the trait");
        assert!(rows.iter().all(|row| matches!(row[1].as_str(), "required" | "provided")));
    }
}

/// A driver of which only some operations are written.
#[derive(Clone, Debug)]
struct Unfinished(Vec<Operation>);

impl Unfinished {
    fn has(&self, operation: Operation) -> bool {
        // Their defaults use the others.
        let is_provided =
            matches!(operation, Operation::List | Operation::FindDirectories | Operation::DeleteMany);
        is_provided || self.0.contains(&operation)
    }
}

impl Intercept for Unfinished {
    async fn call<T: Send>(
        &self,
        operation: Operation,
        _path: &StoragePath,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        if self.has(operation) { call.await } else { Err(ErrorKind::Unsupported.into()) }
    }

    fn stream<'a, T: Send + 'a>(
        &self,
        operation: Operation,
        _path: &StoragePath,
        stream: BoxStream<'a, Result<T>>,
    ) -> BoxStream<'a, Result<T>> {
        if self.has(operation) {
            return stream;
        }
        stream::once(future::ready(Err(ErrorKind::Unsupported.into()))).boxed()
    }
}

/// Whether a function of the suite is green on such a driver.
fn is_green(name: &str, has: &[Operation]) -> bool {
    macro_rules! run {
        ($($module:ident: [$($behavior:ident,)+])+) => {
            match name {
                $($(stringify!($behavior) => {
                    let driver = Unfinished(has.to_vec());
                    let open = async || {
                        let memory = Arc::new(MemoryDriver::new());
                        Store::of_clones(Intercepted::over(memory, driver)).in_memory().with_sizes(Sizes::small())
                    };
                    let run = || driver::run("unfinished", stringify!($behavior), &[], open, driver::$behavior);
                    catch_unwind(AssertUnwindSafe(run)).is_ok()
                })+)+
                _ => panic!("{PAGE}: the suite has no `{name}`"),
            }
        };
    }
    plugin_registry_conformance::__driver_behaviors!(run)
}

/// The names between backquotes in a cell.
fn names(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The operation of a method, of either trait.
fn operation(method: &str) -> Option<Operation> {
    let of_writer = format!("writer_{method}");
    Operation::ALL.iter().copied().find(|it| [method, &of_writer].contains(&it.as_str()))
}

#[test]
fn each_station_of_the_how_to_is_green_with_what_is_written_so_far() {
    let rows = table(&Page::read(&repository(), PAGE), "| Station |");
    assert!(rows.len() > 5, "{rows:?}");
    let mut written = Vec::new();
    let mut wrong = Vec::new();
    for row in &rows {
        let functions = names(&row[2]);
        assert!(!functions.is_empty(), "station {} has no function", row[0]);
        // A function that was green before does not show that the station is reached.
        let early = functions.iter().filter(|name| is_green(name, &written)).cloned().collect::<Vec<_>>();
        let before = written.len();
        written.extend(names(&row[1]).iter().filter_map(|method| operation(method)));
        if written.len() > before {
            wrong.extend(early.iter().map(|name| format!("{name} is green before station {}", row[0])));
        }
        let red = functions.iter().filter(|name| !is_green(name, &written));
        wrong.extend(red.map(|name| format!("{name} is red at station {}", row[0])));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
