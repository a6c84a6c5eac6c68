//! Docker's and podman's credential files (docs/protocol.md#credential-files).

use std::collections::HashSet;
use std::ffi::OsString;
use std::io::ErrorKind as IoErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use crate::auth::credential::Credential;
use crate::auth::docker_config::{DockerConfig, LookupStep};
use crate::auth::helper::{HelperOutcome, Helpers};
use crate::auth::secret::Secret;
use crate::error::{Cause, Error, ErrorKind};
use crate::file::read_regular;
use crate::keyed_once::SingleFlight;
use crate::lock::lock;
use crate::reference::Resource;
use crate::text::io_clause;

/// Maximum size of a file, in bytes.
const MAX_FILE: u64 = 1024 * 1024;
/// Time after which a file is read again, because logins are renewed during a run.
const BELIEVED: Duration = Duration::from_secs(60);
/// Minimum age of a content that is read again after its login was refused.
const YOUTH: Duration = Duration::from_secs(10);

/// Credential files of docker and podman, in the order in which they are searched:
///
/// 1. the file that `REGISTRY_AUTH_FILE` names;
/// 2. the document in `DOCKER_AUTH_CONFIG`, which some CI systems set;
/// 3. `containers/auth.json` in `XDG_RUNTIME_DIR`, then in `XDG_CONFIG_HOME` or `~/.config` (podman);
/// 4. `config.json` in `DOCKER_CONFIG` or `~/.docker` (docker).
///
/// The first that has a login for the repository wins; within a file the most specific key does, and for one key a
/// helper of its own comes before the store for all (`credsStore`), and that before what the file holds itself. A
/// missing file is none. A file at one of the usual places that may not be read, and a store that is not installed,
/// are passed over and named in what is said of a failed login; everything else that is wrong is an error.
///
/// Files are read on demand and again after a minute. Answers of helpers are cached for five minutes. Clones share
/// both.
#[derive(Debug, Clone, Default)]
pub struct DockerFiles {
    sources: Arc<[ConfigSource]>,
    helpers: Arc<Helpers>,
    missing_helpers: Arc<MissingHelpers>,
}

/// Maximum number of missing helpers that are reported.
const MAX_REPORTED: usize = 256;

/// Helpers that are not installed and whose login was not found elsewhere either. Each is reported once.
#[derive(Debug, Default)]
struct MissingHelpers {
    state: Mutex<(HashSet<String>, Vec<String>)>,
}

impl MissingHelpers {
    fn report(&self, missing: &[String]) {
        let mut state = lock(&self.state);
        let (reported, warnings) = &mut *state;
        for text in missing {
            if reported.len() < MAX_REPORTED && reported.insert(text.clone()) {
                warnings.push(format!("{text}: registries without another login are accessed anonymously; install it, or add entries to the \
                     auth file"));
            }
        }
    }
    fn remove_warnings(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.state).1)
    }
}

/// A credential file, or a document in a variable.
#[derive(Debug)]
struct ConfigSource {
    place: ConfigLocation,
    /// Name in messages.
    shown: String,
    content: SingleFlight<ConfigContent>,
}

#[derive(Debug)]
enum ConfigLocation {
    /// File. `named` is true if a variable names it; such a file must be readable.
    File {
        path: PathBuf,
        named: bool,
    },
    Document(Secret),
}

#[derive(Clone, Debug)]
struct ConfigContent {
    config: Arc<DockerConfig>,
    /// Reason why the file was skipped, if that is not an error.
    passed_over: Option<String>,
    at: Instant,
}

/// Result of a search.
#[derive(Debug, Default)]
pub(super) struct FoundLogin {
    /// Login, if one was found.
    pub(super) credential: Option<Credential>,
    /// Place of the login, or the files and helpers that were skipped.
    pub(super) origin: Option<String>,
}

