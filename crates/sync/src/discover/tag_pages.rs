//! Pages of tags, with digests where that saves requests.
//!
//! # When digests are listed
//!
//! A list with digests has a request for each hundred tags, and saves one for each tag. So it pays from three tags on.
//! Most registries list names alone, and only some say so before a request. A list of names may reveal the registry:
//! after its first page, the list begins again with digests if the store is now known to have them. A store is probed
//! only for many tags.

use std::sync::Arc;

use image_syncer_registry::ListedTag;

use crate::store::{Destination, Source, StoreResult, TagDetail, Tags};

/// Minimum number of tags that justify a list with digests.
pub(super) const SEVERAL: usize = 3;

/// Minimum number of tags that justify a probe for a list with digests.
pub(super) const MANY: usize = 20;

/// A repository at one end of a copy.
pub(crate) enum RepositoryEnd {
    Source(Arc<dyn Source>),
    Destination(Arc<dyn Destination>),
}

/// Pages of the tags of a repository.
pub(crate) struct TagPages {
    end: RepositoryEnd,
    pages: Box<dyn Tags>,
    /// True before the first page of a list of names that may begin again with digests.
    may_begin_again: bool,
    with_digests: bool,
}

impl RepositoryEnd {
    /// Returns true if the store lists digests, which saves requests for `tags` tags. An unknown store is probed for many
    /// tags.
    pub(super) async fn lists_digests(&self, tags: usize) -> bool {
        if tags < SEVERAL {
            return false;
        }
        let may_probe = tags >= MANY;
        match self {
            Self::Source(store) => store.lists_digests(may_probe).await,
            Self::Destination(store) => store.lists_digests(may_probe).await,
        }
    }
    fn tags(&self, detail: TagDetail) -> Box<dyn Tags> {
        match self {
            Self::Source(store) => store.tags(detail),
            Self::Destination(store) => store.tags(detail),
        }
    }
}

impl TagPages {
    /// Opens the list, of which `wanted` tags or more are of interest. With `TagDetail::Digests`, lists digests as soon as the
    /// store is known to have them.
    pub(crate) async fn open(end: RepositoryEnd, detail: TagDetail, wanted: usize) -> Self {
        let wants_digests = detail == TagDetail::Digests;
        let with_digests = wants_digests && end.lists_digests(wanted.max(SEVERAL)).await;
        let detail = if with_digests {
            TagDetail::Digests
        } else {
            TagDetail::Names
        };
        Self {
            pages: end.tags(detail),
            end,
            may_begin_again: wants_digests && !with_digests,
            with_digests,
        }
    }
    /// Returns true if the pages have digests, unless the store's list with digests failed.
    pub(super) fn with_digests(&self) -> bool {
        self.with_digests
    }
    /// Returns the next page, or `None` at the end.
    pub(crate) async fn next(&mut self) -> StoreResult<Option<Vec<ListedTag>>> {
        let page = self.pages.next().await?;
        let first = std::mem::take(&mut self.may_begin_again);
        let tags = page.as_ref().map_or(0, Vec::len);
        if first && self.end.lists_digests(tags).await {
            self.with_digests = true;
            self.pages = self.end.tags(TagDetail::Digests);
            return self.pages.next().await;
        }
        Ok(page)
    }
}
