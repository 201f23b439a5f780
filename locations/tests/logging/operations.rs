//! Every operation that ends leaves exactly one event, with what it did.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt, Full};
use plugin_registry::{Body, Registry, Repository, verify::VerifyScope};
use plugin_registry_core::{ByteRange, Descriptor, Digest, MediaType, Reference, Tag};
use plugin_registry_drivers_memory::MemoryDriver;
use tower_service::Service;
use tracing::Level;
use tracing_subscriber::filter::LevelFilter;

use crate::{
    events::{Fields, Listener, Seen},
    spoken::Spoken,
};

const TARGET: &str = "plugin_registry::operation";
const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

struct Lab {
    listener: Listener,
    registry: Registry,
    repository: Repository,
    _log: plugin_registry_locations::logging::InstanceLog,
}

impl Lab {
    fn new() -> Self {
        Self::over(Registry::builder(MemoryDriver::new()), LevelFilter::DEBUG)
    }

    fn over(builder: plugin_registry::RegistryBuilder, level: LevelFilter) -> Self {
        let listener = Listener::new();
        let log = listener.insert("one", level);
        let registry = builder.identity("velero/default", "one").delete(true).build();
        let repository = registry.repository("ns/app".parse().unwrap());
        Self { listener, registry, repository, _log: log }
    }

    /// Runs one operation and returns its only event, whose count of driver calls has to be the registry's.
    fn one<T>(&self, work: impl Future<Output = T>) -> Fields {
        let before = self.registry.metrics().snapshot();
        self.listener.run(work.map(drop));
        let calls = self.registry.metrics().snapshot().since(&before).driver_calls();
        let mut events = operations(self.listener.take());
        assert_eq!(events.len(), 1, "{events:#?}");
        let mut seen = events.remove(0);
        assert_eq!(seen.level, Level::DEBUG, "{seen:#?}");
        assert_eq!(seen.spans[0].0, seen.fields["operation"]);
        assert_eq!(seen.spans[0].1["instance"], "one");
        assert_eq!(seen.fields.remove("driver_calls"), Some(calls.to_string()), "{seen:#?}");
        let elapsed = seen.fields.remove("elapsed_us").unwrap();
        assert!(elapsed.parse::<u64>().is_ok(), "{elapsed}");
        seen.fields
    }

    /// The same of a request, whose answer is read to its end.
    fn http(&self, method: Method, uri: &str, body: Bytes) -> Fields {
        self.one(async { read(self.send(method, uri, body).await).await })
    }

    async fn send(&self, method: Method, uri: &str, body: Bytes) -> Response<Body> {
        let request =
            Request::builder().method(method).uri(uri).header(header::CONTENT_TYPE, content_type(uri));
        self.registry.service().call(request.body(Full::new(body)).unwrap()).await.unwrap()
    }

    fn push(&self, content: &'static [u8]) -> Descriptor {
        let descriptor = Descriptor::of(MediaType::EmptyJSON, content);
        self.listener.run(self.repository.blobs().push(&descriptor, once(content))).unwrap();
        self.listener.take();
        descriptor
    }

    fn push_image(&self, tag: &str) -> Digest {
        self.push(b"{}");
        let (manifests, tag) = (self.repository.manifests(), tag.parse().unwrap());
        self.listener.run(manifests.put(&tag, None, manifest())).unwrap();
        self.listener.take();
        Digest::sha256(&manifest())
    }
}

fn content_type(uri: &str) -> &'static str {
    if uri.contains("/manifests/") { IMAGE } else { "application/octet-stream" }
}

async fn read(response: Response<Body>) -> usize {
    assert!(response.status().as_u16() < 400, "{}", response.status());
    response.into_body().collect().await.unwrap().to_bytes().len()
}

fn once(content: &'static [u8]) -> impl futures::Stream<Item = Result<Bytes, Infallible>> + Send + Unpin {
    stream::iter([Ok(Bytes::from_static(content))])
}

fn manifest() -> Bytes {
    let config = Descriptor::of(MediaType::EmptyJSON, b"{}");
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{IMAGE}","config":{{"mediaType":"{}","digest":"{}","size":2}},"layers":[]}}"#,
        config.media_type, config.digest
    )
    .into()
}

fn operations(events: Vec<Seen>) -> Vec<Seen> {
    events.into_iter().filter(|seen| seen.target == TARGET).collect()
}

/// An event that ended well, in the repository of the tests.
fn done(operation: &str, fields: &[(&str, &str)]) -> Fields {
    ended("done", operation, &[&[("repository", "ns/app")], fields].concat())
}

