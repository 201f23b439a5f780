//! distribution's catalog (http-api facts, section 6).

use serde_json::json;

use super::{Lab, client::Client, fixture::Image};

/// In the API's order, which goes component by component.
const NAMES: [&str; 9] = ["a", "a/0", "a/b", "a/b/c", "a-b", "a-b/c", "a.b", "a0", "b"];

async fn filled(client: &Client) {
    for (seed, name) in NAMES.into_iter().rev().enumerate() {
        client.push_image(name, "latest", &Image::new(seed as u64)).await;
    }
}

/// All repositories are listed, with `/` before every other character.
pub async fn catalog_lists_repositories_in_order(lab: &Lab) {
    let client = lab.client();
    let empty = client.get("/v2/_catalog").send().await.expect(200);
    assert_eq!(empty.json(), json!({"repositories": []}));
    filled(&client).await;
    let answer = client.get("/v2/_catalog").send().await.expect(200);
    assert_eq!(answer.json(), json!({"repositories": NAMES}));
    assert!(answer.next().is_none());
}

/// Pages of each size hold all repositories once, in order, and end.
pub async fn catalog_pages_hold_all_repositories_once(lab: &Lab) {
    let client = lab.client();
    filled(&client).await;
    for n in 1..=NAMES.len() + 1 {
        let pages = client.pages(&format!("/v2/_catalog?n={n}"), "repositories").await;
        assert_eq!(pages.concat(), NAMES, "n={n}");
        assert!(pages.iter().all(|page| page.len() <= n && !page.is_empty()), "{pages:?}");
    }
    let small = lab.with(|builder| builder.max_page_size(2)).await;
    let pages = small.pages("/v2/_catalog?n=1000", "repositories").await;
    assert_eq!(pages.concat(), NAMES);
    assert!(pages.iter().all(|page| page.len() <= 2), "{pages:?}");
}

/// `last` is exclusive and need not exist.
pub async fn catalog_last_is_exclusive_and_may_be_missing(lab: &Lab) {
    let client = lab.client();
    filled(&client).await;
    for (position, last) in NAMES.into_iter().enumerate() {
        let uri = format!("/v2/_catalog?last={}", last.replace('/', "%2F"));
        let answer = client.get(uri).send().await.expect(200);
        assert_eq!(answer.json()["repositories"], json!(NAMES[position + 1..]), "last={last}");
    }
    for (last, from) in [("0", 0), ("a/a", 2), ("a/b/d", 4), ("a/z", 4), ("a-a", 4), ("a1", 8), ("c", 9)] {
        let answer = client.get(format!("/v2/_catalog?last={last}&n=100")).send().await.expect(200);
        assert_eq!(answer.json()["repositories"], json!(NAMES[from..]), "last={last}");
    }
    // It need not be a valid name either.
    for (last, from) in [("A", 0), ("..", 0), ("a/", 1), ("a/B", 2), ("a%00", 4), ("~", 9), ("%ff", 9)] {
        let answer = client.get(format!("/v2/_catalog?last={last}")).send().await.expect(200);
        assert_eq!(answer.json()["repositories"], json!(NAMES[from..]), "last={last}");
    }
}

/// An `n` that is not a number is 400. `n=0` gives an empty list. A huge `n` gives the largest page, without
/// memory for it.
pub async fn catalog_n(lab: &Lab) {
    let client = lab.client();
    filled(&client).await;
    for n in ["-1", "x", "1.5"] {
        let answer = client.get(format!("/v2/_catalog?n={n}")).send().await;
        answer.refused(400, "PAGINATION_NUMBER_INVALID");
    }
    let all = client.get("/v2/_catalog?n=").send().await.expect(200);
    assert_eq!(all.json(), json!({"repositories": NAMES}));
    let none = client.get("/v2/_catalog?n=0").send().await.expect(200);
    assert_eq!(none.json(), json!({"repositories": []}));
    assert!(none.get("link").is_none());
    for n in ["1001", "9223372036854775807", "18446744073709551616"] {
        let answer = client.get(format!("/v2/_catalog?n={n}")).send().await.expect(200);
        assert_eq!(answer.json(), json!({"repositories": NAMES}));
    }
}

/// Without `n` a page has 100 repositories.
pub async fn catalog_default_page(lab: &Lab) {
    let client = lab.client();
    let blob = "blob".into();
    for n in 0..150 {
        client.push(&format!("r{n:03}"), &blob).await;
    }
    let pages = client.pages("/v2/_catalog", "repositories").await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [100, 50]);
    let all: Vec<String> = (0..150).map(|n| format!("r{n:03}")).collect();
    assert_eq!(pages.concat(), all);
}
