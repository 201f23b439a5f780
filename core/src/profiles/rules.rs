//! The properties that a profile may have.

use std::path::{Path, PathBuf};

use super::{
    AccessKeys, Mistake, Mistakes, Profile, Role, RoleSource, Value,
    sections::{Named, Sections},
};
use crate::{
    parameters::did_you_mean,
    profiles::is_region,
    shown::{shown_name, shown_path},
};

const ACCESS_KEY: &str = "aws_access_key_id";
const SECRET_KEY: &str = "aws_secret_access_key";
const TOKEN: &str = "aws_session_token";
const ROLE: &str = "role_arn";
const TOKEN_FILE: &str = "web_identity_token_file";
const SOURCE: &str = "source_profile";

/// Properties that the SDKs take for instructions, and what to do instead. None of them is needed for your
/// own store.
const REFUSED: &[(&str, &str)] = &[
    (
        "endpoint_url",
        "names an endpoint: set the store's endpoint as `s3Url` or `regionendpoint`, and the token service's \
         as `stsendpoint`",
    ),
    (
        "services",
        "names endpoints: set the store's endpoint as `s3Url` or `regionendpoint`, and the token service's \
         as `stsendpoint`",
    ),
    ("ca_bundle", "names a file: give certificates as `caCert` or `cabundle`"),
    (
        "credential_process",
        "names a program, and programs are not run: give the keys themselves, or use a credentials source of \
         the host",
    ),
    (
        "credential_source",
        "asks for the identity of this process, which the host can allow only if no credentials are given",
    ),
    ("login_session", "needs an interactive login: give keys or a role"),
    ("mfa_serial", "needs a one-time code that a person enters: give keys, or a role without it"),
];
/// Every property with this prefix is refused in the same way.
const SSO: &str = "sso_";
const NO_SSO: &str = "needs an interactive login: give keys or a role";

/// The most settings that are searched for an identity.
const MAX_SETTINGS: usize = 100;

/// A longer chain of source profiles is certainly a mistake.
const MAX_SOURCES: usize = 5;

/// Reads a profile and adds what is wrong to the mistakes.
pub(super) fn read<'a>(
    sections: &Sections<'a>,
    section: &Named<'_, 'a>,
    tokens: &[PathBuf],
    mistakes: &mut Mistakes,
) -> Option<Profile<'a>> {
    Reader { sections, tokens, mistakes, names: Vec::new() }.profile(section)
}

struct Reader<'r, 's, 'a> {
    sections: &'s Sections<'a>,
    tokens: &'r [PathBuf],
    mistakes: &'r mut Mistakes,
    /// The profiles on the way to this one.
    names: Vec<&'a str>,
}

