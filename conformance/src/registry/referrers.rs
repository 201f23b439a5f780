//! end-12: listing referrers.

use bytes::Bytes;
use plugin_registry_core::Algorithm;
use serde_json::{Value, json};

use super::{
    Lab,
    client::Client,
    fixture::{EMPTY, IMAGE, INDEX, Image, descriptor, digest, digest_as, document, index},
};

const SBOM: &str = "application/vnd.example.sbom.v1+json";
const SIGNATURE: &str = "application/vnd.example.signature.v1+json";

async fn referrers(client: &Client, subject: &str) -> Vec<Value> {
    let answer = client.get(format!("/v2/a/referrers/{subject}")).send().await.expect(200);
    assert_eq!(answer.header("content-type"), INDEX);
    let json = answer.json();
    assert_eq!((&json["schemaVersion"], &json["mediaType"]), (&json!(2), &json!(INDEX)));
    json["manifests"].as_array().unwrap().clone()
}

/// If nothing refers to it, or it or the repository is missing, the answer is 200 with an empty index, never
/// 404.
pub async fn end_12a_nothing_refers_is_an_empty_index(lab: &Lab) {
    let (client, image) = (lab.client(), Image::new(1));
    assert!(referrers(&client, &digest(b"absent")).await.is_empty());
    client.push_image("a", "latest", &image).await;
    for digest in [image.digest(), digest(b"absent"), digest_as(Algorithm::Sha512, b"absent")] {
        assert!(referrers(&client, &digest).await.is_empty());
    }
}

/// A digest that does not parse is 400.
pub async fn end_12a_bad_digest_is_400(lab: &Lab) {
    for bad in ["sha256:x", "latest", "md5:d41d8cd98f00b204e9800998ecf8427e", "sha256:", "sha512:aa"] {
        lab.client().get(format!("/v2/a/referrers/{bad}")).send().await.refused(400, "DIGEST_INVALID");
    }
}

/// Each manifest with the subject is listed, image or index, tagged or not, whatever the order of the pushes.
///
/// Its descriptor has type, digest, size, artifact type and all annotations.
pub async fn end_12a_descriptors_of_all_referrers(lab: &Lab) {
    let client = lab.client();
    let subject = Image::new(1);
    let early = Image::referring_to(&subject.manifest, 2, Some(SBOM));
    client.push_image("a", &early.digest(), &early).await;
    client.push_image("a", "subject", &subject).await;
    let late = Image::referring_to(&subject.manifest, 3, Some(SIGNATURE));
    client.push_image("a", "late", &late).await;
    let list = document(&json!({
        "schemaVersion": 2, "mediaType": INDEX, "manifests": [late.descriptor()],
        "subject": subject.descriptor(), "artifactType": SBOM, "annotations": {"org.example": "list"},
    }));
    let _ = client.put_manifest("a", "list", INDEX, &list).await.expect(201);
    let mut expected = vec![
        described(IMAGE, &early.manifest, Some(SBOM), json!({"org.example.seed": "2"})),
        described(IMAGE, &late.manifest, Some(SIGNATURE), json!({"org.example.seed": "3"})),
        described(INDEX, &list, Some(SBOM), json!({"org.example": "list"})),
    ];
    expected.sort_by_key(|entry| entry["digest"].to_string());
    for client in [client, lab.another().await] {
        let mut found = referrers(&client, &subject.digest()).await;
        found.sort_by_key(|entry| entry["digest"].to_string());
        assert_eq!(found, expected);
    }
}

fn described(media_type: &str, bytes: &Bytes, artifact_type: Option<&str>, annotations: Value) -> Value {
    let mut entry = descriptor(media_type, bytes);
    if let Some(artifact_type) = artifact_type {
        entry["artifactType"] = artifact_type.into();
    }
    entry["annotations"] = annotations;
    entry
}

/// An image without an artifact type gets its config's media type. An index without one has none.
pub async fn end_12a_artifact_type_falls_back_to_the_config(lab: &Lab) {
    let client = lab.client();
    let subject = Image::new(1);
    let with_config = |config: &str, own: Option<&str>| {
        Image::with(2, |manifest| {
            manifest["subject"] = subject.descriptor();
            manifest["config"]["mediaType"] = config.into();
            if let Some(own) = own {
                manifest["artifactType"] = own.into();
            }
        })
    };
    for (image, expected) in [
        (with_config(SBOM, None), SBOM),
        (with_config(SBOM, Some("")), SBOM),
        (with_config(EMPTY, Some(SIGNATURE)), SIGNATURE),
        (with_config(EMPTY, None), EMPTY),
    ] {
        client.push_image("a", &image.digest(), &image).await;
        let found = referrers(&client, &subject.digest()).await;
        let entry = found.iter().find(|entry| entry["digest"] == image.digest()).unwrap();
        assert_eq!(entry["artifactType"], expected);
        assert!(entry.get("annotations").is_none(), "{entry}");
    }
    for own in [None, Some("")] {
        let mut list = json!({
            "schemaVersion": 2, "mediaType": INDEX, "manifests": [], "subject": subject.descriptor(),
        });
        if let Some(own) = own {
            list["artifactType"] = own.into();
        }
        let list = document(&list);
        let _ = client.put_manifest("a", &digest(&list), INDEX, &list).await.expect(201);
        let found = referrers(&client, &subject.digest()).await;
        let entry = found.iter().find(|entry| entry["digest"] == digest(&list)).unwrap();
        assert!(entry.get("artifactType").is_none(), "{entry}");
    }
}

