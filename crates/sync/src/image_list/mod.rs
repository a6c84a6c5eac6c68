//! Images that an endpoint holds: names, digests, platforms and sizes, for people and scripts.
//!
//! # Requests
//!
//! | Detail | Requests to a registry |
//! |---|---|
//! | [`Names`](ImageDetail::Names) | one for each page of tags |
//! | [`Digests`](ImageDetail::Digests) | also a HEAD for each tag, unless the list has digests |
//! | [`Contents`](ImageDetail::Contents) | instead, a GET for each manifest, and for the config of a single image; what several tags share is fetched once |
//!
//! Tags that are named are never believed to exist: they are looked up, and no list is read. Files need no request, and
//! their images have all details.

mod entries;
mod reader;
mod scope;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::SystemTime;

use futures_util::stream::{self, Stream, StreamExt};
use image_syncer_registry::{Descriptor, Digest, Tag};

use crate::Repository;
use crate::failure::Failure;
pub use crate::graph::{ImageKind, ImageSummary, PlatformSummary};
use crate::session::Session;
use crate::store::Stores;
use entries::{Entries, Entry};
pub use scope::ImageScope;

/// Maximum number of images that are read at the same time. The limits of their registry apply as well.
const CONCURRENT: usize = 32;

/// Maximum number of images in one part of a list.
const PART: usize = 100;

/// Details of a list of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageDetail {
    /// Names, and digests where they cost nothing.
    Names,
    /// Digests of all images.
    Digests,
    /// Kinds, platforms and sizes as well.
    Contents,
}

/// Entry of a list of images.
#[derive(Clone, Debug)]
pub enum ImageListItem {
    /// A repository, if only repositories are listed.
    Repository(Repository),
    /// An image.
    Image(Box<ListedImage>),
    /// A list that could not be read to its end.
    Failed {
        /// Repository or endpoint whose images are missing.
        place: String,
        /// The reason.
        failure: Failure,
    },
}

/// Image of a list.
#[derive(Clone, Debug)]
pub struct ListedImage {
    /// Full name with tag or digest. In a file, the name there, and `@sha256:…` without one.
    pub name: String,
    /// Name as a source of a copy: with the path of the file.
    pub reference: String,
    /// Full name of the repository, if the image has one.
    pub repository: Option<String>,
    /// Tag, if the image has one.
    pub tag: Option<Tag>,
    /// Digest of the root, unless only names are listed or it could not be found.
    pub digest: Option<Digest>,
    /// Media type of the root, if it is known.
    pub media_type: Option<String>,
    /// Time of the last push, if the list of the registry states it.
    pub pushed: Option<SystemTime>,
    /// Content, for [`ImageDetail::Contents`].
    pub summary: Option<Arc<ImageSummary>>,
    /// Manifests that refer to the image, its platforms, or one another. `None` for registries.
    pub referrers: Option<Vec<Descriptor>>,
    /// Reason for missing details.
    pub failure: Option<Failure>,
}

impl Session {
    /// Lists the images of `scope` in parts, in the order of their lists. Each failure is an entry, and the rest is listed
    /// all the same.
    pub fn list_images(
        &self,
        scope: &ImageScope,
        detail: ImageDetail,
    ) -> impl Stream<Item = Vec<ImageListItem>> + Send + 'static {
        list(self.stores(), scope, detail)
    }
}

/// Lists the images of `scope` in `stores`.
fn list(
    stores: Arc<dyn Stores>,
    scope: &ImageScope,
    detail: ImageDetail,
) -> impl Stream<Item = Vec<ImageListItem>> + Send + 'static {
    let entries = Entries::new(stores, scope, detail);
    let entries = stream::unfold(entries, |mut entries| async {
        let entry = entries.next().await?;
        Some((entry, entries))
    });
    let read = |entry| async {
        match entry {
            Entry::Item(item) => item,
            Entry::Image(reader, image) => {
                ImageListItem::Image(Box::new(reader.read(*image).await))
            }
        }
    };
    entries.map(read).buffered(CONCURRENT).chunks(PART)
}
