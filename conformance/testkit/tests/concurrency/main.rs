//! Many at once: tasks, registries over one store, and processes over one directory.
//!
//! What is checked, and how:
//!
//! - **Histories** (`storm`): every call is noted with the moments at which it began and ended. For each tag,
//!   manifest link and layer link, one value that changes at once has to explain all of them
//!   (linearizability). Manifests accepted and refused count as looks at the links of their blobs. Each page
//!   of tags, catalog and referrers has to hold what existed all the time, and nothing that never existed.
//! - **Schedules** (`interleaved`, `sessions`, `layouts`): two or three calls whose driver calls meet in every
//!   order with a bounded number of switches. No chance: a failure fails again.
//! - **Crowds** (`same_image`, `readers`, `aborted`, `processes`): everything acknowledged can be read at once
//!   everywhere, nothing is stored twice, nothing is left.
//!
//! A run prints its seed; `CONCURRENCY_SEED` repeats what its tasks want to do. `CONCURRENCY_ROUNDS` is for the
//! tests on demand.
//!
//! # Excepted
//!
//! The layout of distribution has no step that changes two keys at once, and the registry keeps no lock that
//! other processes would see (ADR 0012). So calls that meet may leave, and nothing else:
//!
//! | calls that meet | what may be left |
//! |---|---|
//! | a put of a manifest under a tag, and the delete of that manifest | a tag that leads nowhere |
//! | a put of another manifest under a tag, and the delete of the one that it named | no tag |
//! | a put under a tag, and the delete of that tag | a tag whose history lacks its present; on a filesystem the delete begins again where the put fills the directory, so a reader may see the tag go, come and go |
//! | a put of a manifest, and the delete of a blob that it names | a manifest without that blob |
//! | a pull by tag, and the delete of the manifest that the tag has just named | 404 |
//! | first chunks of one session at two registries | both acknowledged, one of them counts |
//!
//! # Our locks and atomics
//!
//! A model checker runs threads in every order of their steps. Where it can find something, it does:
//!
//! | where | what it is | what tries it |
//! |---|---|---|
//! | `registry/src/upload/slot.rs` | a lock that is only tried, held across awaits; two flags and an offset beside it | shuttle, every order, over real sessions: `registry/src/upload/slot/tests.rs`; and `sessions` here, at each driver call. Not loom: it would not know of tokio's lock, and take its order for missing |
//! | `drivers/fs/src/ancestors.rs` | a lock held over mkdir and rmdir; numbers that tell makings apart | shuttle, every order, over a disk of one directory: `drivers/fs/tests/ancestors.rs` |
//! | `drivers/fs/src/job.rs` | a flag, set once by the drop, looked at before the rename | nothing: one side only writes, the other only reads, and a drop right after the look has the same effect as one after the rename |
//! | `drivers/memory/src/store.rs` | a lock around each call as a whole | nothing separate: there is no order inside of one critical section; `storm` and `aborted` would see it if a call were not one |
//! | `core/src/metrics.rs` | counters, relaxed | nothing: each is added to by one instruction and no decision hangs on it; `readers` compares the sum after 100 tasks |
//! | `copy/src/oci_layout/` | an async lock around read, change and write of `index.json` | `layouts`, at each driver call |
//! | `copy/src/oci_layout/image.rs` | an async lock around a value that is computed once | nothing: the lock holds from the look to the store of the value, in four lines |

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test harness: a failed check is a panic of the test, and the counts are its result"
)]

mod aborted;
mod aftermath;
mod interleaved;
mod layouts;
mod links;
mod log;
mod peer;
mod processes;
mod readers;
mod same_image;
mod sessions;
mod storm;
mod world;

macro_rules! on_stores {
    ($($module:ident: [$($test:ident,)+])+) => {
        on_stores! { @ memory_one, Memory(1), $($module: [$($test,)+])+ }
        on_stores! { @ memory_two, Memory(2), $($module: [$($test,)+])+ }
        on_stores! { @ fs_one, Fs(1), $($module: [$($test,)+])+ }
        on_stores! { @ fs_two, Fs(2), $($module: [$($test,)+])+ }
    };
    (@ $store:ident, $setting:expr, $($module:ident: [$($test:ident,)+])+) => {
        mod $store {
            use crate::world::Setting::*;
            $($(#[test]
            fn $test() {
                crate::$module::$test($setting);
            })+)+
        }
    };
}

on_stores! {
    same_image: [at_once,]
    storm: [of_pushes, of_deletes,]
    aborted: [uploads_cut_off,]
    readers: [of_one_blob,]
}

mod on_demand {
    use crate::{storm, world::Setting};

    #[test]
    #[ignore = "on demand: rounds of CONCURRENCY_ROUNDS, some minutes"]
    fn storms_in_memory() {
        storm::long(Setting::Memory(2));
    }

    #[test]
    #[ignore = "on demand: rounds of CONCURRENCY_ROUNDS, many minutes"]
    fn storms_on_fs() {
        storm::long(Setting::Fs(2));
    }
}