/// Referrers of other subjects and in other repositories are not listed.
pub async fn end_12a_only_of_this_subject_and_repository(lab: &Lab) {
    let client = lab.client();
    let (one, two) = (Image::new(1), Image::new(2));
    let of_one = Image::referring_to(&one.manifest, 3, None);
    let of_two = Image::referring_to(&two.manifest, 4, None);
    client.push_image("a", "one", &of_one).await;
    client.push_image("a", "two", &of_two).await;
    client.push_image("b", "other", &Image::referring_to(&one.manifest, 5, None)).await;
    let found = referrers(&client, &one.digest()).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["digest"], of_one.digest());
    // A chain: what refers to a referrer is a referrer of that one only.
    let chained = Image::referring_to(&of_one.manifest, 6, None);
    client.push_image("a", "chained", &chained).await;
    assert_eq!(referrers(&client, &one.digest()).await.len(), 1);
    assert_eq!(referrers(&client, &of_one.digest()).await[0]["digest"], chained.digest());
}

/// A deleted referrer is no longer listed, on any instance. A deleted subject keeps its referrers.
pub async fn end_12a_deleted_referrers_are_gone(lab: &Lab) {
    let client = lab.client();
    let another = lab.another().await;
    let subject = Image::new(1);
    client.push_image("a", "subject", &subject).await;
    let (keep, gone) =
        (Image::referring_to(&subject.manifest, 2, None), Image::referring_to(&subject.manifest, 3, None));
    client.push_image("a", "keep", &keep).await;
    client.push_image("a", "gone", &gone).await;
    assert_eq!(referrers(&another, &subject.digest()).await.len(), 2);
    let _ = client.delete(format!("/v2/a/manifests/{}", gone.digest())).send().await.expect(202);
    // Deleting a tag leaves its manifest.
    let _ = client.delete("/v2/a/manifests/keep").send().await.expect(202);
    let _ = client.delete(format!("/v2/a/manifests/{}", subject.digest())).send().await.expect(202);
    for client in [client, another] {
        let found = referrers(&client, &subject.digest()).await;
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0]["digest"], keep.digest());
    }
}

/// A filter by artifact type omits the others and is named in a header. An unknown type matches nothing.
pub async fn end_12b_filter_sets_header(lab: &Lab) {
    let client = lab.client();
    let subject = Image::new(1);
    for (seed, artifact_type) in [(2, Some(SBOM)), (3, Some(SIGNATURE)), (4, Some(SBOM)), (5, None)] {
        let artifact = Image::referring_to(&subject.manifest, seed, artifact_type);
        client.push_image("a", &artifact.digest(), &artifact).await;
    }
    let config_type = super::fixture::CONFIG;
    for (wanted, count) in [(SBOM, 2), (SIGNATURE, 1), (config_type, 1), ("application/absent", 0)] {
        for wanted in [wanted.to_owned(), wanted.replace('/', "%2F").replace('+', "%2B")] {
            if wanted.contains('+') {
                // Some registries read a plain plus in a query as a space, others as itself.
                continue;
            }
            let uri = format!("/v2/a/referrers/{}?artifactType={wanted}", subject.digest());
            let answer = client.get(uri).send().await.expect(200);
            assert_eq!(answer.header("oci-filters-applied"), "artifactType");
            assert_eq!(answer.header("content-type"), INDEX);
            assert_eq!(answer.json()["manifests"].as_array().unwrap().len(), count, "{wanted}");
        }
    }
    let uri = format!("/v2/a/referrers/{}", subject.digest());
    let answer = client.get(uri).send().await.expect(200);
    assert!(answer.get("oci-filters-applied").is_none());
    assert_eq!(answer.json()["manifests"].as_array().unwrap().len(), 4);
}

