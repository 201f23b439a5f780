//! The effect of a call on the model.

use bytes::Bytes;
use plugin_registry_core::{Algorithm, Digest, Tag};

use super::{
    call::{Body, By, Call, Media, Mode, Name, PutBy, Size, What},
    outcome::{Outcome, Refusal},
    state::{Instance, Model},
    world::WORLD,
};

/// The model during a call.
pub(super) struct Step {
    pub(super) model: Model,
    /// The registry that makes the call.
    pub(super) on: usize,
    /// Choices that the contract leaves open: the answers so far, and how many of them were used.
    choices: Vec<bool>,
    asked: usize,
    /// The states at which the call may be dropped.
    between: Vec<Model>,
}

/// The content that a caller sends.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    /// The bytes that arrive.
    pub(super) bytes: Bytes,
    /// Whether an error comes after them.
    pub(super) fails: bool,
    /// How many bytes were announced.
    pub(super) announced: Option<u64>,
    /// Whether pieces without bytes surround the others.
    pub(super) untidy: bool,
    /// Where the caller believed that the session stood.
    pub(super) at: Option<u64>,
}

/// The outcome of reading a body.
pub(super) enum Poured {
    Whole,
    /// It failed after these bytes.
    Failed,
    /// There were more or fewer bytes than announced.
    OtherSize,
}

impl Model {
    /// All outcomes that a call may have, each with the store after it.
    pub(super) fn after(&self, call: &Call, sent: &Sent) -> Vec<(Outcome, Self)> {
        let mut all = Vec::new();
        let mut choices = Vec::new();
        loop {
            let mut step =
                Step { model: self.clone(), on: call.on, choices, asked: 0, between: vec![self.clone()] };
            let outcome = step.call(&call.what, sent);
            if call.cut.is_some() {
                step.between();
                all.extend(step.between.into_iter().map(|model| (Outcome::Dropped, model)));
            }
            all.push((outcome, step.model));
            // The next way through, as a binary counter over the choices that were made.
            choices = step.choices;
            while choices.last() == Some(&true) {
                choices.pop();
            }
            match choices.last_mut() {
                Some(last) => *last = true,
                None => return all,
            }
        }
    }

    /// The outcome of a call that changes nothing and leaves nothing open. `None` for any other call.
    pub(super) fn look(&self, what: &What) -> Option<Outcome> {
        Some(match what {
            What::Stat { of, blob, by } => self.stat(of, &WORLD.blob(*blob, *by)).into(),
            What::Open { of, blob, by, offset, length } => {
                self.open(of, &WORLD.blob(*blob, *by), *offset, *length).into()
            }
            What::Get { of, blob, by, limit } => self.get(of, &WORLD.blob(*blob, *by), *limit).into(),
            What::Missing { of, by } => Outcome::of(self.missing(of, *by)),
            What::GetManifest { of, by } => self.get_manifest(of, by).into(),
            What::ManifestExists { of, by } => Outcome::of(self.get_manifest(of, by).is_ok()),
            What::Resolve { of, tag } => Outcome::of(self.resolve(of, tag)),
            What::ListTags { of, last, limit } => self.tags(of, *last, *limit).into(),
            What::Referrers { of, document, by, filter } => {
                Outcome::of(self.referrers(of, *document, *by, *filter))
            }
            _ => return None,
        })
    }

    /// The content that the caller of this call sends.
    pub(super) fn sent(&self, call: &Call) -> Sent {
        match &call.what {
            What::Push { blob, size, body, .. } => Sent::new(WORLD.blobs[*blob].clone(), *size, *body),
            What::Append { session, at, length, content, body }
            | What::Finish { session, at, length, content, body, .. } => {
                self.sent_to(*session, *at, *length, *content, *body)
            }
            _ => Sent::new(Bytes::new(), Size::Right, Body::Whole),
        }
    }
}

impl Sent {
    pub(super) fn new(mut bytes: Bytes, size: Size, body: Body) -> Self {
        let length = bytes.len() as u64;
        let announced = match size {
            Size::Unsaid => None,
            Size::Right => Some(length),
            Size::OneMore => Some(length + 1),
            Size::OneLess => Some(length.saturating_sub(1)),
        };
        let fails = match body {
            Body::Whole | Body::Untidy => false,
            Body::Wrong => {
                let mut wrong = bytes.to_vec();
                match wrong.last_mut() {
                    Some(last) => *last ^= 1,
                    None => wrong.push(1),
                }
                bytes = wrong.into();
                false
            }
            Body::FailsAtOnce => {
                bytes.clear();
                true
            }
            Body::FailsMidway => {
                bytes.truncate(bytes.len() / 2);
                true
            }
        };
        Self { bytes, fails, announced, untidy: body == Body::Untidy, at: None }
    }

    pub(super) fn poured(&self, announced: Option<u64>) -> Poured {
        let length = self.bytes.len() as u64;
        match announced {
            Some(announced) if length > announced => Poured::OtherSize,
            _ if self.fails => Poured::Failed,
            Some(announced) if length != announced => Poured::OtherSize,
            _ => Poured::Whole,
        }
    }
}

impl Step {
    /// Makes a choice that the contract leaves open.
    pub(super) fn choose(&mut self) -> bool {
        if self.asked == self.choices.len() {
            self.choices.push(false);
        }
        self.asked += 1;
        self.choices[self.asked - 1]
    }

    /// Marks a point at which the call may be dropped.
    pub(super) fn between(&mut self) {
        self.between.push(self.model.clone());
    }

    pub(super) fn instance(&mut self) -> &mut Instance {
        &mut self.model.instances[self.on]
    }

