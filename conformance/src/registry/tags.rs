//! end-8: listing tags.

use serde_json::json;

use super::{
    Lab,
    client::Client,
    fixture::{IMAGE, Image, content},
};

/// Names that hide each other in a list that goes by object keys.
const NAMES: [&str; 9] = ["a", "a-b", "a.b", "current", "im", "image", "index", "index2", "latest"];

async fn tagged(client: &Client, name: &str, tags: &[&str]) {
    let image = Image::new(1);
    client.push_image(name, &image.digest(), &image).await;
    for tag in tags {
        let _ = client.put_manifest(name, tag, IMAGE, &image.manifest).await.expect(201);
    }
}

/// All tags are listed in byte order, under the repository's name, without a `Link`.
pub async fn end_8a_all_tags_in_order(lab: &Lab) {
    let client = lab.client();
    tagged(&client, "ns/app", &["image", "index2", "im", "current", "a.b", "latest", "a", "index", "a-b"])
        .await;
    let answer = client.get("/v2/ns/app/tags/list").send().await.expect(200);
    assert_eq!(answer.json(), json!({"name": "ns/app", "tags": NAMES}));
    assert!(answer.next().is_none(), "{answer}");
    let mixed = ["B", "Z", "_", "a", "b", "0", "10", "9"];
    tagged(&client, "mixed", &mixed).await;
    let mut sorted = mixed;
    sorted.sort_unstable();
    let answer = client.get("/v2/mixed/tags/list").send().await.expect(200);
    assert_eq!(answer.json()["tags"], json!(sorted));
}

/// A repository without tags has an empty list, never `null`.
pub async fn end_8a_no_tags_is_an_empty_list(lab: &Lab) {
    let client = lab.client();
    tagged(&client, "manifests", &[]).await;
    client.push("blobs", &content(1, 10)).await;
    tagged(&client, "deleted", &["latest"]).await;
    let _ = client.delete("/v2/deleted/manifests/latest").send().await.expect(202);
    for name in ["manifests", "blobs", "deleted"] {
        for query in ["", "?n=5", "?last=x", "?n=5&last=x", "?n=0"] {
            let answer = client.get(format!("/v2/{name}/tags/list{query}")).send().await.expect(200);
            assert_eq!(answer.json(), json!({"name": name, "tags": []}));
            assert!(answer.next().is_none());
        }
    }
}

/// A repository that holds nothing is 404 `NAME_UNKNOWN`, and so is the parent of one.
pub async fn end_8a_unknown_repository_is_404(lab: &Lab) {
    let client = lab.client();
    tagged(&client, "ns/app", &["latest"]).await;
    let session = client.begin("uploading").await;
    client.append(&session, &content(1, 10)).await;
    for name in ["absent", "ns", "ns/app/more", "ns/ap", "uploading"] {
        for query in ["", "?n=5", "?last=x", "?n=0"] {
            let uri = format!("/v2/{name}/tags/list{query}");
            client.get(uri).send().await.refused(404, "NAME_UNKNOWN");
        }
    }
}

/// Pages of each size hold all tags once, in order, and end.
pub async fn end_8b_pages_hold_all_tags_once(lab: &Lab) {
    let client = lab.client();
    tagged(&client, "a", &NAMES).await;
    for n in 1..=NAMES.len() + 1 {
        let pages = client.pages(&format!("/v2/a/tags/list?n={n}"), "tags").await;
        assert_eq!(pages.concat(), NAMES, "n={n}");
        let full = &pages[..pages.len() - 1];
        assert!(full.iter().all(|page| page.len() == n) && !pages.last().unwrap().is_empty(), "{pages:?}");
        let first = client.get(format!("/v2/a/tags/list?n={n}")).send().await;
        assert_eq!(first.json()["name"], "a");
    }
}

/// `last` returns what comes after it, and need not exist.
pub async fn end_8b_last_is_exclusive_and_may_be_missing(lab: &Lab) {
    let client = lab.client();
    tagged(&client, "a", &NAMES).await;
    let existing = NAMES.into_iter().map(str::to_owned);
    let missing = ["", "0", "A", "a-", "a-a", "a-c", "a.", "b", "imag", "imagf", "index1", "z", "~", "_"];
    for last in existing.chain(missing.map(str::to_owned)) {
        let expected: Vec<&str> = NAMES.into_iter().filter(|name| *name > last.as_str()).collect();
        let answer = client.get(format!("/v2/a/tags/list?last={last}")).send().await.expect(200);
        assert_eq!(answer.json()["tags"], json!(expected), "last={last}");
        assert!(answer.next().is_none());
        for n in [1, 2, 5] {
            let answer = client.get(format!("/v2/a/tags/list?n={n}&last={last}")).send().await.expect(200);
            let page = &expected[..expected.len().min(n)];
            assert_eq!(answer.json()["tags"], json!(page), "n={n}&last={last}");
            assert_eq!(answer.next().is_some(), expected.len() > n, "{answer}");
        }
    }
}

