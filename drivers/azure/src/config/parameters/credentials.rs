//! The kinds of credentials.

use plugin_registry_core::{ParameterReader, Parameters, Secret};

use super::connection_string::{self, ConnectionString};
use crate::config::{AzureCredentials, ServicePrincipal, WorkloadIdentity};

const KEY: &str = "accountkey";
const TYPE: &str = "credentials.type";
const CLIENT: &str = "credentials.clientid";
const TENANT: &str = "credentials.tenantid";
const SECRET: &str = "credentials.secret";

const TOKEN_FILE: &str = "credentials.tokenfile";
const SAS_TOKEN: &str = "sastoken";

const SHARED_KEY: &str = "shared_key";
const CLIENT_SECRET: &str = "client_secret";
const WORKLOAD_IDENTITY: &str = "workload_identity";
const MANAGED_IDENTITY: &str = "managed_identity";
const AZURE_CLI: &str = "azure_cli";
const SAS: &str = "sas";
const DEFAULT: &str = "default_credentials";

const KINDS: &[&str] =
    &[SHARED_KEY, SAS, CLIENT_SECRET, WORKLOAD_IDENTITY, MANAGED_IDENTITY, AZURE_CLI, DEFAULT];

/// Reads the credentials. An empty secret is a mistake, unless other credentials are given and used instead.
pub(super) fn credentials(read: &mut ParameterReader<'_>, parameters: &Parameters) -> AzureCredentials {
    let kind = read.choice(TYPE, KINDS);
    // Read in any case, so that they count as known.
    let given: Vec<_> = [CLIENT, TENANT, SECRET].into_iter().filter(|key| read.is_given(key)).collect();
    let (has_token, has_sas) = (read.is_given(TOKEN_FILE), read.is_given("sastoken"));
    if read.is_given("accountkey") {
        return read.secret(KEY).map(|key| shared_key(read, &key)).unwrap_or_default();
    }
    if has_sas && kind.is_some_and(|kind| kind != SAS) {
        read.mistake(SAS_TOKEN, format_args!("goes with `{TYPE}` {SAS}"));
    } else if has_sas || kind == Some(SAS) {
        return sas(read, parameters, &given);
    }
    if has_token && kind != Some(WORKLOAD_IDENTITY) {
        read.mistake(TOKEN_FILE, format_args!("goes with `{TYPE}` {WORKLOAD_IDENTITY}"));
    }
    match kind {
        Some(WORKLOAD_IDENTITY) => return workload_identity(read, given.contains(&SECRET)),
        Some(MANAGED_IDENTITY) => return managed_identity(read, &given),
        Some(CLIENT_SECRET) => return client_secret(read, parameters),
        Some(SHARED_KEY) => {
            secret(read, parameters, KEY, SHARED_KEY);
        }
        Some(kind) => {
            unused(read, &given, kind);
            if kind == AZURE_CLI {
                return AzureCredentials::Cli;
            }
        }
        // An unknown type is among the mistakes already.
        None if read.is_given(TYPE) => {}
        None => match given.first() {
            // The fork would look for other credentials, which may belong to a different identity.
            Some(key) => read
                .mistake(TYPE, format_args!("required with `{key}`, but not given; {CLIENT_SECRET} uses it")),
            // Given, but empty: each gets its own mistake.
            None => {
                read.secret(KEY);
                read.secret(SECRET);
            }
        },
    }
    AzureCredentials::Chain
}

/// They are not used, although the user expects them to be.
fn unused(read: &mut ParameterReader<'_>, given: &[&'static str], kind: &str) {
    for key in given {
        read.mistake(key, format_args!("goes with `{TYPE}` {CLIENT_SECRET}, not {kind}"));
    }
}

fn sas(read: &mut ParameterReader<'_>, parameters: &Parameters, given: &[&'static str]) -> AzureCredentials {
    unused(read, given, SAS);
    let Some(token) = secret(read, parameters, SAS_TOKEN, SAS) else { return AzureCredentials::Chain };
    if !token.expose().contains("sig=") {
        read.mistake(SAS_TOKEN, "is no SAS token: it has no `sig`");
    }
    AzureCredentials::Sas(token)
}

