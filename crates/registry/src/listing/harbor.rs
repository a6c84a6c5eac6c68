//! Harbor's API, version 2.0: projects, their repositories, and artifacts with their tags.
//!
//! Form of the answers: <https://github.com/goharbor/harbor/blob/main/api/v2.0/swagger.yaml>, `listProjects`,
//! `listRepositories` and `listArtifacts`.

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use crate::client::{in_query, next_link};
use crate::listing::document;
use crate::listing::time::rfc3339;
use crate::listing::vendor::{
    ApiAnswer, ApiEntry, ApiList, ApiPage, ApiRequest, ListContent, LoginForm, PAGE_SIZE,
    PageContent, VendorApi, number_in,
};
use crate::reference::Repository;

/// Header with the number of all entries.
const TOTAL: &str = "x-total-count";

/// Harbor's API.
#[derive(Debug)]
pub(crate) struct Harbor;

#[derive(Deserialize)]
struct Project {
    name: String,
    /// Registry that a proxy cache fetches from.
    #[serde(default)]
    registry_id: Option<i64>,
}

#[derive(Deserialize)]
struct Repo {
    /// Path below the registry, with the project.
    name: String,
}

#[derive(Deserialize)]
struct Artifact {
    digest: String,
    #[serde(default)]
    tags: Option<Vec<ArtifactTag>>,
    /// Signatures and SBOMs, which the list of artifacts does not contain. They may have tags. `null` is an empty list;
    /// Harbor before 2.5 has no such field.
    #[serde(default, deserialize_with = "count_accessories")]
    accessories: Option<u64>,
}

#[derive(Deserialize)]
struct ArtifactTag {
    name: String,
    #[serde(default)]
    push_time: Option<String>,
}

impl VendorApi for Harbor {
    fn name(&self) -> &'static str {
        "the Harbor API"
    }

    fn login_form(&self) -> LoginForm {
        LoginForm::Basic
    }

    /// A project with a number as its name would be taken for an id.
    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[("x-is-resource-name", "true")]
    }

    fn login_advice(&self) -> &'static str {
        "use a user or a robot account that may list projects, repositories and artifacts, or name the repositories"
    }

    fn repositories(&self, prefix: &str) -> Result<ApiList, String> {
        Ok(match prefix.split('/').next() {
            None | Some("") => ApiList::new(ListContent::Namespaces, ""),
            Some(project) => ApiList::new(ListContent::Repositories, project),
        })
    }

    fn tags(&self, repository: &Repository) -> ApiList {
        ApiList::new(ListContent::Tags, repository.path())
    }

    fn namespace_facts(&self, repository: &Repository) -> Option<ApiList> {
        let (project, _) = repository.path().split_once('/')?;
        Some(ApiList::new(ListContent::Facts, project))
    }

    fn request(&self, page: &ApiPage) -> ApiRequest {
        let name = &page.list.name;
        let (list, more) = match page.list.kind {
            ListContent::Namespaces => ("projects".to_owned(), ""),
            ListContent::Repositories => (format!("projects/{}/repositories", in_query(name)), ""),
            ListContent::Facts => {
                return ApiRequest::Api(format!("api/v2.0/projects/{}", in_query(name)));
            }
            ListContent::Tags => {
                let (project, rest) = name.split_once('/').unwrap_or(("library", name));
                // A proxy in front of Harbor decodes `%2F` once.
                let rest = in_query(&in_query(rest));
                let project = in_query(project);
                (
                    format!("projects/{project}/repositories/{rest}/artifacts"),
                    "&with_tag=true&with_accessory=true",
                )
            }
        };
        let number = match page.number() {
            1 => String::new(),
            number => format!("&page={number}"),
        };
        ApiRequest::Api(format!(
            "api/v2.0/{list}?page_size={PAGE_SIZE}{number}{more}"
        ))
    }

    fn read(&self, page: &ApiPage, answer: &ApiAnswer) -> Result<PageContent, String> {
        if page.list.kind == ListContent::Facts {
            let project: Project = document::read(&answer.bytes)?;
            return Ok(PageContent {
                is_partial: project.registry_id.is_some_and(|id| id > 0),
                ..PageContent::default()
            });
        }
        let mut content = match page.list.kind {
            ListContent::Namespaces | ListContent::Facts => projects(&answer.bytes)?,
            ListContent::Repositories => repositories(&answer.bytes)?,
            ListContent::Tags => artifacts(&answer.bytes)?,
        };
        content.total = number_in(&answer.headers, TOTAL);
        content.link = next_link(&answer.headers)?;
        let is_linked = content.link.is_some();
        content.next = page.next_number(content.count, content.total, is_linked);
        Ok(content)
    }
}

