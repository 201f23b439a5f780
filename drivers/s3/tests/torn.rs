//! Uploads whose body is cut off, over the project's own server and over SeaweedFS; resumed by the same
//! instance and by another one.

#![allow(clippy::unwrap_used, reason = "a test harness: a failed check is a panic of the test")]

mod common;

use std::sync::LazyLock;

use plugin_registry_conformance::registry::{
    on_a_runtime, run,
    torn::{Case, cases, check_all, every_size},
};
use plugin_registry_emulator::s3::Server;
use plugin_registry_testkit::sessions::a_session_belongs_to_its_repository;

const MIB: usize = 1 << 20;

/// Uploads of one part, and of several where a part has 5 MiB.
fn of_some_parts(every: usize) -> impl Iterator<Item = Case> {
    cases(12 * MIB + 5, &[MIB], 1).into_iter().step_by(every)
}

#[test]
fn torn_uploads_on_a_server_of_our_own() {
    // Parts are so small that uploads of some kilobytes have several.
    let server = Server::builder().min_part(1).start();
    let config = common::of_server(&server).with_chunk_size(20_000);
    on_a_runtime(check_all(
        "s3, parts of 20 kB",
        common::store(config),
        every_size(1).filter(Case::is_small).step_by(3),
    ));
}

#[test]
fn torn_uploads_on_seaweedfs() {
    let Some(config) = common::or_skip(common::of_seaweed(), "torn_uploads_on_seaweedfs") else { return };
    let config = config.with_chunk_size(5 << 20);
    let one_part = cases(70_000, &[1024, 65_536], 1).into_iter().step_by(7);
    on_a_runtime(check_all("SeaweedFS", common::store(config), one_part.chain(of_some_parts(29))));
}

#[test]
fn a_session_belongs_to_its_repository_on_a_server_of_our_own() {
    static SERVER: LazyLock<Server> = LazyLock::new(Server::start);
    let store = async || common::own_store(&SERVER, common::of_server(&SERVER));
    run(store, a_session_belongs_to_its_repository);
}

#[test]
fn a_session_belongs_to_its_repository_on_seaweedfs() {
    let test = "a_session_belongs_to_its_repository_on_seaweedfs";
    let Some(config) = common::or_skip(common::of_seaweed(), test) else { return };
    run(async || common::store(config), a_session_belongs_to_its_repository);
}
