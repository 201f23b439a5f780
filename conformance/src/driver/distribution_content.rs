//! Distribution's driver suite, name by name: whole files, paths and errors.

use bytes::Bytes;
use plugin_registry_core::{ErrorKind, StorageDriver, StoragePath};

use super::{
    Context,
    context::{
        LIMIT, assert_bytes, assert_file, assert_names, get, kind, names, path, put, read_all, write_file,
    },
    sample,
};

/// `RootExists`: the root of an empty store is listed.
pub async fn root_exists(cx: &Context) {
    assert_names("list", &StoragePath::root(), &names(cx.driver(), &StoragePath::root(), None).await, &[]);
}

/// `ValidPaths`: 16 forms of paths, each written, read and deleted.
pub async fn valid_paths(cx: &Context) {
    for text in [
        "/a",
        "/2",
        "/aa",
        "/a.a",
        "/0-9/abcdefg",
        "/abcdefg/z.75",
        "/abc/1.2.3.4.5-6_zyx/123.z/4",
        "/docker/docker-registry",
        "/123.abc",
        "/abc./abc",
        "/.abc",
        "/a--b",
        "/a-.b",
        "/_.abc",
        "/Docker/docker-registry",
        "/Abc/Cba",
    ] {
        let (file, content) = (path(text), Bytes::from(text));
        put(cx.driver(), &file, content.clone()).await;
        assert_file(cx.driver(), &file, &content).await;
        cx.driver().delete(&file).await.unwrap();
        write_file(cx.driver(), &file, content.clone()).await;
        assert_file(cx.driver(), &file, &content).await;
        cx.driver().delete(&path(&format!("/{}", text.split('/').nth(1).unwrap()))).await.unwrap();
        assert!(names(cx.driver(), &StoragePath::root(), None).await.is_empty(), "{text}");
    }
}

/// `InvalidPaths`: they cannot be parsed. The root is a path, but not a file.
pub async fn invalid_paths(cx: &Context) {
    for text in ["", "abc", "123.abc", "//bcd", "/abc_123/"] {
        assert_eq!(kind(text.parse::<StoragePath>()), ErrorKind::InvalidPath, "{text:?}");
    }
    let root = StoragePath::root();
    let result = cx.driver().put_content(&root, "x".into(), Default::default()).await;
    assert_eq!(kind(result), ErrorKind::InvalidPath);
    assert_eq!(kind(cx.driver().get_content(&root, LIMIT).await), ErrorKind::InvalidPath);
}

async fn write_read(cx: &Context, content: impl Into<Bytes>) {
    let (file, content) = (cx.path("dir/file"), content.into());
    put(cx.driver(), &file, content.clone()).await;
    assert_bytes("get_content", &file, &get(cx.driver(), &file).await, &content);
}

/// `WriteRead1`: one byte.
pub async fn write_read_1(cx: &Context) {
    write_read(cx, "a").await;
}

/// `WriteRead2`: UTF-8.
pub async fn write_read_2(cx: &Context) {
    write_read(cx, "\u{c3}\u{9f}").await;
}

/// `WriteRead3`: 32 bytes.
pub async fn write_read_3(cx: &Context) {
    write_read(cx, sample::bytes(3, 32)).await;
}

/// `WriteRead4`: 1 MiB.
pub async fn write_read_4(cx: &Context) {
    write_read(cx, sample::bytes(4, 1 << 20)).await;
}

/// `WriteReadNonUTF8`.
pub async fn write_read_non_utf8(cx: &Context) {
    write_read(cx, Bytes::from_static(b"\x80\x80\x80\x80")).await;
}

/// `Truncate`: 1 MiB, then 100 KiB, then 1 MiB again.
pub async fn truncate(cx: &Context) {
    for size in [1 << 20, 100 << 10, 1 << 20] {
        write_read(cx, sample::bytes(size as u64, size)).await;
    }
}

/// `ReadNonexistent`.
pub async fn read_nonexistent(cx: &Context) {
    assert_eq!(kind(cx.driver().get_content(&cx.path("missing"), LIMIT).await), ErrorKind::NotFound);
}

/// `PutContentMultipleTimes`: sizes go up and down. The last content counts.
pub async fn put_content_multiple_times(cx: &Context) {
    let file = cx.path("dir/file");
    for (seed, size) in [(1, 4 << 10), (2, 4 << 20), (3, 4 << 10), (4, 5 << 20), (5, 100)] {
        let content = sample::bytes(seed, size);
        put(cx.driver(), &file, content.clone()).await;
        assert_bytes("reader", &file, &read_all(cx.driver(), &file).await, &content);
    }
}
