//! GitHub's API for packages: the containers of an organisation or user, and their versions with digests and tags.
//! Every request needs a token. A `Link` leads to the next page; there are no totals.
//!
//! Form of the answers: <https://docs.github.com/en/rest/packages/packages>, "List packages for an organization" and
//! "List package versions for a package owned by an organization", and the same for users.

use http::StatusCode;
use serde::Deserialize;

use crate::client::{in_query, next_link};
use crate::listing::document;
use crate::listing::time::rfc3339;
use crate::listing::vendor::{
    ApiAnswer, ApiEntry, ApiList, ApiPage, ApiRequest, ListContent, LoginForm, PAGE_SIZE,
    PageContent, Position, VendorApi,
};
use crate::reference::{Registry, Repository};

/// GitHub's API for packages.
#[derive(Debug)]
pub(super) struct Ghcr;

#[derive(Deserialize)]
struct Package {
    /// Name below the owner.
    name: String,
}

#[derive(Deserialize)]
struct Version {
    /// Digest of the manifest.
    name: String,
    #[serde(default)]
    updated_at: Option<String>,
    #[serde(default)]
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    container: Option<Container>,
}

#[derive(Deserialize)]
struct Container {
    #[serde(default)]
    tags: Option<Vec<String>>,
}

impl VendorApi for Ghcr {
    fn name(&self) -> &'static str {
        "the GitHub API"
    }

    fn base(&self, registry: &Registry) -> Option<&'static str> {
        (registry.as_str() == "ghcr.io").then_some("https://api.github.com/")
    }

    fn login_form(&self) -> LoginForm {
        LoginForm::Bearer
    }

    fn login_advice(&self) -> &'static str {
        "lists of packages need a personal access token (classic) with the scope `read:packages`, as the password of \
         the registry or as `api-login`; or name the repositories"
    }

    fn repositories(&self, prefix: &str) -> Result<ApiList, String> {
        match prefix.split('/').next() {
            None | Some("") => Err(
                "GitHub lists the packages of one owner at a time; name the owner before the wildcard, as in \
                 `ghcr.io/OWNER/**`"
                    .to_owned(),
            ),
            Some(owner) => Ok(ApiList::new(ListContent::Repositories, owner)),
        }
    }

    fn tags(&self, repository: &Repository) -> ApiList {
        ApiList::new(ListContent::Tags, repository.path())
    }

    fn request(&self, page: &ApiPage) -> ApiRequest {
        let name = &page.list.name;
        let (owner, package) = name.split_once('/').unwrap_or((name, ""));
        let kind = match page.list.place {
            0 => "orgs",
            _ => "users",
        };
        ApiRequest::Api(match page.list.kind {
            ListContent::Tags => {
                let package = in_query(package);
                format!("{kind}/{owner}/packages/container/{package}/versions?per_page={PAGE_SIZE}")
            }
            _ => format!("{kind}/{owner}/packages?package_type=container&per_page={PAGE_SIZE}"),
        })
    }

    fn read(&self, page: &ApiPage, answer: &ApiAnswer) -> Result<PageContent, String> {
        let next = next_link(&answer.headers)?.map(Position::Link);
        if page.list.kind != ListContent::Tags {
            let content = packages(&page.list.name, &answer.bytes)?;
            return Ok(PageContent { next, ..content });
        }
        let content = versions(&answer.bytes)?;
        // Each push leaves versions without tags, and some packages have tens of thousands. Beyond a page without any
        // tag, the plain list is the shorter way.
        let is_partial = content.entries.is_empty() && next.is_some();
        Ok(PageContent {
            next: next.filter(|_| !is_partial),
            is_partial,
            ..content
        })
    }

    fn missing_advice(&self) -> Option<&'static str> {
        Some("no such owner or package exists, or the token may not see it")
    }

    fn requires_login(&self) -> bool {
        true
    }

    /// A user is no organisation, which is a 404.
    fn has_next_place(&self, list: &ApiList, status: StatusCode) -> bool {
        list.place == 0 && status == StatusCode::NOT_FOUND
    }
}

fn packages(owner: &str, bytes: &[u8]) -> Result<PageContent, String> {
    let packages: Vec<Package> = document::read_list(bytes)?;
    Ok(PageContent {
        count: document::count(&packages),
        entries: packages
            .into_iter()
            .map(|package| ApiEntry::named(format!("{owner}/{}", package.name)))
            .collect(),
        ..PageContent::default()
    })
}

