//! The remembered facts about a manifest: its subject, and its entry in a referrers list.

use plugin_registry_core::Digest;

use super::Manifest;

/// One manifest's entry in a referrers list, and its subject. These are facts about content.
#[derive(Debug)]
pub(crate) struct ManifestSummary {
    subject: Option<Digest>,
    referrer: Option<CompactReferrer>,
}

/// A descriptor of a referrers list as it is remembered: with its annotations as text, which is their smallest form.
#[derive(Debug)]
pub(crate) struct CompactReferrer {
    pub(crate) media_type: Box<str>,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) artifact_type: Option<Box<str>>,
    /// A JSON object.
    pub(crate) annotations: Option<Box<str>>,
    /// About how many bytes its descriptor takes in a list.
    pub(crate) listed: usize,
    /// About how many bytes the listed descriptor takes in memory: an annotation is two strings and a part of a
    /// tree's node.
    pub(crate) unfolded: usize,
}

impl ManifestSummary {
    pub(crate) fn of(manifest: &Manifest) -> Self {
        let subject = manifest.subject().map(|subject| subject.digest);
        let referrer = subject.is_some().then(|| CompactReferrer::of(manifest));
        Self { subject, referrer }
    }

    /// Returns about how many bytes it holds.
    pub(crate) fn weight(&self) -> u32 {
        let listed = self.referrer.as_ref().map_or(0, |referrer| referrer.listed);
        u32::try_from(listed.saturating_add(320)).unwrap_or(u32::MAX)
    }

    pub(crate) fn of_subject(
        &self,
        subject: &Digest,
        artifact_type: Option<&str>,
    ) -> Option<&CompactReferrer> {
        let referrer = self.referrer.as_ref().filter(|_| self.subject == Some(*subject));
        referrer.filter(|referrer| {
            artifact_type.is_none_or(|wanted| referrer.artifact_type.as_deref() == Some(wanted))
        })
    }
}

impl CompactReferrer {
    fn of(manifest: &Manifest) -> Self {
        let artifact_type = manifest.artifact_type();
        let all = Some(manifest.annotations()).filter(|all| !all.is_empty());
        let annotations = all.and_then(|all| serde_json::to_string(all).ok());
        let quoted = serde_json::to_string(&artifact_type).map_or(0, |quoted| quoted.len());
        let listed = annotations.as_deref().map_or(0, str::len) + quoted;
        Self {
            media_type: manifest.media_type().to_string().into(),
            digest: manifest.digest(),
            size: manifest.bytes().len() as u64,
            artifact_type: artifact_type.map(Box::from),
            annotations: annotations.map(Box::from),
            listed,
            unfolded: listed + 160 * manifest.annotations().len(),
        }
    }
}
