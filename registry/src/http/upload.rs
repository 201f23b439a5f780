//! end-4, end-5, end-6, end-11, end-13, end-14: uploads.

use std::pin::pin;

use http::{StatusCode, header};
use plugin_registry_core::{Algorithm, Digest, DigestError, ErrorKind, NameError, Operation};

use super::{
    ApiRequest, ApiResponse, Content, DOCKER_CONTENT_DIGEST, DOCKER_UPLOAD_UUID,
    blob::parse,
    empty,
    error::{RequestError, Result, error_response},
    range, set,
};
use crate::{
    error::RegistryError,
    operation::operation,
    registry::Registry,
    repository::Repository,
    upload::{FinishRequest, UploadId, UploadSession, UploadState},
};

/// POST: a mount, a whole blob at once, or a new session.
pub(super) async fn start(
    registry: &Registry,
    repository: &Repository,
    request: &ApiRequest,
    body: Content,
) -> Result<ApiResponse> {
    if let Some(digest) = request.parameter("mount") {
        // As in distribution, a mount that fails becomes a session, even if its digest cannot be read.
        let Ok(digest) = digest.parse::<Digest>() else {
            return started(registry, repository, repository.uploads().start_with(Algorithm::Sha256)?);
        };
        if mount(registry, repository, &digest, request.parameter("from")).await? {
            return Ok(created(repository, &digest));
        }
        return started(registry, repository, repository.uploads().start_with(digest.algorithm())?);
    }
    if let Some(digest) = request.parameter("digest") {
        registry.shared.require_writable()?;
        let digest = parse(&digest)?;
        let length = request.content_length()?;
        let session = repository.uploads().begin(digest.algorithm())?;
        session.finish(Some(0), length, &digest, body).await?;
        return Ok(created(repository, &digest));
    }
    let algorithm = match request.parameter("digest-algorithm") {
        Some(name) => name.parse().map_err(|error| RegistryError::Name(NameError::Digest(error)))?,
        None => Algorithm::Sha256,
    };
    started(registry, repository, repository.uploads().start_with(algorithm)?)
}