/// A plus in `artifactType` is a plus: media types end in `+json`, and not all clients encode it.
pub async fn end_12b_filter_with_a_plus(lab: &Lab) {
    let client = lab.client();
    let subject = Image::new(1);
    client.push_image("a", "t", &Image::referring_to(&subject.manifest, 2, Some(SBOM))).await;
    for wanted in [SBOM.to_owned(), SBOM.replace('+', "%2B")] {
        let uri = format!("/v2/a/referrers/{}?artifactType={wanted}", subject.digest());
        let answer = client.get(uri).send().await.expect(200);
        assert_eq!(answer.json()["manifests"].as_array().unwrap().len(), 1, "{wanted}");
    }
}

/// Entries that clients listed under the fallback tag, for a registry without this API, are merged in, each
/// once.
pub async fn end_12a_fallback_tag_is_merged(lab: &Lab) {
    let client = lab.client();
    let subject = Image::new(1);
    client.push_image("a", "subject", &subject).await;
    let listed = Image::referring_to(&subject.manifest, 2, Some(SBOM));
    let only_api = Image::referring_to(&subject.manifest, 3, Some(SIGNATURE));
    for image in [&listed, &only_api] {
        client.push_image("a", &image.digest(), image).await;
    }
    let fallback = index(&[described(IMAGE, &listed.manifest, Some(SBOM), json!({"org.example.seed": "2"}))]);
    let tag = subject.digest().replace(':', "-");
    let _ = client.put_manifest("a", &tag, INDEX, &fallback).await.expect(201);
    let mut found = referrers(&client, &subject.digest()).await;
    found.sort_by_key(|entry| entry["digest"].to_string());
    let mut expected = vec![
        described(IMAGE, &listed.manifest, Some(SBOM), json!({"org.example.seed": "2"})),
        described(IMAGE, &only_api.manifest, Some(SIGNATURE), json!({"org.example.seed": "3"})),
    ];
    expected.sort_by_key(|entry| entry["digest"].to_string());
    assert_eq!(found, expected);
    let uri = format!("/v2/a/referrers/{}?artifactType={}", subject.digest(), SBOM.replace('+', "%2B"));
    let filtered = client.get(uri).send().await.expect(200);
    assert_eq!(filtered.json()["manifests"].as_array().unwrap().len(), 1);
    // The tag stays an ordinary one.
    assert_eq!(client.get(format!("/v2/a/manifests/{tag}")).send().await.expect(200).body(), &fallback);
}

/// An entry of the fallback index that was deleted, or has another subject, is not a referrer.
pub async fn end_12a_fallback_entries_need_the_manifest(lab: &Lab) {
    let client = lab.client();
    let subject = Image::new(1);
    let gone = Image::referring_to(&subject.manifest, 2, Some(SBOM));
    let unrelated = Image::new(3);
    for image in [&subject, &gone, &unrelated] {
        client.push_image("a", &image.digest(), image).await;
    }
    let fallback = index(&[
        described(IMAGE, &gone.manifest, Some(SBOM), json!({})),
        described(IMAGE, &unrelated.manifest, Some(SBOM), json!({})),
    ]);
    let tag = subject.digest().replace(':', "-");
    let _ = client.put_manifest("a", &tag, INDEX, &fallback).await.expect(201);
    let _ = client.delete(format!("/v2/a/manifests/{}", gone.digest())).send().await.expect(202);
    let found = referrers(&client, &subject.digest()).await;
    assert!(found.is_empty(), "{found:?}");
}

