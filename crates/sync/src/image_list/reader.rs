//! Details of one image.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::SystemTime;

use image_syncer_registry::{Descriptor, Digest, ErrorKind, ListedTag, ManifestHead, Target};

use super::{ImageDetail, ListedImage};
use crate::Repository;
use crate::failure::Failure;
use crate::graph::{ImageSummary, MAX_MANIFESTS, ManifestCache, SourceImage};
use crate::keyed::KeyedOnce;
use crate::rule::PlatformFilter;
use crate::store::{FallbackTag, Source};

/// Maximum number of summaries that are kept for further tags of the same images.
const MAX_SUMMARIES: u64 = 10_000;

/// Image whose name is known.
pub(super) struct NamedImage {
    /// Name as it is listed.
    pub(super) name: String,
    /// Name as a source of a copy.
    reference: String,
    repository: Option<String>,
    target: Target,
    head: Option<ManifestHead>,
    pushed: Option<SystemTime>,
    /// True if it is not known to exist.
    is_unproven: bool,
}

/// Reader of the images of one repository, or of one file.
pub(super) struct ImageReader {
    source: Arc<dyn Source>,
    manifests: Arc<ManifestCache>,
    filter: Arc<PlatformFilter>,
    detail: ImageDetail,
    summaries: KeyedOnce<Digest, Arc<ImageSummary>, Failure>,
}

impl NamedImage {
    /// Returns the image that `target` names in `repository`.
    pub(super) fn new(repository: &Repository, target: Target) -> Self {
        let image_name = repository.image_name();
        let is_named = !image_name.is_empty();
        let mark = match target {
            Target::Tag(_) => ':',
            Target::Digest(_) => '@',
        };
        let name = match (is_named, &target) {
            (false, Target::Tag(tag)) => tag.to_string(),
            _ => format!("{image_name}{mark}{target}"),
        };
        let hash = if is_named { "" } else { "#" };
        Self {
            name,
            reference: format!("{repository}{hash}{mark}{target}"),
            repository: is_named.then_some(image_name),
            target,
            head: None,
            pushed: None,
            is_unproven: false,
        }
    }
    /// Adds the manifest that the index of a file lists.
    pub(super) fn with_head(self, head: ManifestHead) -> Self {
        Self {
            head: Some(head),
            ..self
        }
    }
    /// Adds what a list states about the tag.
    pub(super) fn with_listed(self, listed: ListedTag) -> Self {
        let head = |digest| ManifestHead {
            digest,
            media_type: None,
            size: None,
        };
        Self {
            head: listed.digest.map(head),
            pushed: listed.pushed,
            ..self
        }
    }
    /// Requires a lookup, since no list has the image.
    pub(super) fn unproven(self) -> Self {
        Self {
            is_unproven: true,
            ..self
        }
    }
}

impl ImageReader {
    /// Creates a reader that keeps manifests in `manifests`.
    pub(super) fn new(
        source: Arc<dyn Source>,
        manifests: Arc<ManifestCache>,
        detail: ImageDetail,
    ) -> Self {
        Self {
            source,
            manifests,
            filter: Arc::default(),
            detail,
            summaries: KeyedOnce::with_limit(MAX_SUMMARIES),
        }
    }

    /// Returns the store.
    pub(super) fn source(&self) -> &Arc<dyn Source> {
        &self.source
    }

    /// Reads the details of `image`.
    pub(super) async fn read(&self, image: NamedImage) -> ListedImage {
        let mut listed = ListedImage {
            name: image.name,
            reference: image.reference,
            repository: image.repository,
            tag: match &image.target {
                Target::Tag(tag) => Some(tag.clone()),
                Target::Digest(_) => None,
            },
            digest: None,
            media_type: None,
            pushed: image.pushed,
            summary: None,
            referrers: None,
            failure: None,
        };
        set_head(&mut listed, image.head.clone());
        let is_known = image.head.is_some() || !image.is_unproven;
        let read = match self.detail {
            ImageDetail::Names if is_known => Ok(()),
            ImageDetail::Digests if image.head.is_some() => Ok(()),
            ImageDetail::Names | ImageDetail::Digests => {
                let head = self.resolve(&image.target).await;
                head.map(|head| set_head(&mut listed, Some(head)))
            }
            ImageDetail::Contents => {
                let head = image.head.as_ref();
                self.read_contents(&mut listed, &image.target, head).await
            }
        };
        if let Err(failure) = read {
            listed.failure = Some(failure);
        }
        listed
    }