fn projects(bytes: &[u8]) -> Result<PageContent, String> {
    let projects: Vec<Project> = document::read_list(bytes)?;
    Ok(PageContent {
        count: document::count(&projects),
        nested: projects
            .into_iter()
            .map(|project| ApiList::new(ListContent::Repositories, project.name))
            .collect(),
        ..PageContent::default()
    })
}

fn repositories(bytes: &[u8]) -> Result<PageContent, String> {
    let repositories: Vec<Repo> = document::read_list(bytes)?;
    Ok(PageContent {
        count: document::count(&repositories),
        entries: repositories
            .into_iter()
            .map(|repository| ApiEntry::named(repository.name))
            .collect(),
        ..PageContent::default()
    })
}

fn artifacts(bytes: &[u8]) -> Result<PageContent, String> {
    let artifacts: Vec<Artifact> = document::read_list(bytes)?;
    let mut content = PageContent {
        count: document::count(&artifacts),
        ..PageContent::default()
    };
    for artifact in artifacts {
        content.is_partial |= artifact.accessories.is_some_and(|number| number > 0);
        let without_referrers = artifact.accessories == Some(0);
        let digest = artifact.digest;
        let tags = artifact.tags.into_iter().flatten().map(|tag| ApiEntry {
            name: tag.name,
            digest: Some(digest.clone()),
            pushed: tag.push_time.as_deref().and_then(rfc3339),
            without_referrers,
        });
        content.entries.extend(tags);
    }
    Ok(content)
}

