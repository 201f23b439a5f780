//! The calls, made on a registry.

use bytes::Bytes;
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use plugin_registry::{
    Registry, RegistryError, Repository,
    blob::{BlobInfo, BoxError, PushOutcome},
    upload::UploadId,
    verify::VerifyScope,
};
use plugin_registry_core::{ByteRange, Descriptor, Digest, MediaType, Reference, StoragePath};

use super::{
    call::{By, Media, PutBy, What},
    content::Info,
    lists::{Manifest, Referrer, Verified},
    outcome::{Outcome, Refusal},
    step::Sent,
    world::{Document, WORLD},
};

type Answer<T> = Result<T, RegistryError>;

/// The session of a call: the repository in which it is asked for, and the digest with which it is finished.
pub(super) struct Asked {
    pub(super) id: UploadId,
    pub(super) repository: &'static str,
    pub(super) digest: Digest,
}

/// Makes a call. The sessions that it starts are added to `ids`.
pub(super) async fn act(
    registry: &Registry,
    what: &What,
    sent: &Sent,
    asked: &Asked,
    ids: &mut Vec<UploadId>,
) -> Outcome {
    let at = |name: &str| registry.repository(name.parse().unwrap());
    match what {
        What::Push { to, blob, by, .. } => {
            let content = &WORLD.blobs[*blob];
            let size = sent.announced.unwrap_or(content.len() as u64);
            let descriptor = Descriptor::new(MediaType::ImageLayer, Digest::of(*by, content), size);
            let pushed = at(to).blobs().push(&descriptor, body(sent)).await;
            outcome(pushed.map(|done| match done {
                PushOutcome::Stored => "Stored",
                PushOutcome::Deduplicated => "Deduplicated",
                _ => "another outcome",
            }))
        }
        What::Start { to, by, .. } => {
            let started = at(to).uploads().start_with(*by);
            outcome(started.map(|session| ids.push(session.id())))
        }
        What::Append { .. } | What::Finish { .. } | What::Status { .. } | What::Cancel { .. } => {
            session(&at(asked.repository), what, sent, asked).await
        }
        What::Mount { from, to, blob, by } => {
            let digest = WORLD.blob(*blob, *by);
            outcome(at(to).blobs().mount(&from.parse().unwrap(), &digest).await.map(info))
        }
        What::MountAny { to, blob, by } => {
            outcome(at(to).blobs().mount_any(&WORLD.blob(*blob, *by)).await.map(info))
        }
        What::Stat { of, blob, by } => outcome(at(of).blobs().stat(&WORLD.blob(*blob, *by)).await.map(info)),
        What::Open { of, blob, by, offset, length } => {
            let range = length.map_or(ByteRange::from(*offset), |length| ByteRange::new(*offset, length));
            let digest = WORLD.blob(*blob, *by);
            outcome(open(&at(of), &digest, range).await)
        }
        What::Get { of, blob, by, limit } => {
            let content = &WORLD.blobs[*blob];
            let got = at(of).blobs().get(&Digest::of(*by, content), *limit).await;
            outcome(got.map(|bytes| (bytes.len() as u64, bytes == content)))
        }
        What::Missing { of, by } => {
            let wanted: Vec<Descriptor> = WORLD
                .blobs
                .iter()
                .map(|blob| Descriptor::new(MediaType::ImageLayer, Digest::of(*by, blob), blob.len() as u64))
                .collect();
            let missing = at(of).blobs().missing(&wanted).await;
            let number = |missing: &Descriptor| wanted.iter().position(|wanted| wanted == missing).unwrap();
            outcome(missing.map(|missing| missing.iter().map(number).collect::<Vec<_>>()))
        }
        What::DeleteBlob { of, blob, by } => outcome(at(of).blobs().delete(&WORLD.blob(*blob, *by)).await),
        What::PutManifest { to, document, by, media_type } => {
            outcome(put(&at(to), *document, by, *media_type).await)
        }
        What::GetManifest { of, by } => outcome(at(of).manifests().get(&by.reference()).await.map(manifest)),
        What::ManifestExists { of, by } => outcome(at(of).manifests().exists(&by.reference()).await),
        What::DeleteManifest { of, by } => outcome(at(of).manifests().delete(&by.reference()).await),
        What::Resolve { of, tag } => outcome(at(of).tags().resolve(&tag.parse().unwrap()).await),
        What::ListTags { of, last, limit } => {
            let page = at(of).tags().list(*last, *limit).await;
            outcome(page.map(|page| (texts(&page.entries), page.has_more)))
        }
        What::DeleteTag { of, tag } => outcome(at(of).tags().delete(&tag.parse().unwrap()).await),
        What::Catalog { last, limit } => {
            let last = last.map(|last| last.parse().unwrap());
            let page = registry.catalog(last.as_ref(), *limit).await;
            outcome(page.map(|page| (texts(&page.entries), page.has_more)))
        }
        What::Referrers { of, document, by, filter } => {
            let subject = WORLD.manifest(*document, *by);
            let page = at(of).referrers(&subject, *filter, None, usize::MAX).await;
            outcome(page.map(|page| page.referrers.into_iter().map(referrer).collect::<Vec<_>>()))
        }
        What::Verify { of } => {
            let scope = of.map_or(VerifyScope::All, |of| VerifyScope::Repository(of.parse().unwrap()));
            outcome(verify(registry, scope).await)
        }
        What::Reopen(_) => Outcome::of(()),
    }
}