fn versions(bytes: &[u8]) -> Result<PageContent, String> {
    let versions: Vec<Version> = document::read_list(bytes)?;
    let mut content = PageContent {
        count: document::count(&versions),
        ..PageContent::default()
    };
    for version in versions {
        let pushed = version.updated_at.as_deref().and_then(rfc3339);
        let container = version.metadata.and_then(|metadata| metadata.container);
        let tags = container.and_then(|container| container.tags);
        let entries = tags.into_iter().flatten().map(|tag| ApiEntry {
            name: tag,
            digest: Some(version.name.clone()),
            pushed,
            ..ApiEntry::default()
        });
        content.entries.extend(entries);
    }
    Ok(content)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn path(page: &ApiPage) -> String {
        match Ghcr.request(page) {
            ApiRequest::Api(path) => path,
            ApiRequest::Registry(..) => unreachable!(),
        }
    }

    #[test]
    fn packages_are_those_of_an_organisation_or_else_a_user() {
        let list = Ghcr.repositories("octo/tools").unwrap();
        let first = ApiPage::first(list.clone());
        assert_eq!(
            path(&first),
            "orgs/octo/packages?package_type=container&per_page=100"
        );
        let link = "<https://api.github.com/organizations/7/packages?page=2>; rel=\"next\"";
        let text = r#"[{"id":197,"name":"hello","package_type":"container","owner":{"login":"octo"},
            "version_count":1,"visibility":"private"},{"name":"a/b"}]"#;
        let answer = ApiAnswer::literal(&[("link", link)], text);
        let content = Ghcr.read(&first, &answer).unwrap();
        assert_eq!(
            content.entries,
            ["octo/hello", "octo/a/b"].map(ApiEntry::named)
        );
        let next = "https://api.github.com/organizations/7/packages?page=2";
        assert_eq!(content.next, Some(Position::Link(next.to_owned())));
        assert_eq!(content.count, 2);
        let user = ApiList {
            place: 1,
            ..list.clone()
        };
        assert!(Ghcr.has_next_place(&list, StatusCode::NOT_FOUND));
        assert!(!Ghcr.has_next_place(&list, StatusCode::FORBIDDEN));
        assert!(!Ghcr.has_next_place(&user, StatusCode::NOT_FOUND));
        assert_eq!(
            path(&ApiPage::first(user)),
            "users/octo/packages?package_type=container&per_page=100"
        );
    }

    #[test]
    fn the_owner_must_be_named() {
        assert_eq!(
            Ghcr.repositories("").unwrap_err(),
            "GitHub lists the packages of one owner at a time; name the owner before the wildcard, as in `ghcr.io/OWNER/**`"
        );
    }

    #[test]
    fn versions_are_digests_with_tags() {
        let registry = Registry::parse("ghcr.io").unwrap();
        let repository = Repository::new(registry, "octo/a/b").unwrap();
        let first = ApiPage::first(Ghcr.tags(&repository));
        assert_eq!(
            path(&first),
            "orgs/octo/packages/container/a%2Fb/versions?per_page=100"
        );
        let text = r#"[{"id":836,"name":"sha256:aa","created_at":"2020-05-02T11:22:33Z",
            "updated_at":"2024-05-02T11:22:33Z",
            "metadata":{"package_type":"container","container":{"tags":["v1","latest"]}}},
            {"id":835,"name":"sha256:bb","updated_at":"2024-05-01T11:22:33Z",
            "metadata":{"package_type":"container","container":{"tags":[]}}},{"name":"sha256:cc"}]"#;
        let content = Ghcr.read(&first, &ApiAnswer::literal(&[], text)).unwrap();
        let tag = |name: &str| ApiEntry {
            name: name.to_owned(),
            digest: Some("sha256:aa".to_owned()),
            pushed: rfc3339("2024-05-02T11:22:33Z"),
            ..ApiEntry::default()
        };
        assert_eq!(content.entries, [tag("v1"), tag("latest")]);
        assert_eq!((content.count, content.next), (3, None));
        assert!(!content.is_partial);
    }

    #[test]
    fn a_page_of_versions_without_tags_is_the_last() {
        let first = ApiPage::first(ApiList::new(ListContent::Tags, "octo/app"));
        let link = [(
            "link",
            "<https://api.github.com/organizations/7/x?page=2>; rel=\"next\"",
        )];
        for (tags, is_last) in [("", true), ("\"v1\"", false)] {
            let text = format!(
                r#"[{{"name":"sha256:aa","metadata":{{"container":{{"tags":[{tags}]}}}}}}]"#
            );
            let content = Ghcr
                .read(&first, &ApiAnswer::literal(&link, &text))
                .unwrap();
            assert_eq!(
                (content.next.is_none(), content.is_partial),
                (is_last, is_last)
            );
        }
        let packages = ApiPage::first(ApiList::new(ListContent::Repositories, "octo"));
        let content = Ghcr
            .read(&packages, &ApiAnswer::literal(&link, "[]"))
            .unwrap();
        assert!(content.next.is_some() && !content.is_partial);
    }

    #[test]
    fn the_api_of_github_belongs_to_its_own_registry() {
        let base = |host| Ghcr.base(&Registry::parse(host).unwrap());
        assert_eq!(base("ghcr.io"), Some("https://api.github.com/"));
        assert_eq!(base("containers.github.example.com"), None);
    }
}
