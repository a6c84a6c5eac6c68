//! Registries that this one redirects to and that require a login of their own.
//!
//! A vanity name may redirect every request to a registry with its own token server. Such a request is authorized for
//! the host that answers it, with that host's login, and never with the login of the vanity name. A host becomes a
//! target by its first 401 with a challenge. From then on, redirects of the registry are followed here instead of in
//! the transport, so that a request to a target has its `Authorization` at once.

use std::sync::Mutex;

use http::HeaderValue;
use url::Url;

use crate::auth::Credential;
use crate::auth::challenge_in;
use crate::client::Client;
use crate::client::checked_url::CheckedUrl;
use crate::client::request::RequestSpec;
use crate::client::request_context::RequestContext;
use crate::error::Error;
use crate::lock::lock;
use crate::reference::{Registry, Repository, Resource};
use crate::transport::Response;

/// Maximum number of targets of one registry. Beyond it, a 401 elsewhere is an answer like any other.
const MAX_TARGETS: usize = 16;
/// Parts of an API path that follow the name of a repository.
const FAMILIES: [&str; 4] = ["/manifests/", "/blobs/", "/tags/", "/referrers/"];

/// Clients of the targets of one registry.
#[derive(Default)]
pub(super) struct RedirectTargets(Mutex<Vec<Client>>);

/// A request as it is sent to a target.
pub(super) struct TargetRequest {
    pub(super) client: Client,
    pub(super) context: RequestContext,
    pub(super) request: RequestSpec,
}

impl RedirectTargets {
    pub(super) fn is_empty(&self) -> bool {
        lock(&self.0).is_empty()
    }
    /// Returns the client of the target at the host of `url`.
    pub(super) fn find(&self, url: &Url) -> Option<Client> {
        let registry = registry_at(url)?;
        let targets = lock(&self.0);
        let found = targets.iter().find(|client| *client.registry() == registry);
        found.cloned()
    }
    fn find_or_add(&self, registry: &Registry, create: impl FnOnce() -> Client) -> Option<Client> {
        let mut targets = lock(&self.0);
        if let Some(found) = targets.iter().find(|client| client.registry() == registry) {
            return Some(found.clone());
        }
        if targets.len() >= MAX_TARGETS {
            return None;
        }
        let client = create();
        targets.push(client.clone());
        Some(client)
    }
}

impl TargetRequest {
    /// Decides on a 401 of the target.
    pub(super) async fn refused(
        &mut self,
        used: Option<&HeaderValue>,
        response: Response,
        again: u32,
    ) -> Result<Option<Error>, Error> {
        let Self {
            client,
            context,
            request,
        } = self;
        Box::pin(client.refused(context, request, used, response, again)).await
    }
}

impl Client {
    /// Returns `request` as it is sent to `address`, if that belongs to a target. The address is then one of its own.
    pub(super) async fn target_request(
        &self,
        context: &RequestContext,
        request: &RequestSpec,
        address: &mut CheckedUrl,
    ) -> Result<Option<Box<TargetRequest>>, Error> {
        if address.home {
            return Ok(None);
        }
        let Some(client) = self.inner.targets.find(&address.url) else {
            return Ok(None);
        };
        let found = Box::pin(self.request_at(client, context, request, &address.url)).await?;
        address.home = found.is_some();
        Ok(found)
    }
    /// Returns whether `address` belongs to this registry or to a target.
    pub(super) fn is_own(&self, address: &CheckedUrl) -> bool {
        address.home || self.inner.targets.find(&address.url).is_some()
    }
    /// Like [`Client::refused`], for a request to any address that may belong to a target.
    pub(super) async fn refused_at(
        &self,
        context: &mut RequestContext,
        request: &RequestSpec,
        used: Option<&HeaderValue>,
        response: Response,
        again: u32,
    ) -> Result<Option<Error>, Error> {
        let base = self.base(context, &request.action).await?;
        let mut address = request.address(&base)?;
        match self.target_request(context, request, &mut address).await? {
            Some(mut target) => target.refused(used, response, again).await,
            None => Box::pin(self.refused(context, request, used, response, again)).await,
        }
    }
    /// Returns `request` as it is sent to the host of `response`, a 401 of another host than the registry's own, if that is
    /// a registry with a challenge. The host is a target from then on.
    pub(super) async fn learn_target(
        &self,
        context: &RequestContext,
        request: &RequestSpec,
        response: &Response,
    ) -> Result<Option<Box<TargetRequest>>, Error> {
        if repository_path(&response.url).is_none() || !challenge_in(&response.headers) {
            return Ok(None);
        }
        let Some(registry) = registry_at(&response.url) else {
            return Ok(None);
        };
        if registry == self.inner.registry {
            return Ok(None);
        }
        let create = || self.client_of_target(&registry);
        match self.inner.targets.find_or_add(&registry, create) {
            Some(client) => {
                Box::pin(self.request_at(client, context, request, &response.url)).await
            }
            None => Ok(None),
        }
    }
    /// Returns `request` as it is sent to `url` at the registry of `client`.
    async fn request_at(
        &self,
        client: Client,
        context: &RequestContext,
        request: &RequestSpec,
        url: &Url,
    ) -> Result<Option<Box<TargetRequest>>, Error> {
        let registry = client.registry().clone();
        let Some(repository) =
            repository_path(url).and_then(|path| Repository::new(registry.clone(), path).ok())
        else {
            return Ok(None);
        };
        let access = self.inner.keychain.access(&repository).await?;
        // The permission to skip verification is given for the registry that redirects. It covers the target only if no
        // secret is sent there.
        let is_anonymous = access.credential == Credential::Anonymous;
        let mut endpoint = self.inner.transport.endpoint(&registry, access.insecure);
        if is_anonymous {
            let redirecting = context.endpoint.exceptions;
            endpoint.exceptions = endpoint.exceptions.union(redirecting);
        }
        let mut request = request.clone();
        if repository.path() != context.resource.path() {
            request.scopes = request.scopes.moved_to(&repository);
        }
        // A registry of the public internet leads to public addresses only.
        request.public_only |= !self.inner.transport.is_inside(&self.inner.registry);
        Ok(Some(Box::new(TargetRequest {
            context: RequestContext {
                resource: Resource::Repository(repository),
                endpoint,
                access,
                renewed: false,
                tries: context.tries,
            },
            client,
            request,
        })))
    }
}

/// Returns the registry at the host of `url`.
fn registry_at(url: &Url) -> Option<Registry> {
    let host = url.host_str()?;
    let name = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    Registry::parse(&name).ok()
}

/// Returns the repository in the path of `url`, if that is one of the distribution API.
fn repository_path(url: &Url) -> Option<&str> {
    let path = url.path().strip_prefix("/v2/")?;
    let ends = FAMILIES.iter().filter_map(|family| path.rfind(family));
    path.get(..ends.max()?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn repositories_are_found_in_paths_of_the_api() {
        for (url, found) in [
            ("https://r.example/v2/a/b/manifests/v1", Some("a/b")),
            ("https://r.example/v2/a/blobs/sha256:1", Some("a")),
            ("https://r.example/v2/a/blobs/uploads/1?x=/tags/", Some("a")),
            ("https://r.example/v2/blobs/x/tags/list", Some("blobs/x")),
            ("https://r.example/v2/", None),
            ("https://r.example/storage/v2/a/manifests/v1", None),
            ("https://r.example/v2/a/other", None),
        ] {
            assert_eq!(repository_path(&Url::parse(url).unwrap()), found, "{url}");
        }
    }
}
