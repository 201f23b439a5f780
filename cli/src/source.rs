//! The configuration of a registry: a file of distribution, a location of Velero, variables.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use clap::{Args, ValueHint};
use plugin_registry_core::{Error, Secret, shown_path};
use plugin_registry_locations::{BackupStorageLocation, Config, LocationCredentials, config::EnvPairs};

use crate::{
    failure::{Failure, Outcome},
    hint::{self, Known},
};

/// No such file is longer, and one that was named by mistake may be.
const MAX_LEN: u64 = 1 << 20;

/// The parameters of all drivers that are credentials, or say where some are.
const CREDENTIALS: [&str; 8] = [
    "accesskey",
    "accountkey",
    "connectionstring",
    "credentials",
    "credentials.secret",
    "credentialsconfigpath",
    "keyfile",
    "sastoken",
];

/// Variables: names and values.
type Pairs = Vec<(String, Secret)>;

/// The options of a [`Source`], none of which goes with a directory.
pub(crate) const SOURCES: [&str; 7] =
    ["config", "location", "credentials", "token_file", "ambient", "env_file", "from_env"];

// A registry that is configured. Variables come on top of the file or the location, those of `--env-file` on top
// of those of `--from-env`. No doc comment: it would become the description of each command with these options.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Source {
    /// The registry of a configuration file of CNCF distribution, instead of --root
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "location")]
    pub(crate) config: Option<PathBuf>,
    /// The registry of a Velero BackupStorageLocation, in YAML or JSON, instead of --root
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) location: Option<PathBuf>,
    /// The credentials of --location, in the same form as in its Secret: AWS profiles, AZURE_…=… lines, or
    /// Google's JSON; default, if the location names no Secret: what the cloud's SDK finds
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "location")]
    pub(crate) credentials: Option<PathBuf>,
    /// A file that --credentials may name as a web identity token, such as
    /// /var/run/secrets/openshift/serviceaccount/token; can be repeated
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "credentials")]
    pub(crate) token_file: Vec<PathBuf>,
    /// Allow the identity of this process, which the cloud's SDK finds, if --credentials gives none
    #[arg(long, requires = "location")]
    pub(crate) ambient: bool,
    /// REGISTRY_… variables, one NAME=VALUE a line: alone, or on top of --config, --location or --from-env
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) env_file: Option<PathBuf>,
    /// REGISTRY_… variables of this process's environment: alone, or on top of --config or --location
    #[arg(long)]
    pub(crate) from_env: bool,
    // What was read, for the hint of a failure that comes later. Clones share it.
    #[arg(skip)]
    pub(crate) known: Arc<OnceLock<Known>>,
}

/// The configuration that was read.
pub(crate) struct Configured {
    pub(crate) config: Config,
    /// The location, if it came from one.
    pub(crate) location: Option<BackupStorageLocation>,
    /// Whether credentials are among it: those of the location, in the file or in variables.
    pub(crate) has_credentials: bool,
    /// The names of the files, for messages about mistakes.
    pub(crate) place: String,
}

impl Source {
    /// Whether anything is given.
    pub(crate) fn is_given(&self) -> bool {
        self.config.is_some() || self.location.is_some() || self.has_variables()
    }

    /// Whether variables come on top of something.
    pub(crate) fn has_variables(&self) -> bool {
        self.env_file.is_some() || self.from_env
    }

    /// The same options again, to show them.
    pub(crate) fn options(&self) -> Option<String> {
        self.options_with(|path| path.display().to_string())
    }

    /// The same for messages: text that is not written like a path may be the secret itself.
    pub(crate) fn shown_options(&self) -> Option<String> {
        self.options_with(|path| path.to_str().and_then(shown_path).unwrap_or("…").to_owned())
    }

    fn options_with(&self, shown: impl Fn(&Path) -> String) -> Option<String> {
        let files = [
            ("config", &self.config),
            ("location", &self.location),
            ("credentials", &self.credentials),
            ("env-file", &self.env_file),
        ];
        let files = files.into_iter().filter_map(|(name, file)| Some((name, file.as_ref()?)));
        let tokens = self.token_file.iter().map(|file| ("token-file", file));
        let files = files.chain(tokens).map(|(name, file)| format!("--{name} {}", shown(file)));
        let flags = [("--ambient", self.ambient), ("--from-env", self.from_env)];
        let flags = flags.into_iter().filter(|(_, is_on)| *is_on).map(|(name, _)| name.to_owned());
        let all: Vec<_> = files.chain(flags).collect();
        (!all.is_empty()).then(|| all.join(" "))
    }

    /// Reads the files and the variables, to open what they say.
    pub(crate) fn read(&self) -> Result<Configured, Failure> {
        self.read_for(false)
    }

    /// The same, to show it: a location may lack its credentials.
    pub(crate) fn read_to_show(&self) -> Result<Configured, Failure> {
        self.read_for(true)
    }

    fn read_for(&self, showing: bool) -> Result<Configured, Failure> {
        let configured = self.read_files(showing)?;
        let Configured { location, has_credentials, .. } = &configured;
        // A command that reads it again finds the same.
        let _ = self.known.set(Known { location: location.clone(), has_credentials: *has_credentials });
        Ok(configured)
    }

