//! Requests that their caller drops: the caller owns time, and may drop any of them anywhere.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};

use bytes::Bytes;
use futures::{StreamExt, stream};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use plugin_registry::{Registry, blob::BoxError};
use tokio::{
    select,
    time::{Instant, pause, resume, sleep, timeout},
};

use super::{
    Answer, Call, Lab, Wrapped,
    client::{Client, and},
    fixture::{IMAGE, Image, content, digest},
    watched::{Script, Step},
};

/// More polls than any request here takes.
const MOST: usize = 2000;

/// Polls a request this many times and drops it, unless it has ended.
async fn drop_after<F: Future>(request: F, polls: usize) -> Option<F::Output> {
    let mut request = pin!(request);
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        request.as_mut().poll(cx).map(Some)
    })
    .await
}

/// A client of a registry that can be stopped between any two steps.
fn interrupted(lab: &Lab) -> Client {
    let driver = Wrapped::new(lab.shared());
    Client::new(&Registry::builder(Arc::new(driver)).delete(true).automatic_crossmount(true).build())
}

/// Drops the request made by `make` after 1, 2, 3… polls, until it ends before. Each time, `check` sees what
/// is left.
async fn given_up(
    lab: &Lab,
    make: impl AsyncFn(&Client, u64) -> Call,
    status: u16,
    check: impl AsyncFn(&Client, u64),
) {
    for polls in 1..MOST {
        let (client, seed) = (interrupted(lab), polls as u64);
        let call = make(&client, seed).await;
        let answer = drop_after(call.send(), polls).await;
        lab.settle().await;
        if let Some(answer) = answer {
            let _: Answer = answer.expect(status);
            assert!(polls > 2, "a request that waits for nothing proves nothing");
            return;
        }
        for client in [client, lab.another().await] {
            check(&client, seed).await;
        }
    }
    panic!("a request without end");
}

/// A manifest is there, whole, or it is not, and so is each of its tags.
///
/// Everything that can be pulled is listed, and the same push succeeds. (A new tag whose push is dropped
/// between its two links is listed before it can be pulled, as in distribution.)
pub async fn a_manifest_push_may_be_dropped_anywhere(lab: &Lab) {
    let shared = Image::new(1);
    for blob in &shared.blobs {
        lab.client().push("a", blob).await;
    }
    let image = |seed: u64| {
        Image::with(1, |manifest| manifest["annotations"] = serde_json::json!({"n": seed.to_string()}))
    };
    let make = async |client: &Client, seed: u64| {
        let image = image(seed);
        let uri = format!("/v2/a/manifests/v{seed}?tag=w{seed}");
        client.put(uri).header("content-type", IMAGE).stream(Script::of(&image.manifest, 300).watched().0)
    };
    given_up(lab, make, 201, async |client, seed| {
        let image = image(seed);
        let tags = client.get("/v2/a/tags/list").send().await;
        let listed = if tags.status() == 200 { tags.json()["tags"].to_string() } else { String::new() };
        for tag in [format!("v{seed}"), format!("w{seed}")] {
            let pulled = client.get(format!("/v2/a/manifests/{tag}")).send().await;
            let is_listed = listed.contains(&format!("\"{tag}\""));
            match pulled.status() {
                200 => assert!(is_listed && *pulled.body() == image.manifest, "{listed}: {pulled}"),
                status => {
                    assert_eq!(status, 404, "{pulled}");
                    let tags = lab.registry().repository("a".parse().unwrap()).tags();
                    let resolved = tags.resolve(&tag.parse().unwrap()).await.unwrap();
                    assert_eq!(resolved, None, "a tag that leads nowhere: {pulled}");
                }
            }
        }
        let by_digest = client.get(format!("/v2/a/manifests/{}", image.digest())).send().await;
        assert!(by_digest.status() == 404 || *by_digest.body() == image.manifest, "{by_digest}");
        let again = client.put_manifest("a", &format!("v{seed}"), IMAGE, &image.manifest).await;
        let _ = again.expect(201);
    })
    .await;
}

