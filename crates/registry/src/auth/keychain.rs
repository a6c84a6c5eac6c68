//! Which credential goes to which repository.

use std::sync::Arc;

use crate::auth::{DockerFiles, Secret};
use crate::error::Error;
use crate::reference::Repository;

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
    /// As whom.
    pub credential: Credential,
    /// Whether http, or https with any certificate, will do.
    pub insecure: bool,
    /// Where it was written, for messages.
    pub origin: String,
}

/// The credentials of a run: given entries first, longest prefix wins; else docker's and podman's files.
pub struct Keychain {
    #[allow(dead_code)]
    entries: Vec<Entry>,
    #[allow(dead_code)]
    files: Option<DockerFiles>,
    trusted_realms: Arc<[String]>,
}

impl Keychain {
    /// A keychain of given entries, with the credential files behind them unless `None`.
    ///
    /// # Errors
    /// When a prefix is not a registry or a path below one, or two prefixes mean the same.
    pub fn new(_entries: Vec<Entry>, _files: Option<DockerFiles>) -> Result<Self, Error> {
        todo!()
    }
    /// Names token servers, as `host` or `host:port`, that may see credentials although they belong to another
    /// domain than the registry that leads there.
    pub fn with_trusted_realms(mut self, realms: Vec<String>) -> Result<Self, Error> {
        self.trusted_realms = realms.into();
        Ok(self)
    }
    /// The token servers that the user named.
    pub fn trusted_realms(&self) -> Arc<[String]> {
        self.trusted_realms.clone()
    }
    /// Asks the files and helpers again because `stale` was refused for good: a helper may hold a newer password by
    /// now. `None` when what they answer is what was refused.
    pub async fn renewed(
        &self,
        _repository: &Repository,
        _stale: &Access,
    ) -> Result<Option<Access>, Error> {
        todo!()
    }
    /// How `repository` is reached. Answers of files and helpers are remembered for a limited time.
    pub async fn access(&self, _repository: &Repository) -> Result<Access, Error> {
        todo!()
    }
}