    pub(super) fn writable(&mut self) -> Result<(), Refusal> {
        if self.instance().mode == Mode::ReadOnly { Err(Refusal::NotAllowed) } else { Ok(()) }
    }

    pub(super) fn may_delete(&mut self) -> Result<(), Refusal> {
        if matches!(self.instance().mode, Mode::ReadOnly | Mode::Keeping) {
            return Err(Refusal::NotAllowed);
        }
        Ok(())
    }

    fn call(&mut self, what: &What, sent: &Sent) -> Outcome {
        match what {
            What::Push { to, blob, by, .. } => {
                self.push(to, &WORLD.blob(*blob, *by), sent, WORLD.blobs[*blob].len()).into()
            }
            What::Start { to, blob, by } => self.start(to, *blob, *by).into(),
            What::Append { session, .. } => self.append(*session, sent).into(),
            What::Finish { session, digest, .. } => self.finish(*session, *digest, sent).into(),
            What::Status { session } => self.status(*session).into(),
            What::Cancel { session } => self.cancel(*session).into(),
            What::Mount { from, to, blob, by } => self.mount(from, to, &WORLD.blob(*blob, *by)).into(),
            What::MountAny { to, blob, by } => self.mount_any(to, &WORLD.blob(*blob, *by)).into(),
            What::DeleteBlob { of, blob, by } => self.delete_blob(of, &WORLD.blob(*blob, *by)).into(),
            What::PutManifest { to, document, by, media_type } => {
                self.put(to, *document, by, *media_type).into()
            }
            What::DeleteManifest { of, by } => self.delete_manifest(of, by).into(),
            What::DeleteTag { of, tag } => self.delete_tag(of, tag).into(),
            What::Catalog { last, limit } => self.catalog(*last, *limit),
            What::Verify { of } => self.verify(*of).into(),
            What::Reopen(mode) => {
                *self.instance() = Instance::new(*mode);
                Outcome::of(())
            }
            look => self.model.look(look).expect("all that changes nothing is a look"),
        }
    }

    /// Data before link, link before tag (docs, "Order of writes").
    fn put(
        &mut self,
        to: Name,
        document: usize,
        by: &PutBy,
        media_type: Media,
    ) -> Result<(String, &'static str, usize), Refusal> {
        self.writable()?;
        let found = &WORLD.documents[document];
        let canonical = WORLD.manifest(document, Algorithm::Sha256);
        let (digest, tags) = match by {
            PutBy::Tag(tag) => (canonical, vec![*tag]),
            PutBy::Digest(by) => (WORLD.manifest(document, *by), Vec::new()),
            PutBy::Both(by, tags) => (WORLD.manifest(document, *by), tags.clone()),
            PutBy::OtherDigest => return Err(Refusal::OtherDigest),
        };
        if !found.valid || matches!(media_type, Media::Other | Media::Text) {
            return Err(Refusal::InvalidManifest);
        }
        let mut checked = self.model.check_references(to, found, true);
        if checked == Err(Refusal::InvalidManifest) && self.choose() {
            checked = self.model.check_references(to, found, false);
        }
        checked?;
        self.model.data.insert(canonical);
        self.between();
        for name in [canonical, digest] {
            self.repository(to).revisions.insert(name);
            self.between();
        }
        for tag in tags {
            self.repository(to).tags.entry(tag).or_default().index.insert(digest);
            self.between();
            self.repository(to).tags.entry(tag).or_default().current = Some(digest);
            self.between();
        }
        Ok((digest.to_string(), found.media_type, found.bytes.len()))
    }

    /// Deletes the tags first, then the revision's links.
    fn delete_manifest(&mut self, of: Name, by: &By) -> Result<(), Refusal> {
        self.may_delete()?;
        let digest = match by {
            By::Tag(tag) => return self.delete_tag(of, tag),
            By::Digest(..) => by.digest(),
        };
        let canonical = self
            .model
            .manifest(of, &digest)
            .ok_or_else(|| Refusal::Manifest(of.to_owned(), digest.to_string()))?;
        let is_named = |named: &Digest| WORLD.canonical(named) == canonical;
        let tags = self.model.of(of).tags.iter();
        let tags: Vec<Name> = tags
            .filter(|(_, tag)| tag.current.as_ref().is_some_and(is_named))
            .map(|(name, _)| *name)
            .collect();
        // Several tags are deleted at once, so a dropped call may have deleted any of them.
        for some in 0..1_u32 << tags.len() {
            let mut model = self.model.clone();
            let gone = tags.iter().enumerate().filter(|(bit, _)| some & 1 << bit != 0);
            gone.for_each(|(_, tag)| {
                model.repositories.get_mut(of).unwrap().tags.remove(tag);
            });
            self.between.push(model);
        }
        let repository = self.repository(of);
        tags.iter().for_each(|tag| {
            repository.tags.remove(tag);
        });
        repository.revisions.retain(|revision| !is_named(revision));
        Ok(())
    }

    fn delete_tag(&mut self, of: Name, tag: Name) -> Result<(), Refusal> {
        self.may_delete()?;
        match self.repository(of).tags.remove(tag) {
            Some(_) => Ok(()),
            None => Err(Refusal::Manifest(of.to_owned(), tag.to_owned())),
        }
    }

    pub(super) fn repository(&mut self, name: Name) -> &mut super::state::Repository {
        self.model.repositories.get_mut(name).unwrap()
    }
}

impl By {
    /// The digest. Panics for a tag.
    pub(super) fn digest(&self) -> Digest {
        match self {
            Self::Digest(document, by) => WORLD.manifest(*document, *by),
            Self::Tag(tag) => panic!("{} is no digest", tag.parse::<Tag>().unwrap()),
        }
    }
}