/// A fallback tag that is not an index, dangles or is damaged changes nothing.
pub async fn end_12a_useless_fallback_tag_is_ignored(lab: &Lab) {
    let client = lab.client();
    let subject = Image::new(1);
    let artifact = Image::referring_to(&subject.manifest, 2, Some(SBOM));
    let tag = subject.digest().replace(':', "-");
    client.push_image("a", "artifact", &artifact).await;
    client.push_image("a", &tag, &subject).await;
    assert_eq!(referrers(&client, &subject.digest()).await.len(), 1);
    let list = index(&[]);
    let _ = client.put_manifest("a", &tag, INDEX, &list).await.expect(201);
    assert_eq!(referrers(&client, &subject.digest()).await.len(), 1);
    let hex = digest(&list).replace("sha256:", "");
    let data = format!("/docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2]);
    for damage in ["damaged", ""] {
        lab.write(&data, damage).await;
        for client in [&client, &lab.another().await] {
            assert_eq!(referrers(client, &subject.digest()).await.len(), 1);
        }
    }
    lab.remove(&data).await;
    assert_eq!(referrers(&client, &subject.digest()).await.len(), 1);
}

/// Damaged or missing manifests of the repository do not break the list.
pub async fn end_12a_damaged_manifests_are_left_out(lab: &Lab) {
    let client = lab.client();
    let subject = Image::new(1);
    let (good, bad) = (
        Image::referring_to(&subject.manifest, 2, Some(SBOM)),
        Image::referring_to(&subject.manifest, 3, Some(SBOM)),
    );
    for image in [&good, &bad] {
        client.push_image("a", &image.digest(), image).await;
    }
    let hex = bad.digest().replace("sha256:", "");
    lab.write(&format!("/docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2]), "x").await;
    let found = referrers(&lab.another().await, &subject.digest()).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["digest"], good.digest());
}

/// The option bounds a page, and its links reach all referrers, once each. The filter stays on.
pub async fn end_12a_pages_by_link(lab: &Lab) {
    let client = lab.with(|builder| builder.max_page_size(3)).await;
    let subject = Image::new(1);
    let mut all = Vec::new();
    let mut sboms = Vec::new();
    for seed in 2..12 {
        let artifact_type = if seed % 2 == 0 { SBOM } else { SIGNATURE };
        let artifact = Image::referring_to(&subject.manifest, seed, Some(artifact_type));
        client.push_image("a", &artifact.digest(), &artifact).await;
        all.push(artifact.digest());
        if artifact_type == SBOM {
            sboms.push(artifact.digest());
        }
    }
    all.sort_unstable();
    sboms.sort_unstable();
    let uri = format!("/v2/a/referrers/{}", subject.digest());
    for (uri, expected) in
        [(uri.clone(), &all), (format!("{uri}?artifactType={}", SBOM.replace('+', "%2B")), &sboms)]
    {
        let pages = client.pages(&uri, "manifests").await;
        assert!(pages.iter().all(|page| page.len() <= 3), "{pages:?}");
        let mut listed = pages.concat();
        listed.sort_unstable();
        assert_eq!(&listed, expected);
        let mut next = Some(uri.clone());
        while let Some(uri) = next {
            let answer = client.get(uri).send().await.expect(200);
            assert_eq!(answer.get("oci-filters-applied").is_some(), expected.len() == sboms.len());
            next = answer.next();
        }
    }
    let whole = lab.client().get(&uri).send().await.expect(200);
    assert_eq!(whole.json()["manifests"].as_array().unwrap().len(), 10);
    assert!(whole.next().is_none());
}

/// `n=0` returns an empty list, as for tags.
pub async fn end_12a_n_zero_is_empty_without_link(lab: &Lab) {
    let client = lab.client();
    let subject = Image::new(1);
    client.push_image("a", "t", &Image::referring_to(&subject.manifest, 2, Some(SBOM))).await;
    for query in ["n=0", "n=0&last=sha256:0", "n=0&artifactType=application/absent"] {
        let uri = format!("/v2/a/referrers/{}?{query}", subject.digest());
        let answer = client.get(uri).send().await.expect(200);
        assert_eq!(answer.json()["manifests"], json!([]));
        assert!(answer.next().is_none(), "{answer}");
    }
}

/// Pages stay below the size of a manifest, however long the annotations are.
pub async fn end_12a_pages_stay_below_4_mib(lab: &Lab) {
    let client = lab.client();
    let subject = Image::new(1);
    let mut all = Vec::new();
    for seed in 2..8 {
        let artifact = Image::with(seed, |manifest| {
            manifest["subject"] = subject.descriptor();
            manifest["annotations"] = json!({"long": "\u{7f}\"".repeat(500_000)});
        });
        client.push_image("a", &artifact.digest(), &artifact).await;
        all.push(artifact.digest());
    }
    all.sort_unstable();
    let mut next = Some(format!("/v2/a/referrers/{}", subject.digest()));
    let mut listed = Vec::new();
    while let Some(uri) = next {
        let answer = client.get(uri).send().await.expect(200);
        assert!(answer.body().len() <= 4 << 20, "{} bytes", answer.body().len());
        let json = answer.json();
        let page = json["manifests"].as_array().unwrap();
        listed.extend(page.iter().map(|entry| entry["digest"].as_str().unwrap().to_owned()));
        next = answer.next();
    }
    listed.sort_unstable();
    assert_eq!(listed, all);
}

/// A referrer pushed by its sha512 digest can be pulled by the digest that the list names.
pub async fn end_12a_referrer_by_sha512(lab: &Lab) {
    let client = lab.client();
    let subject = Image::new(1);
    let artifact = Image::referring_to(&subject.manifest, 2, Some(SBOM));
    client.push_image("a", &digest_as(Algorithm::Sha512, &artifact.manifest), &artifact).await;
    let found = referrers(&client, &subject.digest()).await;
    assert_eq!(found.len(), 1, "{found:?}");
    let named = found[0]["digest"].as_str().unwrap();
    let pulled = client.get(format!("/v2/a/manifests/{named}")).send().await.expect(200);
    assert_eq!(pulled.body(), &artifact.manifest);
}
