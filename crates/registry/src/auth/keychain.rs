//! Selection of the credential for a repository.

use std::collections::HashMap;
use std::sync::Arc;

use crate::auth::credential::Credential;
use crate::auth::docker_files::{DockerFiles, FoundLogin};
use crate::auth::google;
use crate::error::{Error, ErrorKind};
use crate::reference::{Registry, Repository, Resource};

/// User name whose password is a service account in base64, on Google's registries.
const SERVICE_ACCOUNT_USER: &str = "_oauth2_";

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

/// An entry of the auth file: a registry, or a registry with a path prefix.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KeychainEntry {
    /// `registry` or `registry/namespace/…`, as written; a trailing `/` is fine.
    pub prefix: String,
    /// Credential. [`Credential::Anonymous`] means that the entry has no login: the files of docker and podman are
    /// then searched for one.
    pub credential: Credential,
    /// Allows http, and https with any certificate.
    pub insecure: bool,
    /// Place of the entry in messages.
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
    trusted_realms: Arc<[String]>,
}

/// A parsed entry.
#[derive(Debug)]
struct ParsedEntry {
    /// Path below the registry, empty for the whole registry.
    path: String,
    entry: KeychainEntry,
}

impl KeychainEntry {
    /// Returns an entry for `prefix` (`registry` or `registry/namespace/…`); `origin` is its place in messages.
    pub fn new(
        prefix: impl Into<String>,
        credential: Credential,
        origin: impl Into<String>,
    ) -> Self {
        Self {
            prefix: prefix.into(),
            credential,
            insecure: false,
            origin: origin.into(),
        }
    }
    /// Sets whether http, and https with any certificate, is allowed.
    #[must_use]
    pub fn with_insecure(mut self, insecure: bool) -> Self {
        self.insecure = insecure;
        self
    }
}

impl Keychain {
    /// Returns the credentials that `image-syncer` uses without an auth file: those of docker and podman
    /// ([`DockerFiles::from_env`]).
    pub fn from_env() -> Self {
        Self {
            entries: HashMap::new(),
            files: Some(DockerFiles::from_env()),
            trusted_realms: Arc::default(),
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
        for mut entry in entries {
            let (registry, path) = split(&entry)?;
            exchange_service_account(&registry, &mut entry)?;
            let siblings = by_registry.entry(registry).or_default();
            if let Some(other) = siblings.iter().find(|other| other.path == path) {
                return Err(duplicate(&other.entry, &entry));
            }
            siblings.push(ParsedEntry { path, entry });
        }
        Ok(Self {
            entries: by_registry,
            files,
            trusted_realms: Arc::default(),
        })
    }
    /// Adds token servers (`host` or `host:port`) that may receive credentials although they belong to another domain
    /// than the registry.
    ///
    /// # Errors
    /// If one is not a host: [`ErrorKind::Credentials`].
    pub fn with_trusted_realms(mut self, realms: Vec<String>) -> Result<Self, Error> {
        for realm in &realms {
            Registry::parse(realm)
                .map_err(|why| invalid(realm, format!("is not a host or host:port: {why}")))?;
        }
        self.trusted_realms = realms.into();
        Ok(self)
    }
    /// Returns the token servers that the user named.
    pub fn trusted_realms(&self) -> Arc<[String]> {
        self.trusted_realms.clone()
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
        if let Some(entry) = given.filter(|entry| entry.credential != Credential::Anonymous) {
            return Ok(Access {
                credential: entry.credential.clone(),
                insecure: entry.insecure,
                origin: entry.origin.clone(),
            });
        }
        let found = match &self.files {
            Some(files) => files.find(resource).await?,
            None => FoundLogin::default(),
        };
        let none = || match given {
            Some(entry) => format!("the entry {} in {} has none", entry.prefix, entry.origin),
            None => "no entry".to_owned(),
        };
        let origin = match (found.credential.is_some(), found.origin) {
            (true, Some(origin)) => origin,
            (_, Some(why)) => format!("{}; {why}", none()),
            (_, None) => none(),
        };
        Ok(Access {
            credential: found.credential.unwrap_or(Credential::Anonymous),
            insecure: given.is_some_and(|entry| entry.insecure),
            origin,
        })
    }
    /// Queries the files and helpers again because `stale` was refused: a helper may have a newer password. Returns
    /// `None` if they still return what was refused.
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
        if let Some(files) = &self.files {
            files.forget(&stale.credential);
        }
        let access = self.access_to(resource).await?;
        Ok((access.credential != stale.credential).then_some(access))
    }
    /// Returns the warnings about credential helpers that are not installed since the last call, each one once.
    pub fn remove_warnings(&self) -> Vec<String> {
        let files = self.files.as_ref();
        files.map(DockerFiles::remove_warnings).unwrap_or_default()
    }
    /// Returns the given entry that decides on `repository`, if there is one.
    pub fn entry(&self, repository: &Repository) -> Option<&KeychainEntry> {
        self.entry_for(&repository.into())
    }
    /// Returns the entry with the longest prefix of `resource`, at a `/` boundary. Of two prefixes that cover the same
    /// path, the one that is written out wins.
    fn entry_for(&self, resource: &Resource) -> Option<&KeychainEntry> {
        let siblings = self.entries.get(resource.registry())?;
        siblings
            .iter()
            .filter_map(|given| {
                Some((
                    covered(&given.path, resource.registry(), resource.path())?,
                    given,
                ))
            })
            .max_by_key(|(covered, given)| (*covered, given.path.len()))
            .map(|(_, given)| &given.entry)
    }
}

