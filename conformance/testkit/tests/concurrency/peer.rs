//! One registry as its users see it, by the typed API and over HTTP. Any outcome but success or a refusal
//! that the call may meet is a failure: no 5xx, no broken body, no other digest.

use bytes::Bytes;
use futures::{TryStreamExt, stream};
use plugin_registry::{Registry, RegistryError};
use plugin_registry_conformance::registry::{Answer, Client, client::and, fixture};
use plugin_registry_core::{ByteRange, Descriptor, Digest, MediaType, Reference, RepositoryName, Tag};
use plugin_registry_testkit::concurrency::listing::Listing;

use crate::world::Dice;

/// One registry.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) registry: Registry,
    pub(crate) http: Client,
}

/// By which door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    Typed,
    Http,
}

/// How a blob gets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// `Blobs::push`.
    Push,
    /// An upload session in chunks, typed.
    Session,
    /// POST and PUT.
    Put,
    /// POST, PATCH as often as there are chunks, PUT; each at any of the registries.
    Chunks,
    /// POST with the digest.
    Post,
    /// POST with `mount` and `from`, and the bytes where that is refused.
    Mount,
}

impl How {
    pub(crate) const ALL: [Self; 6] =
        [Self::Push, Self::Session, Self::Put, Self::Chunks, Self::Post, Self::Mount];
}

/// The repository that blobs are mounted from.
pub(crate) const SOURCE: &str = "source";

impl Via {
    pub(crate) fn any(dice: &mut Dice) -> Self {
        *dice.one_of(&[Self::Typed, Self::Http])
    }
}

