//! Credentials files of AWS, read as data (ADR 0031).
//!
//! A credentials file comes from a Secret, which a tenant of the cluster may have written. The SDKs of AWS
//! treat such a file as instructions: they open files that it names, run programs, call other endpoints and
//! borrow the identity of the machine. Here a profile gives keys and roles, and nothing else. A property that
//! asks for more is a mistake, reported with its line.
//!
//! ```
//! use plugin_registry_core::profiles::{Profile, find};
//! let text = "[default]\naws_access_key_id = id\naws_secret_access_key = hunter2 # old\n";
//! let Ok(Profile::AccessKeys(keys)) = find(text, "default", &[]) else { panic!() };
//! assert_eq!((keys.access.text, keys.secret.text, keys.secret.line), ("id", "hunter2", 3));
//!
//! // A role whose token is a file: the host says which files these may be.
//! let text = "[default]\nrole_arn = arn:aws:iam::1:role/r\nweb_identity_token_file = /var/token\n";
//! assert!(find(text, "default", &["/var/token".into()]).is_ok());
//! let wrong = find(text, "default", &[]).unwrap_err();
//! assert_eq!(wrong[0].place(), Some("line 3"));
//!
//! let text = "[default]\ncredential_process = /bin/sh -c id\n";
//! assert!(find(text, "default", &[]).unwrap_err()[0].to_string().starts_with("line 2: `credential_process`"));
//! ```

mod lines;
mod mistakes;
mod rules;
mod sections;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use self::mistakes::Mistakes;
pub use self::{
    lines::{SPACE, lines, pair},
    mistakes::Mistake,
};

/// Where EKS mounts the token of a service account with a role.
pub const EKS_TOKEN_FILE: &str = "/var/run/secrets/eks.amazonaws.com/serviceaccount/token";
/// Where OpenShift mounts it. OADP writes this path into the Secrets that it makes for AWS and Google.
pub const OPENSHIFT_TOKEN_FILE: &str = "/var/run/secrets/openshift/serviceaccount/token";

/// The profile that is used if none is named.
pub const DEFAULT: &str = "default";

/// The longest credentials file that is read. A file that was named by mistake may have no end.
pub const MAX_FILE: u64 = 1 << 20;

/// The content of a profile.
#[derive(Debug)]
#[non_exhaustive]
pub enum Profile<'a> {
    /// Keys to sign with.
    AccessKeys(AccessKeys<'a>),
    /// A role whose keys AWS is asked for.
    Role(Role<'a>),
}

/// A pair of keys.
#[derive(Debug)]
#[non_exhaustive]
pub struct AccessKeys<'a> {
    /// `aws_access_key_id`.
    pub access: Value<'a>,
    /// `aws_secret_access_key`.
    pub secret: Value<'a>,
    /// `aws_session_token`.
    pub token: Option<Value<'a>>,
}

/// A role, and the identity that asks for it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Role<'a> {
    /// `role_arn`.
    pub arn: Value<'a>,
    /// `role_session_name`.
    pub session_name: Option<Value<'a>>,
    /// `external_id`.
    pub external_id: Option<Value<'a>>,
    /// `region`: that of the token service, if the store's is not known.
    pub region: Option<Value<'a>>,
    /// The identity that asks for it.
    pub base: RoleSource<'a>,
}

/// The identity that asks for a role.
#[derive(Debug)]
#[non_exhaustive]
pub enum RoleSource<'a> {
    /// `web_identity_token_file`: the bearer of the token in a file that the host allows.
    Token(&'a Path),
    /// `source_profile`, or the keys beside the role.
    Profile(Box<Profile<'a>>),
}

/// A value and its line, counted from 1. `Debug` shows only the line.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Value<'a> {
    /// The text as written, without quotes and comment.
    pub text: &'a str,
    /// Its line.
    pub line: usize,
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)
    }
}

/// Reads one profile, and those that it names by `source_profile`. Lines of other profiles do not matter.
///
/// `[NAME]` and `[profile NAME]` both mean the profile. If a file has both, what the first form says counts.
/// Sections of the same name are one, and the last value of a property counts, as in the SDK for Go, with which
/// Velero reads such files. `tokens` are the files that `web_identity_token_file` may name, letter for letter.
///
/// # Errors
/// Returns the mistakes of the profile, at most ten, and how many more there are. Mistakes are a file longer
/// than [`MAX_FILE`], what the profile lacks, lines that cannot be read, and properties that ask for more
/// than keys and roles (`endpoint_url`, `services`, `ca_bundle`, `credential_process`, `credential_source`,
/// `sso_…`, `login_session`, `mfa_serial`, another token file).
pub fn find<'a>(text: &'a str, name: &str, tokens: &[PathBuf]) -> Result<Profile<'a>, Vec<Mistake>> {
    if text.len() as u64 > MAX_FILE {
        return Err(vec![Mistake::of_file(format!("is longer than {MAX_FILE} bytes"))]);
    }
    let sections = sections::Sections::read(text);
    let mut mistakes = Mistakes::default();
    mistakes.extend(sections.unread());
    let found = match sections.get(name) {
        Some(section) => rules::read(&sections, &section, tokens, &mut mistakes),
        None => {
            mistakes.push(Mistake::of_file(sections.lacks(name)));
            None
        }
    };
    match found {
        Some(profile) if mistakes.len() == 0 => Ok(profile),
        _ => Err(mistakes.finish()),
    }
}

/// Returns whether the profile exists and names no identity.
///
/// Then it has neither keys nor a role, right or wrong, nor anything that may be meant as one. It only says
/// where something is, such as `region`.
///
/// ```
/// use plugin_registry_core::profiles::has_no_identity;
/// assert!(has_no_identity("[default]\nregion = eu-west-1\n", "default"));
/// assert!(!has_no_identity("[default]\naws_acess_key_id = a\n", "default"));
/// ```
#[must_use]
pub fn has_no_identity(text: &str, name: &str) -> bool {
    if text.len() as u64 > MAX_FILE {
        return false;
    }
    let sections = sections::Sections::read(text);
    let is_read = sections.unread().is_empty();
    sections.get(name).is_some_and(|section| is_read && rules::has_no_identity(&section))
}

/// Returns whether a text is written like a region, such as `eu-west-1`: letters, digits and `-`.
///
/// The text becomes part of a host's name.
#[must_use]
pub fn is_region(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(is_part)
}

#[cfg(test)]
mod tests;
