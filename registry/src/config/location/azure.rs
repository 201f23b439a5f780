//! Provider azure: parameters of the driver `azure`.

mod variables;

use plugin_registry_core::{did_you_mean, shown_name};

use super::{
    credentials::LocationCredentials,
    provider::Provider,
    settings::{Settings, shown},
};
use variables::{Variable, Variables};

const KEY: &str = "AZURE_STORAGE_ACCOUNT_ACCESS_KEY";
const TENANT: &str = "AZURE_TENANT_ID";
const CLIENT: &str = "AZURE_CLIENT_ID";
const SECRET: &str = "AZURE_CLIENT_SECRET";
const CLOUD: &str = "AZURE_CLOUD_NAME";
/// Ways to prove who somebody is that the driver does not have.
const UNSUPPORTED: &[&str] = &["AZURE_CLIENT_CERTIFICATE", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_USERNAME"];

/// The file of a workload identity's token, and who gives tokens for it.
const TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
const AUTHORITY: &str = "AZURE_AUTHORITY_HOST";
/// Others that Velero knows, or that people keep beside them. They change nothing.
const OTHERS: &[&str] = &[
    "AZURE_SUBSCRIPTION_ID",
    "AZURE_RESOURCE_GROUP",
    "AZURE_STORAGE_ACCOUNT",
    "AZURE_STORAGE_ACCOUNT_ID",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    "AZURE_CLIENT_SEND_CERTIFICATE_CHAIN",
    "AZURE_ADDITIONALLY_ALLOWED_TENANTS",
    "AZURE_PASSWORD",
    "AZURE_REGION",
    "AZURE_LOCATION",
];

/// The key of `spec.config` that names the variable of the account's key.
const KEY_NAME: &str = "storageAccountKeyEnvVar";

const CLOUDS: &[(&[&str], &str)] = &[
    (&["AzurePublicCloud", "AzureCloud"], "core.windows.net"),
    (&["AzureUSGovernmentCloud", "AzureUSGovernment"], "core.usgovcloudapi.net"),
    (&["AzureChinaCloud"], "core.chinacloudapi.cn"),
];

const MANAGEMENT: &str = "nothing is asked of Azure's management";

pub(super) fn read(settings: &mut Settings<'_>, credentials: &LocationCredentials) {
    if settings.config("storageAccount").is_none() {
        settings.mistake("storageAccount", "required, but not given");
    }
    settings.pass("storageAccount", "accountname");
    settings.pass("storageAccountURI", "serviceurl");
    settings.ignore("resourceGroup", MANAGEMENT);
    settings.ignore("subscriptionId", MANAGEMENT);
    settings.ignore("blockSizeInBytes", "the driver chooses the size of blocks");
    settings.ignore(
        "activeDirectoryAuthorityURI",
        "where tokens come from follows from the cloud of the account",
    );
    settings.ignore("apiVersion", "the driver has its own version of the API");
    let uses_ad = settings.flag("useAAD").unwrap_or_default();
    let name = settings.config(KEY_NAME);
    if uses_ad {
        settings.ignore(KEY_NAME, "`useAAD` is true, so that no key of the account is used");
    }
    if credentials.contents.is_none() && credentials.path.is_some() {
        let what = "cannot be read by this driver: pass its content, by `LocationCredentials::from_file`";
        return settings.mistakes.add("path of the credentials file", what);
    }
    let before = settings.mistakes.len();
    let Some(variables) = Variables::new(settings, credentials, name) else {
        match name {
            Some(_) if !uses_ad => {
                settings.mistake(KEY_NAME, "names a line of the credentials file, but there is none")
            }
            _ => {
                settings.ambient(Provider::Azure, credentials);
                settings.set("credentials.type", "default_credentials", "default");
            }
        }
        return;
    };
    // What cannot be read says nothing of an identity.
    if settings.mistakes.len() > before {
        return;
    }
    let unknown = unknown(settings, &variables, name);
    orders(settings, &variables, credentials);
    cloud(settings, &variables);
    let key = if uses_ad { None } else { account_key(settings, &variables, name) };
    match key {
        Some(key) if !key.text.is_empty() => settings.set("accountkey", key.text, key.place),
        // It was asked for, so nothing else is used instead.
        _ if name.is_some() && !uses_ad => {}
        key => principal(settings, &variables, key, &unknown, credentials.ambient),
    }
}

/// Names that are not known. One that is near a known name is a mistake: what it was to say is not said, and another
/// identity would be used without a word.
fn unknown(settings: &mut Settings<'_>, variables: &Variables<'_>, name: Option<&str>) -> Vec<Unknown> {
    let known = || {
        let named = [KEY, TENANT, CLIENT, SECRET, CLOUD, TOKEN_FILE, AUTHORITY].into_iter();
        named.chain(UNSUPPORTED.iter().copied()).chain(OTHERS.iter().copied())
    };
    let mut unknown = Vec::new();
    for (found, line) in variables.lines() {
        if known().any(|known| known == found) || Some(found) == name {
            continue;
        }
        let place = format!("credentials file, line {line}");
        match did_you_mean(found, known()) {
            Some(near) => settings
                .mistakes
                .add(place, format_args!("`{}` is unknown, did you mean `{near}`?", shown(found))),
            None => unknown.push(Unknown { name: shown(found).to_owned(), place }),
        }
    }
    unknown
}

/// A name that is near no known one.
struct Unknown {
    name: String,
    place: String,
}

/// What the SDK would take for instructions. It gets none of it: the token and who gives it are those of the process.
fn orders(settings: &mut Settings<'_>, variables: &Variables<'_>, credentials: &LocationCredentials) {
    let given = |name| variables.get(name).filter(|variable| !variable.text.is_empty());
    if let Some(file) = given(TOKEN_FILE) {
        if credentials.token_files.iter().any(|path| path.as_os_str() == file.text) {
            settings.note(format!("{}: {TOKEN_FILE}", file.place), "the token is that of the process");
        } else {
            let what = format!(
                "`{TOKEN_FILE}` names a file that the host has not allowed: it may, by \
                 `LocationCredentials::with_token_files` or `--token-file`"
            );
            settings.mistakes.add(file.place, what);
        }
    }
    if let Some(host) = given(AUTHORITY) {
        let reason = "where tokens come from follows from the cloud of the account";
        settings.note(format!("{}: {AUTHORITY}", host.place), reason);
    }
}

fn cloud(settings: &mut Settings<'_>, variables: &Variables<'_>) {
    let Some(cloud) = variables.get(CLOUD).filter(|cloud| !cloud.text.is_empty()) else { return };
    let known = |names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(cloud.text));
    match CLOUDS.iter().find(|(names, _)| known(names)) {
        Some((_, realm)) => settings.set("realm", *realm, cloud.place),
        None => {
            let names: Vec<_> = CLOUDS.iter().filter_map(|(names, _)| names.first().copied()).collect();
            let what = format!("`{CLOUD}` has to be one of {}", names.join(", "));
            settings.mistakes.add(cloud.place, what);
        }
    }
}

