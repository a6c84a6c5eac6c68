//! Entries of the keychain: a registry or a path prefix, with its login.

use crate::auth::credential::Credential;
use crate::auth::google;
use crate::auth::login_choice::LoginChoice;
use crate::error::{Error, ErrorKind};
use crate::reference::{Registry, Repository, Resource};

/// User name whose password is a service account in base64, on Google's registries.
const SERVICE_ACCOUNT_USER: &str = "_oauth2_";

/// Login of a registry, or of a registry with a path prefix.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KeychainEntry {
    /// `registry` or `registry/namespace/…`, as written; a trailing `/` is fine.
    pub prefix: String,
    /// Login.
    pub login: LoginChoice,
    /// Allows http, and https with any certificate.
    pub insecure: bool,
    /// Place of the entry in messages.
    pub origin: String,
}

/// A parsed entry.
#[derive(Debug)]
pub(super) struct ParsedEntry {
    pub(super) registry: Registry,
    /// Path below the registry, empty for the whole registry.
    pub(super) path: String,
    pub(super) entry: KeychainEntry,
}

impl KeychainEntry {
    /// Returns an entry for `prefix` (`registry` or `registry/namespace/…`); `origin` is its place in messages. A
    /// [`Credential::Anonymous`] leaves the choice to the files of docker and podman ([`LoginChoice::Auto`]).
    pub fn new(
        prefix: impl Into<String>,
        login: impl Into<LoginChoice>,
        origin: impl Into<String>,
    ) -> Self {
        Self {
            prefix: prefix.into(),
            login: login.into(),
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

impl ParsedEntry {
    /// Parses the prefix of an entry, and decodes a service account in it.
    pub(super) fn new(mut entry: KeychainEntry) -> Result<Self, Error> {
        let (registry, path) = split(&entry)?;
        if let LoginChoice::Fixed(credential) = &entry.login {
            let credential = exchanged(credential.clone(), &registry, &entry)?;
            entry.login = LoginChoice::Fixed(credential);
        }
        Ok(Self {
            registry,
            path,
            entry,
        })
    }
    /// Returns the number of bytes of the path of `resource` that the entry covers.
    pub(super) fn covered(&self, resource: &Resource) -> Option<usize> {
        covered(&self.path, resource.registry(), resource.path())
    }
    /// Returns `credential`, or the service account that it holds.
    pub(super) fn exchanged(&self, credential: Credential) -> Result<Credential, Error> {
        exchanged(credential, &self.registry, &self.entry)
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

/// Returns `credential`, or the service account that the password of a special user holds on Google's registries.
fn exchanged(
    credential: Credential,
    registry: &Registry,
    entry: &KeychainEntry,
) -> Result<Credential, Error> {
    let Credential::Basic { username, password } = &credential else {
        return Ok(credential);
    };
    if username != SERVICE_ACCOUNT_USER || !google::is_google(registry) {
        return Ok(credential);
    }
    let json = google::decode(password).map_err(|why| {
        let origin = &entry.origin;
        let message = format!("the password of user {SERVICE_ACCOUNT_USER} in {origin} {why}");
        let what = entry.prefix.as_str();
        Error::new(
            ErrorKind::Credentials,
            "read the credentials",
            what,
            message,
        )
    })?;
    Ok(Credential::GoogleServiceAccount(json))
}

pub(super) fn duplicate(first: &KeychainEntry, second: &KeychainEntry) -> Error {
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