/// The identity of the machine, or the one of a client.
fn managed_identity(read: &mut ParameterReader<'_>, given: &[&'static str]) -> AzureCredentials {
    let others: Vec<_> = given.iter().copied().filter(|key| *key != CLIENT).collect();
    unused(read, &others, MANAGED_IDENTITY);
    AzureCredentials::ManagedIdentity(read.text(CLIENT))
}

fn client_secret(read: &mut ParameterReader<'_>, parameters: &Parameters) -> AzureCredentials {
    let [client_id, tenant_id] = [CLIENT, TENANT].map(|key| {
        let value = read.text(key);
        if value.is_none() {
            lacks(read, key, CLIENT_SECRET);
        }
        value
    });
    match (client_id, tenant_id, secret(read, parameters, SECRET, CLIENT_SECRET)) {
        (Some(client_id), Some(tenant_id), Some(secret)) => {
            AzureCredentials::ClientSecret(ServicePrincipal { client_id, tenant_id, secret })
        }
        _ => AzureCredentials::Chain,
    }
}

fn workload_identity(read: &mut ParameterReader<'_>, has_secret: bool) -> AzureCredentials {
    if has_secret {
        read.mistake(SECRET, format_args!("goes with `{TYPE}` {CLIENT_SECRET}, not {WORKLOAD_IDENTITY}"));
    }
    let [client_id, tenant_id, file] = [CLIENT, TENANT, TOKEN_FILE].map(|key| {
        let value = read.text(key);
        if value.is_none() {
            lacks(read, key, WORKLOAD_IDENTITY);
        }
        value
    });
    match (client_id, tenant_id, file) {
        (Some(client_id), Some(tenant_id), Some(file)) => {
            AzureCredentials::WorkloadIdentity(WorkloadIdentity::new(client_id, tenant_id, file))
        }
        _ => AzureCredentials::Chain,
    }
}

/// Those of a connection string. The key wins, as it does elsewhere.
pub(super) fn of_string(read: &mut ParameterReader<'_>, string: &ConnectionString) -> AzureCredentials {
    match (&string.key, &string.sas) {
        (Some(key), _) => {
            if !is_base64(key.expose().as_bytes()) {
                read.mistake(connection_string::KEY, "has an `AccountKey` that is not in padded base64");
            }
            AzureCredentials::SharedKey(key.clone())
        }
        (None, Some(token)) => AzureCredentials::Sas(token.clone()),
        // A mistake already.
        (None, None) => AzureCredentials::Chain,
    }
}

/// The key of the account. Line breaks in it are ignored, as in distribution.
fn shared_key(read: &mut ParameterReader<'_>, key: &Secret) -> AzureCredentials {
    let mut text = String::with_capacity(key.expose().len());
    text.extend(key.expose().chars().filter(|c| !matches!(c, '\r' | '\n')));
    let key = Secret::new(text);
    if !is_base64(key.expose().as_bytes()) {
        read.mistake(KEY, "has to be an account key in padded base64");
    }
    AzureCredentials::SharedKey(key)
}

/// A secret that this kind of credentials requires.
fn secret(
    read: &mut ParameterReader<'_>,
    parameters: &Parameters,
    key: &'static str,
    kind: &str,
) -> Option<Secret> {
    if parameters.get(key).is_none() {
        lacks(read, key, kind);
    }
    read.secret(key)
}

fn lacks(read: &mut ParameterReader<'_>, key: &str, kind: &str) {
    read.mistake(key, format_args!("required with `{TYPE}` {kind}, but not given"));
}

/// Whether every base64 decoder accepts this: the usual alphabet, padded, and without leftover bits.
fn is_base64(text: &[u8]) -> bool {
    let digits = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    let rest = match text.len() - digits.len() {
        0 => 0,
        1 => 0b11,
        _ => 0b1111,
    };
    let mut last = 0;
    for digit in digits {
        last = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return false,
        };
    }
    !digits.is_empty() && text.len().is_multiple_of(4) && last & rest == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64() {
        for text in ["AA==", "AAA=", "AAAA", "+/+/", "bm90IGEga2V5", "/w=="] {
            assert!(is_base64(text.as_bytes()), "{text}");
        }
        for text in [
            "", "=", "==", "====", "A", "AA", "AAA", "A===", "AAAAA", "AA=A", "AB==", "AAB=", "AAAA====",
            "-_-_", "AA AA", " AAAA", "AAA\n", "ää", "'AA='",
        ] {
            assert!(!is_base64(text.as_bytes()), "{text}");
        }
    }
}