/// A blob is there, whole, or it is not. The same request then succeeds.
pub async fn a_single_post_may_be_dropped_anywhere(lab: &Lab) {
    let blob = |seed: u64| content(seed, 3000);
    let uri = |seed: u64| format!("/v2/a/blobs/uploads/?digest={}", digest(&blob(seed)));
    let make = async |client: &Client, seed: u64| {
        client.post(uri(seed)).stream(Script::of(&blob(seed), 700).watched().0)
    };
    given_up(lab, make, 201, async |client, seed| {
        let answer = client.get(format!("/v2/a/blobs/{}", digest(&blob(seed)))).send().await;
        assert!(answer.status() == 404 || *answer.body() == blob(seed), "{answer}");
        let _ = client.post(uri(seed)).body(blob(seed)).send().await.expect(201);
        client.assert_blob("a", &blob(seed)).await;
    })
    .await;
}

/// A deleted tag or manifest is gone or not, and no tag is left that leads nowhere.
///
/// The same request ends it, or its 404 says that it is done.
pub async fn a_delete_may_be_dropped_anywhere(lab: &Lab) {
    let image = Image::new(1);
    for by_digest in [false, true] {
        let uri = move |seed: u64, image: &Image| match by_digest {
            true => format!("/v2/a/manifests/{}", image.digest()),
            false => format!("/v2/a/manifests/v{seed}"),
        };
        let make = async |client: &Client, seed: u64| {
            lab.client().push_image("a", &format!("v{seed}"), &image).await;
            client.delete(uri(seed, &image))
        };
        given_up(lab, make, 202, async |client, seed| {
            let list = client.get("/v2/a/tags/list").send().await;
            if list.status() == 200 {
                for tag in list.json()["tags"].as_array().unwrap() {
                    let uri = format!("/v2/a/manifests/{}", tag.as_str().unwrap());
                    let answer = client.get(&uri).send().await;
                    // If directories outlive their last file, a delete that was interrupted in the store may
                    // leave the tag's directory, which is listed and can be deleted again.
                    let is_rest = lab.driver().capabilities().empty_directories && answer.status() == 404;
                    assert!(is_rest || *answer.expect(200).body() == image.manifest);
                }
            }
            let again = client.delete(uri(seed, &image)).send().await;
            assert!(matches!(again.status(), 202 | 404), "{again}");
            assert_eq!(client.probe(uri(seed, &image)).await, 404);
        })
        .await;
    }
}

/// An answer's body may be dropped after any piece. The blob can then be deleted and pushed again.
pub async fn a_download_may_be_dropped_anywhere(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, (5 << 20) + 3);
    let uri = format!("/v2/a/blobs/{}", client.push("a", &blob).await);
    for range in [None, Some("bytes=5-4000000"), Some("bytes=5-1000,2000-4000000")] {
        for pieces in 0..=4 {
            let mut call = client.get(&uri);
            if let Some(range) = range {
                call = call.header("range", range);
            }
            let mut body = call.start().await.into_body();
            for _ in 0..pieces {
                drop(body.frame().await.map(|frame| frame.unwrap()));
            }
            drop(body);
            client.assert_blob("a", &blob).await;
        }
    }
    let _ = client.delete(&uri).send().await.expect(202);
    client.push("a", &blob).await;
    client.assert_blob("a", &blob).await;
}

/// A request that a caller's time limit ends.
struct Slow {
    call: Call,
    limit: Duration,
}

