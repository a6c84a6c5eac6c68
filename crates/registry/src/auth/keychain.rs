//! Selection of the credential for a repository.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use crate::allowed_hosts::AllowedHosts;
use crate::auth::credential::Credential;
use crate::auth::docker_config::servers;
use crate::auth::docker_files::{DockerFiles, FoundLogin};
use crate::auth::entry::{KeychainEntry, ParsedEntry, duplicate};
use crate::auth::helper::{HelperOutcome, Helpers};
use crate::auth::login_choice::{FileLogin, LoginChoice};
use crate::error::{Cause, Error, ErrorKind};
use crate::lock::lock;
use crate::reference::{Registry, Repository, Resource};

/// Maximum number of secret files that are reported.
const MAX_REPORTED: usize = 256;

/// Credential and connection settings of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Access {
    /// Credential.
    pub credential: Credential,
    /// Allows http, and https with any certificate.
    pub insecure: bool,
    /// Origin of the credential in messages: `auth.yaml`, `~/.docker/config.json`, `no entry`.
    pub origin: String,
}

/// Credentials of a run: the entry with the longest matching prefix, or else the files of docker and podman.
///
/// Only the entry with the longest prefix decides: one without a login is not completed by an entry with a shorter
/// prefix.
#[derive(Debug, Default)]
pub struct Keychain {
    /// Entries by registry.
    entries: HashMap<Registry, Vec<ParsedEntry>>,
    files: Option<DockerFiles>,
    helpers: Arc<Helpers>,
    unread: UnreadFiles,
    trusted_realms: AllowedHosts,
}

/// Secret files that could not be read again. Each is reported once.
#[derive(Debug, Default)]
struct UnreadFiles(Mutex<(HashSet<String>, Vec<String>)>);

impl UnreadFiles {
    fn report(&self, why: &str) {
        let mut state = lock(&self.0);
        let (reported, warnings) = &mut *state;
        if reported.len() < MAX_REPORTED && reported.insert(why.to_owned()) {
            warnings.push(format!(
                "a login was refused, and {why}: its last content is used"
            ));
        }
    }
    fn remove(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.0).1)
    }
}

