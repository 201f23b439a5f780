//! Every call of a driver, over a small world.

use bytes::Bytes;
use futures::{TryStreamExt, future::BoxFuture};
use plugin_registry_core::{ByteRange, PutMode, Result, StorageDriver, StorageDriverExt, WriteMode};
use plugin_registry_drivers_s3::S3Driver;
use plugin_registry_emulator::s3::Server;

use crate::support::*;

/// A call, and what it gave as text.
pub(crate) type Run = for<'a> fn(&'a S3Driver) -> BoxFuture<'a, Result<String>>;

/// The store that every call starts with.
pub(crate) async fn fill(server: &Server, name: &str) {
    server.clear();
    for (name, bytes) in [("/d/a", content(10)), ("/d/b", in_parts()), ("/d/sub/c", content(20))] {
        server.put_raw(&key(name), bytes);
    }
    server.put_raw(&key("/r/ns/app/_layers/l"), "l");
    if name.contains("staged") || name.contains("resume") {
        let driver = open(server).await;
        close(&driver, "/up/s", &in_parts()).await.unwrap();
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

/// All of them.
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
        Box::pin(async move { done(write(driver, "/d/a", &content(100)).await) })
    }),
    ("commit", |driver| Box::pin(async move { done(write(driver, "/d/a", &in_parts()).await) })),
    ("commit to another path", |driver| {
        Box::pin(async move { done(write_to(driver, "/w", &in_parts(), "/d/new").await) })
    }),
    ("close", |driver| Box::pin(async move { done(close(driver, "/w", &in_parts()).await) })),
    ("close of a few bytes", |driver| {
        Box::pin(async move { done(close(driver, "/w", &content(700)).await) })
    }),
    ("close and commit_staged", |driver| {
        Box::pin(async move {
            let staged = close(driver, "/w", &content(700)).await?;
            commit_staged(driver, &staged, "/d/new").await?;
            driver.delete_many(Vec::new(), &[staged]).await?.into_result()?;
            Ok(String::new())
        })
    }),
    ("close in parts and commit_staged", |driver| {
        Box::pin(async move {
            let staged = close(driver, "/w", &in_parts()).await?;
            commit_staged(driver, &staged, "/d/new").await?;
            driver.delete_many(Vec::new(), &[staged]).await?.into_result()?;
            Ok(String::new())
        })
    }),
    ("cancel", |driver| {
        Box::pin(async move {
            done(written(driver, "/w", &in_parts(), WriteMode::direct()).await?.cancel().await)
        })
    }),
    ("resume and commit", |driver| {
        Box::pin(
            async move { done(resumed(driver, "/up/s", &in_parts()).await?.commit(&path("/up/s")).await) },
        )
    }),
    ("resume and close", |driver| {
        Box::pin(async move { done(resumed(driver, "/up/s", &in_parts()).await?.close().await) })
    }),
    ("resume and cancel", |driver| {
        Box::pin(async move { done(resumed(driver, "/up/s", &Bytes::new()).await?.cancel().await) })
    }),
    ("resume of a few bytes and close in parts", |driver| {
        Box::pin(async move {
            let staged = close(driver, "/w", &content(700)).await?;
            done(after(driver, &staged, &in_parts()).await?.close().await)
        })
    }),
    ("find_staged", |driver| {
        Box::pin(async move { Ok(driver.find_staged(&path("/up/s")).await?.size.to_string()) })
    }),
    ("stat of a file", |driver| {
        Box::pin(async move { Ok(driver.stat(&path("/d/b")).await?.size.to_string()) })
    }),
    ("stat of a directory", |driver| {
        Box::pin(async move {
            match driver.stat(&path("/d")).await {
                Err(error) if error.is_not_found() => Ok("none".to_owned()),
                found => done(found),
            }
        })
    }),
    ("exists of a directory", |driver| {
        Box::pin(async move { Ok(driver.exists(&path("/d")).await?.to_string()) })
    }),
    ("list", |driver| Box::pin(async move { Ok(names(driver, "/d", None).await?.join(" ")) })),
    ("walk", |driver| Box::pin(async move { Ok(walked(driver, "/", None).await?.join(" ")) })),
    ("find_directories", |driver| Box::pin(async move { Ok(marked(driver, "/", None).await?.join(" ")) })),
    ("delete of a file", |driver| Box::pin(async move { done(driver.delete(&path("/d/a")).await) })),
    ("delete of a directory", |driver| Box::pin(async move { done(driver.delete(&path("/d")).await) })),
    ("delete of a directory with staged bytes", |driver| {
        Box::pin(async move { done(driver.delete(&path("/up")).await) })
    }),
    ("delete_many", |driver| {
        Box::pin(async move {
            let paths = ["/d/a", "/d/b", "/none"].map(path).to_vec();
            let report = driver.delete_many(paths, &[]).await?;
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
