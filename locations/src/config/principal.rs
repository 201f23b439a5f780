//! Azure's service principal, under the names that OADP gives it and that no driver of distribution reads.

use plugin_registry_core::Parameters;

use super::{
    names,
    raw::Raw,
    source::{Ignored, Source},
};

const ACCOUNT_KEY: &str = "accountkey";
const SECRET: &str = "credentials.secret";
const TYPE: &str = "credentials.type";
const CLIENT_SECRET: &str = "client_secret";

/// Returns the parameters of the driver, with the service principal as far as it is used. Unused parts are
/// noted. OADP passes every variable, including the empty ones, which do no harm.
pub(super) fn resolved(raw: &Raw, ignored: &mut Vec<Ignored>) -> Parameters {
    let mut parameters = raw.parameters.clone();
    if !raw.driver.as_ref().is_some_and(|driver| names::is_same(&driver.name, "azure")) {
        return parameters;
    }
    let principal = raw.principal.iter().filter(|(_, (text, _))| !text.expose().is_empty());
    let principal: Vec<_> = principal.map(|(name, (text, source))| (*name, text, source)).collect();
    let is_given =
        |parameters: &Parameters, key: &str| parameters.get(key).is_some_and(|text| !text.is_empty());
    let kind = parameters.get(TYPE).filter(|kind| !kind.is_empty());
    let unused = if is_given(&parameters, ACCOUNT_KEY) {
        Some("the account key is used")
    } else if kind.is_some_and(|kind| !kind.eq_ignore_ascii_case(CLIENT_SECRET)) {
        Some("credentials.type names another kind of credentials")
    } else if !is_given(&parameters, SECRET) && !principal.iter().any(|(name, ..)| *name == SECRET) {
        // It belongs to a workload identity, whose id and tenant are also in the environment of the SDK.
        Some("it has no effect without a client secret")
    } else {
        None
    };
    let has_other = !principal.is_empty()
        || parameters.keys().any(|key| key.starts_with("credentials.") && is_given(&parameters, key));
    if has_other && parameters.get(ACCOUNT_KEY) == Some("") {
        parameters = parameters.without(ACCOUNT_KEY);
    }
    let mut note = |name: &str, source: &Source, reason| {
        let key = format!("storage.azure.{name}");
        ignored.push(Ignored { key, source: source.clone(), reason });
    };
    let mut used = None;
    for (name, text, source) in principal {
        if let Some(reason) = unused {
            note(name, source, reason);
        } else if is_given(&parameters, name) {
            note(name, source, "it is also set under its own name");
        } else {
            parameters = parameters.with_from(name, text.expose(), source.to_string());
            used.get_or_insert(source);
        }
    }
    match used {
        Some(source) if !is_given(&parameters, TYPE) => {
            parameters.with_from(TYPE, CLIENT_SECRET, source.to_string())
        }
        _ => parameters,
    }
}
