//! Open instances cost nothing while they are not used.

use std::time::Duration;

use futures::future::join_all;
use tokio::runtime::Handle;

use crate::lab::{Lab, location};

#[tokio::test(start_paused = true)]
async fn a_hundred_open_locations_make_no_call_and_have_no_task() {
    let lab = Lab::default();
    let pool = lab.pool().max_open(100).build();
    let before = Handle::current().metrics().num_alive_tasks();
    let locations: Vec<_> = (0..100).map(|number| location(&format!("bucket-{number}"))).collect();
    let open = join_all(locations.iter().map(|location| pool.get_or_open(location))).await;
    assert_eq!((lab.alive(), lab.calls()), (100, 0));
    for _ in 0..60 {
        tokio::time::advance(Duration::from_secs(1)).await;
        tokio::task::yield_now().await;
        pool.sweep().await;
    }
    assert_eq!((lab.alive(), lab.calls()), (100, 0));
    assert_eq!(Handle::current().metrics().num_alive_tasks(), before);
    assert!(open.iter().all(Result::is_ok));
}