/// `n=0` is an empty list without `Link`.
pub async fn end_8b_n_zero_is_empty_without_link(lab: &Lab) {
    let client = lab.client();
    tagged(&client, "a", &NAMES).await;
    for query in ["n=0", "n=0&last=a", "n=00", "last=zzz&n=0"] {
        let answer = client.get(format!("/v2/a/tags/list?{query}")).send().await.expect(200);
        assert_eq!(answer.json(), json!({"name": "a", "tags": []}));
        assert!(answer.get("link").is_none(), "{answer}");
    }
}

/// The largest numbers give the largest page.
pub async fn end_8b_n_may_be_huge(lab: &Lab) {
    let client = lab.client();
    tagged(&client, "a", &NAMES).await;
    for n in ["1000", "4294967296", "9223372036854775807", "18446744073709551615", "9999999999999999999999"] {
        let pages = client.pages(&format!("/v2/a/tags/list?n={n}"), "tags").await;
        assert_eq!(pages, [NAMES]);
    }
}

/// An `n` that is not a number is 400 `PAGINATION_NUMBER_INVALID`.
pub async fn end_8b_bad_n_is_400(lab: &Lab) {
    let client = lab.client();
    tagged(&client, "a", &NAMES).await;
    for n in ["-1", "x", "1x", "1.5", "%2B1", "0x10", "%20", "1%00", "%D9%A1"] {
        let answer = client.get(format!("/v2/a/tags/list?n={n}")).send().await;
        answer.refused(400, "PAGINATION_NUMBER_INVALID");
    }
    // An empty `n` counts as unset.
    let all = client.get("/v2/a/tags/list?n=").send().await.expect(200);
    assert_eq!(all.json()["tags"], json!(NAMES));
}

/// The option bounds a page, and its links reach all tags. Without `n` the list is whole.
pub async fn end_8b_pages_are_bounded_by_the_option(lab: &Lab) {
    let client = lab.with(|builder| builder.max_page_size(2)).await;
    tagged(&client, "a", &NAMES).await;
    let pages = client.pages("/v2/a/tags/list?n=1000", "tags").await;
    assert_eq!(pages.concat(), NAMES);
    assert!(pages.iter().all(|page| page.len() <= 2), "{pages:?}");
    assert_eq!(client.pages("/v2/a/tags/list", "tags").await.concat(), NAMES);
}

/// Every name that a tag may have is found by list and by pull.
///
/// That includes the layout's own words, the longest name, and names of temporary files.
pub async fn end_8a_unusual_tags(lab: &Lab) {
    let client = lab.client();
    let long = "x".repeat(128);
    let mut tags = vec![
        "index",
        "current",
        "link",
        "data",
        "_manifests",
        "_uploads",
        "_layers",
        "revisions",
        "tags",
        "sha256",
        "v1.tmp",
        "data.10.part",
        "data.0c5e9a4e-0000-4000-8000-000000000000.10.part",
        "link.0c5e9a4e-0000-4000-8000-000000000000.tmp",
        "A",
        "0",
        "_",
        "1.0-rc.1_x",
        &long,
    ];
    tagged(&client, "a", &tags).await;
    tags.sort_unstable();
    let answer = client.get("/v2/a/tags/list").send().await.expect(200);
    assert_eq!(answer.json()["tags"], json!(tags));
    assert_eq!(client.pages("/v2/a/tags/list?n=3", "tags").await.concat(), tags);
    for tag in tags {
        let _ = client.get(format!("/v2/a/manifests/{tag}")).send().await.expect(200);
        let _ = client.delete(format!("/v2/a/manifests/{tag}")).send().await.expect(202);
    }
    assert_eq!(client.get("/v2/a/tags/list").send().await.json()["tags"], json!([]));
}

/// A repository may have more tags than a page of a store.
pub async fn end_8b_many_tags(lab: &Lab) {
    let client = lab.client();
    tagged(&client, "a", &["first"]).await;
    let image = Image::new(1);
    let mut names: Vec<String> = (0..1500).map(|n| format!("v{n}")).collect();
    for chunk in names.chunks(100) {
        let tags: Vec<String> = chunk.iter().map(|name| format!("tag={name}")).collect();
        let reference = format!("{}?{}", image.digest(), tags.join("&"));
        let _ = client.put_manifest("a", &reference, IMAGE, &image.manifest).await.expect(201);
    }
    names.push("first".to_owned());
    names.sort_unstable();
    assert_eq!(client.pages("/v2/a/tags/list", "tags").await.concat(), names);
    assert_eq!(client.pages("/v2/a/tags/list?n=1000", "tags").await.concat(), names);
    assert_eq!(client.pages("/v2/a/tags/list?n=77", "tags").await.concat(), names);
}
