//! Which credential goes to which repository.

use std::collections::HashMap;
use std::sync::Arc;

use crate::auth::docker_files::{DockerFiles, Found};
use crate::auth::google;
use crate::auth::secret::Secret;
use crate::error::{Error, ErrorKind};
use crate::reference::{Registry, Repository};

/// The user whose password is a service account in base64, on Google's registries.
const SERVICE_ACCOUNT_USER: &str = "_oauth2_";

/// What a registry is told about who we are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Credential {
    /// Nothing.
    Anonymous,
    /// User and password.
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: Secret,
    },
    /// An identity (refresh) token: exchanged for tokens by POST.
    Identity(Secret),
    /// A registry token: sent as Bearer as it is.
    Bearer(Secret),
    /// A Google service account (JSON, decoded), exchanged for access tokens (user `_oauth2_`).
    GoogleServiceAccount(Secret),
}

/// How a repository is reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Access {
    /// As whom.
    pub credential: Credential,
    /// Whether http, or https with any certificate, will do.
    pub insecure: bool,
    /// Where the credential comes from, for messages: `auth.yaml`, `~/.docker/config.json`, `no entry`.
    pub origin: String,
}

/// One entry of a given map: a registry, or a registry and a path prefix.
#[derive(Clone, Debug)]
pub struct Entry {
    /// `registry` or `registry/namespace/…`, as written; a trailing `/` is fine.
    pub prefix: String,
    /// As whom. [`Credential::Anonymous`] says that the entry gives no login: docker's and podman's files are then
    /// looked at for one, as if only `insecure` stood there.
    pub credential: Credential,
    /// Whether http, or https with any certificate, will do.
    pub insecure: bool,
    /// Where it was written, for messages.
    pub origin: String,
}

/// The credentials of a run: given entries first, longest prefix wins; else docker's and podman's files.
///
/// The nearest entry alone decides: one that gives no login is not filled up from an entry with a shorter prefix.
#[derive(Debug)]
pub struct Keychain {
    /// By registry, the longest path first.
    entries: HashMap<Registry, Vec<Given>>,
    files: Option<DockerFiles>,
    trusted_realms: Arc<[String]>,
}

/// An entry, understood.
#[derive(Debug)]
struct Given {
    /// Below the registry; empty for all of it.
    path: String,
    entry: Entry,
}

impl Keychain {
    /// A keychain of given entries, with the credential files behind them unless `None`. All names of Docker Hub are
    /// one registry. On Google's registries the password of user `_oauth2_` is the base64 of a service account's
    /// key file (compat.md section 2).
    ///
    /// # Errors
    /// When a prefix is not a registry or a path below one, two prefixes mean the same, or a service account cannot
    /// be read: [`ErrorKind::Credentials`].
    pub fn new(entries: Vec<Entry>, files: Option<DockerFiles>) -> Result<Self, Error> {
        let mut by_registry: HashMap<Registry, Vec<Given>> = HashMap::new();
        for mut entry in entries {
            let (registry, path) = split(&entry)?;
            exchange_service_account(&registry, &mut entry)?;
            let siblings = by_registry.entry(registry).or_default();
            if let Some(other) = siblings.iter().find(|other| other.path == path) {
                return Err(duplicate(&other.entry, &entry));
            }
            siblings.push(Given { path, entry });
        }
        for siblings in by_registry.values_mut() {
            siblings.sort_by_key(|given| std::cmp::Reverse(given.path.len()));
        }
        Ok(Self {
            entries: by_registry,
            files,
            trusted_realms: Arc::default(),
        })
    }
    /// Names token servers, as `host` or `host:port`, that may see credentials although they belong to another
    /// domain than the registry that leads there.
    ///
    /// # Errors
    /// When one is not a host: [`ErrorKind::Credentials`].
    pub fn with_trusted_realms(mut self, realms: Vec<String>) -> Result<Self, Error> {
        for realm in &realms {
            Registry::parse(realm)
                .map_err(|why| invalid(realm, format!("is not a host or host:port: {why}")))?;
        }
        self.trusted_realms = realms.into();
        Ok(self)
    }
    /// The token servers that the user named.
    pub fn trusted_realms(&self) -> Arc<[String]> {
        self.trusted_realms.clone()
    }
    /// How `repository` is reached. Answers of files and helpers are remembered for a limited time.
    ///
    /// # Errors
    /// When a credential file cannot be read or a helper fails: [`ErrorKind::Credentials`].
    pub async fn access(&self, repository: &Repository) -> Result<Access, Error> {
        let given = self.given(repository);
        if let Some(entry) = given.filter(|entry| entry.credential != Credential::Anonymous) {
            return Ok(Access {
                credential: entry.credential.clone(),
                insecure: entry.insecure,
                origin: entry.origin.clone(),
            });
        }
        let found = match &self.files {
            Some(files) => files.find(repository).await?,
            None => Found::default(),
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
    /// Asks the files and helpers again because `stale` was refused for good: a helper may hold a newer password by
    /// now. `None` when what they answer is what was refused.
    ///
    /// # Errors
    /// As [`Keychain::access`].
    pub async fn renewed(
        &self,
        repository: &Repository,
        stale: &Access,
    ) -> Result<Option<Access>, Error> {
        if let Some(files) = &self.files {
            files.forget(&stale.credential);
        }
        let access = self.access(repository).await?;
        Ok((access.credential != stale.credential).then_some(access))
    }
    /// The entry with the longest prefix of `repository`, at a `/` boundary.
    fn given(&self, repository: &Repository) -> Option<&Entry> {
        let siblings = self.entries.get(repository.registry())?;
        siblings
            .iter()
            .find(|given| covers(&given.path, repository.path()))
            .map(|given| &given.entry)
    }
}

/// Whether `prefix` is all of `path`, or all of its first components; the empty prefix covers everything.
fn covers(prefix: &str, path: &str) -> bool {
    prefix.is_empty()
        || path
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The registry of an entry, and the path below it.
fn split(entry: &Entry) -> Result<(Registry, String), Error> {
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

fn exchange_service_account(registry: &Registry, entry: &mut Entry) -> Result<(), Error> {
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

fn duplicate(first: &Entry, second: &Entry) -> Error {
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
