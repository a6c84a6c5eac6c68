//! GitLab's API, version 4: the registry repositories of a group with its subgroups, or of a project. Tags of this API
//! have no digests, so the plain list of tags is used.
//!
//! Form of the answers: <https://docs.gitlab.com/api/container_registry/>, "List registry repositories"; pages:
//! <https://docs.gitlab.com/api/rest/#offset-based-pagination>.

use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use crate::client::in_query;
use crate::listing::document;
use crate::listing::vendor::{
    ApiAnswer, ApiEntry, ApiList, ApiPage, ApiRequest, ListContent, LoginForm, PAGE_SIZE,
    PageContent, Position, VendorApi, number_in,
};
use crate::reference::{Registry, Repository};

/// Header with the number of the next page; empty on the last one.
const NEXT_PAGE: &str = "x-next-page";
/// Header with the number of all entries. GitLab leaves it out above 10,000.
const TOTAL: &str = "x-total";
/// Escaped slash of a path.
const SLASH: &str = "%2F";
/// GitLab's API. The name of a list is a path whose slashes are escaped: a group and a project of that group are at
/// different places.
#[derive(Debug)]
pub(super) struct Gitlab;

#[derive(Deserialize)]
struct Repo {
    /// Path below the registry, with group and project.
    path: String,
}

impl VendorApi for Gitlab {
    fn name(&self) -> &'static str {
        "the GitLab API"
    }

    fn base(&self, registry: &Registry) -> Option<&'static str> {
        (registry.as_str() == "registry.gitlab.com").then_some("https://gitlab.com/")
    }

    fn login_form(&self) -> LoginForm {
        LoginForm::Bearer
    }

    /// Deploy tokens and the passwords of jobs log in to the registry alone.
    fn accepts_registry_login(&self) -> bool {
        false
    }

    fn login_advice(&self) -> &'static str {
        "set `api-login` to an access token with the scope `read_api`, or name the repositories"
    }

    fn missing_advice(&self) -> Option<&'static str> {
        Some(
            "no such group or project exists, or only a login may see it (`api-login`), or GitLab has another address than \
             its registry (`api`)",
        )
    }

    fn repositories(&self, prefix: &str) -> Result<ApiList, String> {
        if prefix.is_empty() {
            let why = "GitLab lists the repositories of one group at a time; name the group before the wildcard, as in \
                       `registry.gitlab.com/GROUP/**`";
            return Err(why.to_owned());
        }
        Ok(ApiList::new(ListContent::Repositories, in_query(prefix)))
    }

    fn states_digests(&self) -> bool {
        false
    }

    fn tags(&self, repository: &Repository) -> ApiList {
        ApiList::new(ListContent::Tags, in_query(repository.path()))
    }

    fn request(&self, page: &ApiPage) -> ApiRequest {
        let (kind, path) = match page.list.place {
            0 => ("groups", page.list.name.as_str()),
            place => ("projects", without_last(&page.list.name, place - 1)),
        };
        let number = match page.number() {
            1 => String::new(),
            number => format!("&page={number}"),
        };
        ApiRequest::Api(format!(
            "api/v4/{kind}/{path}/registry/repositories?per_page={PAGE_SIZE}{number}"
        ))
    }

    fn read(&self, _page: &ApiPage, answer: &ApiAnswer) -> Result<PageContent, String> {
        let repositories: Vec<Repo> = document::read_list(&answer.bytes)?;
        Ok(PageContent {
            count: document::count(&repositories),
            entries: repositories
                .into_iter()
                .map(|repository| ApiEntry::named(repository.path))
                .collect(),
            total: number_in(&answer.headers, TOTAL),
            next: next_page(&answer.headers)?,
            ..PageContent::default()
        })
    }

    /// A path that is no group is a project, or the path of an image below a project. A project lies in a group or in the
    /// namespace of a user.
    fn has_next_place(&self, list: &ApiList, status: StatusCode) -> bool {
        let path = without_last(&list.name, list.place);
        status == StatusCode::NOT_FOUND && path.contains(SLASH)
    }
}

/// Returns an escaped path without its last components; empty if it has fewer.
fn without_last(path: &str, components: usize) -> &str {
    (0..components).fold(path, |path, _| {
        path.rsplit_once(SLASH).map_or("", |(before, _)| before)
    })
}