impl DockerFiles {
    /// Returns the files that the environment names (`REGISTRY_AUTH_FILE`, `XDG_RUNTIME_DIR`, `XDG_CONFIG_HOME`,
    /// `DOCKER_CONFIG`, `HOME`), and `DOCKER_AUTH_CONFIG`. Files are read on demand.
    pub fn from_env() -> Self {
        Self::from_vars(|name| std::env::var_os(name))
    }
    /// Returns the files that `var` names, for the variables of [`DockerFiles::from_env`]. Empty variables count as
    /// unset.
    pub fn from_vars(var: impl Fn(&str) -> Option<OsString>) -> Self {
        let var = |name: &str| var(name).filter(|value| !value.is_empty());
        let dir = |name: &str| var(name).map(PathBuf::from);
        let home = dir("HOME");
        let below_home = |path: &str| home.as_ref().map(|home| home.join(path));
        let file = |path: PathBuf, named| ConfigSource::file(path, named, home.as_deref());
        let mut sources = Vec::new();
        sources.extend(dir("REGISTRY_AUTH_FILE").map(|path| file(path, true)));
        sources.extend(var("DOCKER_AUTH_CONFIG").map(|text| ConfigSource {
            place: ConfigLocation::Document(Secret::new(text.to_string_lossy())),
            shown: "DOCKER_AUTH_CONFIG".to_owned(),
            content: SingleFlight::default(),
        }));
        let config = dir("XDG_CONFIG_HOME").or_else(|| below_home(".config"));
        for dir in [dir("XDG_RUNTIME_DIR"), config].into_iter().flatten() {
            sources.push(file(dir.join("containers/auth.json"), false));
        }
        let named = dir("DOCKER_CONFIG");
        let is_named = named.is_some();
        if let Some(dir) = named.or_else(|| below_home(".docker")) {
            sources.push(file(dir.join("config.json"), is_named));
        }
        Self {
            sources: sources.into(),
            helpers: Arc::default(),
            missing_helpers: Arc::default(),
        }
    }
    /// Returns these files, in this order.
    pub fn from_paths(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self {
            sources: paths
                .into_iter()
                .map(|path| ConfigSource::file(path, true, None))
                .collect(),
            helpers: Arc::default(),
            missing_helpers: Arc::default(),
        }
    }
    /// Searches helpers in `path` (a list as in `PATH`), with `limit` as time limit of each. The defaults are `PATH`
    /// and 30 s.
    #[must_use]
    pub fn with_helpers(mut self, path: OsString, limit: Duration) -> Self {
        self.helpers = Arc::new(Helpers::new(Some(path), limit));
        self
    }
    /// Returns the helpers with their cached answers.
    pub(super) fn helpers(&self) -> Arc<Helpers> {
        Arc::clone(&self.helpers)
    }
    /// Searches the login for `resource`.
    pub(super) async fn find(&self, resource: &Resource) -> Result<FoundLogin, Error> {
        let (mut passed_over, mut missing) = (Vec::new(), Vec::new());
        for source in &*self.sources {
            let content = source.read().await?;
            passed_over.extend(content.passed_over);
            for step in content.config.steps(resource) {
                if let Some(found) = self.take(source, step, &mut missing).await? {
                    return Ok(found);
                }
            }
        }
        self.missing_helpers.report(&missing);
        passed_over.extend(missing);
        Ok(FoundLogin {
            credential: None,
            origin: (!passed_over.is_empty()).then(|| passed_over.join("; ")),
        })
    }
    async fn take(
        &self,
        source: &ConfigSource,
        step: LookupStep<'_>,
        missing: &mut Vec<String>,
    ) -> Result<Option<FoundLogin>, Error> {
        let (suffix, servers, own) = match step {
            LookupStep::Auth(key, auth) => {
                let credential = auth
                    .credential()
                    .map_err(|why| source.broken(format!("the entry \"{key}\": {why}")))?;
                return Ok(Some(FoundLogin {
                    credential: Some(credential),
                    origin: Some(source.shown.clone()),
                }));
            }
            LookupStep::Helper {
                suffix,
                servers,
                own,
            } => (suffix, servers, own),
        };
        for server in servers {
            match self.helpers.get(suffix, &server, &source.shown).await? {
                HelperOutcome::Credential(credential) => {
                    return Ok(Some(FoundLogin {
                        credential: Some(credential),
                        origin: Some(format!(
                            "docker-credential-{suffix}, which {} names",
                            source.shown
                        )),
                    }));
                }
                HelperOutcome::Nothing => {}
                HelperOutcome::NotInstalled if own => {
                    let why = format!(
                        "docker-credential-{suffix}, its helper for {server}, is not installed"
                    );
                    return Err(source.broken(why).with_cause(Cause::CredentialHelper));
                }
                HelperOutcome::NotInstalled => {
                    missing.push(format!(
                        "docker-credential-{suffix}, which {} names, is not installed",
                        source.shown
                    ));
                    return Ok(None);
                }
            }
        }
        Ok(None)
    }
    /// Returns the warnings about missing helpers since the last call.
    pub(super) fn remove_warnings(&self) -> Vec<String> {
        self.missing_helpers.remove_warnings()
    }
    /// Drops cached contents because a login was refused.
    pub(super) fn forget(&self) {
        for source in &*self.sources {
            source
                .content
                .forget(|content| content.at.elapsed() >= YOUTH);
        }
    }
}

impl ConfigSource {
    fn file(path: PathBuf, named: bool, home: Option<&Path>) -> Self {
        let shown = match home.and_then(|home| path.strip_prefix(home).ok()) {
            Some(below) => format!("~/{}", below.display()),
            None => path.display().to_string(),
        };
        Self {
            place: ConfigLocation::File { path, named },
            shown,
            content: SingleFlight::default(),
        }
    }
    async fn read(&self) -> Result<ConfigContent, Error> {
        let is_good = |content: &ConfigContent| content.at.elapsed() < BELIEVED;
        self.content.get(is_good, self.load()).await
    }
    async fn load(&self) -> Result<ConfigContent, Error> {
        let mut passed_over = None;
        let bytes = match &self.place {
            ConfigLocation::Document(text) => text.reveal().as_bytes().to_vec(),
            ConfigLocation::File { path, named } => match read(path).await {
                Ok(bytes) => bytes,
                Err(error) if is_missing(error.kind()) => Vec::new(),
                Err(error) if *named => {
                    return Err(self.broken(format!("it cannot be read: {}", io_clause(&error))));
                }
                Err(error) => {
                    passed_over = Some(format!(
                        "{} cannot be read ({})",
                        self.shown,
                        io_clause(&error)
                    ));
                    Vec::new()
                }
            },
        };
        if bytes.len() as u64 > MAX_FILE {
            return Err(self.broken(format!("it is larger than {} KiB", MAX_FILE / 1024)));
        }
        let config = DockerConfig::parse(&bytes).map_err(|why| self.broken(why))?;
        Ok(ConfigContent {
            config: Arc::new(config),
            passed_over,
            at: Instant::now(),
        })
    }
    fn broken(&self, why: String) -> Error {
        Error::new(
            ErrorKind::Credentials,
            "read the credentials",
            &*self.shown,
            why,
        )
    }
}

async fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || read_regular(&path, MAX_FILE));
    // The task is lost only where the runtime ends.
    read.await.unwrap_or_else(|lost| Err(lost.into()))
}

fn is_missing(kind: IoErrorKind) -> bool {
    matches!(kind, IoErrorKind::NotFound | IoErrorKind::NotADirectory)
}