fn ended(message: &str, operation: &str, fields: &[(&str, &str)]) -> Fields {
    let own = [("message", message), ("operation", operation)];
    own.iter().chain(fields).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn blobs() {
    let lab = Lab::new();
    let blobs = lab.repository.blobs();
    let descriptor = Descriptor::of(MediaType::EmptyJSON, b"{}");
    let digest = descriptor.digest.to_string();
    let of =
        |operation, fields: &[(&str, &str)]| done(operation, &[&[("digest", &*digest)], fields].concat());
    assert_eq!(lab.one(blobs.push(&descriptor, once(b"{}"))), of("blob.push", &[("bytes", "2")]));
    assert_eq!(lab.one(blobs.push(&descriptor, once(b"{}"))), of("blob.push", &[("bytes", "0")]));
    assert_eq!(lab.one(blobs.stat(&descriptor.digest)), of("blob.stat", &[]));
    assert_eq!(lab.one(blobs.get(&descriptor.digest, 10)), of("blob.get", &[("bytes", "2")]));
    assert_eq!(lab.one(blobs.examine(&descriptor)), of("blob.examine", &[("bytes", "2")]));
    assert_eq!(lab.one(blobs.replace(&descriptor, once(b"{}"))), of("blob.replace", &[("bytes", "2")]));
    let wanted = [descriptor.clone(), Descriptor::of(MediaType::EmptyJSON, b"absent")];
    assert_eq!(lab.one(blobs.missing(&wanted)), done("blob.missing", &[("entries", "1")]));
    let other = lab.registry.repository("other".parse().unwrap());
    let mounted =
        ended("done", "blob.mount", &[("repository", "other"), ("from", "ns/app"), ("digest", &digest)]);
    assert_eq!(lab.one(other.blobs().mount(lab.repository.name(), &descriptor.digest)), mounted);
    assert_eq!(lab.one(blobs.delete(&descriptor.digest)), of("blob.delete", &[]));
    assert_eq!(lab.one(blobs.mount_any(&descriptor.digest)), of("blob.mount", &[]));
    assert_eq!(lab.listener.loud_spans(), [""; 0]);
}

#[test]
fn a_body_that_is_read_later_ends_its_operation() {
    let lab = Lab::new();
    let digest = lab.push(b"content").digest;
    let blobs = lab.repository.blobs();
    let open = |range| blobs.open(&digest, range).map(|reader| reader.unwrap().into_stream());
    let of = |message, bytes| {
        let fields = [("repository", "ns/app"), ("digest", &*digest.to_string()), ("bytes", bytes)];
        ended(message, "blob.get", &fields)
    };
    let whole = open(ByteRange::full());
    assert_eq!(lab.one(async { whole.await.try_collect::<Vec<_>>().await.unwrap() }), of("done", "7"));
    let part = open(ByteRange::new(2, 3));
    assert_eq!(lab.one(async { part.await.try_collect::<Vec<_>>().await.unwrap() }), of("done", "3"));
    assert_eq!(lab.one(async { drop(open(ByteRange::full()).await) }), of("dropped", "0"));
    // A server that has sent as many bytes as it announced does not ask for the end.
    let exact = open(ByteRange::full());
    assert_eq!(lab.one(async { exact.await.next().await.unwrap().unwrap() }), of("done", "7"));
    // While it is read, nothing has ended.
    lab.listener.run(async {
        let _body = open(ByteRange::full()).await;
        assert_eq!(lab.listener.take().len(), 0);
    });
}

#[test]
fn uploads() {
    let lab = Lab::new();
    let digest = Digest::sha256(b"abcdef");
    let uploads = lab.repository.uploads();
    let session = uploads.start().unwrap();
    let id = session.id().to_string();
    let of = |operation, fields: &[(&str, &str)]| done(operation, &[&[("upload", &*id)], fields].concat());
    let appended = lab.one(session.append(Some(0), None, once(b"abc")));
    assert_eq!(appended, of("upload.append", &[("bytes", "3"), ("offset", "3")]));
    assert_eq!(lab.one(session.status()), of("upload.status", &[("offset", "3")]));
    assert_eq!(lab.one(uploads.resume(session.id())), of("upload.resume", &[]));
    let finished = lab.one(session.finish(Some(3), None, &digest, once(b"def")));
    assert_eq!(finished, of("upload.finish", &[("digest", &digest.to_string()), ("bytes", "6")]));
    let started = lab.one(async { uploads.start().unwrap() });
    assert_eq!(started["operation"], "upload.start");
    let session = lab.listener.run(async { uploads.start().unwrap() });
    lab.listener.take();
    let cancelled = lab.one(session.cancel());
    assert_eq!(cancelled, done("upload.cancel", &[("upload", &session.id().to_string())]));
    // A caller that gives up is no failure, but it is told.
    let session = uploads.start().unwrap();
    let endless = lab.one(async {
        let pending = stream::pending::<Result<Bytes, Infallible>>();
        assert!(session.append(None, None, pending).now_or_never().is_none());
    });
    assert_eq!((endless["operation"].as_str(), endless["message"].as_str()), ("upload.append", "dropped"));
}

#[test]
fn manifests_tags_and_lists() {
    let lab = Lab::new();
    lab.push(b"{}");
    let (size, digest) = (manifest().len().to_string(), Digest::sha256(&manifest()));
    let text = digest.to_string();
    let (v1, by_digest): (Tag, Reference) = ("v1".parse().unwrap(), digest.into());
    let manifests = lab.repository.manifests();
    let tagged = [("tag", "v1"), ("digest", &*text), ("bytes", &*size)];
    assert_eq!(lab.one(manifests.put(&v1.clone().into(), None, manifest())), done("manifest.put", &tagged));
    assert_eq!(lab.one(manifests.get(&v1.clone().into())), done("manifest.get", &tagged));
    assert_eq!(lab.one(manifests.get(&by_digest)), done("manifest.get", &tagged[1..]));
    let exists = [("digest", &*text), ("entries", "1")];
    assert_eq!(lab.one(manifests.exists(&by_digest)), done("manifest.exists", &exists));
    let tags = ["v1", "v2"].map(|tag| tag.parse().unwrap());
    let several = lab.one(manifests.put_tagged(Some(&digest), &tags, None, manifest()));
    assert_eq!(several["tag"], "v1,v2");
    let tags = lab.repository.tags();
    assert_eq!(lab.one(tags.resolve(&v1)), done("tag.resolve", &tagged[..2]));
    assert_eq!(lab.one(tags.list(None, 10)), done("tag.list", &[("entries", "2")]));
    let referrers = lab.repository.referrers(&digest, None, None, 10);
    assert_eq!(lab.one(referrers), done("referrers", &[("digest", &text), ("entries", "0")]));
    assert_eq!(lab.one(lab.registry.catalog(None, 10)), ended("done", "catalog", &[("entries", "1")]));
    let read = (manifest().len() + 2).to_string();
    let verified = lab.one(lab.registry.verify(VerifyScope::All, |_| {}));
    assert_eq!(verified["operation"], "verify");
    assert_eq!((verified["bytes"].as_str(), verified["entries"].as_str()), (&*read, "0"), "{verified:?}");
    let purged = ended("done", "purge", &[("bytes", "0"), ("entries", "0")]);
    assert_eq!(lab.one(lab.registry.purge_uploads(Duration::ZERO, true)), purged);
    assert_eq!(lab.one(tags.delete(&v1)), done("tag.delete", &tagged[..1]));
    assert_eq!(lab.one(manifests.delete(&by_digest)), done("manifest.delete", &tagged[1..2]));
    assert_eq!(lab.listener.loud_spans(), [""; 0]);
}

#[test]
fn requests_leave_the_event_of_their_operation_and_no_other() {
    let lab = Lab::new();
    let blob = Digest::sha256(b"{}");
    let upload = format!("/v2/ns/app/blobs/uploads/?digest={blob}");
    let finished = lab.http(Method::POST, &upload, Bytes::from_static(b"{}"));
    assert_eq!((&*finished["operation"], &*finished["bytes"]), ("upload.finish", "2"));
    let started = lab.http(Method::POST, "/v2/ns/app/blobs/uploads/", Bytes::new());
    assert_eq!(started["operation"], "upload.start");

    let place = |answer: Response<Body>| answer.headers()[header::LOCATION].to_str().unwrap().to_owned();
    let session = lab.listener.run(lab.send(Method::POST, "/v2/ns/app/blobs/uploads/", Bytes::new()));
    let session = place(session);
    lab.listener.take();
    let mut patched = String::new();
    let appended = lab.one(async {
        patched = place(lab.send(Method::PATCH, &session, Bytes::from_static(b"abc")).await);
    });
    assert_eq!((&*appended["operation"], &*appended["offset"]), ("upload.append", "3"));
    assert_eq!(lab.http(Method::GET, &patched, Bytes::new())["operation"], "upload.status");
    let last = format!("{patched}&digest={}", Digest::sha256(b"abc"));
    assert_eq!(lab.http(Method::PUT, &last, Bytes::new())["operation"], "upload.finish");
    let session = place(lab.listener.run(lab.send(Method::POST, "/v2/ns/app/blobs/uploads/", Bytes::new())));
    lab.listener.take();
    assert_eq!(lab.http(Method::DELETE, &session, Bytes::new())["operation"], "upload.cancel");

    let uri = format!("/v2/ns/app/blobs/{blob}");
    assert_eq!(lab.http(Method::HEAD, &uri, Bytes::new())["operation"], "blob.stat");
    let pulled = lab.http(Method::GET, &uri, Bytes::new());
    assert_eq!((&*pulled["operation"], &*pulled["bytes"], &*pulled["message"]), ("blob.get", "2", "done"));
    let mount = format!("/v2/other/blobs/uploads/?mount={blob}&from=ns/app");
    assert_eq!(lab.http(Method::POST, &mount, Bytes::new())["operation"], "blob.mount");

    let image = Digest::sha256(&manifest());
    for (method, uri, operation) in [
        (Method::PUT, "/v2/ns/app/manifests/v1".to_owned(), "manifest.put"),
        (Method::GET, "/v2/ns/app/manifests/v1".to_owned(), "manifest.get"),
        (Method::HEAD, format!("/v2/ns/app/manifests/{image}"), "manifest.get"),
        (Method::GET, "/v2/ns/app/tags/list".to_owned(), "tag.list"),
        (Method::GET, format!("/v2/ns/app/referrers/{image}"), "referrers"),
        (Method::GET, "/v2/_catalog".to_owned(), "catalog"),
        (Method::GET, "/v2/_catalog?last=~".to_owned(), "catalog"),
        (Method::DELETE, "/v2/ns/app/manifests/v1".to_owned(), "manifest.delete"),
        (Method::DELETE, uri, "blob.delete"),
    ] {
        let body = if method == Method::PUT { manifest() } else { Bytes::new() };
        assert_eq!(lab.http(method, &uri, body)["operation"], operation, "{uri}");
    }
    assert_eq!(lab.listener.loud_spans(), [""; 0]);
}

#[test]
fn ranges_of_a_blob_are_one_operation() {
    let lab = Lab::new();
    let digest = lab.push(b"0123456789").digest;
    let get = |range: &'static str| {
        let request = Request::get(format!("/v2/ns/app/blobs/{digest}")).header(header::RANGE, range);
        let answer = lab.registry.service().call(request.body(Body::empty()).unwrap());
        async move { answer.await.unwrap().into_body().collect().await.unwrap().to_bytes().len() }
    };
    assert_eq!(lab.one(get("bytes=2-4"))["bytes"], "3");
    assert_eq!(lab.one(get("bytes=0-1,4-5"))["message"], "done");
    let refused = lab.one(get("bytes=20-"));
    assert_eq!(refused["message"], "refused");
    assert_eq!(refused["error"], "the range is outside the content");
}

