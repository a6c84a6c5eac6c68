//! Quay's API, version 1: repositories of a namespace by an opaque token, and tags by page number. There are no totals.
//!
//! Form of the answers: <https://docs.quay.io/api/swagger/>, `listRepos` and `listRepoTags`.

use serde::Deserialize;

use crate::client::in_query;
use crate::listing::document::{self, List};
use crate::listing::time::unix_seconds;
use crate::listing::vendor::{
    ApiAnswer, ApiEntry, ApiList, ApiPage, ApiRequest, ListContent, LoginForm, PAGE_SIZE,
    PageContent, Position, VendorApi,
};
use crate::reference::{Registry, Repository};

/// Maximum length of the token of a page in bytes; Quay's have some hundreds.
const MAX_TOKEN: usize = 4096;

/// Quay's API.
#[derive(Debug)]
pub(super) struct Quay {
    /// True for quay.io, whose public repositories are those of all its users: too many to list.
    is_shared: bool,
}

impl Quay {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            is_shared: registry.as_str() == "quay.io",
        }
    }
}

#[derive(Deserialize)]
struct RepositoryList {
    repositories: List<Repo>,
    #[serde(default)]
    next_page: Option<String>,
}

#[derive(Deserialize)]
struct Repo {
    namespace: String,
    /// Name below the namespace.
    name: String,
}

#[derive(Deserialize)]
struct TagList {
    tags: List<ActiveTag>,
    #[serde(default)]
    has_additional: bool,
}

#[derive(Deserialize)]
struct ActiveTag {
    name: String,
    #[serde(default)]
    manifest_digest: Option<String>,
    /// Seconds since 1970 at which the tag was set to this manifest.
    #[serde(default)]
    start_ts: Option<u64>,
}

impl VendorApi for Quay {
    fn name(&self) -> &'static str {
        "the Quay API"
    }

    fn login_form(&self) -> LoginForm {
        LoginForm::Bearer
    }

    /// The API knows OAuth tokens. It answers the password of a robot account with 401, even for public repositories.
    fn accepts_registry_login(&self) -> bool {
        false
    }

    fn login_advice(&self) -> &'static str {
        "set `api-login` to an OAuth token with the scope `repo:read`, or name the repositories"
    }

    fn repositories(&self, prefix: &str) -> Result<ApiList, String> {
        let namespace = prefix.split('/').next().unwrap_or_default();
        if namespace.is_empty() && self.is_shared {
            let why = "quay.io lists the repositories of one namespace at a time; name the namespace before the wildcard, \
                       as in `quay.io/NAMESPACE/**`";
            return Err(why.to_owned());
        }
        Ok(ApiList::new(ListContent::Repositories, namespace))
    }

    fn tags(&self, repository: &Repository) -> ApiList {
        ApiList::new(ListContent::Tags, repository.path())
    }

    fn request(&self, page: &ApiPage) -> ApiRequest {
        let name = &page.list.name;
        if page.list.kind == ListContent::Tags {
            let number = page.number();
            return ApiRequest::Api(format!(
                "api/v1/repository/{name}/tag/?limit={PAGE_SIZE}&page={number}&onlyActiveTags=true"
            ));
        }
        let token = match &page.position {
            Position::Token(token) => format!("&next_page={}", in_query(token)),
            _ => String::new(),
        };
        let namespace = in_query(name);
        ApiRequest::Api(format!(
            "api/v1/repository?namespace={namespace}&public=true{token}"
        ))
    }

    fn read(&self, page: &ApiPage, answer: &ApiAnswer) -> Result<PageContent, String> {
        if page.list.kind == ListContent::Tags {
            return tags(page, &answer.bytes);
        }
        let list: RepositoryList = document::read(&answer.bytes)?;
        let next = list.next_page.filter(|token| !token.is_empty());
        if next.as_ref().is_some_and(|token| token.len() > MAX_TOKEN) {
            return Err(format!(
                "the token of the next page has more than {MAX_TOKEN} bytes"
            ));
        }
        Ok(PageContent {
            count: document::count(&list.repositories.0),
            entries: list
                .repositories
                .0
                .into_iter()
                .map(|repo| ApiEntry::named(format!("{}/{}", repo.namespace, repo.name)))
                .collect(),
            next: next.map(Position::Token),
            ..PageContent::default()
        })
    }
}