impl Keychain {
    /// Returns the credentials that `image-syncer` uses without an auth file: those of docker and podman
    /// ([`DockerFiles::from_env`]).
    pub fn from_env() -> Self {
        Self {
            files: Some(DockerFiles::from_env()),
            ..Self::default()
        }
    }
    /// Creates a keychain of entries, with the credential files as fallback unless `None`. All names of Docker Hub are
    /// one registry. On Google's registries the password of user `_oauth2_` is the base64 of a service account's key
    /// file (docs/files.md#credentials).
    ///
    /// # Errors
    /// If a prefix is not a registry or a path below one, two prefixes mean the same, or a service account cannot
    /// be read: [`ErrorKind::Credentials`].
    pub fn new(entries: Vec<KeychainEntry>, files: Option<DockerFiles>) -> Result<Self, Error> {
        let mut by_registry: HashMap<Registry, Vec<ParsedEntry>> = HashMap::new();
        for entry in entries {
            let parsed = ParsedEntry::new(entry)?;
            let siblings = by_registry.entry(parsed.registry.clone()).or_default();
            if let Some(other) = siblings.iter().find(|other| other.path == parsed.path) {
                return Err(duplicate(&other.entry, &parsed.entry));
            }
            siblings.push(parsed);
        }
        Ok(Self {
            entries: by_registry,
            helpers: files.as_ref().map(DockerFiles::helpers).unwrap_or_default(),
            files,
            ..Self::default()
        })
    }
    /// Sets the token servers (`host` or `host:port`) that may receive credentials although they belong to another domain
    /// than the registry.
    ///
    /// # Errors
    /// If one is not a host: [`ErrorKind::Credentials`].
    pub fn with_trusted_realms(mut self, realms: impl Into<AllowedHosts>) -> Result<Self, Error> {
        let realms = realms.into();
        for realm in realms.iter() {
            Registry::parse(realm)
                .map_err(|why| invalid(realm, format!("is not a host or host:port: {why}")))?;
        }
        self.trusted_realms = realms;
        Ok(self)
    }
    /// Returns the token servers that the user named for `registry`, and for all registries.
    pub fn trusted_realms(&self, registry: &Registry) -> Arc<[String]> {
        self.trusted_realms.for_registry(registry)
    }
    /// Returns credential and connection settings of `repository`. Answers of files and helpers are cached for a
    /// limited time.
    ///
    /// # Errors
    /// If a credential file cannot be read or a helper fails: [`ErrorKind::Credentials`].
    pub async fn access(&self, repository: &Repository) -> Result<Access, Error> {
        self.access_to(&repository.into()).await
    }
    /// Like [`Keychain::access`], for a registry as a whole as well: then only what is said of the whole registry counts.
    pub(crate) async fn access_to(&self, resource: &Resource) -> Result<Access, Error> {
        let given = self.entry_for(resource);
        let (credential, origin) = match given {
            // Boxed, so that requests stay small: helpers are processes.
            Some(parsed) => Box::pin(self.login(parsed, resource)).await?,
            None => Box::pin(self.docker_login(resource, "no entry")).await?,
        };
        Ok(Access {
            credential,
            insecure: given.is_some_and(|parsed| parsed.entry.insecure),
            origin,
        })
    }
    /// Returns the credential that `entry` chooses. Other entries of its host do not matter.
    pub(crate) async fn access_with(&self, entry: KeychainEntry) -> Result<Access, Error> {
        let parsed = ParsedEntry::new(entry)?;
        let resource = Resource::Registry(parsed.registry.clone());
        let (credential, origin) = self.login(&parsed, &resource).await?;
        Ok(Access {
            credential,
            insecure: parsed.entry.insecure,
            origin,
        })
    }
    /// Like [`Keychain::renewed`], for the credential that `entry` chooses.
    pub(crate) async fn renewed_with(
        &self,
        entry: KeychainEntry,
        stale: &Access,
    ) -> Result<Option<Access>, Error> {
        let parsed = ParsedEntry::new(entry.clone())?;
        self.refresh(Some(&parsed), stale).await;
        let access = self.access_with(entry).await?;
        Ok((access.credential != stale.credential).then_some(access))
    }
    /// Returns the credential that an entry chooses, and its origin.
    async fn login(
        &self,
        parsed: &ParsedEntry,
        resource: &Resource,
    ) -> Result<(Credential, String), Error> {
        let KeychainEntry { prefix, origin, .. } = &parsed.entry;
        match &parsed.entry.login {
            LoginChoice::Auto => {
                let none = format!("the entry {prefix} in {origin} has none");
                self.docker_login(resource, &none).await
            }
            LoginChoice::Anonymous => {
                let origin = format!("the entry {prefix} in {origin} says anonymous");
                Ok((Credential::Anonymous, origin))
            }
            LoginChoice::Docker => {
                let required = format!(
                    "docker and podman have no login for it, and the entry {prefix} in {origin} requires one"
                );
                let (credential, origin) = self.docker_login(resource, &required).await?;
                if credential == Credential::Anonymous {
                    let registry = resource.registry();
                    let why = format!("{origin}: run docker login {registry}");
                    return Err(no_credential(registry, why));
                }
                Ok((credential, origin))
            }
            LoginChoice::Helper(name) => self.helper_login(parsed, name).await,
            LoginChoice::Fixed(credential) => Ok((credential.clone(), origin.clone())),
            LoginChoice::File(login) => Ok((
                parsed.exchanged(login.credential())?,
                format!("{}, which {origin} names", login.path().display()),
            )),
        }
    }
    /// Returns the login of docker or podman, and its origin, which begins with `none` if they have none.
    async fn docker_login(
        &self,
        resource: &Resource,
        none: &str,
    ) -> Result<(Credential, String), Error> {
        let found = match &self.files {
            Some(files) => files.find(resource).await?,
            None => FoundLogin::default(),
        };
        Ok(match (found.credential, found.origin) {
            (Some(credential), Some(origin)) => (credential, origin),
            (Some(credential), None) => (credential, none.to_owned()),
            (None, Some(why)) => (Credential::Anonymous, format!("{none}; {why}")),
            (None, None) => (Credential::Anonymous, none.to_owned()),
        })
    }
    /// Returns the login of a credential helper, and its origin. The helper is queried for the path as well.
    async fn helper_login(
        &self,
        parsed: &ParsedEntry,
        name: &str,
    ) -> Result<(Credential, String), Error> {
        let ParsedEntry {
            registry,
            path,
            entry,
        } = parsed;
        let program = format!("docker-credential-{name}, which {} names,", entry.origin);
        let below = (!path.is_empty()).then(|| format!("{registry}/{path}"));
        let of_registry = servers(registry, registry.as_str());
        for server in below.into_iter().chain(of_registry) {
            match self.helpers.get(name, &server, &entry.origin).await? {
                HelperOutcome::Credential(credential) => {
                    let origin = program.trim_end_matches(',').to_owned();
                    return Ok((credential, origin));
                }
                HelperOutcome::Nothing => {}
                HelperOutcome::NotInstalled => {
                    let why = format!("{program} is not installed");
                    let error = no_credential(registry, why);
                    return Err(error.with_cause(Cause::CredentialHelper));
                }
            }
        }
        let why = format!("{program} has no login for it");
        let error = no_credential(registry, why);
        Err(error.with_cause(Cause::CredentialHelper))
    }
    /// Queries the files and helpers again because `stale` was refused: they may have a newer password. Returns `None`
    /// if they still return what was refused.
    ///
    /// # Errors
    /// As [`Keychain::access`].
    pub async fn renewed(
        &self,
        repository: &Repository,
        stale: &Access,
    ) -> Result<Option<Access>, Error> {
        self.renewed_for(&repository.into(), stale).await
    }
    /// Like [`Keychain::renewed`], for a registry as a whole as well.
    pub(crate) async fn renewed_for(
        &self,
        resource: &Resource,
        stale: &Access,
    ) -> Result<Option<Access>, Error> {
        self.refresh(self.entry_for(resource), stale).await;
        let access = self.access_to(resource).await?;
        Ok((access.credential != stale.credential).then_some(access))
    }
    /// Drops what was read from files and helpers, since `stale` was refused.
    async fn refresh(&self, parsed: Option<&ParsedEntry>, stale: &Access) {
        if let Some(files) = &self.files {
            files.forget();
        }
        self.helpers.forget(&stale.credential);
        if let Some(parsed) = parsed
            && let LoginChoice::File(login) = &parsed.entry.login
        {
            self.read_again(parsed, login, &stale.credential).await;
        }
    }
    /// Reads the file of a login again, whose credential `stale` was refused.
    async fn read_again(&self, parsed: &ParsedEntry, login: &FileLogin, stale: &Credential) {
        let is_stale = |credential: &Credential| {
            let exchanged = parsed.exchanged(credential.clone());
            exchanged.is_ok_and(|credential| credential == *stale)
        };
        if let Err(why) = login.renewed(is_stale).await {
            self.unread.report(&why);
        }
    }
    /// Returns the warnings since the last call, each one once: credential helpers that are not installed, and files
    /// with secrets that cannot be read again.
    pub fn remove_warnings(&self) -> Vec<String> {
        let files = self.files.as_ref();
        let mut warnings = files.map(DockerFiles::remove_warnings).unwrap_or_default();
        warnings.extend(self.unread.remove());
        warnings
    }
    /// Returns the given entries, in no order.
    pub fn entries(&self) -> impl Iterator<Item = &KeychainEntry> {
        let entries = self.entries.values().flatten();
        entries.map(|parsed| &parsed.entry)
    }
    /// Reads the files with secrets again, and returns true if one of them has another secret.
    pub(crate) fn refresh_secret_files(&self) -> bool {
        let files = self.entries();
        let files = files.filter_map(|entry| entry.login.secret_file());
        // All of them are read.
        files.fold(false, |is_other, file| file.refresh() | is_other)
    }
    /// Returns the given entry that decides on `repository`, if there is one.
    pub fn entry(&self, repository: &Repository) -> Option<&KeychainEntry> {
        self.entry_for(&repository.into())
            .map(|parsed| &parsed.entry)
    }
    /// Returns the entry with the longest prefix of `resource`, at a `/` boundary. Of two prefixes that cover the same
    /// path, the one that is written out wins.
    fn entry_for(&self, resource: &Resource) -> Option<&ParsedEntry> {
        let siblings = self.entries.get(resource.registry())?;
        siblings
            .iter()
            .filter_map(|given| Some((given.covered(resource)?, given)))
            .max_by_key(|(covered, given)| (*covered, given.path.len()))
            .map(|(_, given)| given)
    }
}