    fn read_files(&self, showing: bool) -> Result<Configured, Failure> {
        let pairs = self.pairs()?;
        if let Some(file) = &self.location {
            return self.read_location(file, pairs, showing);
        }
        let place = match (&self.config, &self.env_file) {
            (Some(file), _) | (None, Some(file)) => shown(file),
            (None, None) => "the environment".to_owned(),
        };
        let config = match &self.config {
            Some(file) => Config::from_yaml_and_env(&text(file, "the configuration file")?, pairs),
            None => Config::from_env(pairs),
        };
        let config = config.map_err(|error| Failure::from(error).in_place(&place))?;
        let has_credentials = has_credentials(&config);
        Ok(Configured { config, location: None, has_credentials, place })
    }

    fn read_location(&self, file: &Path, pairs: Pairs, showing: bool) -> Result<Configured, Failure> {
        let place = match &self.credentials {
            Some(credentials) => format!("{} with {}", shown(file), shown(credentials)),
            None => shown(file),
        };
        let in_place = |error: Error| Failure::from(error).in_place(&place);
        let location = BackupStorageLocation::from_text(&text(file, "the location")?).map_err(in_place)?;
        let mut credentials = match &self.credentials {
            Some(file) => LocationCredentials::from_contents(text(file, "the credentials file")?),
            None => LocationCredentials::none(),
        };
        credentials = credentials.with_token_files(&self.token_file);
        if self.ambient {
            credentials = credentials.with_ambient();
        }
        let read = |credentials: &LocationCredentials| {
            let config = Config::from_backup_location(&location, credentials)?;
            if pairs.is_empty() { Ok(config) } else { config.merge_env(pairs.clone()) }
        };
        let config = match &self.credentials {
            Some(_) => read(&credentials).map_err(|error| match hint::of_credentials(&error, &location) {
                Some(hint) => in_place(error).with_only_hint(hint),
                None => in_place(error),
            })?,
            None => {
                // Variables may have what the location's Secret would.
                let config = read(&LocationCredentials::external()).map_err(in_place)?;
                if !showing && !has_credentials(&config) {
                    let refused = |error| in_place(error).with_hint(hint::of_missing_credentials(&location));
                    read(&credentials).map_err(refused)?;
                }
                config
            }
        };
        let has_credentials = self.credentials.is_some() || has_credentials(&config);
        Ok(Configured { config, location: Some(location), has_credentials, place })
    }

    /// In the order given, including variables that are set twice: the library refuses those.
    fn pairs(&self) -> Result<Pairs, Failure> {
        let file = match &self.env_file {
            Some(file) => {
                let read = EnvPairs::parse(&text(file, "the variables file")?);
                read.map_err(|error| Failure::from(error).in_place(shown(file)))?
            }
            None => EnvPairs::default(),
        };
        let mut pairs = Pairs::new();
        if self.from_env {
            // The library ignores case in names as well.
            let in_file: BTreeSet<_> = file.names().map(str::to_uppercase).collect();
            // Non-UTF-8 names and values are ignored: none of our settings has one.
            #[expect(clippy::disallowed_methods, reason = "--from-env asks for the environment")]
            let variables = std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
            let ours = variables
                .filter(|(name, _)| name.starts_with("REGISTRY_") && !in_file.contains(&name.to_uppercase()));
            pairs.extend(ours.map(|(name, value)| (name, Secret::new(value))));
        }
        pairs.extend(file);
        Ok(pairs)
    }
}

/// Whether a parameter holds credentials. An empty one counts as unset.
fn has_credentials(config: &Config) -> bool {
    CREDENTIALS.iter().any(|name| config.parameters.get(name).is_some_and(|value| !value.is_empty()))
}

fn shown(file: &Path) -> String {
    format!("`{}`", file.display())
}

/// The text of a file; `None` if it is longer than [`MAX_LEN`], such as a device without an end.
fn limited(file: &Path) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    File::open(file)?.take(MAX_LEN + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_LEN {
        return Ok(None);
    }
    let wrong = |_| io::Error::new(io::ErrorKind::InvalidData, "stream did not contain valid UTF-8");
    String::from_utf8(bytes).map(Some).map_err(wrong)
}

fn text(file: &Path, what: &str) -> Result<String, Failure> {
    // Text that is not written like a path may be the secret itself.
    let path = file.to_str().and_then(shown_path);
    let named = path.map_or_else(String::new, |path| format!(" `{path}`"));
    let hint = match path {
        Some(_) => "Check the path.",
        None => "Name a file. What you gave is not shown, since it may be a secret.",
    };
    match limited(file) {
        Ok(Some(text)) => Ok(text),
        Ok(None) => Err(Failure::failed(format!("{what}{named} is longer than {MAX_LEN} bytes"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Failure::new(Outcome::NotFound, format!("{what}{named} does not exist")).with_hint(hint))
        }
        Err(error) => {
            let failure = Failure::failed(format!("{what}{named} cannot be read: {error}"));
            Err(if path.is_some() { failure } else { failure.with_hint(hint) })
        }
    }
}
