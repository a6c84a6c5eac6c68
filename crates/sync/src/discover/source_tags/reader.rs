//! Reader of one list for one search.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use image_syncer_registry::ListedTag;
use tokio::sync::watch;

use crate::discover::source_tags::SourceTags;
use crate::discover::source_tags::list::{ListState, SourceList};
use crate::discover::source_tags::page::PackedPage;
use crate::failure::Failure;
use crate::store::Tags;

/// Reader of the pages of a list, at the pace of one search.
pub(in crate::discover) struct PageReader {
    sources: Arc<SourceTags>,
    list: Arc<SourceList>,
    state: watch::Receiver<ListState>,
    /// Number of pages returned.
    taken: usize,
    anew: Option<FreshList>,
}

/// Second list, read by this reader alone, since pages were not kept.
struct FreshList {
    pages: Box<dyn Tags>,
    /// 64-bit hashes of the tags that were returned before.
    taken: HashSet<u64>,
    hasher: RandomState,
}

/// Source of the next page.
enum NextPage {
    Page(Arc<PackedPage>),
    Anew,
    Later,
    End(Result<(), Failure>),
}

impl PageReader {
    pub(super) fn new(sources: Arc<SourceTags>, list: Arc<SourceList>) -> Self {
        Self {
            sources,
            state: list.state(),
            list,
            taken: 0,
            anew: None,
        }
    }

    /// Returns the list.
    pub(in crate::discover) fn list(&self) -> &Arc<SourceList> {
        &self.list
    }

    /// Returns the next page, or `None` at the end. Must not be called again after a failure.
    pub(in crate::discover) async fn next(&mut self) -> Result<Option<Vec<ListedTag>>, Failure> {
        loop {
            if let Some(anew) = &mut self.anew {
                return anew.next().await;
            }
            match self.read_page() {
                NextPage::Page(page) => {
                    self.taken += 1;
                    let garbled = || Failure::internal("a list of tags was garbled");
                    return page.tags().map(Some).ok_or_else(garbled);
                }
                NextPage::Anew => {
                    let list = Arc::clone(&self.list);
                    let pages = list.open_pages(list.detail()).await?;
                    self.anew = Some(self.list_again(pages));
                }
                NextPage::End(end) => return end.map(|()| None),
                NextPage::Later => {
                    let gone = "the reading of a list of tags ended before the list";
                    let changed = self.state.changed().await;
                    changed.map_err(|_| Failure::internal(gone))?;
                }
            }
        }
    }

    /// Returns the remaining tags, if the list is complete and all of its pages are kept.
    pub(in crate::discover) fn ahead(&self) -> Option<Vec<ListedTag>> {
        let state = self.state.borrow();
        if self.anew.is_some() || state.text.is_cut() || !matches!(state.end, Some(Ok(()))) {
            return None;
        }
        let pages = (self.taken..).map_while(|number| state.text.page(number));
        let pages: Option<Vec<_>> = pages.map(|page| page.tags()).collect();
        Some(pages?.concat())
    }

    fn read_page(&mut self) -> NextPage {
        let state = self.state.borrow_and_update();
        match (state.text.page(self.taken), &state.end) {
            (Some(page), _) => NextPage::Page(Arc::clone(page)),
            (None, _) if state.text.is_cut() => NextPage::Anew,
            (None, Some(end)) => NextPage::End(end.clone()),
            (None, None) => NextPage::Later,
        }
    }

    fn list_again(&self, pages: Box<dyn Tags>) -> FreshList {
        let hasher = RandomState::new();
        let state = self.state.borrow();
        let read = (0..self.taken).filter_map(|number| state.text.page(number));
        let taken = read.filter_map(|page| page.tags()).flatten();
        FreshList {
            taken: taken
                .map(|listed| hasher.hash_one(listed.tag.as_str()))
                .collect(),
            pages,
            hasher,
        }
    }
}

impl FreshList {
    async fn next(&mut self) -> Result<Option<Vec<ListedTag>>, Failure> {
        let page = self.pages.next().await;
        let page = page?;
        Ok(page.map(|mut tags| {
            let is_new = |listed: &ListedTag| {
                let hash = self.hasher.hash_one(listed.tag.as_str());
                !self.taken.contains(&hash)
            };
            tags.retain(is_new);
            tags
        }))
    }
}

impl Drop for PageReader {
    fn drop(&mut self) {
        self.sources.was_read(self.list.repository());
    }
}