    async fn resolve(&self, target: &Target) -> Result<ManifestHead, Failure> {
        let head = self.source.resolve(target).await?;
        head.ok_or_else(|| self.image(target.clone()).missing())
    }

    /// Reads the manifests of an image. `head` is the manifest that a list states.
    async fn read_contents(
        &self,
        listed: &mut ListedImage,
        target: &Target,
        head: Option<&ManifestHead>,
    ) -> Result<(), Failure> {
        let image = match (head, target) {
            (Some(head), _) => self.image(Target::Digest(head.digest.clone())),
            // One GET instead of HEAD and GET.
            (None, _) => self.image(target.clone()).needed(),
        };
        let digest = image.head().await?.digest;
        listed.digest = Some(digest.clone());
        let summary = match self.summary(&digest, &image).await {
            Err(failure) if head.is_some() && failure.kind == Some(ErrorKind::NotFound) => {
                self.moved(listed, target, &digest).await?.ok_or(failure)?
            }
            summary => summary?,
        };
        listed.media_type = Some(summary.media_type.clone()).filter(|text| !text.is_empty());
        listed.failure.clone_from(&summary.failure);
        if self.source.repository().endpoint().registry().is_none()
            && let Some(digest) = &listed.digest
        {
            listed.referrers = Some(self.referrers(digest, &summary).await?);
        }
        listed.summary = Some(summary);
        Ok(())
    }

    /// Returns the summary of the manifest that a tag names now, if the list showed another one, which is gone.
    async fn moved(
        &self,
        listed: &mut ListedImage,
        target: &Target,
        gone: &Digest,
    ) -> Result<Option<Arc<ImageSummary>>, Failure> {
        if !matches!(target, Target::Tag(_)) {
            return Ok(None);
        }
        let digest = self.resolve(target).await?.digest;
        if digest == *gone {
            return Ok(None);
        }
        listed.digest = Some(digest.clone());
        let image = self.image(Target::Digest(digest.clone()));
        self.summary(&digest, &image).await.map(Some)
    }

    async fn summary(
        &self,
        digest: &Digest,
        image: &SourceImage,
    ) -> Result<Arc<ImageSummary>, Failure> {
        let read = || async { image.summary().await.map(Arc::new) };
        self.summaries.get(digest.clone(), |_| 1, read).await
    }

    /// Returns the manifests that refer to the root, to its platforms, or to one another.
    async fn referrers(
        &self,
        root: &Digest,
        summary: &ImageSummary,
    ) -> Result<Vec<Descriptor>, Failure> {
        let platforms = summary.platforms.iter().map(|it| it.digest.clone());
        let mut subjects: Vec<Digest> = platforms.chain([root.clone()]).collect();
        let mut seen: HashSet<Digest> = subjects.iter().cloned().collect();
        let mut found = Vec::new();
        while let Some(subject) = subjects.pop() {
            let referrers = self.source.referrers(&subject, FallbackTag::Absent).await?;
            for referrer in referrers {
                if found.len() < MAX_MANIFESTS && seen.insert(referrer.digest.clone()) {
                    subjects.push(referrer.digest.clone());
                    found.push(referrer);
                }
            }
        }
        Ok(found)
    }

    fn image(&self, target: Target) -> SourceImage {
        let (filter, manifests) = (Arc::clone(&self.filter), Arc::clone(&self.manifests));
        SourceImage::new(Arc::clone(&self.source), target, filter, manifests)
    }
}

fn set_head(listed: &mut ListedImage, head: Option<ManifestHead>) {
    if let Some(head) = head {
        listed.digest = Some(head.digest);
        listed.media_type = head.media_type;
    }
}
