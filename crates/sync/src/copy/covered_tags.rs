//! Referrer tags of images that are not copied: they stay behind with the image.

use image_syncer_registry::ManifestHead;
use image_syncer_registry::manifest::media_type::{DOCKER_MANIFEST, OCI_MANIFEST};

use crate::copy::Copier;
use crate::copy::destination::DestinationCopy;
use crate::graph::SourceImage;
use crate::lock::lock;

impl DestinationCopy<'_> {
    /// Covers the referrer tags of an image that is not copied.
    pub(super) async fn cover_referrer_tags(&self) {
        if self.place.options.referrers.is_some()
            && let Ok(head) = self.image.head().await
        {
            self.cover_referrer_tags_of_root(head).await;
        }
    }

    /// Like [`DestinationCopy::cover_referrer_tags`], for a known `head`. Manifests below the root are read only if a rule
    /// may have deferred tags of them.
    pub(super) async fn cover_referrer_tags_of_root(&self, head: ManifestHead) {
        let Some(referrers) = &self.place.options.referrers else {
            return;
        };
        let mut subjects = Vec::new();
        if self.copier.may_defer_tags_below(self.image, &head).await
            && let Ok(root) = self.image.manifest(&head.digest).await
            && let Ok(below) = self.image.manifests_below(&root).await
        {
            subjects = below;
        }
        subjects.push(head.digest);
        let mut covered = lock(self.covered);
        for subject in &subjects {
            covered.add(subject, &self.place.repository, referrers);
        }
    }
}

impl Copier {
    /// Returns true if a rule may have deferred tags of manifests below a root with this `head`.
    pub(super) async fn may_defer_tags_below(
        &self,
        image: &SourceImage,
        head: &ManifestHead,
    ) -> bool {
        let media_type = head.media_type.as_deref();
        let is_image = media_type.is_some_and(|it| [OCI_MANIFEST, DOCKER_MANIFEST].contains(&it));
        let source = image.store().repository();
        !is_image && self.source_tags.may_defer_tags(source).await
    }
}
