//! Tag lists of Google's registries: beside the tags, they name the digests with their tags and times, and the
//! components below. Repositories are found by following those. One answer has everything of a repository.
//!
//! Form of the answers: <https://github.com/google/go-containerregistry/blob/main/pkg/v1/google/list.go>.

use std::fmt;
use std::time::SystemTime;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::client::next_link;
use crate::listing::document::{self, List};
use crate::listing::time::unix_milliseconds;
use crate::listing::vendor::{
    ApiAnswer, ApiEntry, ApiList, ApiPage, ApiRequest, ListContent, LoginForm, PageContent,
    VendorApi,
};
use crate::reference::{Registry, Repository};

/// Path of a list below its repository.
const TAGS: &str = "tags/list";

/// The tag lists of a registry of Google.
#[derive(Debug)]
pub(super) struct Google {
    registry: Registry,
}

/// An answer as far as tags need it.
#[derive(Deserialize)]
struct TagList {
    #[serde(default)]
    tags: Option<List<String>>,
    #[serde(default)]
    manifest: Option<TagsOfManifests>,
}

/// An answer as far as the names below need it. A repository may have any number of images.
#[derive(Deserialize)]
struct ChildList {
    #[serde(default)]
    child: Option<List<String>>,
    #[serde(default)]
    tags: Option<HasEntries>,
    #[serde(default)]
    manifest: Option<HasEntries>,
}

/// Tags of the manifests in a map by digest, of which most may have no tag.
struct TagsOfManifests(Vec<ApiEntry>);

/// True for a list or a map that is not empty. Its entries take no memory.
#[derive(Default)]
struct HasEntries(bool);

#[derive(Deserialize)]
struct ManifestInfo {
    #[serde(default)]
    tag: Option<Vec<String>>,
    #[serde(default, rename = "timeUploadedMs")]
    uploaded: Option<Number>,
}

/// A number of milliseconds: Container Registry writes it as text, Artifact Registry as number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Whole(u64),
    Text(String),
    Other(IgnoredAny),
}

impl Google {
    pub(super) fn new(registry: Registry) -> Self {
        Self { registry }
    }
}

impl VendorApi for Google {
    fn name(&self) -> &'static str {
        "the tag list of Google"
    }

    fn login_form(&self) -> LoginForm {
        LoginForm::Basic
    }

    fn login_advice(&self) -> &'static str {
        "use a login that may read the repository, or name the repositories"
    }

    fn repositories(&self, prefix: &str) -> Result<ApiList, String> {
        if prefix.is_empty() {
            let why = format!(
                "Google lists the repositories of one project at a time; name the project before the wildcard, as in \
                 `{}/PROJECT/**`",
                self.registry
            );
            return Err(why);
        }
        Repository::new(self.registry.clone(), prefix).map_err(|why| why.to_string())?;
        Ok(ApiList::new(ListContent::Repositories, prefix))
    }

    fn tags(&self, repository: &Repository) -> ApiList {
        ApiList::new(ListContent::Tags, repository.path())
    }

    fn request(&self, page: &ApiPage) -> ApiRequest {
        match Repository::new(self.registry.clone(), &page.list.name) {
            Ok(repository) => ApiRequest::Registry(repository, TAGS.to_owned()),
            // Names of lists were checked when the lists were made.
            Err(_) => ApiRequest::Api(format!("v2/{}/{TAGS}", page.list.name)),
        }
    }

    fn read(&self, page: &ApiPage, answer: &ApiAnswer) -> Result<PageContent, String> {
        if page.list.kind != ListContent::Tags {
            return Ok(self.below(&page.list.name, document::read(&answer.bytes)?));
        }
        let list: TagList = document::read(&answer.bytes)?;
        let mut entries = list.manifest.map(|tags| tags.0).unwrap_or_default();
        // Tags of no manifest; the driver drops those that were listed before.
        let names = list.tags.into_iter().flat_map(|tags| tags.0);
        entries.extend(names.map(ApiEntry::named));
        Ok(PageContent {
            count: document::count(&entries),
            entries,
            // The answer should be whole. The plain list follows pages.
            is_partial: next_link(&answer.headers)?.is_some(),
            ..PageContent::default()
        })
    }
}

impl Google {
    /// Returns the repository itself, if it has images, and the lists of the names below. Illegal names become entries,
    /// which are then reported.
    fn below(&self, path: &str, list: ChildList) -> PageContent {
        let mut content = PageContent::default();
        if list.tags.unwrap_or_default().0 || list.manifest.unwrap_or_default().0 {
            content.entries.push(ApiEntry::named(path));
        }
        for child in list.child.into_iter().flat_map(|children| children.0) {
            let name = format!("{path}/{child}");
            match Repository::new(self.registry.clone(), &name) {
                Ok(_) => content
                    .nested
                    .push(ApiList::new(ListContent::Repositories, name)),
                Err(_) => content.entries.push(ApiEntry::named(name)),
            }
        }
        content.count = document::count(&content.entries);
        content.count += document::count(&content.nested);
        content
    }
}

impl<'de> Deserialize<'de> for TagsOfManifests {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TagsVisitor)
    }
}

struct TagsVisitor;