/// Returns the next page. An answer without the header comes from a proxy that drops it, or from another server.
fn next_page(headers: &HeaderMap) -> Result<Option<Position>, String> {
    let value = headers.get(NEXT_PAGE).ok_or_else(|| {
        format!(
            "the header `{NEXT_PAGE}` is missing; see whether a proxy in front of GitLab drops it"
        )
    })?;
    if value.is_empty() {
        return Ok(None);
    }
    let number = number_in(headers, NEXT_PAGE);
    let number = number.ok_or_else(|| format!("the header `{NEXT_PAGE}` is no number"))?;
    Ok(Some(Position::Number(number)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn path(page: &ApiPage) -> String {
        match Gitlab.request(page) {
            ApiRequest::Api(path) => path,
            ApiRequest::Registry(..) => unreachable!(),
        }
    }

    #[test]
    fn a_group_is_followed_by_the_number_in_a_header() {
        let first = ApiPage::first(Gitlab.repositories("group/sub").unwrap());
        let expected = "api/v4/groups/group%2Fsub/registry/repositories?per_page=100";
        assert_eq!(path(&first), expected);
        let text = r#"[{"id":1,"name":"","path":"group/sub/project","project_id":9,
            "location":"gitlab.example.com:5000/group/sub/project","created_at":"2019-01-10T13:38:57.391Z"},
            {"id":2,"name":"releases","path":"group/sub/project/releases"}]"#;
        let headers = [("x-next-page", "2"), ("x-total", "2503")];
        let content = Gitlab
            .read(&first, &ApiAnswer::literal(&headers, text))
            .unwrap();
        let names = ["group/sub/project", "group/sub/project/releases"];
        assert_eq!(content.entries, names.map(ApiEntry::named));
        assert_eq!((content.count, content.total), (2, Some(2503)));
        let second = ApiPage {
            position: content.next.unwrap(),
            ..first
        };
        assert_eq!(path(&second), format!("{expected}&page=2"));
        let last = ApiAnswer::literal(&[("x-next-page", "")], "[]");
        assert_eq!(Gitlab.read(&second, &last).unwrap(), PageContent::default());
    }

    #[test]
    fn answers_without_a_next_page_are_refused() {
        let first = ApiPage::first(Gitlab.repositories("group").unwrap());
        let read = |headers: &[(&'static str, &'static str)]| {
            Gitlab
                .read(&first, &ApiAnswer::literal(headers, "[]"))
                .unwrap_err()
        };
        assert_eq!(
            read(&[]),
            "the header `x-next-page` is missing; see whether a proxy in front of GitLab drops it"
        );
        assert_eq!(
            read(&[("x-next-page", "two")]),
            "the header `x-next-page` is no number"
        );
    }

    #[test]
    fn a_path_that_is_no_group_is_a_project() {
        let mut list = Gitlab.repositories("group/project/image").unwrap();
        let mut paths = Vec::new();
        while Gitlab.has_next_place(&list, StatusCode::NOT_FOUND) {
            assert!(!Gitlab.has_next_place(&list, StatusCode::FORBIDDEN));
            list.place += 1;
            paths.push(path(&ApiPage::first(list.clone())));
        }
        assert_eq!(
            paths,
            ["group%2Fproject%2Fimage", "group%2Fproject"]
                .map(|path| format!("api/v4/projects/{path}/registry/repositories?per_page=100"))
        );
        let group = Gitlab.repositories("group").unwrap();
        assert!(!Gitlab.has_next_place(&group, StatusCode::NOT_FOUND));
    }

    #[test]
    fn the_group_must_be_named() {
        assert_eq!(
            Gitlab.repositories("").unwrap_err(),
            "GitLab lists the repositories of one group at a time; name the group before the wildcard, as in `registry.gitlab.com/GROUP/**`"
        );
    }

    #[test]
    fn the_api_of_gitlab_com_belongs_to_its_own_registry() {
        let base = |host| Gitlab.base(&Registry::parse(host).unwrap());
        assert_eq!(base("registry.gitlab.com"), Some("https://gitlab.com/"));
        assert_eq!(base("registry.gitlab.example.com"), None);
    }
}
