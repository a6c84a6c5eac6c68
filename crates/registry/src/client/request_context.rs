//! Access to a repository, or to a registry as a whole.

use crate::auth::Access;
use crate::client::Client;
use crate::error::{Error, ErrorKind};
use crate::reference::Resource;
use crate::transport::Endpoint;

/// Access to a resource, shared by all requests of one operation.
#[derive(Clone)]
pub(super) struct RequestContext {
    pub(super) resource: Resource,
    pub(super) endpoint: Endpoint,
    pub(super) access: Access,
    /// True if a newer credential was requested already.
    pub(super) renewed: bool,
    /// Number of the current try of the operation, from 1.
    pub(super) tries: u32,
}

impl Client {
    /// Returns the access to a registry or a repository.
    pub(super) async fn request_context(
        &self,
        resource: impl Into<Resource>,
    ) -> Result<RequestContext, Error> {
        let resource = resource.into();
        let registry = &self.inner.registry;
        if resource.registry() != registry {
            // A mistake of a caller must not send the credential of one registry to another.
            let action = match &resource {
                Resource::Registry(registry) => format!("reach {registry}"),
                Resource::Repository(repository) => format!("reach {repository}"),
            };
            let message = "that repository belongs to another registry";
            return Err(Error::new(
                ErrorKind::Refused,
                action,
                registry.as_str(),
                message,
            ));
        }
        let access = self.inner.keychain.access_to(&resource).await;
        for warning in self.inner.keychain.remove_warnings() {
            self.warn(&warning);
        }
        let access = access.map_err(|error| error.with_resource(&resource))?;
        let endpoint = self.inner.transport.endpoint(registry, access.insecure);
        Ok(RequestContext {
            resource,
            endpoint,
            access,
            renewed: false,
            tries: 1,
        })
    }
}