impl Peer {
    /// A manifest that hashes to the digest under which it comes, or `None` where it is unknown.
    pub(crate) async fn manifest(
        &self,
        via: Via,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Option<(Digest, Bytes)> {
        let (digest, bytes) = match via {
            Via::Typed => match self.registry.repository(name.clone()).manifests().get(reference).await {
                Ok(manifest) => (manifest.digest(), manifest.bytes().clone()),
                Err(RegistryError::ManifestUnknown { .. }) => return None,
                Err(error) => panic!("manifest {reference}: {error:?}"),
            },
            Via::Http => {
                let answer = self.http.get(format!("/v2/{name}/manifests/{reference}")).send().await;
                if is_unknown(&answer, "MANIFEST_UNKNOWN") {
                    return None;
                }
                let answer = answer.expect(200);
                (answer.header("docker-content-digest").parse().unwrap(), answer.body().clone())
            }
        };
        assert_eq!(Digest::sha256(&bytes), digest, "manifest {reference} with other bytes");
        Some((digest, bytes))
    }

    /// A blob that hashes to its digest, or `None` where it is unknown.
    pub(crate) async fn blob(&self, via: Via, name: &RepositoryName, digest: &Digest) -> Option<Bytes> {
        let bytes = match via {
            Via::Typed => {
                let blobs = self.registry.repository(name.clone()).blobs();
                match blobs.open(digest, ByteRange::full()).await {
                    Ok(reader) => {
                        let pieces: Vec<Bytes> = reader.into_stream().try_collect().await.unwrap();
                        pieces.concat().into()
                    }
                    Err(RegistryError::BlobUnknown { .. }) => return None,
                    Err(error) => panic!("blob {digest}: {error:?}"),
                }
            }
            Via::Http => {
                let answer = self.http.get(format!("/v2/{name}/blobs/{digest}")).send().await;
                if is_unknown(&answer, "BLOB_UNKNOWN") {
                    return None;
                }
                answer.expect(200).body().clone()
            }
        };
        assert_eq!(Digest::sha256(&bytes), *digest, "a clean end of other bytes");
        Some(bytes)
    }

    /// Whether a blob is there, by asking only.
    pub(crate) async fn has_blob(&self, via: Via, name: &RepositoryName, digest: &Digest) -> bool {
        match via {
            Via::Typed => match self.registry.repository(name.clone()).blobs().stat(digest).await {
                Ok(_) => true,
                Err(RegistryError::BlobUnknown { .. }) => false,
                Err(error) => panic!("blob {digest}: {error:?}"),
            },
            Via::Http => match self.http.probe(format!("/v2/{name}/blobs/{digest}")).await {
                200 => true,
                404 => false,
                status => panic!("blob {digest}: {status}"),
            },
        }
    }

    /// Puts a manifest; gives the digests that it lacks.
    pub(crate) async fn put(
        &self,
        via: Via,
        name: &RepositoryName,
        reference: &Reference,
        manifest: &Bytes,
    ) -> Result<(), Vec<Digest>> {
        match via {
            Via::Typed => {
                let manifests = self.registry.repository(name.clone()).manifests();
                match manifests.put(reference, Some(fixture::IMAGE), manifest.clone()).await {
                    Ok(_) => Ok(()),
                    Err(RegistryError::ReferencesUnknown(lacking)) => Err(lacking),
                    Err(error) => panic!("put {reference}: {error:?}"),
                }
            }
            Via::Http => {
                let name = name.as_str();
                let answer =
                    self.http.put_manifest(name, &reference.to_string(), fixture::IMAGE, manifest).await;
                if answer.status() == 400 && answer.code() == "MANIFEST_BLOB_UNKNOWN" {
                    let digest = |error: &serde_json::Value| {
                        error["detail"]["digest"].as_str().unwrap().parse().unwrap()
                    };
                    return Err(answer.errors().iter().map(digest).collect());
                }
                let _ = answer.expect(201);
                Ok(())
            }
        }
    }

    /// Deletes a tag or a manifest; whether it was there.
    pub(crate) async fn delete(&self, via: Via, name: &RepositoryName, reference: &Reference) -> bool {
        match via {
            Via::Typed => match self.registry.repository(name.clone()).manifests().delete(reference).await {
                Ok(()) => true,
                Err(RegistryError::ManifestUnknown { .. }) => false,
                Err(error) => panic!("delete {reference}: {error:?}"),
            },
            Via::Http => {
                let answer = self.http.delete(format!("/v2/{name}/manifests/{reference}")).send().await;
                !is_unknown(&answer, "MANIFEST_UNKNOWN") && answer.expect(202).status() == 202
            }
        }
    }

    /// Deletes a blob; whether it was there.
    pub(crate) async fn delete_blob(&self, via: Via, name: &RepositoryName, digest: &Digest) -> bool {
        match via {
            Via::Typed => match self.registry.repository(name.clone()).blobs().delete(digest).await {
                Ok(()) => true,
                Err(RegistryError::BlobUnknown { .. }) => false,
                Err(error) => panic!("delete {digest}: {error:?}"),
            },
            Via::Http => {
                let answer = self.http.delete(format!("/v2/{name}/blobs/{digest}")).send().await;
                !is_unknown(&answer, "BLOB_UNKNOWN") && answer.expect(202).status() == 202
            }
        }
    }

    /// A page of the tags. Its span is still to be set.
    pub(crate) async fn tags(
        &self,
        via: Via,
        name: &RepositoryName,
        after: Option<String>,
        limit: usize,
    ) -> Listing {
        match via {
            Via::Typed => {
                let page = self.registry.repository(name.clone()).tags().list(after.as_deref(), limit).await;
                let page = page.unwrap();
                listing(after, page.entries.iter().map(Tag::to_string).collect(), page.has_more)
            }
            Via::Http => self.page(format!("/v2/{name}/tags/list?n={limit}"), "tags", after).await,
        }
    }

    /// A page of the catalog.
    pub(crate) async fn catalog(&self, via: Via, after: Option<String>, limit: usize) -> Listing {
        match via {
            Via::Typed => {
                let last: Option<RepositoryName> = after.as_ref().map(|after| after.parse().unwrap());
                let page = self.registry.catalog(last.as_ref(), limit).await.unwrap();
                listing(after, page.entries.iter().map(RepositoryName::to_string).collect(), page.has_more)
            }
            Via::Http => self.page(format!("/v2/_catalog?n={limit}"), "repositories", after).await,
        }
    }

    /// All referrers of a manifest.
    pub(crate) async fn referrers(&self, via: Via, name: &RepositoryName, subject: &Digest) -> Listing {
        match via {
            Via::Typed => {
                let repository = self.registry.repository(name.clone());
                let page = repository.referrers(subject, None, None, usize::MAX).await.unwrap();
                let digests = page.referrers.into_iter().map(|referrer| referrer.digest);
                listing(None, digests.collect(), page.has_more)
            }
            Via::Http => {
                let answer =
                    self.http.get(format!("/v2/{name}/referrers/{subject}")).send().await.expect(200);
                let json = answer.json();
                let entries = json["manifests"].as_array().unwrap().iter();
                let names = entries.map(|entry| entry["digest"].as_str().unwrap().to_owned()).collect();
                listing(None, names, answer.next().is_some())
            }
        }
    }

    async fn page(&self, mut uri: String, key: &str, after: Option<String>) -> Listing {
        if let Some(after) = &after {
            uri = and(&uri, &format!("last={after}"));
        }
        let answer = self.http.get(uri).send().await.expect(200);
        let json = answer.json();
        let names = json[key].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned());
        listing(after, names.collect(), answer.next().is_some())
    }