/// Operations that run at the same time count their own calls, and a copy inside one registry counts each once.
#[test]
fn driver_calls_are_counted_for_each_operation() {
    let lab = Lab::new();
    let digest = lab.push(b"{}").digest;
    let other = lab.registry.repository("other".parse().unwrap());
    let (first, second) =
        (Descriptor::of(MediaType::EmptyJSON, b"first"), Descriptor::of(MediaType::EmptyJSON, b"second"));
    lab.listener.run(async {
        let slow = |content: &'static [u8]| {
            let pieces = content.chunks(1).map(|piece| Ok::<_, Infallible>(Bytes::from_static(piece)));
            Box::pin(stream::iter(pieces).then(|piece| async {
                tokio::task::yield_now().await;
                piece
            }))
        };
        let (one, two) = (lab.repository.blobs(), other.blobs());
        let pushes =
            futures::future::join(one.push(&first, slow(b"first")), two.push(&second, slow(b"second")));
        let (one, two) = pushes.await;
        one.and(two).unwrap();
    });
    let calls = |events: Vec<Seen>| -> Vec<(String, String)> {
        let of = |seen: Seen| (seen.fields["operation"].clone(), seen.fields["driver_calls"].clone());
        operations(events).into_iter().map(of).collect()
    };
    let push = ("blob.push".to_owned(), "3".to_owned());
    assert_eq!(calls(lab.listener.take()), [push.clone(), push.clone()]);

    // The bytes of one registry are read while another one stores them.
    let target = Registry::builder(MemoryDriver::new()).identity("velero/other", "two").build();
    let _two = lab.listener.insert("two", LevelFilter::DEBUG);
    for target in [target.repository("a".parse().unwrap()), lab.registry.repository("b".parse().unwrap())] {
        lab.listener.run(async {
            let source = lab.repository.blobs();
            let content = stream::once(async move {
                source
                    .open(&digest, ByteRange::full())
                    .await
                    .map(plugin_registry::blob::BlobReader::into_stream)
            });
            let content = Box::pin(content.try_flatten());
            // Without a size it is stored, even where it is.
            let unsized_ = Descriptor::new(MediaType::EmptyJSON, digest, 0);
            target.blobs().push(&unsized_, content).await.unwrap();
        });
        let pair = |operation: &str| (operation.to_owned(), "2".to_owned());
        assert_eq!(calls(lab.listener.take()), [pair("blob.get"), pair("blob.push")]);
    }
}

