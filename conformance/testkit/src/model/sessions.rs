//! The outcomes of calls about upload sessions.

use bytes::Bytes;
use plugin_registry_core::{Algorithm, Digest};

use super::{
    call::{At, Body, Chunk, Name, Named, Pick, Size},
    content::{Info, info},
    outcome::Refusal,
    state::{Model, Session, Slot, Stage},
    step::{Poured, Sent, Step},
    world::{ALGORITHMS, REPOSITORIES, WORLD},
};

/// The stored part of a session that is opened for more bytes.
enum Opened {
    /// Staged bytes, and whether the registry has their hash.
    Stage(u64, Bytes, bool),
    Visible(Bytes),
}

impl Model {
    /// The session of a pick.
    pub(super) fn session_of(&self, pick: Pick) -> Option<usize> {
        (self.sessions.len()).checked_sub(1).map(|last| last - pick.back.min(last))
    }

    /// The repository in which a picked session is asked for.
    pub(super) fn repository_of(&self, pick: Pick) -> Name {
        let own = self.session_of(pick).map_or(REPOSITORIES[0], |session| self.sessions[session].repository);
        let next = REPOSITORIES.iter().cycle().skip_while(|name| **name != own).nth(1);
        if pick.elsewhere { next.copied().unwrap() } else { own }
    }

    pub(super) fn sent_to(&self, pick: Pick, at: At, length: Size, content: Chunk, body: Body) -> Sent {
        let (offset, target) = match self.session_of(pick).map(|session| &self.sessions[session]) {
            Some(session) => (session.offset(), WORLD.blobs[session.blob].clone()),
            None => (0, Bytes::new()),
        };
        let bytes = match content {
            Chunk::Nothing => Bytes::new(),
            Chunk::Everything => target,
            Chunk::Rubbish => Bytes::from_static(b"rubbish"),
            Chunk::Quarters(quarters) => {
                let rest = target.slice(target.len().min(usize::try_from(offset).unwrap())..);
                rest.slice(..(rest.len() * quarters).div_ceil(4))
            }
        };
        let at = match at {
            At::Unsaid => None,
            At::Right => Some(offset),
            At::Zero => Some(0),
            At::OneMore => Some(offset + 1),
            At::OneLess => Some(offset.saturating_sub(1)),
        };
        Sent { at, ..Sent::new(bytes, length, body) }
    }
}

impl Step {
    pub(super) fn start(&mut self, to: Name, blob: usize, by: Algorithm) -> Result<(), Refusal> {
        self.writable()?;
        let session = self.model.sessions.len();
        let new = Session { repository: to, blob, started: false, stage: Stage::Empty };
        self.model.sessions.push(new);
        let slot = Slot { algorithm: by, fresh: true, touched: false, ended: false, hashed: None };
        self.instance().slots.insert(session, slot);
        Ok(())
    }

    /// Finds a session that this registry began or met, or that began in the store.
    fn resume(&mut self, pick: Pick) -> Result<usize, Refusal> {
        let session = self.model.session_of(pick).filter(|_| !pick.elsewhere).ok_or(Refusal::Session)?;
        let started = self.model.sessions[session].started;
        match self.instance().slots.get(&session) {
            Some(slot) if slot.ended => Err(Refusal::Session),
            Some(_) => Ok(session),
            None if started => {
                let slot = Slot {
                    algorithm: Algorithm::Sha256,
                    fresh: false,
                    touched: false,
                    ended: false,
                    hashed: None,
                };
                self.instance().slots.insert(session, slot);
                self.between();
                Ok(session)
            }
            None => Err(Refusal::Session),
        }
    }

    fn slot(&mut self, session: usize) -> &mut Slot {
        self.instance().slots.get_mut(&session).unwrap()
    }

    fn session(&mut self, session: usize) -> &mut Session {
        &mut self.model.sessions[session]
    }

    /// The session is unknown in the store, because it was ended elsewhere.
    fn gone(&mut self, session: usize) -> Refusal {
        self.slot(session).ended = true;
        Refusal::Session
    }

