//! The identity to use if there is no key of the account.

use super::{CLIENT, KEY, SECRET, TENANT, TOKEN_FILE, UNSUPPORTED, Unknown, Variable, Variables};
use crate::bsl::{
    credentials::LocationCredentials,
    provider::Provider,
    settings::{Settings, TOKEN_FILES},
};

/// The client and the tenant, with their parameters.
const IDENTITY: [(&str, &str); 2] = [(CLIENT, "credentials.clientid"), (TENANT, "credentials.tenantid")];

/// Chooses an identity, and returns whether the credentials hold one.
///
/// The first choice is a service principal with its secret, then a workload identity by a token that the host
/// has allowed, then, if the host allows it, the identity of the process.
pub(super) fn read(
    settings: &mut Settings<'_>,
    variables: &Variables<'_>,
    key: Option<Variable<'_>>,
    unknown: &Unknown,
    credentials: &LocationCredentials,
) -> bool {
    if let Some(secret) = variables.get(SECRET) {
        return principal(settings, variables, secret);
    }
    if let Some(key) = key {
        settings.mistakes.add(key.place, format_args!("{} is empty", variables.shown(KEY)));
        return false;
    }
    for name in UNSUPPORTED {
        if let Some(variable) = variables.given(name) {
            let what = format!("`{name}` is not supported: set `{SECRET}` or an account key");
            settings.mistakes.add(variable.place, what);
            return false;
        }
    }
    // Names near to known ones are reported with their lines.
    if !unknown.has_near() {
        of_process(settings, variables, unknown, credentials);
    }
    false
}

fn principal(settings: &mut Settings<'_>, variables: &Variables<'_>, secret: Variable<'_>) -> bool {
    // The line is there, so the user meant to fill it in.
    if secret.text.is_empty() {
        settings.mistakes.add(secret.place, format_args!("{} is empty", variables.shown(SECRET)));
        return false;
    }
    settings.set("credentials.type", "client_secret", &secret.place);
    settings.set("credentials.secret", secret.text, secret.place);
    pass(settings, variables, SECRET)
}

/// Passes the client and the tenant on. Each missing one is a mistake.
fn pass(settings: &mut Settings<'_>, variables: &Variables<'_>, with: &str) -> bool {
    let mut is_whole = true;
    for (name, parameter) in IDENTITY {
        match variables.given(name) {
            Some(variable) => settings.set(parameter, variable.text, variable.place),
            None => {
                is_whole = false;
                settings.mistakes.add(
                    variables.place_of(name),
                    format_args!("{}, but {} needs it", variables.lack(name), variables.shown(with)),
                );
            }
        }
    }
    is_whole
}

fn of_process(
    settings: &mut Settings<'_>,
    variables: &Variables<'_>,
    unknown: &Unknown,
    credentials: &LocationCredentials,
) {
    let client = variables.given(CLIENT);
    let is_ambient = credentials.ambient;
    let allowed = match variables.given(TOKEN_FILE) {
        // A file that is not allowed is reported with its line.
        Some(file) if !credentials.allows_token(file.text) => return,
        Some(file) => Some((file.text.to_owned(), file.place)),
        None => {
            let first = credentials.token_files.first().and_then(|path| path.to_str());
            first.map(|path| (path.to_owned(), TOKEN_FILES.to_owned()))
        }
    };
    match (client, allowed) {
        (Some(_), Some((path, place))) => {
            if !is_ambient {
                unknown.refuse(settings);
            }
            settings.set("credentials.type", "workload_identity", &place);
            settings.set("credentials.tokenfile", path, place);
            pass(settings, variables, CLIENT);
        }
        (Some(client), None) if !is_ambient => {
            let what = "without a client secret it asks for a workload identity: allow its token file with \
                        `LocationCredentials::with_token_files` or `--token-file`, or allow the identity of \
                        the process with `LocationCredentials::with_ambient`";
            return settings.mistakes.add(client.place, format_args!("{}: {what}", variables.shown(CLIENT)));
        }
        (None, _) if !is_ambient => {
            let names = [KEY, SECRET, CLIENT].map(|name| variables.shown(name));
            let what = format!(
                "{} {}: set one of them, or allow the identity of the process with \
                 `LocationCredentials::with_ambient`",
                if variables.is_file() { "has none of" } else { "has no value for" },
                names.join(", ")
            );
            return settings.mistakes.add(variables.place(), what);
        }
        _ => {
            settings.set("credentials.type", "default_credentials", "default");
            let given = IDENTITY.into_iter().filter_map(|(name, _)| Some((name, variables.given(name)?)));
            for (name, Variable { place, .. }) in given {
                let what = if variables.is_file() { format!("{place}: {name}") } else { place };
                settings.note(what, "without a client secret, the identity of the process is used");
            }
        }
    }
    settings.ambient_endpoint(Provider::Azure, is_ambient);
}
