//! Docker Hub's API: the repositories of a namespace, and their tags.
//!
//! Form of the answers: <https://docs.docker.com/reference/api/hub/latest/>, `listNamespaceRepositories`,
//! `ListRepositoryTags` and `AuthCreateAccessToken`. The `digest` of a tag is not documented: it is that of the index or
//! manifest that the tag names, and old tags have none.

use serde::Deserialize;

use crate::client::in_query;
use crate::listing::document::{self, List};
use crate::listing::time::rfc3339;
use crate::listing::vendor::{
    ApiAnswer, ApiEntry, ApiList, ApiPage, ApiRequest, ListContent, LoginForm, PAGE_SIZE,
    PageContent, Position, VendorApi,
};
use crate::reference::{Registry, Repository};

/// Docker Hub's API.
#[derive(Debug)]
pub(crate) struct Hub;

/// A page of repositories or tags.
#[derive(Deserialize)]
struct Page {
    count: Option<u64>,
    /// Address of the next page.
    next: Option<String>,
    results: List<Item>,
}

/// A repository or a tag.
#[derive(Deserialize)]
struct Item {
    name: String,
    #[serde(default)]
    digest: Option<String>,
    #[serde(default)]
    tag_last_pushed: Option<String>,
    #[serde(default)]
    last_updated: Option<String>,
}

impl VendorApi for Hub {
    fn name(&self) -> &'static str {
        "the Docker Hub API"
    }

    fn base(&self, registry: &Registry) -> Option<&'static str> {
        registry
            .is_docker_hub()
            .then_some("https://hub.docker.com/")
    }

    fn login_form(&self) -> LoginForm {
        LoginForm::Exchange("v2/auth/token")
    }

    fn login_advice(&self) -> &'static str {
        "use a user name with an access token that may read the namespace, or name the repositories"
    }

    fn repositories(&self, prefix: &str) -> Result<ApiList, String> {
        match prefix.split('/').next() {
            None | Some("") => Err(
                "Docker Hub does not list its namespaces: name one, such as docker.io/library/**"
                    .to_owned(),
            ),
            Some(namespace) => Ok(ApiList::new(ListContent::Repositories, namespace)),
        }
    }

    fn tags(&self, repository: &Repository) -> ApiList {
        ApiList::new(ListContent::Tags, repository.path())
    }

    fn request(&self, page: &ApiPage) -> ApiRequest {
        let (namespace, repository) = page
            .list
            .name
            .split_once('/')
            .unwrap_or((&page.list.name, ""));
        let namespace = in_query(namespace);
        let list = match page.list.kind {
            ListContent::Tags => format!("repositories/{}/tags", in_query(repository)),
            _ => "repositories".to_owned(),
        };
        let number = match page.number() {
            1 => String::new(),
            number => format!("&page={number}"),
        };
        ApiRequest::Api(format!(
            "v2/namespaces/{namespace}/{list}?page_size={PAGE_SIZE}{number}"
        ))
    }

    fn read(&self, page: &ApiPage, answer: &ApiAnswer) -> Result<PageContent, String> {
        let Page {
            count,
            next,
            results: List(results),
        } = document::read(&answer.bytes)?;
        let is_tags = page.list.kind == ListContent::Tags;
        Ok(PageContent {
            count: document::count(&results),
            total: count,
            next: next
                .is_some()
                .then(|| Position::Number(page.number().saturating_add(1))),
            link: next,
            entries: results
                .into_iter()
                .map(|item| entry(&page.list.name, item, is_tags))
                .collect(),
            ..PageContent::default()
        })
    }
}

fn entry(list: &str, item: Item, is_tag: bool) -> ApiEntry {
    if !is_tag {
        return ApiEntry::named(format!("{list}/{}", item.name));
    }
    let pushed = item.tag_last_pushed.or(item.last_updated);
    ApiEntry {
        name: item.name,
        digest: item.digest.filter(|digest| !digest.is_empty()),
        pushed: pushed.as_deref().and_then(rfc3339),
        ..ApiEntry::default()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn read(page: &ApiPage, text: &str) -> Result<PageContent, String> {
        let answer = ApiAnswer {
            headers: HeaderMap::new(),
            bytes: text.as_bytes().to_vec().into(),
        };
        Hub.read(page, &answer)
    }

    fn path(page: &ApiPage) -> String {
        match Hub.request(page) {
            ApiRequest::Api(path) => path,
            ApiRequest::Registry(..) => unreachable!(),
        }
    }

    #[test]
    fn a_namespace_is_listed_and_not_the_registry() {
        let first = ApiPage::first(Hub.repositories("library/x").unwrap());
        assert_eq!(
            path(&first),
            "v2/namespaces/library/repositories?page_size=100"
        );
        let text = r#"{"count":2,"next":"https://hub.docker.com/v2/namespaces/library/repositories?page=2&page_size=100",
            "previous":null,"results":[{"name":"nginx","namespace":"library","repository_type":"image","status":1,
            "is_private":false,"last_updated":"2024-05-02T11:22:33.456Z"}]}"#;
        let content = read(&first, text).unwrap();
        assert_eq!(content.entries, [ApiEntry::named("library/nginx")]);
        assert_eq!((content.count, content.total), (1, Some(2)));
        assert_eq!(content.next, Some(Position::Number(2)));
        assert!(content.link.unwrap().starts_with("https://hub.docker.com/"));
        assert_eq!(
            Hub.repositories("").unwrap_err(),
            "Docker Hub does not list its namespaces: name one, such as docker.io/library/**"
        );
    }

    #[test]
    fn the_digest_of_a_tag_is_its_own_and_not_that_of_its_images() {
        let hub = Registry::parse("docker.io").unwrap();
        let repository = Repository::new(hub, "nginx").unwrap();
        let second = ApiPage {
            position: Position::Number(2),
            received: 100,
            ..ApiPage::first(Hub.tags(&repository))
        };
        assert_eq!(
            path(&second),
            "v2/namespaces/library/repositories/nginx/tags?page_size=100&page=2"
        );
        let text = r#"{"count":102,"next":null,"previous":"x","results":[
            {"creator":1,"id":2,"images":[{"architecture":"amd64","digest":"sha256:bb","os":"linux","size":3}],
             "last_updated":"2024-01-01T00:00:00Z","name":"latest","repository":4,"full_size":3,"v2":true,
             "tag_status":"active","tag_last_pulled":null,"tag_last_pushed":"2024-05-02T11:22:33.456Z",
             "media_type":"application/vnd.oci.image.index.v1+json","content_type":"image","digest":"sha256:aa"},
            {"name":"old","images":[{"digest":"sha256:cc"}],"tag_last_pushed":null}]}"#;
        let content = read(&second, text).unwrap();
        let latest = ApiEntry {
            name: "latest".to_owned(),
            digest: Some("sha256:aa".to_owned()),
            pushed: rfc3339("2024-05-02T11:22:33.456Z"),
            ..ApiEntry::default()
        };
        assert_eq!(content.entries, [latest, ApiEntry::named("old")]);
        assert_eq!((content.next, content.link), (None, None));
    }

    #[test]
    fn another_document_is_no_list() {
        let page = ApiPage::first(Hub.repositories("library").unwrap());
        for text in ["{}", "[]", r#"{"results":null}"#, r#"{"results":[{}]}"#] {
            assert!(read(&page, text).is_err(), "{text}");
        }
    }
}