/// The key of the account. One that somebody named has to be there; of OADP's Secret the name says only that.
fn account_key<'a>(
    settings: &mut Settings<'_>,
    variables: &Variables<'a>,
    name: Option<&str>,
) -> Option<Variable<'a>> {
    let known = if variables.is_file() { name.unwrap_or(KEY) } else { KEY };
    let key = variables.get(known);
    if name.is_some() {
        match &key {
            Some(key) if key.text.is_empty() => {
                settings.mistakes.add(&key.place, format_args!("{} is empty", variables.shown(known)))
            }
            Some(_) => {}
            None if variables.is_file() && shown_name(known).is_none() => settings.mistake(
                KEY_NAME,
                format_args!(
                    "has to be the name of a line of the credentials file, such as {KEY}, and not the key itself; \
                     the file has no line of the name that is given"
                ),
            ),
            None => settings.mistakes.add(
                variables.place_of(known),
                format_args!("{}, the key that `spec.config.{KEY_NAME}` asks for", variables.lack(known)),
            ),
        }
    }
    key
}

/// Whoever the secret of a service principal is of; else a workload identity, which is that of the process: only if the
/// credentials name its client and say nothing else that is not understood, or if the host allows it.
fn principal(
    settings: &mut Settings<'_>,
    variables: &Variables<'_>,
    key: Option<Variable<'_>>,
    unknown: &[Unknown],
    ambient: bool,
) {
    let secret = variables.get(SECRET);
    let identity =
        [(CLIENT, "credentials.clientid"), (TENANT, "credentials.tenantid")].map(|(name, parameter)| {
            (name, parameter, variables.get(name).filter(|variable| !variable.text.is_empty()))
        });
    match secret {
        Some(secret) if !secret.text.is_empty() => {
            settings.set("credentials.type", "client_secret", &secret.place);
            settings.set("credentials.secret", secret.text, secret.place);
            for (name, parameter, variable) in identity {
                match variable {
                    Some(variable) => settings.set(parameter, variable.text, variable.place),
                    None => settings.mistakes.add(
                        variables.place_of(name),
                        format_args!("{}, which goes with {}", variables.lack(name), variables.shown(SECRET)),
                    ),
                }
            }
        }
        // Written down, so that somebody meant to fill it in.
        Some(secret) => {
            settings.mistakes.add(secret.place, format_args!("{} is empty", variables.shown(SECRET)))
        }
        None => {
            if let Some(key) = key {
                return settings.mistakes.add(key.place, format_args!("{} is empty", variables.shown(KEY)));
            }
            for name in UNSUPPORTED {
                if let Some(variable) = variables.get(name).filter(|variable| !variable.text.is_empty()) {
                    let what = format!("`{name}` is not supported: give `{SECRET}`, or a key of the account");
                    return settings.mistakes.add(variable.place, what);
                }
            }
            let has_client = identity.iter().any(|(name, _, found)| *name == CLIENT && found.is_some());
            if !has_client && !ambient {
                let names = [KEY, SECRET, CLIENT].map(|name| variables.shown(name));
                let what = format!(
                    "{} of {}: give one of them, or allow the identity of the process, by \
                     `LocationCredentials::with_ambient`",
                    if variables.is_file() { "has none" } else { "has no value" },
                    names.join(", ")
                );
                return settings.mistakes.add(variables.place(), what);
            }
            for Unknown { name, place } in unknown.iter().filter(|_| !ambient) {
                let what = format_args!("`{name}` is unknown, and there is neither a key nor `{SECRET}`");
                settings.mistakes.add(place, what);
            }
            settings.set("credentials.type", "default_credentials", "default");
            for variable in identity.into_iter().filter_map(|(name, _, variable)| Some((name, variable?))) {
                let (name, Variable { place, .. }) = variable;
                let what = if variables.is_file() { format!("{place}: {name}") } else { place };
                settings.note(what, "without a secret of the client, the identity is that of the process");
            }
        }
    }
}