    pub(super) fn status(&mut self, pick: Pick) -> Result<u64, Refusal> {
        let session = self.resume(pick)?;
        let fresh = self.slot(session).fresh;
        let found = self.session(session);
        if found.is_stored() || fresh { Ok(found.offset()) } else { Err(self.gone(session)) }
    }

    pub(super) fn append(&mut self, pick: Pick, sent: &Sent) -> Result<u64, Refusal> {
        let session = self.resume(pick)?;
        self.writable()?;
        if sent.bytes.is_empty() {
            if sent.fails {
                return Err(Refusal::Body);
            }
            let offset = self.status(pick)?;
            check_offset(sent.at, offset)?;
            return if sent.announced.unwrap_or(0) == 0 { Ok(offset) } else { Err(Refusal::Announced) };
        }
        let Opened::Stage(stage, before, is_hashed) = self.open_session(session, sent.at)? else {
            // Bytes of other software, or of an interrupted finish, can only be finished (ADR 0014).
            return Err(Refusal::Session);
        };
        let poured = sent.poured(sent.announced);
        if let Poured::OtherSize = poured {
            return Err(Refusal::Announced);
        }
        let bytes: Bytes = [&before[..], &sent.bytes].concat().into();
        let offset = bytes.len();
        self.session(session).stage = Stage::Staged { stage, bytes };
        self.between();
        let slot = self.slot(session);
        slot.fresh = false;
        slot.hashed = is_hashed.then_some((stage, offset));
        if let Poured::Failed = poured { Err(Refusal::Body) } else { Ok(offset as u64) }
    }

    /// Opens a session at an offset. The call that writes `startedat` owns the beginning of the stage.
    fn open_session(&mut self, session: usize, at: Option<u64>) -> Result<Opened, Refusal> {
        let fresh = self.slot(session).fresh;
        let mut is_claimed = false;
        if fresh && at.unwrap_or_default() == 0 {
            self.slot(session).touched = true;
            is_claimed = !self.session(session).started;
            self.session(session).started = true;
            self.between();
        }
        let found = self.session(session).clone();
        match found.stage {
            _ if is_claimed => {}
            Stage::Staged { stage, bytes } => {
                check_offset(at, bytes.len() as u64)?;
                let is_hashed = bytes.is_empty() || self.slot(session).hashed == Some((stage, bytes.len()));
                return Ok(Opened::Stage(stage, bytes, is_hashed));
            }
            Stage::Visible(bytes) => {
                check_offset(at, bytes.len() as u64)?;
                return Ok(Opened::Visible(bytes));
            }
            Stage::Empty if !found.started => {
                if fresh {
                    check_offset(at, 0)?;
                }
                return Err(self.gone(session));
            }
            Stage::Empty => {}
        }
        check_offset(at, 0)?;
        self.model.stages += 1;
        Ok(Opened::Stage(self.model.stages, Bytes::new(), true))
    }

    pub(super) fn finish(&mut self, pick: Pick, named: Named, sent: &Sent) -> Result<Info, Refusal> {
        let digest = self.model.named(pick, named);
        let session = self.resume(pick)?;
        self.writable()?;
        let to = self.session(session).repository;
        let is_new = self.slot(session).fresh && (sent.at == Some(0) || !self.session(session).started);
        if is_new {
            check_offset(sent.at, 0)?;
            let stored = self.store(to, &digest, sent.announced, sent);
            stored.map_err(|refusal| match refusal {
                Refusal::OtherSize => Refusal::Announced,
                other => other,
            })?;
            if self.slot(session).touched {
                self.remove(session);
            }
        } else {
            match self.finish_stage(session, &digest, sent) {
                // An earlier call made the bytes visible and was interrupted before it linked them. Then the
                // acknowledged ones are gone, and the blob is there (`UploadSession::finish`).
                Err(Refusal::Offset { expected, actual: 0 }) if self.was_committed(&digest, expected) => {}
                finished => finished?,
            }
            self.between();
            self.link(to, &digest);
            self.remove(session);
        }
        self.between();
        self.slot(session).ended = true;
        self.learn(&digest);
        Ok(info(&digest, WORLD.canonical(&digest)))
    }