async fn session(repository: &Repository, what: &What, sent: &Sent, asked: &Asked) -> Outcome {
    let session = match repository.uploads().resume(asked.id).await {
        Ok(session) => session,
        Err(error) => return Outcome::Refused(error.into()),
    };
    match what {
        What::Append { .. } => outcome(session.append(sent.at, sent.announced, body(sent)).await),
        What::Finish { .. } => {
            outcome(session.finish(sent.at, sent.announced, &asked.digest, body(sent)).await.map(info))
        }
        What::Status { .. } => outcome(session.status().await),
        _ => outcome(session.cancel().await),
    }
}

/// The bytes in a few pieces, and then an error if the body fails.
fn body(sent: &Sent) -> BoxStream<'static, Result<Bytes, BoxError>> {
    let size = (sent.bytes.len() / 3).max(1);
    let mut pieces: Vec<Bytes> = sent.bytes.chunks(size).map(|piece| sent.bytes.slice_ref(piece)).collect();
    if sent.untidy {
        pieces = pieces.into_iter().flat_map(|piece| [Bytes::new(), piece]).chain([Bytes::new()]).collect();
    }
    let failure = sent.fails.then(|| Err("the caller is gone".into()));
    stream::iter(pieces.into_iter().map(Ok).chain(failure).collect::<Vec<_>>()).boxed()
}

async fn open(repository: &Repository, digest: &Digest, range: ByteRange) -> Answer<(u64, u64, bool)> {
    let reader = repository.blobs().open(digest, range).await?;
    let range = reader.range();
    let bytes = reader.into_stream().try_collect::<Vec<Bytes>>().await?.concat();
    let expected = WORLD.content(digest).get(range.start as usize..range.end as usize);
    Ok((range.start, range.end, expected == Some(&bytes[..])))
}

async fn put(
    repository: &Repository,
    document: usize,
    by: &PutBy,
    media_type: Media,
) -> Answer<(String, String, usize)> {
    let Document { bytes, media_type: right, .. } = &WORLD.documents[document];
    let is_index = right.contains("index") || right.contains("list");
    let media_type = match media_type {
        Media::Right => Some(*right),
        Media::Unsaid => None,
        Media::Json => Some("application/json"),
        Media::Other if is_index => Some("application/vnd.oci.image.manifest.v1+json"),
        Media::Other => Some("application/vnd.oci.image.index.v1+json"),
        Media::Text => Some("text/plain"),
    };
    let manifests = repository.manifests();
    let bytes = bytes.clone();
    let put = match by {
        PutBy::Tag(tag) => manifests.put(&tag.parse::<Reference>()?, media_type, bytes).await,
        PutBy::Digest(by) => manifests.put(&Digest::of(*by, &bytes).into(), media_type, bytes).await,
        PutBy::OtherDigest => {
            let next = &WORLD.documents[(document + 1) % WORLD.documents.len()];
            manifests.put(&Digest::sha256(&next.bytes).into(), media_type, bytes).await
        }
        PutBy::Both(by, tags) => {
            let tags: Vec<_> = tags.iter().map(|tag| tag.parse().unwrap()).collect();
            manifests.put_tagged(Some(&Digest::of(*by, &bytes)), &tags, media_type, bytes).await
        }
    };
    put.map(|manifest| {
        (manifest.digest().to_string(), manifest.media_type().to_string(), manifest.bytes().len())
    })
}

async fn verify(registry: &Registry, scope: VerifyScope) -> Answer<Verified> {
    let report = registry.verify(scope, |_| ()).await?;
    assert_eq!(report.unfinished, None, "the store did not fail");
    let mut damage: Vec<String> = report
        .findings
        .iter()
        .map(|finding| format!("{} {}", finding.repository, named(&finding.path)))
        .collect();
    damage.sort();
    Ok((report.repositories, report.manifests, report.blobs, damage))
}

/// The target of a link: a tag or a digest.
fn named(link: &StoragePath) -> String {
    let parts: Vec<&str> = link.components().rev().collect();
    match parts[..] {
        ["link", "current", tag, ..] => tag.to_owned(),
        ["link", hex, algorithm, ..] => format!("{algorithm}:{hex}"),
        _ => link.to_string(),
    }
}

impl By {
    fn reference(&self) -> Reference {
        match self {
            Self::Tag(tag) => tag.parse().unwrap(),
            Self::Digest(..) => self.digest().into(),
        }
    }
}

fn info(info: BlobInfo) -> Info {
    (info.digest, info.canonical, info.size)
}

fn manifest(manifest: plugin_registry::manifest::Manifest) -> Manifest {
    let digest = manifest.digest();
    let is_right = manifest.bytes() == WORLD.content(&digest);
    (digest.to_string(), manifest.media_type().to_string(), manifest.bytes().len() as u64, is_right)
}

fn referrer(referrer: plugin_registry::referrers::Referrer) -> Referrer {
    let annotated = referrer.annotations.is_some_and(|all| all.get("k").is_some_and(|value| value == "v"));
    (referrer.digest, referrer.media_type, referrer.size, referrer.artifact_type, annotated)
}

fn texts(names: &[impl ToString]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn outcome<T: std::fmt::Debug>(answer: Answer<T>) -> Outcome {
    answer.map_err(Refusal::from).into()
}
