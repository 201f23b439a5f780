//! Lines of a credentials file with unknown names.

use plugin_registry_core::did_you_mean;

use super::{AUTHORITY, CLIENT, CLOUD, KEY, OTHERS, SECRET, TENANT, TOKEN_FILE, UNSUPPORTED, Variables};
use crate::{bsl::settings::Settings, config::source::shown};

/// Names beyond this number are counted but not looked at: a file of another kind has no others.
const MAX_NAMES: usize = 100;
/// Names beyond this number are not reported.
const MAX_TOLD: usize = 10;

/// Unknown names.
pub(super) struct Unknown {
    names: Vec<Name>,
    /// How many names there are beyond [`MAX_NAMES`].
    more: usize,
}

struct Name {
    name: String,
    place: String,
    near: Option<&'static str>,
}

impl Unknown {
    /// Finds the unknown names. `key` is the variable of the account's key, if it has its own name.
    pub(super) fn find(variables: &Variables<'_>, key: Option<&str>) -> Self {
        let known = || {
            let named = [KEY, TENANT, CLIENT, SECRET, CLOUD, TOKEN_FILE, AUTHORITY].into_iter();
            named.chain(UNSUPPORTED.iter().copied()).chain(OTHERS.iter().copied())
        };
        let is_known = |name: &str| known().any(|known| known == name) || Some(name) == key;
        let mut found = Self { names: Vec::new(), more: 0 };
        for (name, line) in variables.lines().filter(|(name, _)| !is_known(name)) {
            if found.names.len() == MAX_NAMES {
                found.more += 1;
                continue;
            }
            let place = format!("credentials file, line {line}");
            found.names.push(Name { name: shown(name).to_owned(), place, near: did_you_mean(name, known()) });
        }
        found
    }

    /// Whether a name may be a misspelled known one, whose value is then missing.
    pub(super) fn has_near(&self) -> bool {
        self.names.iter().any(|name| name.near.is_some())
    }

    /// Reports names near to known ones. If the credentials hold no identity, each is a mistake, or another
    /// identity would be used silently. Beside an identity they have no effect.
    pub(super) fn tell(&self, settings: &mut Settings<'_>, has_own: bool) {
        let near = || self.names.iter().filter_map(|name| Some((name, name.near?)));
        for (Name { name, place, .. }, near) in near().take(MAX_TOLD) {
            if has_own {
                let what = format!("{place}: `{name}` (did you mean `{near}`?)");
                settings.note(what, "the credentials already have an identity");
            } else {
                settings.mistakes.add(place, format_args!("`{name}` is unknown, did you mean `{near}`?"));
            }
        }
        if !has_own {
            more(settings, near().count().saturating_sub(MAX_TOLD));
        }
    }

    /// Reports all names, if an identity is used that the credentials do not hold. Each is a mistake.
    pub(super) fn refuse(&self, settings: &mut Settings<'_>) {
        for Name { name, place, .. } in self.names.iter().take(MAX_TOLD) {
            let what = format_args!("`{name}` is unknown, and there is neither a key nor `{SECRET}`");
            settings.mistakes.add(place, what);
        }
        more(settings, self.more + self.names.len().saturating_sub(MAX_TOLD));
    }
}

fn more(settings: &mut Settings<'_>, more: usize) {
    if more > 0 {
        settings.mistakes.add("credentials file", format_args!("has {more} more unknown names"));
    }
}
