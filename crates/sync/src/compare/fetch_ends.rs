//! Queries both ends at once: the wanted manifest and the existing one.

use image_syncer_registry::manifest::media_type::{DOCKER_MANIFEST, OCI_MANIFEST};
use image_syncer_registry::{Digest, ErrorKind, ManifestHead, Tag, Target};

use crate::compare::listed::ListedComparison;
use crate::compare::resolve::{Found, resolve};
use crate::compare::tag_conflict::TagConflictCheck;
use crate::compare::{CompareTarget, Comparer, Comparison, Difference, MissingImage};
use crate::failure::Failure;
use crate::graph::{Root, SourceImage};
use crate::store::Destination;

impl Comparer {
    /// Compares `image` with the manifest that `destination` has under `tag`, or under the digest of the image.
    ///
    /// Costs a HEAD at each end, both in flight together where possible, and less if an end is pinned by digest or
    /// already known or listed. If these do not settle the comparison, it costs the GET of the root as well. A tag that is known
    /// to be `absent` at the destination is not queried there, unless its policy keeps existing tags: a list may be stale.
    pub(crate) async fn fetch_ends(
        &self,
        image: &SourceImage,
        destination: CompareTarget<'_>,
        tag: Option<&Tag>,
        absent: bool,
    ) -> Result<Comparison, Failure> {
        let comparison = match tag {
            Some(tag) => self.look_at_tag(image, destination, tag, absent).await?,
            None => Box::pin(self.look_at_digest(image, destination)).await?,
        };
        if let Comparison::Unchanged { digest, .. } = &comparison
            && !destination.verify
        {
            let repository = destination.store.repository();
            self.inventory
                .record_manifest(repository, digest, destination.scope);
        }
        Ok(comparison)
    }

    async fn look_at_tag(
        &self,
        image: &SourceImage,
        destination: CompareTarget<'_>,
        tag: &Tag,
        absent: bool,
    ) -> Result<Comparison, Failure> {
        let target = Target::Tag(tag.clone());
        let conflict = TagConflictCheck::new(self, image, destination, tag);
        let absent = absent && !conflict.keeps_tag();
        let known = if absent {
            Some(Found::default())
        } else {
            match self.compare_listed(image, destination, &target).await? {
                ListedComparison::Settled(comparison) => return Ok(comparison),
                ListedComparison::Open(known) => known,
            }
        };
        let (wanted, Found { there, unknown }) = match known {
            Some(found) => (image.head().await?, found),
            None => futures_util::try_join!(image.head(), resolve(destination.store, &target))?,
        };
        conflict.check_known(unknown.as_ref())?;
        let is_there = there.as_ref().filter(|_| !destination.force);
        if let Some(there) = is_there
            && there.digest == wanted.digest
            && (!image.is_filtered() || is_one_image(&wanted, there))
        {
            return Ok(unchanged(wanted.digest));
        }
        if !image.is_filtered()
            && let Some(skipped) = conflict.check(there.as_ref(), &wanted.digest)?
        {
            return Ok(skipped);
        }
        if self.heads_settle(image) {
            let difference = Difference::new(wanted, there, unknown);
            return Ok(Comparison::Differs(difference));
        }
        let (root, filtered) = match Box::pin(image.root()).await? {
            Root::Whole(root) => (root, false),
            Root::Filtered(root) => (root, true),
            Root::Nothing { why } => return Ok(Comparison::Skipped { why }),
        };
        if let Some(skipped) = conflict.check(there.as_ref(), root.digest())? {
            return Ok(skipped);
        }
        let same = is_there.is_some_and(|there| there.digest == *root.digest());
        let missing = MissingImage {
            root,
            filtered,
            tag: Some(tag.clone()),
            there,
            unknown,
            unasked: absent,
            sparse: None,
        };
        Box::pin(self.compare_sparse(image, destination, missing, same)).await
    }

    async fn look_at_digest(
        &self,
        image: &SourceImage,
        destination: CompareTarget<'_>,
    ) -> Result<Comparison, Failure> {
        let digest = if image.is_filtered() {
            match image.root().await? {
                Root::Whole(root) | Root::Filtered(root) => root.digest().clone(),
                Root::Nothing { why } => return Ok(Comparison::Skipped { why }),
            }
        } else {
            image.head().await?.digest
        };
        let repository = destination.store.repository();
        let CompareTarget { force, scope, .. } = destination;
        if !force && self.inventory.has_manifest(repository, &digest, scope) {
            return Ok(unchanged(digest));
        }
        let target = Target::Digest(digest.clone());
        let Found { there, unknown } = resolve(destination.store, &target).await?;
        let same = there.is_some() && !force;
        if same && !image.is_filtered() {
            return Ok(unchanged(digest));
        }
        if self.heads_settle(image) {
            let wanted = image.head().await?;
            let difference = Difference::new(wanted, there, unknown);
            return Ok(Comparison::Differs(difference));
        }
        let (root, filtered) = match image.root().await? {
            Root::Whole(root) => (root, false),
            Root::Filtered(root) => (root, true),
            Root::Nothing { why } => return Ok(Comparison::Skipped { why }),
        };
        let missing = MissingImage {
            root,
            filtered,
            tag: None,
            there,
            unknown,
            unasked: false,
            sparse: None,
        };
        self.compare_sparse(image, destination, missing, same).await
    }
}

impl Comparer {
    /// Returns true if different digests are a sufficient answer. The result of a filter is visible in the root only.
    fn heads_settle(&self, image: &SourceImage) -> bool {
        self.only_differences && !image.is_filtered()
    }

    /// Returns true if the destination had the root under its tag all along, although a list of its tags lacked the
    /// tag. Registries refuse to overwrite an immutable tag, even with the same bytes (ECR 400, ACR 405, Quay 409,
    /// Harbor 412, Nexus 400 or 403). `refusal` is the failure of the push.
    ///
    /// Costs a HEAD if the tag was not queried before.
    pub(crate) async fn was_present(
        &self,
        missing: &MissingImage,
        destination: &dyn Destination,
        refusal: &Failure,
    ) -> bool {
        let refused = matches!(refusal.kind, Some(ErrorKind::Rejected | ErrorKind::Denied));
        let Some(tag) = missing.tag.as_ref().filter(|_| missing.unasked && refused) else {
            return false;
        };
        let there = resolve(destination, &Target::Tag(tag.clone())).await;
        let there = there.ok().and_then(|found| found.there);
        there.is_some_and(|there| there.digest == *missing.root.digest())
    }
}

impl Difference {
    fn new(wanted: ManifestHead, there: Option<ManifestHead>, unknown: Option<Failure>) -> Self {
        Self {
            digest: wanted.digest,
            media_type: wanted.media_type,
            there,
            unknown,
        }
    }
    /// Returns true if the image may have child manifests.
    pub(crate) fn may_be_index(&self) -> bool {
        let media_type = self.media_type.as_deref();
        media_type.is_none_or(|media_type| ![OCI_MANIFEST, DOCKER_MANIFEST].contains(&media_type))
    }
}

fn unchanged(digest: Digest) -> Comparison {
    let listed = false;
    Comparison::Unchanged { digest, listed }
}

/// Returns true if equal digests settle the comparison in spite of a filter: a filter writes new indexes and never new
/// images. If the destination has the image, the filter is not applied to it.
fn is_one_image(wanted: &ManifestHead, there: &ManifestHead) -> bool {
    let media_type = wanted.media_type.as_ref().or(there.media_type.as_ref());
    media_type.is_some_and(|media_type| [OCI_MANIFEST, DOCKER_MANIFEST].contains(&&**media_type))
}
