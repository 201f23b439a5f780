//! Names of drivers, and names of their parameters in variables.

use std::collections::BTreeMap;

use super::source::{Source, shown};

/// The mistake of a text that does not name a driver. The text is not repeated: it may be a map with secrets.
pub(super) const NO_DRIVER: &str = "has to be the name of a driver, such as `s3` or `filesystem`";

/// Drivers with two names.
const ALIASES: &[(&str, &str)] = &[("s3aws", "s3"), ("memory", "inmemory")];

/// Parameters that have their own keys, by driver. In variables, `_` replaces the dot after them. Everywhere
/// else `_` is a letter like any other: `max_retries` is one parameter.
const SECTIONS: &[(&str, &str)] = &[("azure", "credentials"), ("gcs", "credentials")];

/// The variables of OADP that no driver of distribution reads, and the parameters that they stand for.
const PRINCIPAL: &[(&str, &str)] = &[
    ("spn_client_id", "credentials.clientid"),
    ("spn_client_secret", "credentials.secret"),
    ("spn_tenant_id", "credentials.tenantid"),
];

/// Drivers beyond this number are counted but not named.
const MAX_DRIVERS: usize = 10;

/// Parameters of any driver that are secrets themselves. So are names that begin with `credentials`.
const SECRETS: &[&str] =
    &["accesskey", "secretkey", "sessiontoken", "accountkey", "sastoken", "connectionstring"];

/// What a variable means to a driver.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parameter {
    /// A parameter of the driver.
    Own(String),
    /// A parameter of a service principal.
    Principal(&'static str),
    /// A driver cannot use it, for this reason.
    Ignored(&'static str),
}

/// Whether a text can be the name of a driver.
pub(super) fn is_driver(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// Whether two names belong to one driver.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    usual(one) == usual(other)
}

/// Names that are there already, by the way in which variables write them, so that each variable needs one
/// lookup.
#[derive(Default)]
pub(super) struct Written {
    names: BTreeMap<String, String>,
}

impl Written {
    /// Adds a name. Of two that variables write alike, the first in the order of names counts.
    pub(super) fn add(&mut self, name: &str) {
        let written = name.to_lowercase().replace('.', "_");
        let known = self.names.entry(written).or_insert_with(|| name.to_owned());
        if name < known.as_str() {
            name.clone_into(known);
        }
    }

    /// Finds the name that the rest of a variable's name, in lower case, means.
    pub(super) fn find(&self, rest: &str) -> Option<&str> {
        self.names.get(rest).map(String::as_str)
    }
}

impl<'a> FromIterator<&'a str> for Written {
    fn from_iter<I: IntoIterator<Item = &'a str>>(names: I) -> Self {
        let mut written = Self::default();
        names.into_iter().for_each(|name| written.add(name));
        written
    }
}

/// Whether a parameter is a secret.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    SECRETS.contains(&name.as_str()) || name.starts_with("credentials")
}

/// Describes the mistake that there are several drivers. The first ten are named.
pub(super) fn only_one<'a>(named: impl IntoIterator<Item = (&'a str, Source)>) -> String {
    let mut named = named.into_iter().map(|(name, source)| format!("`{}` ({source})", shown(name)));
    let first = named.by_ref().take(MAX_DRIVERS).collect::<Vec<_>>().join(" and ");
    match named.count() {
        0 => format!("only one driver is allowed, not {first}"),
        more => format!("only one driver is allowed, not {first} and {more} more"),
    }
}

/// Returns the parameter that the rest of a variable's name, in lower case, means to a driver. If a known
/// parameter is written like that, it is that one.
pub(super) fn parameter(driver: &str, rest: &str, given: &Written) -> Parameter {
    let driver = usual(driver);
    if driver == "azure" {
        if let Some((_, name)) = PRINCIPAL.iter().find(|(known, _)| *known == rest) {
            return Parameter::Principal(name);
        }
        if rest == "aad_endpoint" {
            return Parameter::Ignored("the cloud of the account determines where tokens come from");
        }
    }
    let in_section = SECTIONS.iter().filter(|(whose, _)| *whose == driver).find_map(|(_, section)| {
        let key = rest.strip_prefix(section)?.strip_prefix('_')?;
        Some(format!("{section}.{key}"))
    });
    let known = in_section.or_else(|| given.find(rest).map(str::to_owned));
    Parameter::Own(known.unwrap_or_else(|| rest.to_owned()))
}

/// Returns the usual name of a driver.
pub(super) fn usual(name: &str) -> String {
    let name = name.to_lowercase();
    ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, usual)| (*usual).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn underscores_are_letters_except_behind_a_section() {
        let given: Written = ["a.b_c", "x.y"].into_iter().collect();
        for (driver, rest, expected) in [
            ("azure", "max_retries", "max_retries"),
            ("azure", "retry_delay", "retry_delay"),
            ("azure", "credentials_type", "credentials.type"),
            ("Azure", "credentials_clientid", "credentials.clientid"),
            ("azure", "credentials", "credentials"),
            ("azure", "credentialstype", "credentialstype"),
            ("gcs", "credentials_private_key_id", "credentials.private_key_id"),
            ("s3", "use_http", "use_http"),
            ("s3", "spn_client_id", "spn_client_id"),
            ("s3aws", "bucket", "bucket"),
            ("mine", "credentials_type", "credentials_type"),
            ("mine", "a_b_c", "a.b_c"),
            ("mine", "x_y", "x.y"),
            ("mine", "x_y_z", "x_y_z"),
            ("mine", "", ""),
        ] {
            assert_eq!(
                parameter(driver, rest, &given),
                Parameter::Own(expected.to_owned()),
                "{driver} {rest}"
            );
        }
    }

    #[test]
    fn drivers_have_names() {
        for (one, other) in [("s3", "s3aws"), ("S3AWS", "s3"), ("memory", "InMemory"), ("a", "A")] {
            assert!(is_same(one, other), "{one} {other}");
        }
        assert!(!is_same("s3", "gcs") && !is_same("filesystem", "file"));
        for name in ["s3", "my-store", "my_store.2"] {
            assert!(is_driver(name), "{name}");
        }
        for name in ["", "{s3: {}}", "s3: x", "a b", "a/b", "é"] {
            assert!(!is_driver(name), "{name}");
        }
    }
}
