//! Tags of a repository (docs/protocol.md#tag-lists).

use crate::auth::ScopeSet;
use crate::client::Client;
use crate::client::name_list::{ListKind, ListRequest, NameList};
use crate::error::Error;
use crate::reference::{Repository, Tag};

/// Tags of one repository, one page at a time, so that work can start before the list is complete.
pub struct TagPages(NameList);

impl Client {
    /// Lists the tags of `repository`.
    pub fn tags(&self, repository: &Repository) -> TagPages {
        TagPages(self.tag_list(repository, ScopeSet::pull(repository)))
    }
    /// Like [`Client::tags`], for a repository that will be written to: requests push rights at once, so that the token
    /// serves the push as well. Invalid tags cause no warning, since nothing is left out because of them.
    pub fn tags_for_push(&self, repository: &Repository) -> TagPages {
        let list = self.tag_list(repository, ScopeSet::push(repository));
        TagPages(list.without_warnings())
    }

    fn tag_list(&self, repository: &Repository, scopes: ScopeSet) -> NameList {
        let request = ListRequest {
            resource: repository.into(),
            scopes,
            path: "tags/list",
            action: format!("list the tags of {}", repository.path()).into(),
            kind: ListKind::Tags,
        };
        NameList::new(self, request)
    }
}

impl TagPages {
    /// Returns the next page, or `None` at the end. Each tag is returned once, however often the registry repeats it. A
    /// repository that does not exist is [`ErrorKind::NotFound`](crate::ErrorKind::NotFound).
    ///
    /// A page without a `Link` ends the list, unless its length is a round number: the registry may cut lists silently,
    /// so one more page is requested. Invalid tags are left out with a warning. A list that leads back to a page
    /// already read, or does not end, is an error: the tags after it would be lost silently.
    ///
    /// Artifactory and Nexus return whole lists without a page size, and broken links with one. So a list that cannot
    /// be followed to its end starts again without a page size.
    pub async fn next(&mut self) -> Result<Option<Vec<Tag>>, Error> {
        let parse = |text: &str| Tag::parse(text).map_err(|error| error.to_string());
        self.0.next(parse).await
    }
}