fn count_accessories<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let list: Option<document::List<IgnoredAny>> = Option::deserialize(deserializer)?;
    Ok(Some(list.map_or(0, |list| document::count(&list.0))))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;
    use crate::listing::vendor::Position;

    fn answer(total: Option<&'static str>, text: &str) -> ApiAnswer {
        let mut headers = HeaderMap::new();
        if let Some(total) = total {
            headers.insert(TOTAL, HeaderValue::from_static(total));
        }
        ApiAnswer {
            headers,
            bytes: text.as_bytes().to_vec().into(),
        }
    }

    fn page(kind: ListContent, name: &str) -> ApiPage {
        ApiPage::first(ApiList::new(kind, name))
    }

    fn path(page: &ApiPage) -> String {
        match Harbor.request(page) {
            ApiRequest::Api(path) => path,
            ApiRequest::Registry(..) => unreachable!(),
        }
    }

    #[test]
    fn a_literal_project_is_listed_alone() {
        let list = Harbor.repositories("team-a/sub").unwrap();
        assert_eq!(list, ApiList::new(ListContent::Repositories, "team-a"));
        let first = ApiPage::first(list);
        let expected = "api/v2.0/projects/team-a/repositories?page_size=100";
        assert_eq!(path(&first), expected);
        let second = ApiPage {
            position: Position::Number(2),
            ..first
        };
        assert_eq!(path(&second), format!("{expected}&page=2"));
    }

    #[test]
    fn projects_are_lists_of_repositories() {
        let list = Harbor.repositories("").unwrap();
        let first = ApiPage::first(list);
        assert_eq!(path(&first), "api/v2.0/projects?page_size=100");
        let text = r#"[{"project_id":1,"name":"library","repo_count":3,"metadata":{"public":"true"}},
            {"project_id":2,"name":"team-a","registry_id":0}]"#;
        let content = Harbor.read(&first, &answer(Some("2"), text)).unwrap();
        assert_eq!(
            content,
            PageContent {
                nested: ["library", "team-a"]
                    .map(|name| ApiList::new(ListContent::Repositories, name))
                    .into(),
                count: 2,
                total: Some(2),
                ..PageContent::default()
            }
        );
    }

    #[test]
    fn repositories_have_their_whole_path() {
        let first = page(ListContent::Repositories, "library");
        let text = r#"[{"artifact_count":1,"id":7,"name":"library/a/b","project_id":1,"pull_count":0,
            "update_time":"2024-05-02T11:22:33.456Z"}]"#;
        let content = Harbor.read(&first, &answer(Some("101"), text)).unwrap();
        assert_eq!(content.entries, [ApiEntry::named("library/a/b")]);
        assert_eq!(content.next, Some(Position::Number(2)));
        let error = Harbor.read(&first, &answer(None, "<html>")).unwrap_err();
        assert_eq!(error, "expected value at line 1 column 1");
    }

    #[test]
    fn every_tag_of_an_artifact_has_its_digest_and_its_own_time() {
        let first = page(ListContent::Tags, "team-a/x/y");
        assert_eq!(
            path(&first),
            "api/v2.0/projects/team-a/repositories/x%252Fy/artifacts?page_size=100&with_tag=true&with_accessory=true"
        );
        let text = r#"[{"digest":"sha256:aa","push_time":"2024-01-01T00:00:00Z","accessories":null,"tags":[
                {"artifact_id":1,"id":1,"name":"v1","push_time":"2024-05-02T11:22:33.456Z","immutable":false},
                {"artifact_id":1,"id":2,"name":"latest","push_time":"0001-01-01T00:00:00.000Z"}]},
            {"digest":"sha256:bb","tags":null}]"#;
        let content = Harbor.read(&first, &answer(Some("2"), text)).unwrap();
        let tag = |name: &str, pushed| ApiEntry {
            name: name.to_owned(),
            digest: Some("sha256:aa".to_owned()),
            pushed,
            without_referrers: true,
        };
        assert_eq!(
            content.entries,
            [
                tag("v1", rfc3339("2024-05-02T11:22:33.456Z")),
                tag("latest", None)
            ]
        );
        assert_eq!((content.count, content.is_partial), (2, false));
        let signed = r#"[{"digest":"sha256:aa","accessories":[{"type":"signature.cosign"}]}]"#;
        let content = Harbor.read(&first, &answer(Some("1"), signed)).unwrap();
        assert!(content.is_partial, "accessories may have tags");
    }

    #[test]
    fn an_artifact_is_without_referrers_if_its_accessories_are_listed_and_empty() {
        let first = page(ListContent::Tags, "team-a/x");
        for (accessories, expected) in [
            (r#","accessories":null"#, true),
            (r#","accessories":[]"#, true),
            (r#","accessories":[{"type":"signature.cosign"}]"#, false),
            // Harbor before 2.5.
            ("", false),
        ] {
            let text =
                format!(r#"[{{"digest":"sha256:aa","tags":[{{"name":"v1"}}]{accessories}}}]"#);
            let content = Harbor.read(&first, &answer(Some("1"), &text)).unwrap();
            let [entry] = content.entries.as_slice() else {
                unreachable!("one tag");
            };
            assert_eq!(entry.without_referrers, expected, "{accessories}");
        }
    }

    #[test]
    fn a_proxy_cache_lists_what_it_has_fetched_alone() {
        let facts = page(ListContent::Facts, "proxy");
        assert_eq!(path(&facts), "api/v2.0/projects/proxy");
        for (text, expected) in [
            (r#"{"project_id":3,"name":"proxy","registry_id":4}"#, true),
            (r#"{"project_id":3,"name":"proxy","registry_id":0}"#, false),
            (r#"{"project_id":3,"name":"proxy"}"#, false),
        ] {
            let content = Harbor.read(&facts, &answer(None, text)).unwrap();
            assert_eq!(content.is_partial, expected, "{text}");
        }
    }
}