impl<'a> Reader<'_, '_, 'a> {
    fn profile(&mut self, section: &Named<'_, 'a>) -> Option<Profile<'a>> {
        let before = self.mistakes.len();
        self.mistakes.extend(section.unread());
        self.refused(section);
        if self.mistakes.len() > before {
            return None;
        }
        // As in the SDKs, a source profile is asked for its keys first.
        if !self.names.is_empty() && section.keys([ACCESS_KEY, SECRET_KEY]).iter().all(Option::is_some) {
            return self.keys(section).map(Profile::AccessKeys);
        }
        self.names.push(section.name);
        match section.given(ROLE) {
            Some(arn) => self.role(section, arn).map(Profile::Role),
            None => match [TOKEN_FILE, SOURCE].iter().find_map(|key| Some((*key, section.given(key)?))) {
                Some((key, value)) => {
                    self.wrong(value, format!("`{key}` needs `{ROLE}`, the role to assume"))
                }
                None => self.keys(section).map(Profile::AccessKeys),
            },
        }
    }

    /// Adds a mistake for each property that asks for more than keys and roles.
    fn refused(&mut self, section: &Named<'_, 'a>) {
        for (name, value) in section.properties() {
            if let Some(what) = refusal(name) {
                let name = shown_name(name).unwrap_or("…").to_lowercase();
                self.mistakes.push(Mistake::at(value.line, format!("`{name}` {what}")));
            }
        }
    }

    fn role(&mut self, section: &Named<'_, 'a>, arn: Value<'a>) -> Option<Role<'a>> {
        let region = section.given("region");
        if let Some(region) = region.filter(|region| !is_region(region.text)) {
            return self.wrong(region, "`region` has to be letters, digits and `-`");
        }
        let (token, source) = (section.given(TOKEN_FILE), section.given(SOURCE));
        if let (Some(token), Some(_)) = (token, source) {
            let what = format!("`{TOKEN_FILE}` cannot be given together with `{SOURCE}`");
            return self.wrong(token, what);
        }
        // As in the SDK for Go: another profile first, then keys beside the role, then a token.
        let mut keys = section.keys([ACCESS_KEY, SECRET_KEY]).into_iter().flatten();
        let has_keys = keys.any(|key| token.is_none() || !key.text.is_empty());
        let base = match source.filter(|source| source.text != section.name) {
            Some(source) => RoleSource::Profile(Box::new(self.source(source)?)),
            None if has_keys => RoleSource::Profile(Box::new(Profile::AccessKeys(self.keys(section)?))),
            None => match token {
                Some(token) => RoleSource::Token(self.token(token)?),
                None => {
                    let what = format!(
                        "`{ROLE}` needs `{TOKEN_FILE}`, `{SOURCE}` or keys beside it, to assume the role with"
                    );
                    return self.wrong(arn, what);
                }
            },
        };
        let (session_name, external_id) = (section.given("role_session_name"), section.given("external_id"));
        Some(Role { arn, session_name, external_id, region, base })
    }

    /// Returns the file of a token, if the host named it.
    fn token(&mut self, value: Value<'a>) -> Option<&'a Path> {
        if self.tokens.iter().any(|path| path.as_os_str() == value.text) {
            return Some(Path::new(value.text));
        }
        // A text that does not begin like a path may be the token itself.
        let path = Some(value.text).filter(|text| text.starts_with('/')).and_then(shown_path);
        let path = path.map_or("a file".to_owned(), |path| format!("`{path}`"));
        let what = format!(
            "`{TOKEN_FILE}` names {path}, which the host has not allowed: allow it with `tokenfiles`, \
             `LocationCredentials::with_token_files` or `--token-file`"
        );
        self.wrong(value, what)
    }

    fn source(&mut self, value: Value<'a>) -> Option<Profile<'a>> {
        if self.names.contains(&value.text) || self.names.len() >= MAX_SOURCES {
            return self.wrong(value, format!("`{SOURCE}` forms a circle, or a chain of too many profiles"));
        }
        match self.sections.get(value.text) {
            Some(section) => self.profile(&section),
            None => self.wrong(value, format!("`{SOURCE}`: {}", self.sections.lacks(value.text))),
        }
    }

    fn keys(&mut self, section: &Named<'_, 'a>) -> Option<AccessKeys<'a>> {
        let place = format!("profile `{}` (line {})", shown_name(section.name).unwrap_or("…"), section.line);
        let [access, secret, token] = section.keys([ACCESS_KEY, SECRET_KEY, TOKEN]);
        for (key, value) in [(ACCESS_KEY, access), (SECRET_KEY, secret)] {
            let what = match value {
                Some(value) if value.text.is_empty() => {
                    self.mistakes.push(Mistake::at(value.line, format!("`{key}` is empty")));
                    continue;
                }
                Some(_) => continue,
                None => match meant(section, key) {
                    Some(line) => format!("has no `{key}`; line {line} may be a misspelling of it"),
                    None => format!("has no `{key}`"),
                },
            };
            self.mistakes.push(Mistake::in_place(place.clone(), what));
        }
        let [access, secret] = [access, secret].map(|value| value.filter(|value| !value.text.is_empty()));
        Some(AccessKeys {
            access: access?,
            secret: secret?,
            token: token.filter(|value| !value.text.is_empty()),
        })
    }

    fn wrong<T>(&mut self, value: Value<'a>, what: impl Into<String>) -> Option<T> {
        self.mistakes.push(Mistake::at(value.line, what));
        None
    }
}

/// Returns why a property is refused.
fn refusal(name: &str) -> Option<&'static str> {
    let known = REFUSED.iter().find(|(known, _)| name.eq_ignore_ascii_case(known));
    let is_sso = name.get(..SSO.len()).is_some_and(|start| start.eq_ignore_ascii_case(SSO));
    known.map(|(_, what)| *what).or(is_sso.then_some(NO_SSO))
}

/// Returns whether nothing in a profile is an identity, or may be meant as one.
pub(super) fn has_no_identity(section: &Named<'_, '_>) -> bool {
    let names = [ACCESS_KEY, SECRET_KEY, TOKEN, ROLE, TOKEN_FILE, SOURCE];
    // A real file does not have this many settings.
    let all = section.all();
    section.unread().next().is_none()
        && all.len() <= MAX_SETTINGS
        && all.iter().all(|(name, _)| refusal(name).is_none() && did_you_mean(name, names).is_none())
}

/// Returns the line of a misspelt key.
fn meant(section: &Named<'_, '_>, key: &'static str) -> Option<usize> {
    let is_known =
        |name: &str| [ACCESS_KEY, SECRET_KEY, TOKEN].iter().any(|known| name.eq_ignore_ascii_case(known));
    let mut unknown = section.properties().filter(|(name, _)| !is_known(name)).take(MAX_SETTINGS);
    let near = unknown.find(|(name, _)| did_you_mean(name, [ACCESS_KEY, SECRET_KEY]) == Some(key));
    near.map(|(_, value)| value.line)
}