#[test]
fn what_is_expected_is_no_error_and_a_fault_is_one() {
    let spoken = Spoken::default();
    let lab = Lab::over(Registry::builder(spoken.driver()), LevelFilter::DEBUG);
    let digest = Digest::sha256(b"absent");
    let uri = format!("/v2/ns/app/blobs/{digest}");
    let refused = lab.one(lab.repository.blobs().stat(&digest));
    assert_eq!(refused["message"], "refused");
    assert_eq!(refused["error"], format!("blob {digest} is not in repository ns/app"));
    lab.listener.run(async {
        assert_eq!(lab.send(Method::HEAD, &uri, Bytes::new()).await.status(), 404);
        assert_eq!(lab.send(Method::GET, "/v2/ns/app/manifests/v1", Bytes::new()).await.status(), 404);
        assert_eq!(lab.send(Method::PUT, "/v2/ns/app/manifests/v1", manifest()).await.status(), 400);
    });
    let levels: Vec<Level> = lab.listener.take().iter().map(|seen| seen.level).collect();
    assert!(levels.iter().all(|level| *level == Level::DEBUG), "{levels:?}");

    spoken.set_broken(true);
    let loud = |events: Vec<Seen>| -> Vec<Fields> {
        events.into_iter().filter(|seen| seen.level <= Level::WARN).map(|seen| seen.fields).collect()
    };
    lab.listener.run(async { lab.repository.blobs().stat(&digest).await.unwrap_err() });
    let typed = loud(lab.listener.take());
    lab.listener.run(async {
        assert_eq!(lab.send(Method::HEAD, &uri, Bytes::new()).await.status(), 503);
    });
    let http = loud(lab.listener.take());
    for faults in [typed, http] {
        assert_eq!(faults.len(), 1, "{faults:#?}");
        assert_eq!((&*faults[0]["message"], &*faults[0]["operation"]), ("failed", "blob.stat"));
        assert!(faults[0]["error"].contains("the network is down"), "{faults:#?}");
    }
}