fn tags(page: &ApiPage, bytes: &[u8]) -> Result<PageContent, String> {
    let list: TagList = document::read(bytes)?;
    let next = page.number().saturating_add(1);
    Ok(PageContent {
        count: document::count(&list.tags.0),
        entries: list
            .tags
            .0
            .into_iter()
            .map(|tag| ApiEntry {
                name: tag.name,
                digest: tag.manifest_digest,
                pushed: tag.start_ts.and_then(unix_seconds),
                ..ApiEntry::default()
            })
            .collect(),
        next: list.has_additional.then_some(Position::Number(next)),
        ..PageContent::default()
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn quay() -> Quay {
        Quay::new(&Registry::parse("registry.example.com").unwrap())
    }

    fn path(page: &ApiPage) -> String {
        match quay().request(page) {
            ApiRequest::Api(path) => path,
            ApiRequest::Registry(..) => unreachable!(),
        }
    }

    #[test]
    fn repositories_are_followed_by_a_token() {
        let first = ApiPage::first(quay().repositories("coreos/x").unwrap());
        let expected = "api/v1/repository?namespace=coreos&public=true";
        assert_eq!(path(&first), expected);
        let text = r#"{"repositories":[{"namespace":"coreos","name":"etcd","description":null,"is_public":true,
            "kind":"image","state":"NORMAL"},{"namespace":"coreos","name":"a/b"}],"next_page":"gAAAA+/="}"#;
        let content = quay().read(&first, &ApiAnswer::literal(&[], text)).unwrap();
        let names = ["coreos/etcd", "coreos/a/b"];
        assert_eq!(content.entries, names.map(ApiEntry::named));
        assert_eq!((content.count, content.total), (2, None));
        let second = ApiPage {
            position: content.next.unwrap(),
            ..first
        };
        assert_eq!(
            path(&second),
            format!("{expected}&next_page=gAAAA%2B%2F%3D")
        );
        for end in [
            r#"{"repositories":[]}"#,
            r#"{"repositories":[],"next_page":""}"#,
        ] {
            let content = quay().read(&second, &ApiAnswer::literal(&[], end)).unwrap();
            assert_eq!(content, PageContent::default());
        }
    }

    #[test]
    fn tokens_are_bounded() {
        let first = ApiPage::first(quay().repositories("coreos").unwrap());
        let read = |length| {
            let token = "t".repeat(length);
            let text = format!(r#"{{"repositories":[],"next_page":"{token}"}}"#);
            quay().read(&first, &ApiAnswer::literal(&[], &text))
        };
        assert!(read(4096).is_ok());
        let error = read(4097).unwrap_err();
        assert_eq!(error, "the token of the next page has more than 4096 bytes");
    }

    #[test]
    fn a_whole_registry_has_no_namespace() {
        let first = ApiPage::first(quay().repositories("").unwrap());
        assert_eq!(path(&first), "api/v1/repository?namespace=&public=true");
        let shared = Quay::new(&Registry::parse("quay.io").unwrap());
        assert_eq!(
            shared.repositories("").unwrap_err(),
            "quay.io lists the repositories of one namespace at a time; name the namespace before the wildcard, as in `quay.io/NAMESPACE/**`"
        );
        assert!(shared.repositories("coreos").is_ok());
    }

    #[test]
    fn tags_have_digests_and_the_time_since_which_they_name_it() {
        let first = ApiPage::first(ApiList::new(ListContent::Tags, "ns/a/b"));
        let expected = "api/v1/repository/ns/a/b/tag/?limit=100&page=1&onlyActiveTags=true";
        assert_eq!(path(&first), expected);
        let text = r#"{"tags":[{"name":"v1","reversion":false,"start_ts":1717680780,
            "manifest_digest":"sha256:aa","is_manifest_list":false,"size":2275314,
            "last_modified":"Thu, 06 Jun 2024 13:33:00 -0000"},{"name":"old","start_ts":0}],
            "page":1,"has_additional":true}"#;
        let content = quay().read(&first, &ApiAnswer::literal(&[], text)).unwrap();
        let tag = |name: &str, digest: Option<&str>, pushed| ApiEntry {
            name: name.to_owned(),
            digest: digest.map(str::to_owned),
            pushed,
            ..ApiEntry::default()
        };
        assert_eq!(
            content.entries,
            [
                tag("v1", Some("sha256:aa"), unix_seconds(1_717_680_780)),
                tag("old", None, None),
            ]
        );
        assert_eq!(content.next, Some(Position::Number(2)));
        let last = r#"{"tags":[],"page":2,"has_additional":false}"#;
        let content = quay().read(&first, &ApiAnswer::literal(&[], last)).unwrap();
        assert_eq!(content.next, None);
    }

    #[test]
    fn another_document_is_refused() {
        let first = ApiPage::first(quay().repositories("coreos").unwrap());
        let answer = ApiAnswer::literal(&[], r#"{"surprise":[1,null]}"#);
        let error = quay().read(&first, &answer).unwrap_err();
        assert_eq!(error, "missing field `repositories` at line 1 column 21");
    }
}
