//! Repositories of a registry (docs/protocol.md#catalog).

use crate::auth::ScopeSet;
use crate::client::Client;
use crate::client::name_list::{ListKind, ListRequest, NameList};
use crate::error::{Cause, Error, ErrorKind};
use crate::reference::Repository;

/// Advice for a registry that does not list its repositories.
const NO_CATALOG: &str =
    "the registry does not list its repositories (`GET /v2/_catalog`): name them instead";
/// Advice for a login that may not list them.
const NO_RIGHT: &str = "most registries list their repositories for administrators only: use such a login, or name them instead";

/// Repositories of one registry, one page at a time.
pub struct CatalogPages(NameList);

impl Client {
    /// Lists the repositories of the registry (`GET /v2/_catalog`): those that the login may see. Registries that many
    /// share (Docker Hub, GHCR, Quay) have no such list, and others restrict it to administrators.
    pub fn catalog(&self) -> CatalogPages {
        let registry = self.registry();
        let request = ListRequest {
            resource: registry.into(),
            scopes: ScopeSet::catalog(),
            path: "_catalog",
            action: format!("list the repositories of {registry}").into(),
            kind: ListKind::Repositories,
        };
        CatalogPages(NameList::new(self, request))
    }
}

impl CatalogPages {
    /// Returns the next page, or `None` at the end. Each repository is returned once. Names that are no repositories are
    /// left out with a warning, and lists are followed within the limits of [`TagPages`](crate::TagPages::next).
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the registry has no such list, and [`ErrorKind::Denied`] or
    /// [`ErrorKind::Unauthorized`] if the login may not read it.
    pub async fn next(&mut self) -> Result<Option<Vec<Repository>>, Error> {
        let registry = self.0.client().registry().clone();
        let parse = |path: &str| {
            let repository = Repository::new(registry.clone(), path);
            repository.map_err(|error| error.to_string())
        };
        self.0.next(parse).await.map_err(explain)
    }
}

/// Adds advice to an error that is about the whole list.
fn explain(error: Error) -> Error {
    match (error.kind(), error.status().map(|status| status.as_u16())) {
        (ErrorKind::NotFound, _) | (_, Some(405 | 501)) => error
            .with_kind(ErrorKind::NotFound)
            .with_cause(Cause::NotFound)
            .with_clause(NO_CATALOG),
        (ErrorKind::Denied, _) => error.with_clause(NO_RIGHT),
        (ErrorKind::Unauthorized, _) if error.cause() == Cause::NoPullRight => {
            error.with_clause(NO_RIGHT)
        }
        _ => error,
    }
}
