//! Provider azure: parameters of the driver `azure`.

mod identity;
mod unknown;
mod variables;

use plugin_registry_core::shown_name;

use super::{credentials::LocationCredentials, provider::Provider, settings::Settings};
use unknown::Unknown;
use variables::{Variable, Variables};

const KEY: &str = "AZURE_STORAGE_ACCOUNT_ACCESS_KEY";
const TENANT: &str = "AZURE_TENANT_ID";
const CLIENT: &str = "AZURE_CLIENT_ID";
const SECRET: &str = "AZURE_CLIENT_SECRET";
const CLOUD: &str = "AZURE_CLOUD_NAME";
/// Kinds of identity that the driver does not support.
const UNSUPPORTED: &[&str] = &["AZURE_CLIENT_CERTIFICATE", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_USERNAME"];

/// The file of a workload identity's token, and the authority that gives tokens for it.
const TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
const AUTHORITY: &str = "AZURE_AUTHORITY_HOST";
/// Other variables that Velero knows or that people keep beside them. They have no effect.
const OTHERS: &[&str] = &[
    "AZURE_SUBSCRIPTION_ID",
    "AZURE_RESOURCE_GROUP",
    "AZURE_STORAGE_ACCOUNT",
    "AZURE_STORAGE_ACCOUNT_ID",
    "AZURE_STORAGE_ACCOUNT_NAME",
    "AZURE_STORAGE_CONTAINER",
    "AZURE_SUBSCRIPTION_NAME",
    "AZURE_RESOURCE_GROUP_NAME",
    "AZURE_BACKUP_SUBSCRIPTION_ID",
    "AZURE_OBJECT_ID",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    "AZURE_CLIENT_SEND_CERTIFICATE_CHAIN",
    "AZURE_ADDITIONALLY_ALLOWED_TENANTS",
    "AZURE_PASSWORD",
    "AZURE_REGION",
    "AZURE_LOCATION",
];

/// The key of `spec.config` that names the variable of the account's key.
const KEY_NAME: &str = "storageAccountKeyEnvVar";

pub(super) const CLOUDS: &[(&[&str], &str)] = &[
    (&["AzurePublicCloud", "AzureCloud"], "core.windows.net"),
    (&["AzureUSGovernmentCloud", "AzureUSGovernment"], "core.usgovcloudapi.net"),
    (&["AzureChinaCloud"], "core.chinacloudapi.cn"),
];

const MANAGEMENT: &str = "Azure's management API is not used";
const AUTHORITY_REASON: &str = "the cloud of the account determines where tokens come from";

pub(super) fn read(settings: &mut Settings<'_>, credentials: &LocationCredentials) {
    if settings.config("storageAccount").is_none() {
        settings.mistake("storageAccount", "required, but not given");
    }
    settings.pass("storageAccount", "accountname");
    settings.pass("storageAccountURI", "serviceurl");
    settings.ignore("resourceGroup", MANAGEMENT);
    settings.ignore("subscriptionId", MANAGEMENT);
    settings.ignore("blockSizeInBytes", "the driver chooses the size of blocks");
    settings.ignore("activeDirectoryAuthorityURI", AUTHORITY_REASON);
    settings.ignore("apiVersion", "the driver chooses the API version");
    let uses_ad = settings.flag("useAAD").unwrap_or_default();
    let name = settings.config(KEY_NAME);
    if uses_ad {
        settings.ignore(KEY_NAME, "`useAAD` is true, so the account key is not used");
    }
    if credentials.contents.is_none() && credentials.path.is_some() {
        let what = "cannot be read by this driver: pass its content with \
                    `LocationCredentials::from_contents`";
        return settings.mistakes.add("path of the credentials file", what);
    }
    let before = settings.mistakes.len();
    let Some(variables) = Variables::new(settings, credentials, name) else {
        match name {
            Some(_) if !uses_ad => {
                settings.mistake(KEY_NAME, "names a line of the credentials file, but there is no file")
            }
            _ => {
                settings.ambient(Provider::Azure, credentials);
                settings.set("credentials.type", "default_credentials", "default");
            }
        }
        return;
    };
    // Credentials that cannot be read say nothing about an identity.
    if settings.mistakes.len() > before {
        return;
    }
    cloud(settings, &variables);
    let key = if uses_ad { None } else { account_key(settings, &variables, name) };
    let unknown = Unknown::find(&variables, name);
    let has_own = match key {
        Some(key) if !key.text.is_empty() => {
            settings.set("accountkey", key.text, key.place);
            true
        }
        // A key was asked for, so nothing else is used instead.
        _ if name.is_some() && !uses_ad => false,
        key => identity::read(settings, &variables, key, &unknown, credentials),
    };
    unknown.tell(settings, has_own);
    orders(settings, &variables, credentials, has_own);
}

/// Handles what the SDK would take for instructions. Except for a token that the host has allowed, the SDK
/// does not get them. If the credentials have their own identity, naming a token has no effect.
fn orders(
    settings: &mut Settings<'_>,
    variables: &Variables<'_>,
    credentials: &LocationCredentials,
    has_own: bool,
) {
    if let Some(file) = variables.given(TOKEN_FILE) {
        let named = format!("{}: {TOKEN_FILE}", file.place);
        if has_own {
            settings.note(named, "the credentials already have an identity");
        } else if !credentials.allows_token(file.text) {
            let what = format!(
                "`{TOKEN_FILE}` names a file that the host has not allowed: allow it with \
                 `LocationCredentials::with_token_files` or `--token-file`"
            );
            settings.mistakes.add(file.place, what);
        }
    }
    if let Some(host) = variables.given(AUTHORITY) {
        settings.note(format!("{}: {AUTHORITY}", host.place), AUTHORITY_REASON);
    }
}

fn cloud(settings: &mut Settings<'_>, variables: &Variables<'_>) {
    let Some(cloud) = variables.given(CLOUD) else { return };
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

/// Finds the key of the account. A key that is named has to exist; with OADP's Secret, the name says only that.
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
                    "has to be the name of a line of the credentials file, such as {KEY}, not the key \
                     itself; the file has no line with the given name"
                ),
            ),
            None => settings.mistakes.add(
                variables.place_of(known),
                format_args!("{}, but `spec.config.{KEY_NAME}` asks for it", variables.lack(known)),
            ),
        }
    }
    key
}
