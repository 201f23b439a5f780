//! Every call of a driver, over a small world.

use futures::{TryStreamExt, future::BoxFuture};
use plugin_registry_core::{ByteRange, PutMode, Result, StorageDriver, WriteOptions};
use plugin_registry_drivers_s3::S3Driver;
use plugin_registry_emulator::s3::Server;

use crate::support::*;

/// A call, and what it gave as text.
pub(crate) type Run = for<'a> fn(&'a S3Driver) -> BoxFuture<'a, Result<String>>;

/// What every call finds.
pub(crate) async fn fill(server: &Server, name: &str) {
    server.clear();
    for (name, bytes) in [("/d/a", content(10)), ("/d/b", in_parts()), ("/d/sub/c", content(20))] {
        server.put_raw(&key(name), bytes);
    }
    server.put_raw(&key("/r/ns/app/_layers/l"), "l");
    if name.contains("staged") || name.contains("resume") {
        let driver = open(server).await;
        written(&driver, "/up/s", &in_parts(), WriteOptions::create()).await.unwrap().close().await.unwrap();
        server.put_raw(&key("/up/startedat"), "now");
        let broken_off = server.begin_raw(&key("/up/t"));
        server.put_part_raw(&key("/up/t"), &broken_off, 1, content(30));
    }
    server.forget();
}

fn done<T>(result: Result<T>) -> Result<String> {
    result.map(|_| String::new())
}

fn hash(bytes: &[u8]) -> String {
    plugin_registry_core::Digest::sha256(bytes).to_string()
}

/// All of them; a commit is overwriting unless its name says otherwise.
pub(crate) const CALLS: &[(&str, Run)] = &[
    ("get_content", |driver| {
        Box::pin(async move { Ok(hash(&driver.get_content(&path("/d/b"), 1 << 20).await?)) })
    }),
    ("put_content", |driver| {
        Box::pin(async move { done(put(driver, "/d/a", "new", PutMode::Overwrite).await) })
    }),
    ("put_content create-only", |driver| {
        Box::pin(async move { done(put(driver, "/d/new", "new", PutMode::CreateOnly).await) })
    }),
    ("reader", |driver| Box::pin(async move { Ok(hash(&read(driver, "/d/b").await?)) })),
    ("reader of a range", |driver| {
        Box::pin(async move { Ok(hash(&read_range(driver, "/d/b", ByteRange::new(100, 2_000)).await?)) })
    }),
    ("commit of a small file", |driver| {
        Box::pin(async move { done(write(driver, "/d/a", &content(100), PutMode::Overwrite).await) })
    }),
    ("create-only commit of a small file", |driver| {
        Box::pin(async move { done(write(driver, "/d/new", &content(100), PutMode::CreateOnly).await) })
    }),
    ("commit", |driver| {
        Box::pin(async move { done(write(driver, "/d/a", &in_parts(), PutMode::Overwrite).await) })
    }),
    ("create-only commit", |driver| {
        Box::pin(async move { done(write(driver, "/d/new", &in_parts(), PutMode::CreateOnly).await) })
    }),
    ("commit_to", |driver| {
        Box::pin(async move {
            let writer = written(driver, "/w", &in_parts(), WriteOptions::create()).await?;
            done(writer.commit_to(&path("/d/new")).await)
        })
    }),
    ("close", |driver| {
        Box::pin(async move {
            done(written(driver, "/w", &in_parts(), WriteOptions::create()).await?.close().await)
        })
    }),
    ("close and sealed commit_to", |driver| {
        Box::pin(async move {
            written(driver, "/w", &content(700), WriteOptions::create()).await?.close().await?;
            let writer = driver.writer(&path("/w"), WriteOptions::resume().with_sealed()).await?;
            writer.commit_to(&path("/d/new")).await?;
            done(driver.delete_known(&path("/w"), &[path("/w")]).await)
        })
    }),
    ("cancel", |driver| {
        Box::pin(async move {
            done(written(driver, "/w", &in_parts(), WriteOptions::create()).await?.cancel().await)
        })
    }),
    ("resume and commit", |driver| {
        Box::pin(async move {
            let writer = written(driver, "/up/s", &in_parts(), WriteOptions::resume()).await?;
            done(writer.commit().await)
        })
    }),
    ("resume and close", |driver| {
        Box::pin(async move {
            let writer = written(driver, "/up/s", &in_parts(), WriteOptions::resume()).await?;
            done(writer.close().await)
        })
    }),
    ("resume and cancel", |driver| {
        Box::pin(
            async move { done(driver.writer(&path("/up/s"), WriteOptions::resume()).await?.cancel().await) },
        )
    }),
    ("stat of a file", |driver| {
        Box::pin(async move { Ok(driver.stat(&path("/d/b")).await?.size.to_string()) })
    }),
    ("stat of a directory", |driver| {
        Box::pin(async move { Ok(driver.stat(&path("/d")).await?.is_file().to_string()) })
    }),
    ("stat_file", |driver| {
        Box::pin(async move { Ok(driver.stat_file(&path("/d/a")).await?.size.to_string()) })
    }),
    ("list", |driver| Box::pin(async move { Ok(names(driver, "/d", None).await?.join(" ")) })),
    ("walk", |driver| Box::pin(async move { Ok(walked(driver, "/", None).await?.join(" ")) })),
    ("list_marked", |driver| Box::pin(async move { Ok(marked(driver, "/", None).await?.join(" ")) })),
    ("rename", |driver| Box::pin(async move { done(driver.rename(&path("/d/a"), &path("/d/new")).await) })),
    ("rename in parts", |driver| {
        Box::pin(async move { done(driver.rename(&path("/d/b"), &path("/d/new")).await) })
    }),
    ("delete of a file", |driver| Box::pin(async move { done(driver.delete(&path("/d/a")).await) })),
    ("delete of a directory", |driver| Box::pin(async move { done(driver.delete(&path("/d")).await) })),
    ("delete of a directory with staged bytes", |driver| {
        Box::pin(async move { done(driver.delete(&path("/up")).await) })
    }),
    ("delete_many", |driver| {
        Box::pin(async move {
            let paths = ["/d/a", "/d/b", "/none"].map(path).to_vec();
            let report = driver.delete_many(paths).await?;
            report.into_result()?;
            Ok(String::new())
        })
    }),
    ("list_staged", |driver| Box::pin(async move { Ok(format!("{:?}", stages(driver, "/up").await?)) })),
    ("list_staged of everything", |driver| {
        Box::pin(async move {
            let root = path("/");
            let found: Vec<_> = driver.list_staged(&root).try_collect().await?;
            Ok(found.len().to_string())
        })
    }),
    ("delete_staged", |driver| {
        Box::pin(async move {
            let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
            let first = driver.delete_staged(&path("/up/s"), later).await?;
            Ok((first + driver.delete_staged(&path("/up/t"), later).await?).to_string())
        })
    }),
];