/// Returns the number of bytes of a `path` of `registry` that a prefix covers: all of it or its first components. The
/// empty prefix covers every path with 0 bytes.
pub(crate) fn covered(prefix: &str, registry: &Registry, path: &str) -> Option<usize> {
    // On Docker Hub `nginx` is both a namespace and short for `library/nginx`.
    if registry.is_docker_hub() && path.strip_prefix("library/") == Some(prefix) {
        return Some(path.len());
    }
    let covers = prefix.is_empty()
        || path
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    covers.then_some(prefix.len())
}

/// Splits the prefix of an entry into registry and path.
fn split(entry: &KeychainEntry) -> Result<(Registry, String), Error> {
    let prefix = entry.prefix.as_str();
    let refuse = |why: String| {
        let what = format!("the entry \"{prefix}\" in {}", entry.origin);
        Error::new(ErrorKind::Credentials, "read the credentials", what, why)
    };
    if let Some((scheme, rest)) = prefix.split_once("://") {
        return Err(refuse(format!(
            "an entry has no scheme: drop {scheme}://, and write {rest}"
        )));
    }
    let trimmed = prefix.strip_suffix('/').unwrap_or(prefix);
    let (host, path) = trimmed.split_once('/').unwrap_or((trimmed, ""));
    if !host.contains(['.', ':']) && host != "localhost" {
        return Err(refuse(format!(
            "\"{host}\" is not a registry, which has a dot or a port in its name: for Docker Hub write \
             docker.io/{trimmed}"
        )));
    }
    let registry = Registry::parse(host).map_err(|why| refuse(why.to_string()))?;
    if !path.is_empty() {
        // Only a path that a repository could begin with can ever cover one.
        Repository::new(registry.clone(), path).map_err(|why| refuse(why.to_string()))?;
    }
    Ok((registry, path.to_owned()))
}

fn exchange_service_account(registry: &Registry, entry: &mut KeychainEntry) -> Result<(), Error> {
    let Credential::Basic { username, password } = &entry.credential else {
        return Ok(());
    };
    if username != SERVICE_ACCOUNT_USER || !google::is_google(registry) {
        return Ok(());
    }
    let json = google::decode(password).map_err(|why| {
        let message = format!(
            "the password of user {SERVICE_ACCOUNT_USER} in {} {why}",
            entry.origin
        );
        Error::new(
            ErrorKind::Credentials,
            "read the credentials",
            &*entry.prefix,
            message,
        )
    })?;
    entry.credential = Credential::GoogleServiceAccount(json);
    Ok(())
}

fn duplicate(first: &KeychainEntry, second: &KeychainEntry) -> Error {
    let message = format!(
        "it means the same as {} in {}: keep one of them",
        first.prefix, first.origin
    );
    let what = format!("the entry \"{}\" in {}", second.prefix, second.origin);
    Error::new(
        ErrorKind::Credentials,
        "read the credentials",
        what,
        message,
    )
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
        let entry = |prefix: &&str| KeychainEntry {
            prefix: (*prefix).to_owned(),
            credential: Credential::Bearer(Secret::new("token")),
            insecure: false,
            origin: (*prefix).to_owned(),
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