    /// Pushes a blob; `others` are the registries that chunks may go to as well.
    pub(crate) async fn push(
        &self,
        how: How,
        others: &[Self],
        dice: &mut Dice,
        name: &RepositoryName,
        blob: &Bytes,
    ) {
        let digest = Digest::sha256(blob);
        match how {
            How::Push => {
                let descriptor = Descriptor::new(MediaType::ImageLayer, digest, blob.len() as u64);
                let blobs = self.registry.repository(name.clone()).blobs();
                blobs.push(&descriptor, content(&cut(blob, dice))).await.unwrap();
            }
            How::Session => {
                let session = self.registry.repository(name.clone()).uploads().start().unwrap();
                let mut at = 0;
                for chunk in cut(blob, dice) {
                    let length = chunk.len() as u64;
                    at = session.append(Some(at), Some(length), content(&[chunk])).await.unwrap();
                }
                let info = session.finish(Some(at), Some(0), &digest, content(&[])).await.unwrap();
                assert_eq!((info.canonical, info.size), (digest, blob.len() as u64));
            }
            How::Put => assert_eq!(self.http.push(name.as_str(), blob).await, digest.to_string()),
            How::Chunks => {
                let mut location = self.http.begin(name.as_str()).await;
                for chunk in cut(blob, dice) {
                    location = dice.one_of(others).http.append(&location, &chunk).await;
                }
                let last = &dice.one_of(others).http;
                let _ = last.finish(&location, &digest.to_string(), "").await.expect(201);
            }
            How::Post => {
                let uri = format!("/v2/{name}/blobs/uploads/?digest={digest}");
                let _ = self.http.post(uri).body(blob.clone()).send().await.expect(201);
            }
            How::Mount => {
                let uri = format!("/v2/{name}/blobs/uploads/?mount={digest}&from={SOURCE}");
                let answer = self.http.post(uri).body("").send().await;
                if answer.status() != 201 {
                    let location = answer.expect(202).location();
                    let _ = self.http.finish(&location, &digest.to_string(), blob.clone()).await.expect(201);
                }
            }
        }
    }
}

fn listing(after: Option<String>, names: Vec<String>, more: bool) -> Listing {
    let span = plugin_registry_testkit::concurrency::history::Span { begin: 0, end: None };
    Listing { span, after, names, more }
}

/// Whether this is 404 with that code; 404 for anything else fails.
fn is_unknown(answer: &Answer, code: &str) -> bool {
    if answer.status() == 404 {
        assert_eq!(answer.code(), code, "{answer}");
    }
    answer.status() == 404
}

/// A blob in one to four pieces.
pub(crate) fn cut(blob: &Bytes, dice: &mut Dice) -> Vec<Bytes> {
    let size = blob.len().div_ceil(1 + dice.roll(4)).max(1);
    (0..blob.len()).step_by(size).map(|at| blob.slice(at..blob.len().min(at + size))).collect()
}

pub(crate) fn content(
    pieces: &[Bytes],
) -> impl futures::Stream<Item = Result<Bytes, std::io::Error>> + Send + Unpin + 'static {
    let pieces = pieces.to_vec();
    stream::iter(pieces.into_iter().map(Ok))
}