impl Slow {
    /// The body stalls. The caller waits for exactly its limit and gives up.
    async fn give_up(self, script: Script) {
        let (body, watch) = script.watched();
        let mut call = Box::pin(self.call.stream(body).send());
        // A store over a network takes real time for the request's calls. Once the body stalls, only the
        // caller's clock runs.
        let reached = async {
            while !watch.is_stalled() {
                sleep(Duration::from_millis(1)).await;
            }
        };
        select! {
            answer = &mut call => panic!("an answer to a request that is not over: {answer}"),
            () = reached => {}
        }
        pause();
        let begin = Instant::now();
        let ended = timeout(self.limit, call).await;
        let waited = begin.elapsed();
        resume();
        assert!(ended.is_err(), "an answer to a request that is not over: {ended:?}");
        assert!(watch.is_stalled(), "the body was not read to where it stands still");
        assert!(waited >= self.limit && waited < self.limit + Duration::from_secs(1), "{waited:?}");
        watch.assert_let_go("given up");
    }
}

/// A request that its caller drops leaves the upload exactly where it stood before.
///
/// This holds in the middle of a body that never ends, since the library has no clock. Another request goes
/// on there.
pub async fn the_caller_s_time_limit_keeps_the_offset(lab: &Lab) {
    let blob = content(1, 200_000);
    let limit = Duration::from_secs(20);
    for (seed, begun) in (1..).zip([0, 50_000]) {
        for (at, stalls) in [(0, 0), (1, 700), (2, 100_000), (3, 149_999)] {
            let client = lab.client();
            let name = format!("a{seed}/{at}");
            let mut location = client.begin(&name).await;
            if begun > 0 {
                location = client.append(&location, &blob.slice(..begun)).await;
            }
            let part = || Script::of(&blob.slice(begun..begun + stalls), 10_000).then(Step::Stall);
            let finish = and(&location, &format!("digest={}", digest(&blob)));
            for call in [client.patch(&location), client.put(finish)] {
                Slow { call, limit }.give_up(part()).await;
                lab.settle().await;
                let status = client.get(&location).send().await.expect(204);
                assert_eq!(status.header("range"), format!("0-{}", usize::max(begun, 1) - 1));
            }
            let another = lab.another().await;
            let location = another.append(&location, &blob.slice(begun..)).await;
            let _ = another.finish(&location, &digest(&blob), "").await.expect(201);
            another.assert_blob(&name, &blob).await;
        }
    }
    let (client, image) = (lab.client(), Image::new(1));
    let post = format!("/v2/b/blobs/uploads/?digest={}", digest(&blob));
    let script = || Script::of(&blob.slice(..150_000), 10_000).then(Step::Stall);
    Slow { call: client.post(post), limit }.give_up(script()).await;
    let put = client.put("/v2/b/manifests/latest").header("content-type", IMAGE);
    let part = Script::of(&image.manifest.slice(..100), 10).then(Step::Stall);
    Slow { call: put, limit }.give_up(part).await;
    lab.settle().await;
    assert_eq!(client.probe(format!("/v2/b/blobs/{}", digest(&blob))).await, 404);
    assert_eq!(client.probe("/v2/b/manifests/latest").await, 404);
}

/// Without a limit of the caller there is no limit: a body that takes minutes arrives whole.
pub async fn a_body_may_take_its_time(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 3000);
    let location = client.begin("a").await;
    let pieces: Vec<Bytes> = (0..6).map(|at| blob.slice(at * 500..at * 500 + 500)).collect();
    let slow = stream::iter(pieces).then(async |piece: Bytes| {
        // Only while nothing is asked of the store: what it does over a network takes real time.
        pause();
        sleep(Duration::from_secs(60)).await;
        resume();
        Ok::<_, BoxError>(Frame::data(piece))
    });
    let body = StreamBody::new(slow).boxed_unsync();
    let begin = Instant::now();
    let answer = client.patch(&location).stream(body).send().await;
    let took = begin.elapsed();
    assert!(took >= Duration::from_secs(360), "{took:?}");
    let location = answer.expect(202).location();
    let _ = client.finish(&location, &digest(&blob), "").await.expect(201);
    client.assert_blob("a", &blob).await;
}
