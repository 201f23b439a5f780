//! Page sizes and ranges beyond all bounds.

use plugin_registry_conformance::registry::{
    Lab, body,
    client::and,
    fixture::{Image, digest},
};

use crate::refused;

pub(crate) async fn huge_page_sizes(lab: &Lab, image: &Image) {
    let client = lab.client();
    for n in ["9223372036854775807", "9223372036854775808", "18446744073709551615", &"9".repeat(5000)] {
        for uri in [
            format!("/v2/ns/app/tags/list?n={n}"),
            format!("/v2/_catalog?n={n}"),
            format!("/v2/ns/app/referrers/{}?n={n}", image.digest()),
        ] {
            let answer = client.get(uri).send().await.expect(200);
            assert!(answer.next().is_none(), "{answer}");
        }
    }
}

pub(crate) async fn very_many_ranges(lab: &Lab, image: &Image) {
    let client = lab.client();
    let blob = &image.blobs[2];
    let uri = format!("/v2/ns/app/blobs/{}", digest(blob));
    for ranges in [
        "0-,".repeat(10_000),
        "0-0,".repeat(10_000),
        (0..1000).map(|at| format!("{at}-{at},")).collect(),
        "-1,".repeat(10_000),
        ",".repeat(30_000),
        "9999999-,".repeat(5000),
        "0-2999,".repeat(30),
        "5-1,".repeat(1000),
    ] {
        let answer = client.get(&uri).header("range", format!("bytes={ranges}")).send().await;
        assert!(matches!(answer.status(), 200 | 206 | 416), "{answer}");
        assert!(
            answer.body().len() <= 4 * blob.len(),
            "{} bytes for {} ranges",
            answer.body().len(),
            ranges.len()
        );
        if answer.status() == 200 {
            assert_eq!(answer.body(), blob);
        }
    }
}

pub(crate) async fn huge_ranges(lab: &Lab, image: &Image) {
    let client = lab.client();
    let uri = format!("/v2/ns/app/blobs/{}", digest(&image.blobs[2]));
    let huge = ["9223372036854775807", "18446744073709551615", "18446744073709551616", &"9".repeat(1000)];
    for first in huge.into_iter().chain(["0", "2999", "3000"]) {
        for last in huge.into_iter().chain(["", "0"]) {
            let answer = client.get(&uri).header("range", format!("bytes={first}-{last}")).send().await;
            assert!(matches!(answer.status(), 200 | 206 | 416), "{answer}");
        }
    }
    let session = client.begin("ns/app").await;
    for first in huge.into_iter().chain(["0", "1"]) {
        for last in huge {
            for length in [None, Some("5"), Some("18446744073709551615"), Some("9223372036854775807")] {
                let range = format!("{first}-{last}");
                for call in [
                    client.patch(&session),
                    client.put(and(&session, &format!("digest={}", digest(b"hello")))),
                ] {
                    let mut call = call.header("content-range", &range).stream(body::whole("hello"));
                    if let Some(length) = length {
                        call = call.header("content-length", length);
                    }
                    refused(&call.send().await);
                }
            }
        }
    }
    assert_eq!(client.get(&session).send().await.expect(204).header("range"), "0-0");
    let _ = client.delete(&session).send().await.expect(204);
}
