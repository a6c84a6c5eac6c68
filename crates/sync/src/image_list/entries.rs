//! Names of listed images, page by page.

use std::collections::VecDeque;
use std::sync::Arc;

use globset::GlobMatcher;
use image_syncer_registry::{ListedTag, Target};

use super::reader::{ImageReader, NamedImage};
use super::scope::ScopePart;
use super::{ImageDetail, ImageListItem, ImageScope};
use crate::discover::{RepositoryEnd, TagPages};
use crate::failure::Failure;
use crate::graph::ManifestCache;
use crate::rule::{RepositoryPattern, RuleSource, Selection};
use crate::store::{
    RepositoryPage, RepositoryPages, RepositoryScope, StoreResult, StoredRoot, Stores, TagDetail,
};
use crate::{Endpoint, Repository};

/// Entry whose details are not read yet.
pub(super) enum Entry {
    /// An entry without further details.
    Item(ImageListItem),
    /// An image with the reader of its repository.
    Image(Arc<ImageReader>, Box<NamedImage>),
}

/// Entries of a scope, in order.
pub(super) struct Entries {
    stores: Arc<dyn Stores>,
    detail: ImageDetail,
    manifests: Arc<ManifestCache>,
    /// Parts that were not begun.
    parts: VecDeque<ScopePart>,
    /// List that is being read.
    list: Option<OpenList>,
    /// Entries that were read and not returned.
    ready: VecDeque<Entry>,
}

/// A list with a place for its failure.
struct OpenList {
    place: String,
    pages: Pages,
}

enum Pages {
    Tags {
        tags: TagPages,
        select: Selection,
        reader: Arc<ImageReader>,
    },
    Repositories {
        repositories: Box<dyn RepositoryPages>,
        /// `None` for all repositories.
        pattern: Option<Arc<RepositoryPattern>>,
    },
}

impl Entries {
    /// Returns the entries of `scope`. Sends no request yet.
    pub(super) fn new(stores: Arc<dyn Stores>, scope: &ImageScope, detail: ImageDetail) -> Self {
        Self {
            stores,
            detail,
            manifests: Arc::default(),
            parts: scope.parts().iter().cloned().collect(),
            list: None,
            ready: VecDeque::new(),
        }
    }

