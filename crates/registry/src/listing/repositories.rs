//! Repositories of a registry, by the API that the registry has.

use std::sync::Arc;

use crate::client::{CatalogPages, Client};
use crate::error::{Cause, Error, ErrorKind};
use crate::listing::detection::Listing;
use crate::listing::pages::ApiPages;
use crate::listing::skipped::SkippedEntries;
use crate::listing::vendor::{ApiEntry, ApiList};
use crate::reference::{Repository, Resource};

/// Decides on a namespace by its path.
type NamespaceFilter = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// A page of repositories.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RepositoryPage {
    /// Repositories of this page. Each is listed once.
    pub repositories: Vec<Repository>,
    /// Number of repositories up to the end of this page.
    pub listed: u64,
    /// Number of all repositories, if the registry states it.
    pub total: Option<u64>,
}

/// Repositories of one registry, one page at a time, so that work can start before the list is complete.
pub struct RepositoryPages {
    client: Client,
    prefix: String,
    filter: Option<NamespaceFilter>,
    action: Arc<str>,
    source: Source,
    skipped: SkippedEntries,
    listed: u64,
}

/// Source of the next page.
#[allow(clippy::large_enum_variant, reason = "one for each listing")]
enum Source {
    /// The way to list is not known yet.
    Start,
    Catalog(CatalogPages),
    Api(ApiPages),
    End,
    /// A list that failed must not end as if it were complete.
    Failed(Error),
}

impl Client {
    /// Lists the repositories whose path begins with the components of `prefix` (`team-a`); the empty prefix is the
    /// whole registry. The API is that of the [settings](crate::Options::with_listings) for the registry and prefix.
    pub fn list_repositories(&self, prefix: &str) -> RepositoryPages {
        let registry = self.registry();
        let prefix = prefix.trim_end_matches('/');
        let place = if prefix.is_empty() {
            registry.to_string()
        } else {
            format!("{registry}/{prefix}")
        };
        RepositoryPages {
            client: self.clone(),
            prefix: prefix.to_owned(),
            filter: None,
            action: format!("list the repositories of {place}").into(),
            source: Source::Start,
            skipped: SkippedEntries::new("repository", "repositories"),
            listed: 0,
        }
    }
}

impl RepositoryPages {
    /// Leaves out whole namespaces, such as projects of Harbor: only those are listed whose name, the first component of
    /// paths, `filter` accepts. An API without namespaces lists everything, so the caller decides on each repository as
    /// well.
    #[must_use]
    pub fn with_namespaces(
        mut self,
        filter: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.filter = Some(Arc::new(filter));
        self
    }

    /// Returns the next page, or `None` at the end. Names that are no repositories are left out with a warning.
    ///
    /// # Errors
    /// If the registry has no list, the login may not read it, or the list cannot be complete: it repeats a page, ends
    /// before its stated total, does not end, or leads to another host.
    pub async fn next(&mut self) -> Result<Option<RepositoryPage>, Error> {
        let page = self.page().await;
        if let Err(error) = &page
            && !matches!(self.source, Source::Start)
        {
            self.source = Source::Failed(error.clone());
        }
        page
    }

    async fn page(&mut self) -> Result<Option<RepositoryPage>, Error> {
        if matches!(self.source, Source::Start) {
            self.source = self.start().await?;
        }
        loop {
            let (paths, total) = match &mut self.source {
                Source::Start | Source::End => return Ok(None),
                Source::Failed(error) => return Err(error.clone()),
                Source::Catalog(pages) => match pages.next().await? {
                    Some(page) => (Listed::Checked(page), None),
                    None => return Ok(self.end()),
                },
                Source::Api(pages) => {
                    let filter = self.filter.clone();
                    let wanted = move |list: &ApiList| match &filter {
                        Some(filter) => filter(list.owner()),
                        None => true,
                    };
                    match pages.next(&wanted).await? {
                        Some(entries) => (Listed::Named(entries), pages.total()),
                        None => return Ok(self.end()),
                    }
                }
            };
            let repositories = self.repositories(paths);
            if repositories.is_empty() {
                continue;
            }
            self.listed = self
                .listed
                .saturating_add(u64::try_from(repositories.len()).unwrap_or(u64::MAX));
            return Ok(Some(RepositoryPage {
                repositories,
                listed: self.listed,
                total,
            }));
        }
    }

    async fn start(&self) -> Result<Source, Error> {
        let (client, registry) = (&self.client, self.client.registry());
        let settings = client.listing_settings(&self.prefix);
        let refuse = |why: &str| {
            Error::new(ErrorKind::Refused, &*self.action, registry.as_str(), why)
                .with_cause(Cause::Rejected)
        };
        match client.listing(&settings).await? {
            Listing::None => Err(refuse(
                "lists are switched off for this registry (`list: none`); name the repositories, or set `list`",
            )),
            Listing::Catalog => Ok(Source::Catalog(client.catalog())),
            Listing::Vendor(api) => {
                let list = api.repositories(&self.prefix).map_err(|why| refuse(&why))?;
                let resource = self.resource();
                let access = client
                    .api_access(api, &settings, &resource, &self.action)
                    .await?;
                let action = Arc::clone(&self.action);
                Ok(Source::Api(ApiPages::new(client, access, list, action)))
            }
        }
    }

    /// Returns the resource whose login is used: the namespace, if it could be a repository.
    fn resource(&self) -> Resource {
        let registry = self.client.registry();
        match Repository::new(registry.clone(), &self.prefix) {
            // `library/team` would be another path.
            Ok(repository) if repository.path() == self.prefix => Resource::Repository(repository),
            _ => Resource::Registry(registry.clone()),
        }
    }

    fn end(&mut self) -> Option<RepositoryPage> {
        self.source = Source::End;
        self.skipped
            .finish(&self.client, self.client.registry().as_str());
        None
    }

    /// Returns the repositories below the prefix.
    fn repositories(&mut self, listed: Listed) -> Vec<Repository> {
        let mut repositories = match listed {
            Listed::Checked(repositories) => repositories,
            Listed::Named(entries) => {
                let registry = self.client.registry().clone();
                let mut parsed = Vec::with_capacity(entries.len());
                for entry in entries {
                    match Repository::new(registry.clone(), &entry.name) {
                        Ok(repository) => parsed.push(repository),
                        Err(why) => {
                            self.skipped
                                .skip(&self.client, registry.as_str(), &why.to_string());
                        }
                    }
                }
                parsed
            }
        };
        repositories.retain(|repository| is_below(repository.path(), &self.prefix));
        repositories
    }
}

/// Entries of a page.
enum Listed {
    Checked(Vec<Repository>),
    Named(Vec<ApiEntry>),
}

/// Returns whether `path` begins with the components of `prefix`.
fn is_below(path: &str, prefix: &str) -> bool {
    prefix.is_empty()
        || path
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_at_a_component() {
        for (path, prefix, expected) in [
            ("team/a", "team", true),
            ("team", "team", true),
            ("teams/a", "team", false),
            ("team/a/b", "team/a", true),
            ("x", "", true),
        ] {
            assert_eq!(is_below(path, prefix), expected, "{path} {prefix}");
        }
    }
}
