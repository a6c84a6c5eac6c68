//! How a repository is reached.

use crate::auth::Access;
use crate::client::Client;
use crate::error::{Error, ErrorKind};
use crate::reference::Repository;
use crate::transport::Endpoint;

/// How a repository is reached: what every request of one operation shares.
#[derive(Clone)]
pub(super) struct RepositoryContext {
    pub(super) repository: Repository,
    pub(super) endpoint: Endpoint,
    pub(super) access: Access,
    /// Whether a newer credential was already asked for.
    pub(super) renewed: bool,
    /// Which try of the operation is under way, from 1.
    pub(super) tries: u32,
}

impl Client {
    /// How `repository` is reached.
    pub(super) async fn repository_context(
        &self,
        repository: &Repository,
    ) -> Result<RepositoryContext, Error> {
        let registry = &self.inner.registry;
        if repository.registry() != registry {
            // The credential of one registry must not reach another by a caller's mistake.
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