    fn was_committed(&self, digest: &Digest, acknowledged: u64) -> bool {
        digest.is_canonical()
            && self.model.data.contains(digest)
            && WORLD.content(digest).len() as u64 >= acknowledged
    }

    fn finish_stage(&mut self, session: usize, digest: &Digest, sent: &Sent) -> Result<(), Refusal> {
        if sent.bytes.is_empty() && sent.fails {
            return Err(Refusal::Body);
        }
        let has_body = !sent.bytes.is_empty();
        let (before, is_hashed) = match self.open_session(session, sent.at)? {
            Opened::Stage(_, before, is_hashed) => (before, is_hashed),
            Opened::Visible(_) if has_body => return Err(Refusal::Session),
            Opened::Visible(bytes) => {
                if sent.announced.unwrap_or(0) != 0 {
                    return Err(Refusal::Announced);
                }
                return self.adopt(session, digest, &bytes);
            }
        };
        match sent.poured(sent.announced) {
            Poured::OtherSize => return Err(Refusal::Announced),
            Poured::Failed => return Err(Refusal::Body),
            Poured::Whole => {}
        }
        let bytes: Bytes = [&before[..], &sent.bytes].concat().into();
        // Without earlier bytes, the new ones go straight to their place.
        let hashes =
            before.is_empty() || digest.is_canonical() || self.slot(session).algorithm == digest.algorithm();
        if !(is_hashed && hashes) {
            // Made visible inside the upload, to be read again. Then the new bytes cannot be told from the
            // earlier ones, and wrong ones end the session (`UploadSession::finish`).
            self.session(session).stage = Stage::Visible(bytes.clone());
            self.between();
            return self.adopt(session, digest, &bytes);
        }
        if Digest::of(digest.algorithm(), &bytes) == *digest {
            self.model.data.insert(WORLD.canonical(digest));
            // A store may leave the stage that was committed (`StorageDriver::commit_staged`).
            self.between();
            self.session(session).stage = Stage::Empty;
            return Ok(());
        }
        // If the call brought bytes, they may have been the faulty part, and it can be repeated.
        if !has_body {
            self.remove(session);
            self.between();
            self.slot(session).ended = true;
        }
        Err(Refusal::OtherDigest)
    }

    /// Verifies visible bytes, and writes them to their place.
    fn adopt(&mut self, session: usize, digest: &Digest, bytes: &Bytes) -> Result<(), Refusal> {
        if Digest::of(digest.algorithm(), bytes) == *digest {
            self.model.data.insert(WORLD.canonical(digest));
            return Ok(());
        }
        self.remove(session);
        self.between();
        self.slot(session).ended = true;
        Err(Refusal::OtherDigest)
    }

    fn remove(&mut self, session: usize) {
        let session = self.session(session);
        (session.started, session.stage) = (false, Stage::Empty);
    }

    pub(super) fn cancel(&mut self, pick: Pick) -> Result<(), Refusal> {
        let session = self.resume(pick)?;
        self.may_delete()?;
        let is_here = self.session(session).is_stored() || self.slot(session).fresh;
        if !is_here {
            return Err(self.gone(session));
        }
        self.remove(session);
        // A registry that still considers it fresh goes on with it, as before the call.
        self.between();
        self.slot(session).ended = true;
        Ok(())
    }
}

impl Model {
    /// The digest with which a session is finished.
    pub(super) fn named(&self, pick: Pick, named: Named) -> Digest {
        match named {
            Named::Blob(blob) => WORLD.blob(blob, ALGORITHMS[0]),
            Named::Right(by) => {
                let blob = self.session_of(pick).map_or(0, |session| self.sessions[session].blob);
                WORLD.blob(blob, by)
            }
        }
    }
}

fn check_offset(at: Option<u64>, offset: u64) -> Result<(), Refusal> {
    match at.filter(|at| *at != offset) {
        Some(expected) => Err(Refusal::Offset { expected, actual: offset }),
        None => Ok(()),
    }
}
