//! The parameters of a location while they are being made, with the mistakes so far.

use std::{collections::BTreeSet, fmt, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use plugin_registry_core::{Parameters, Result, did_you_mean, go_bool};

use super::{clouds, credentials::LocationCredentials, provider::Provider, resource::BackupStorageLocation};
use crate::config::{Config, Source, cleartext::is_cleartext, mistakes::Mistakes, source::shown};

/// Keys that Velero itself puts into `spec.config`, from other fields.
const FROM_VELERO: &[&str] = &["bucket", "prefix", "caCert"];

/// The source of the files that credentials may name.
pub(super) const TOKEN_FILES: &str = "allowed token files";

pub(super) struct Settings<'a> {
    location: &'a BackupStorageLocation,
    parameters: Parameters,
    asked: BTreeSet<&'static str>,
    ignored: Vec<(String, &'static str)>,
    pub(super) mistakes: Mistakes,
}

impl<'a> Settings<'a> {
    pub(super) fn new(location: &'a BackupStorageLocation) -> Self {
        Self {
            location,
            parameters: Parameters::new().with_source(location.place()),
            asked: BTreeSet::new(),
            ignored: Vec::new(),
            mistakes: Mistakes::default(),
        }
    }

    /// Reads what is the same for all providers.
    pub(super) fn shared(&mut self, provider: Provider, credentials: &LocationCredentials) {
        let storage = &self.location.spec.object_storage;
        let bucket = storage.bucket.trim_matches('/');
        if bucket.is_empty() {
            self.mistakes.add("`spec.objectStorage.bucket`", "required, but not given");
        } else if bucket.contains('/') && !bucket.starts_with("arn:aws:s3:") {
            let what = "must not contain `/`; put a path within the bucket into `prefix`";
            self.mistakes.add("`spec.objectStorage.bucket`", what);
        }
        let parameter = if provider == Provider::Azure { "container" } else { "bucket" };
        self.set(parameter, bucket, "spec.objectStorage.bucket");
        if !storage.prefix.is_empty() {
            self.note("spec.objectStorage.prefix", "images are stored at the root of the bucket, as always");
        }
        self.ca_bundle(credentials);
        for key in FROM_VELERO {
            self.ignore(key, "Velero takes it from `spec.objectStorage`");
        }
        self.ignore("credentialsFile", "credentials are passed in separately");
        self.ignore("resticRepoPrefix", "it is where restic stores volumes");
    }

    fn ca_bundle(&mut self, credentials: &LocationCredentials) {
        let storage = &self.location.spec.object_storage;
        let text = storage.ca_cert.as_deref().filter(|text| !text.is_empty());
        if text.is_some() && storage.ca_cert_ref.is_some() {
            let what = "cannot be given together with `spec.objectStorage.caCertRef`";
            return self.mistakes.add("`spec.objectStorage.caCert`", what);
        }
        let (pem, place) = match (&credentials.ca_bundle, &storage.ca_cert_ref, text) {
            (Some(pem), ..) => (Some(pem.clone()), "CA bundle"),
            (None, Some(_), _) => {
                let what = "pass in the certificates it refers to, with \
                            `LocationCredentials::with_ca_bundle`";
                return self.mistakes.add("`spec.objectStorage.caCertRef`", what);
            }
            (None, None, Some(text)) => {
                let text: String = text.split_ascii_whitespace().collect();
                let pem = STANDARD.decode(text).ok().and_then(|pem| String::from_utf8(pem).ok());
                (pem, "`spec.objectStorage.caCert`")
            }
            (None, None, None) => return,
        };
        match pem.filter(|pem| pem.contains("-----BEGIN CERTIFICATE-----")) {
            Some(pem) => self.set("cabundle", pem, place.trim_matches('`')),
            None if credentials.ca_bundle.is_some() => {
                self.mistakes.add(place, "does not contain a PEM certificate")
            }
            None => self.mistakes.add(place, "has to be PEM certificates encoded as base64"),
        }
    }

    /// Returns a value of `spec.config`. An empty one counts as unset.
    pub(super) fn config(&mut self, key: &'static str) -> Option<&'a str> {
        self.config_or_empty(key).filter(|text| !text.is_empty())
    }

    pub(super) fn config_or_empty(&mut self, key: &'static str) -> Option<&'a str> {
        self.asked.insert(key);
        self.location.spec.config.get(key).map(String::as_str)
    }

    /// Reads true or false as Go does.
    pub(super) fn flag(&mut self, key: &'static str) -> Option<bool> {
        let text = self.config(key)?;
        let flag = go_bool(text);
        if flag.is_none() {
            self.mistake(key, "has to be true or false");
        }
        flag
    }

    /// Passes a value on as a parameter.
    pub(super) fn pass(&mut self, key: &'static str, parameter: &str) {
        if let Some(text) = self.config(key) {
            self.set(parameter, text, path(key));
        }
    }

    /// Passes a flag on as a parameter.
    pub(super) fn pass_flag(&mut self, key: &'static str, parameter: &str) {
        if let Some(flag) = self.flag(key) {
            self.set(parameter, flag.to_string(), path(key));
        }
    }

    /// Sets a parameter.
    pub(super) fn set(&mut self, parameter: &str, value: impl Into<String>, source: impl Into<String>) {
        let parameters = std::mem::take(&mut self.parameters);
        self.parameters = parameters.with_from(parameter, value, source);
    }

    /// Sets a parameter to the path of the credentials file.
    pub(super) fn set_path(&mut self, parameter: &str, path: &Path) {
        const PLACE: &str = "path of the credentials file";
        match path.to_str() {
            Some(text) if !text.is_empty() => self.set(parameter, text, PLACE),
            Some(_) => self.mistakes.add(PLACE, "is empty"),
            None => self.mistakes.add(PLACE, "has to be UTF-8"),
        }
    }

    /// Passes on which token files the credentials may name.
    pub(super) fn token_files(&mut self, credentials: &LocationCredentials) {
        let files: Option<Vec<&str>> = credentials.token_files.iter().map(|path| path.to_str()).collect();
        match files {
            Some(files) if files.is_empty() => {}
            Some(files) => self.set("tokenfiles", files.join(","), TOKEN_FILES),
            None => self.mistakes.add(TOKEN_FILES, "have to be UTF-8"),
        }
    }

    /// Uses the identity of the process if there are no credentials, for a location that names no Secret or
    /// if the host allows it. Otherwise a tenant's word would be enough to send it to the tenant's store.
    pub(super) fn ambient(&mut self, provider: Provider, credentials: &LocationCredentials) {
        if credentials.external {
            return;
        }
        if credentials.ambient {
            return self.ambient_endpoint(provider, true);
        }
        let named = match &self.location.spec.credential {
            Some(_) => Some("`spec.credential`"),
            None if provider == Provider::Aws && self.config("profile").is_some() => {
                Some("`spec.config.profile`")
            }
            None => None,
        };
        if let Some(named) = named {
            let what = "names credentials of the location, but none are passed in: pass the content of the \
                        Secret with `LocationCredentials::from_contents`, or allow the identity of the \
                        process with `LocationCredentials::ambient`";
            return self.mistakes.add(named, what);
        }
        self.ambient_endpoint(provider, false);
    }

    /// Checks where the identity of the process may be sent: to the hosts of its cloud.
    ///
    /// Another endpoint, such as that of a compatible store, gets it only if the embedding host allows it, and
    /// never in clear. A token of Azure goes to Azure alone: its receiver can use it everywhere.
    pub(super) fn ambient_endpoint(&mut self, provider: Provider, is_allowed: bool) {
        let key = clouds::endpoint_key(provider);
        let Some(url) = self.config(key).filter(|url| !clouds::is_own(provider, url)) else { return };
        let what = if is_cleartext(url) {
            "uses http to another machine, and the identity of the process is never sent that way: pass the \
             location's own credentials, or use https"
        } else if provider == Provider::Azure {
            "is not an Azure host, and tokens of the process are sent only to Azure: pass an account key or \
             a client secret"
        } else if !is_allowed {
            "names an endpoint to which the identity of the process is not sent: pass the content of the \
             Secret with `LocationCredentials::from_contents`, or allow it with \
             `LocationCredentials::ambient`"
        } else {
            return;
        };
        self.mistake(key, what);
    }

    /// Notes a key of `spec.config` that Velero knows but that has no effect here, if it is set.
    pub(super) fn ignore(&mut self, key: &'static str, reason: &'static str) {
        if self.config(key).is_some() {
            self.note(path(key), reason);
        }
    }

    /// Notes anything that has no effect.
    pub(super) fn note(&mut self, what: impl Into<String>, reason: &'static str) {
        self.ignored.push((what.into(), reason));
    }

    /// Adds a mistake in `spec.config`. The value is not repeated: it may be a misplaced secret.
    pub(super) fn mistake(&mut self, key: &str, what: impl fmt::Display) {
        self.mistakes.add(format_args!("`{}`", path(key)), what);
    }

    /// Returns the name of OADP's Secret, for messages.
    pub(super) fn registry_secret(&self) -> String {
        let name = self.location.registry_secret_name().ok().flatten();
        name.map_or_else(|| "registry Secret".to_owned(), |name| format!("Secret {}", shown(&name)))
    }

    /// Returns the configuration, or all mistakes.
    pub(super) fn finish(mut self, provider: Provider) -> Result<Config> {
        for key in self.location.spec.config.keys().filter(|key| !self.asked.contains(key.as_str())) {
            let place = format!("`{}`", path(shown(key)));
            match did_you_mean(key, self.asked.iter().copied()) {
                Some(near) => {
                    self.mistakes.add(place, format_args!("unknown, did you mean `{}`?", path(near)))
                }
                None => self.mistakes.add(place, "unknown"),
            }
        }
        let mode = self.location.spec.access_mode.as_str();
        if !matches!(mode, "" | "ReadOnly" | "ReadWrite") {
            self.mistakes.add("`spec.accessMode`", "has to be ReadOnly or ReadWrite");
        }
        self.mistakes.finish()?;
        let read_only = self.location.is_read_only();
        let place = Source::Named(self.location.place());
        Config::of_location(place, provider.driver(), self.parameters, read_only, self.ignored)
    }
}

/// Returns the path of a key in `spec.config`.
pub(super) fn path(key: &str) -> String {
    format!("spec.config.{key}")
}