impl<'de> Visitor<'de> for TagsVisitor {
    type Value = TagsOfManifests;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of manifests")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TagsOfManifests, A::Error> {
        let mut entries = Vec::new();
        while let Some((digest, info)) = map.next_entry::<String, ManifestInfo>()? {
            let pushed = info.uploaded.and_then(Number::time);
            entries.extend(info.tag.into_iter().flatten().map(|name| ApiEntry {
                name,
                digest: Some(digest.clone()),
                pushed,
                ..ApiEntry::default()
            }));
        }
        Ok(TagsOfManifests(entries))
    }
}

impl<'de> Deserialize<'de> for HasEntries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = HasEntries;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list or a map")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<HasEntries, A::Error> {
        let mut has_entries = false;
        while list.next_element::<IgnoredAny>()?.is_some() {
            has_entries = true;
        }
        Ok(HasEntries(has_entries))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<HasEntries, A::Error> {
        let mut has_entries = false;
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            has_entries = true;
        }
        Ok(HasEntries(has_entries))
    }
}

impl Number {
    fn time(self) -> Option<SystemTime> {
        unix_milliseconds(match self {
            Self::Whole(number) => number,
            Self::Text(text) => text.parse().ok()?,
            Self::Other(_) => return None,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn google() -> Google {
        Google::new(Registry::parse("gcr.io").unwrap())
    }

    fn content(kind: ListContent, text: &str) -> PageContent {
        let page = ApiPage::first(ApiList::new(kind, "project/a"));
        google()
            .read(&page, &ApiAnswer::literal(&[], text))
            .unwrap()
    }

    #[test]
    fn requests_are_those_for_tags() {
        let first = ApiPage::first(google().repositories("project/a").unwrap());
        let registry = Registry::parse("gcr.io").unwrap();
        let repository = Repository::new(registry, "project/a").unwrap();
        let expected = ApiRequest::Registry(repository, "tags/list".to_owned());
        assert_eq!(google().request(&first), expected);
    }

    #[test]
    fn children_are_lists_and_a_name_with_images_is_a_repository() {
        let text = r#"{"child":["b","c-1"],"manifest":{},"name":"project/a","tags":[]}"#;
        let parent = content(ListContent::Repositories, text);
        let list = |name| ApiList::new(ListContent::Repositories, name);
        assert_eq!(parent.entries, []);
        assert_eq!(parent.nested, ["project/a/b", "project/a/c-1"].map(list));
        let text =
            r#"{"child":[],"manifest":{"sha256:aa":{"tag":[]}},"name":"project/a","tags":[]}"#;
        let leaf = content(ListContent::Repositories, text);
        assert_eq!(leaf.entries, [ApiEntry::named("project/a")]);
        assert_eq!((leaf.nested.len(), leaf.count), (0, 1));
    }

    #[test]
    fn illegal_children_are_entries_and_lead_nowhere() {
        let text = r#"{"child":["UPPER","..","","x y"],"tags":["v1"]}"#;
        let content = content(ListContent::Repositories, text);
        assert_eq!(content.nested, []);
        assert_eq!(content.entries.len(), 5);
    }

    #[test]
    fn tags_have_the_digest_and_time_of_their_manifest() {
        let text = r#"{"child":[],"manifest":{
            "sha256:aa":{"imageSizeBytes":"1","layerId":"","mediaType":"m","tag":["v1","latest"],
                "timeCreatedMs":"0","timeUploadedMs":"1714648953456"},
            "sha256:bb":{"tag":["v2"],"timeUploadedMs":1714648953456},
            "sha256:cc":{"tag":["v3"],"timeUploadedMs":-1}},
            "name":"project/a","tags":["latest","lost"]}"#;
        let tag = |name: &str, digest: Option<&str>, pushed| ApiEntry {
            name: name.to_owned(),
            digest: digest.map(str::to_owned),
            pushed,
            ..ApiEntry::default()
        };
        let time = unix_milliseconds(1_714_648_953_456);
        assert_eq!(
            content(ListContent::Tags, text).entries,
            [
                tag("v1", Some("sha256:aa"), time),
                tag("latest", Some("sha256:aa"), time),
                tag("v2", Some("sha256:bb"), time),
                tag("v3", Some("sha256:cc"), None),
                tag("latest", None, None),
                tag("lost", None, None),
            ]
        );
    }

    #[test]
    fn a_repository_with_very_many_tags_is_found() {
        let tags = "\"x\",".repeat(100_001);
        let text = format!(r#"{{"child":null,"manifest":null,"tags":[{tags}"x"]}}"#);
        let found = content(ListContent::Repositories, &text);
        assert_eq!(found.entries, [ApiEntry::named("project/a")]);
        let page = ApiPage::first(ApiList::new(ListContent::Tags, "project/a"));
        let error = google().read(&page, &ApiAnswer::literal(&[], &text));
        assert!(error.unwrap_err().starts_with("more than 100000 entries"));
    }

    #[test]
    fn a_list_in_pages_is_partial() {
        let page = ApiPage::first(ApiList::new(ListContent::Tags, "project/a"));
        let link = [("link", "</v2/project/a/tags/list?last=b>; rel=\"next\"")];
        let answer = ApiAnswer::literal(&link, r#"{"tags":["a","b"]}"#);
        assert!(google().read(&page, &answer).unwrap().is_partial);
    }

    #[test]
    fn the_project_must_be_named() {
        assert_eq!(
            google().repositories("").unwrap_err(),
            "Google lists the repositories of one project at a time; name the project before the wildcard, as in `gcr.io/PROJECT/**`"
        );
    }
}