/// Mounts the blob and returns whether it could. If its source cannot be read, the client uploads the blob
/// instead.
async fn mount(
    registry: &Registry,
    repository: &Repository,
    digest: &Digest,
    from: Option<String>,
) -> Result<bool> {
    let mounted = match from.filter(|from| !from.is_empty()) {
        Some(from) => match from.parse() {
            Ok(from) => repository.blobs().mount(&from, digest).await,
            Err(_) => return Ok(false),
        },
        None if registry.shared.options.automatic_crossmount => repository.blobs().mount_any(digest).await,
        None => return Ok(false),
    };
    match mounted {
        Ok(_) => Ok(true),
        Err(error) if is_unreadable(&error) => {
            tracing::debug!(%error, "a mount became an upload");
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether the source of a mount is absent or cannot be read. If trying again may help, or if the link cannot
/// be written, an upload would meet the same error after all bytes were sent.
fn is_unreadable(error: &RegistryError) -> bool {
    match error {
        RegistryError::BlobUnknown { .. } | RegistryError::Damaged(_) => true,
        RegistryError::Storage(error) => {
            let reads = [Operation::GetContent, Operation::Reader, Operation::Stat, Operation::List];
            let is_lasting = matches!(
                error.kind(),
                ErrorKind::PermissionDenied | ErrorKind::Corrupted | ErrorKind::TooLarge | ErrorKind::Other
            );
            is_lasting && error.operation().is_some_and(|operation| reads.contains(&operation))
        }
        _ => false,
    }
}

fn started(registry: &Registry, repository: &Repository, session: UploadSession) -> Result<ApiResponse> {
    Ok(progress(registry, repository, &session, 0, StatusCode::ACCEPTED))
}

/// PATCH: a chunk, or a stream of unknown length.
pub(super) async fn append(
    registry: &Registry,
    repository: &Repository,
    id: &str,
    request: &ApiRequest,
    body: Content,
) -> Result<ApiResponse> {
    let id: UploadId = id.parse()?;
    let mut operation = operation!("upload.append", registry.shared, repository.about().with_upload(id));
    let (session, state) = operation.part(pin!(session(registry, repository, id, request))).await?;
    operation.check(require_octets(request))?;
    let appended = match operation.check(place(request, state.as_ref())) {
        Ok((at, length)) => session.append_in(operation, at, length, body).await.map_err(RequestError::from),
        Err(error) => Err(error),
    };
    match appended {
        Ok(offset) => Ok(progress(registry, repository, &session, offset, StatusCode::ACCEPTED)),
        Err(error) => refused(registry, repository, &session, error).await,
    }
}

/// PUT: the last bytes, if any, and the digest of all.
pub(super) async fn finish(
    registry: &Registry,
    repository: &Repository,
    id: &str,
    request: &ApiRequest,
    body: Content,
) -> Result<ApiResponse> {
    let digest =
        request.parameter("digest").ok_or(RegistryError::Name(NameError::Digest(DigestError::Format)))?;
    let digest = parse(&digest)?;
    let id: UploadId = id.parse()?;
    let about = repository.about().with_upload(id).with_digest(&digest);
    let mut operation = operation!("upload.finish", registry.shared, about);
    let (session, state) = operation.part(pin!(session(registry, repository, id, request))).await?;
    let finished = match operation.check(place(request, state.as_ref())) {
        Ok((at, length)) => {
            let request = FinishRequest { at, length, digest: &digest };
            session.finish_in(operation, request, body).await.map_err(RequestError::from)
        }
        Err(error) => Err(error),
    };
    match finished {
        Ok(_) => Ok(created(repository, &digest)),
        Err(error) => refused(registry, repository, &session, error).await,
    }
}

/// Answers a refusal after which the client can continue. 416 says where the upload stands, as in the Docker
/// Registry HTTP API V2 ("Chunked Upload"), and a busy session asks for another try.
async fn refused(
    registry: &Registry,
    repository: &Repository,
    session: &UploadSession,
    error: RequestError,
) -> Result<ApiResponse> {
    let RequestError::Registry(cause) = &error else { return Err(error) };
    let offset = match cause {
        RegistryError::UploadBusy => {
            let mut response = error_response(&error, "");
            set(&mut response, header::RETRY_AFTER, 1);
            return Ok(response);
        }
        RegistryError::UploadOffset { actual, .. } => *actual,
        RegistryError::RangeNotSatisfiable => match session.offset().await {
            Ok(offset) => offset,
            Err(_) => return Err(error),
        },
        _ => return Err(error),
    };
    let mut response = error_response(&error, "");
    describe(&mut response, registry, repository, session, offset);
    Ok(response)
}

/// GET, HEAD: where the upload stands, or, during a PATCH, how far that has come.
pub(super) async fn status(
    registry: &Registry,
    repository: &Repository,
    id: &str,
    request: &ApiRequest,
) -> Result<ApiResponse> {
    let id: UploadId = id.parse()?;
    let operation = operation!("upload.status", registry.shared, repository.about().with_upload(id));
    let status = async {
        let (session, _) = session(registry, repository, id, request).await?;
        let offset = session.offset().await?.max(session.received_bytes());
        Ok::<_, RequestError>((session, offset))
    };
    let (session, offset) =
        operation.run(pin!(status), |(_, offset), record| record.offset = Some(*offset)).await?;
    Ok(progress(registry, repository, &session, offset, StatusCode::NO_CONTENT))
}

/// DELETE: cancels the upload.
pub(super) async fn cancel(
    registry: &Registry,
    repository: &Repository,
    id: &str,
    request: &ApiRequest,
) -> Result<ApiResponse> {
    registry.shared.require_delete()?;
    let id: UploadId = id.parse()?;
    let operation = operation!("upload.cancel", registry.shared, repository.about().with_upload(id));
    let cancelled = async {
        let (session, _) = session(registry, repository, id, request).await?;
        session.discard().await?;
        Ok::<_, RequestError>(session)
    };
    let session = operation.run(pin!(cancelled), |_, _| ()).await?;
    let mut response = empty(StatusCode::NO_CONTENT);
    set(&mut response, DOCKER_UPLOAD_UUID, session.id());
    Ok(response)
}

/// Returns the session of a location. Its state token is optional, but has to be genuine if present.
async fn session(
    registry: &Registry,
    repository: &Repository,
    id: UploadId,
    request: &ApiRequest,
) -> Result<(UploadSession, Option<UploadState>)> {
    match request.parameter("_state") {
        Some(token) => {
            let state = UploadState::decode(&token, &registry.shared.state_key, repository.name(), id);
            let state = state.ok_or(RequestError::UploadState)?;
            Ok((repository.uploads().resume_state(&state).await?, Some(state)))
        }
        None => Ok((repository.uploads().known(id).await?, None)),
    }
}

/// Returns where a request's bytes belong and how many it announces. `Content-Range` says it; without one the
/// location's state does, so that a chunk sent twice is noticed.
fn place(request: &ApiRequest, state: Option<&UploadState>) -> Result<(Option<u64>, Option<u64>)> {
    let length = request.content_length()?;
    let Some(header) = request.header(header::CONTENT_RANGE) else {
        return Ok((state.map(UploadState::offset), length));
    };
    let (start, announced) = range::chunk(&header)?;
    if length.is_some_and(|length| length != announced) {
        return Err(RequestError::ContentRange);
    }
    Ok((Some(start), Some(announced)))
}

fn require_octets(request: &ApiRequest) -> Result<()> {
    match request.header(header::CONTENT_TYPE).as_deref().map(str::trim) {
        None | Some("" | "application/octet-stream") => Ok(()),
        Some(_) => Err(RequestError::ContentType),
    }
}

fn progress(
    registry: &Registry,
    repository: &Repository,
    session: &UploadSession,
    offset: u64,
    status: StatusCode,
) -> ApiResponse {
    let mut response = empty(status);
    describe(&mut response, registry, repository, session, offset);
    response
}

/// Describes where the upload stands, and the location that continues there.
fn describe(
    response: &mut ApiResponse,
    registry: &Registry,
    repository: &Repository,
    session: &UploadSession,
    offset: u64,
) {
    let state = UploadState::new(session.id(), offset, session.algorithm());
    let token = state.encode(&registry.shared.state_key, repository.name());
    // `=` and the alphabet of URL-safe base64 need no encoding in a query.
    let location = format!("/v2/{}/blobs/uploads/{}?_state={token}", repository.name(), session.id());
    set(response, header::LOCATION, location);
    set(response, header::RANGE, format_args!("0-{}", offset.saturating_sub(1)));
    set(response, DOCKER_UPLOAD_UUID, session.id());
}

fn created(repository: &Repository, digest: &Digest) -> ApiResponse {
    let mut response = empty(StatusCode::CREATED);
    set(&mut response, header::LOCATION, format_args!("/v2/{}/blobs/{digest}", repository.name()));
    set(&mut response, DOCKER_CONTENT_DIGEST, digest);
    response
}
