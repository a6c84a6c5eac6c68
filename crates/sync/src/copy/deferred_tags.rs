//! Tags that name what refers to an image and that a rule holds back, where the image itself is not copied.

use image_syncer_registry::ManifestHead;
use image_syncer_registry::manifest::media_type::{DOCKER_MANIFEST, OCI_MANIFEST};

use crate::copy::Copier;
use crate::discover::ImageDestination;
use crate::graph::SourceImage;

impl Copier {
    /// Notes that the tags that name what refers to an image, which was not copied, are no images of their own: what
    /// refers to it stays behind with it.
    pub(super) async fn cover_referrer_tags(&self, image: &SourceImage, place: &ImageDestination) {
        if self.referrers.is_some()
            && let Ok(head) = image.head().await
        {
            self.cover_referrer_tags_of_root(image, place, head).await;
        }
    }

    /// The same for an image whose root is known by its `head` alone. What lies below it is read only where a rule found
    /// tags that may name what refers to that.
    pub(super) async fn cover_referrer_tags_of_root(
        &self,
        image: &SourceImage,
        place: &ImageDestination,
        head: ManifestHead,
    ) {
        if self.referrers.is_none() {
            return;
        }
        let mut subjects = Vec::new();
        if self.may_hold_back(image, &head).await
            && let Ok(root) = image.manifest(&head.digest).await
            && let Ok(below) = image.manifests_below(&root).await
        {
            subjects = below;
        }
        subjects.push(head.digest);
        let source = image.store().repository();
        for subject in &subjects {
            self.source_tags.answer(source, subject, &place.repository);
        }
    }

    /// Whether tags may be held back that name what refers to something below a root of that `head`.
    pub(super) async fn may_hold_back(&self, image: &SourceImage, head: &ManifestHead) -> bool {
        let media_type = head.media_type.as_deref();
        let is_image = media_type.is_some_and(|it| [OCI_MANIFEST, DOCKER_MANIFEST].contains(&it));
        !is_image
            && self
                .source_tags
                .may_hold_back(image.store().repository())
                .await
    }
}