fn no_credential(registry: &Registry, why: String) -> Error {
    let what = registry.as_str();
    Error::new(ErrorKind::Credentials, "read the credentials", what, why)
}

fn invalid(what: &str, why: String) -> Error {
    Error::new(ErrorKind::Credentials, "read the trusted realms", what, why)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;

    use super::*;
    use crate::auth::secret::Secret;

    /// Returns the entry among `prefixes` that decides on `repository`.
    async fn decides(prefixes: &[&str], repository: &str) -> String {
        let entry = |prefix: &&str| {
            let token = Credential::Bearer(Secret::new("token"));
            KeychainEntry::new(*prefix, token, *prefix)
        };
        let entries = prefixes.iter().map(entry).collect();
        let repository = Repository::parse(repository).unwrap();
        let keychain = Keychain::new(entries, None).unwrap();
        keychain.access(&repository).await.unwrap().origin
    }

    #[tokio::test]
    async fn the_key_that_covers_most_wins_and_may_be_the_whole_repository() {
        let prefixes = [
            "q.io",
            "q.io/a/b",
            "q.io/a/b/c/",
            "q.io/a/",
            "q.io:5000",
            "r.io/a",
        ];
        for (repository, expected) in [
            ("q.io/x", "q.io"),
            ("q.io/ab/c", "q.io"),
            ("q.io/a", "q.io/a/"),
            ("q.io/a/bc", "q.io/a/"),
            ("q.io/a/b", "q.io/a/b"),
            ("q.io/a/b/c", "q.io/a/b/c/"),
            ("q.io/a/b/c/d", "q.io/a/b/c/"),
            ("q.io:5000/a/b", "q.io:5000"),
            ("r.io/a", "r.io/a"),
            ("r.io/b", "no entry"),
            ("docker.io/q.io/a", "no entry"),
        ] {
            assert_eq!(
                decides(&prefixes, repository).await,
                expected,
                "{repository}"
            );
        }
    }

    #[tokio::test]
    async fn a_whole_registry_has_the_login_of_its_own_entry_alone() {
        let entry = |prefix: &&str| {
            let token = Credential::Bearer(Secret::new("token"));
            KeychainEntry::new(*prefix, token, *prefix)
        };
        let registry = Resource::Registry(Registry::parse("q.io").unwrap());
        for (prefixes, expected) in [
            (&["q.io/team", "q.io"][..], "q.io"),
            (&["q.io/team"], "no entry"),
        ] {
            let keychain = Keychain::new(prefixes.iter().map(entry).collect(), None).unwrap();
            assert_eq!(
                keychain.access_to(&registry).await.unwrap().origin,
                expected
            );
        }
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.json");
        let login = |user: &str| {
            let encoded = BASE64.encode(format!("{user}:pw"));
            format!(r#"{{"auth":"{encoded}"}}"#)
        };
        let auths = format!(r#""q.io/team":{},"q.io":{}"#, login("team"), login("all"));
        std::fs::write(&file, format!(r#"{{"auths":{{{auths}}}}}"#)).unwrap();
        let files = DockerFiles::from_paths([file]);
        let keychain = Keychain::new(Vec::new(), Some(files)).unwrap();
        let access = keychain.access_to(&registry).await.unwrap();
        assert_eq!(access.credential.user(), "all");
    }

    #[tokio::test]
    async fn every_name_of_docker_hub_serves_every_name_of_its_images() {
        for name in [
            "docker.io",
            "index.docker.io",
            "registry-1.docker.io",
            "registry.hub.docker.com",
        ] {
            let (user, nginx) = (format!("{name}/user"), format!("{name}/nginx"));
            let prefixes = [name, "docker.io/library", &*user, &*nginx];
            for (repository, expected) in [
                ("other/app", name),
                ("user/app", &*user),
                ("redis", "docker.io/library"),
                ("nginx", &*nginx),
                ("docker.io/library/nginx", &*nginx),
                ("registry.hub.docker.com/nginx", &*nginx),
                ("nginx/app", &*nginx),
            ] {
                assert_eq!(
                    decides(&prefixes, repository).await,
                    expected,
                    "{repository}"
                );
            }
        }
        // Of two that mean the repository, the one that is written out; elsewhere `nginx` is not `library/nginx`.
        let both = ["docker.io/nginx", "docker.io/library/nginx", "q.io/nginx"];
        assert_eq!(decides(&both, "nginx").await, "docker.io/library/nginx");
        assert_eq!(decides(&both, "q.io/library/nginx").await, "no entry");
    }
}