/// A fault is told at any level, although nothing of the operation is noted then.
#[test]
fn a_level_that_is_off_changes_no_call_and_hides_no_fault() {
    let work = |level| {
        let spoken = Spoken::default();
        let lab = Lab::over(Registry::builder(spoken.driver()), level);
        lab.push_image("v1");
        lab.listener.run(async {
            let uri = format!("/v2/ns/app/blobs/{}", Digest::sha256(b"{}"));
            read(lab.send(Method::GET, &uri, Bytes::new()).await).await;
            read(lab.send(Method::GET, "/v2/ns/app/manifests/v1", Bytes::new()).await).await;
            lab.registry.catalog(None, 10).await.unwrap();
        });
        let counts = lab.registry.metrics().snapshot();
        let routine = lab.listener.take().len();
        spoken.set_broken(true);
        lab.listener.run(async { lab.registry.catalog(None, 10).await.unwrap_err() });
        let faults: Vec<String> = lab.listener.take().iter().map(|seen| seen.message().to_owned()).collect();
        (counts, routine, faults)
    };
    let (quiet, none, faults) = work(LevelFilter::ERROR);
    let (loud, some, _) = work(LevelFilter::DEBUG);
    assert_eq!(quiet, loud);
    assert_eq!((none, some), (0, 3));
    assert_eq!(faults, ["failed"]);
}