    /// Returns the next entry, or `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Entry> {
        loop {
            if let Some(entry) = self.ready.pop_front() {
                return Some(entry);
            }
            if let Some(list) = self.list.take() {
                self.read_page(list).await;
            } else {
                let part = self.parts.pop_front()?;
                self.open(part).await;
            }
        }
    }

    async fn open(&mut self, part: ScopePart) {
        let stores = Arc::clone(&self.stores);
        let (place, opened) = match part {
            ScopePart::Repository(source) => {
                let place = source.repository.to_string();
                (place, self.open_repository(source).await)
            }
            ScopePart::Pattern(pattern) => {
                let scope = pattern_scope(&pattern);
                let endpoint = pattern.endpoint().clone();
                let place = pattern.to_string();
                let opened = open_repositories(&stores, &endpoint, &scope, Some(pattern)).await;
                (place, opened)
            }
            ScopePart::Registry(endpoint) => {
                let scope = RepositoryScope::default();
                let opened = open_repositories(&stores, &endpoint, &scope, None).await;
                (endpoint.to_string(), opened)
            }
            ScopePart::File { endpoint, names } => {
                let opened = self.open_file(&endpoint, names.as_ref()).await;
                (endpoint.to_string(), opened)
            }
        };
        match opened {
            Ok(Some(pages)) => self.list = Some(OpenList { place, pages }),
            Ok(None) => {}
            Err(error) => self.fail(place, error.into()),
        }
    }

    /// Opens the list of a repository. Named images need none.
    async fn open_repository(&mut self, source: RuleSource) -> StoreResult<Option<Pages>> {
        let RuleSource { repository, select } = source;
        let reader = self.reader(&repository).await?;
        let targets: Vec<Target> = match select {
            Selection::Tags(tags) => tags.into_iter().map(Target::Tag).collect(),
            Selection::Digest { digest, .. } => vec![Target::Digest(digest)],
            select => {
                let detail = match self.detail {
                    ImageDetail::Names => TagDetail::Names,
                    ImageDetail::Digests | ImageDetail::Contents => TagDetail::Digests,
                };
                let end = RepositoryEnd::Source(Arc::clone(reader.source()));
                return Ok(Some(Pages::Tags {
                    tags: TagPages::open(end, detail, 0).await,
                    select,
                    reader,
                }));
            }
        };
        for target in targets {
            let image = NamedImage::new(&repository, target).unproven();
            self.push(&reader, image);
        }
        Ok(None)
    }

    /// Adds the images of a file: all, or those whose names match.
    async fn open_file(
        &mut self,
        endpoint: &Endpoint,
        names: Option<&GlobMatcher>,
    ) -> StoreResult<Option<Pages>> {
        let Some(unnamed) = Repository::at(endpoint, "") else {
            return Ok(None);
        };
        let stores = Arc::clone(&self.stores);
        let Some(roots) = stores.roots(endpoint).await? else {
            let scope = RepositoryScope::default();
            return open_repositories(&stores, endpoint, &scope, None).await;
        };
        let reader = self.reader(&unnamed).await?;
        for StoredRoot {
            repository,
            tag,
            head,
        } in roots
        {
            let is_named = tag.is_some();
            let target = tag.map(Target::Tag);
            let target = target.unwrap_or_else(|| Target::Digest(head.digest.clone()));
            let image = NamedImage::new(&repository, target).with_head(head);
            if names.is_none_or(|names| is_named && names.is_match(&image.name)) {
                self.push(&reader, image);
            }
        }
        Ok(None)
    }

    /// Reads a page of `list`, and keeps the list if it has another.
    async fn read_page(&mut self, mut list: OpenList) {
        let read = match &mut list.pages {
            Pages::Tags {
                tags,
                select,
                reader,
            } => {
                let page = tags.next().await;
                page.map(|page| page.map(|tags| listed(reader, select, tags)))
            }
            Pages::Repositories {
                repositories,
                pattern,
            } => {
                let page = repositories.next().await;
                page.map(|page| page.map(|page| self.found(pattern.as_deref(), page)))
            }
        };
        match read {
            Ok(Some(entries)) => {
                self.ready.extend(entries);
                self.list = Some(list);
            }
            Ok(None) => {}
            Err(error) => self.fail(list.place, error.into()),
        }
    }

    /// Returns the repositories of a page. With a pattern that selects images, begins with their lists instead.
    fn found(&mut self, pattern: Option<&RepositoryPattern>, page: RepositoryPage) -> Vec<Entry> {
        let mut repositories = page.repositories;
        repositories.retain(|found| pattern.is_none_or(|it| it.matches(found)));
        match pattern.map(RepositoryPattern::select) {
            None | Some(Selection::All) => {
                let items = repositories.into_iter().map(ImageListItem::Repository);
                items.map(Entry::Item).collect()
            }
            Some(select) => {
                let parts = repositories.into_iter().map(|repository| RuleSource {
                    repository,
                    select: select.clone(),
                });
                let parts: Vec<_> = parts.map(ScopePart::Repository).collect();
                self.parts.extend(parts);
                Vec::new()
            }
        }
    }

    async fn reader(&mut self, repository: &Repository) -> StoreResult<Arc<ImageReader>> {
        let source = self.stores.source(repository).await?;
        let reader = ImageReader::new(source, Arc::clone(&self.manifests), self.detail);
        Ok(Arc::new(reader))
    }

    fn push(&mut self, reader: &Arc<ImageReader>, image: NamedImage) {
        let entry = Entry::Image(Arc::clone(reader), Box::new(image));
        self.ready.push_back(entry);
    }

    fn fail(&mut self, place: String, failure: Failure) {
        let item = ImageListItem::Failed { place, failure };
        self.ready.push_back(Entry::Item(item));
    }
}

/// Opens the list of the repositories of `endpoint` in `scope`.
async fn open_repositories(
    stores: &Arc<dyn Stores>,
    endpoint: &Endpoint,
    scope: &RepositoryScope,
    pattern: Option<Arc<RepositoryPattern>>,
) -> StoreResult<Option<Pages>> {
    let repositories = stores.repositories(endpoint, scope).await?;
    Ok(Some(Pages::Repositories {
        repositories,
        pattern,
    }))
}

/// Returns the part of a list of repositories that a pattern may match.
fn pattern_scope(pattern: &Arc<RepositoryPattern>) -> RepositoryScope {
    let prefix = pattern.literal_prefix().to_owned();
    let pattern = Arc::clone(pattern);
    RepositoryScope::below(prefix).with_namespaces(move |first| pattern.may_match_below(first))
}

/// Returns the selected tags of a page.
fn listed(reader: &Arc<ImageReader>, select: &Selection, tags: Vec<ListedTag>) -> Vec<Entry> {
    let repository = reader.source().repository().clone();
    let is_selected = |listed: &ListedTag| match select {
        Selection::Matching(pattern) => pattern.matches(&listed.tag),
        _ => true,
    };
    let tags = tags.into_iter().filter(is_selected);
    let entries = tags.map(|listed| {
        let image = NamedImage::new(&repository, Target::Tag(listed.tag.clone()));
        Entry::Image(Arc::clone(reader), Box::new(image.with_listed(listed)))
    });
    entries.collect()
}
