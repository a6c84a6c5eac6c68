//! Access to a repository.

use crate::auth::Access;
use crate::client::Client;
use crate::error::{Error, ErrorKind};
use crate::reference::Repository;
use crate::transport::Endpoint;

/// Access to a repository, shared by all requests of one operation.
#[derive(Clone)]
pub(super) struct RepositoryContext {
    pub(super) repository: Repository,
    pub(super) endpoint: Endpoint,
    pub(super) access: Access,
    /// True if a newer credential was requested already.
    pub(super) renewed: bool,
    /// Number of the current try of the operation, from 1.
    pub(super) tries: u32,
}

impl Client {
    /// Returns the access to `repository`.
    pub(super) async fn repository_context(
        &self,
        repository: &Repository,
    ) -> Result<RepositoryContext, Error> {
        let registry = &self.inner.registry;
        if repository.registry() != registry {
            // A mistake of a caller must not send the credential of one registry to another.
            let action = format!("reach {repository}");
            let message = "that repository belongs to another registry";
            return Err(Error::new(
                ErrorKind::Refused,
                action,
                registry.as_str(),
                message,
            ));
        }
        let access = self.inner.keychain.access(repository).await;
        for warning in self.inner.keychain.remove_warnings() {
            self.warn(&warning);
        }
        let access = access.map_err(|error| error.with_repository(repository))?;
        let endpoint = Endpoint {
            registry: registry.clone(),
            insecure: access.insecure,
        };
        Ok(RepositoryContext {
            repository: repository.clone(),
            endpoint,
            access,
            renewed: false,
            tries: 1,
        })
    }
}
