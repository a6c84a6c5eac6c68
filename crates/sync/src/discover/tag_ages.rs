//! Times of tags that a list does not have.

use std::sync::Arc;
use std::time::SystemTime;

use image_syncer_registry::{Digest, ErrorKind, Target};

use crate::Repository;
use crate::failure::Failure;
use crate::graph::{ManifestCache, SourceImage};
use crate::inventory::Inventory;
use crate::keyed::KeyedOnce;
use crate::rule::TagPolicy;
use crate::rule::tag_policy::Candidate;
use crate::store::Source;

/// Maximum number of creation times that are kept for later tags: some ten megabytes.
const MAX_KEPT: u64 = 50_000;

/// Lookups of times. Shared by all rules of a run.
pub(crate) struct TagAges {
    inventory: Arc<Inventory>,
    manifests: Arc<ManifestCache>,
    created: KeyedOnce<(Repository, Digest), Option<SystemTime>, Failure>,
    /// Start of the run, at which ages are computed.
    now: SystemTime,
}

impl TagAges {
    /// Returns lookups that use the facts and manifests of the run.
    pub(crate) fn new(inventory: Arc<Inventory>, manifests: Arc<ManifestCache>) -> Self {
        Self {
            inventory,
            manifests,
            created: KeyedOnce::with_limit(MAX_KEPT),
            now: SystemTime::now(),
        }
    }

    /// Returns the time at which ages are computed.
    pub(super) fn now(&self) -> SystemTime {
        self.now
    }

    /// Looks up the times that `policy` needs: the digest by a HEAD, unless it is listed; the first-seen time in the
    /// records; the creation time in the config, once for each digest. Returns `None` if the tag does not exist any more.
    pub(super) async fn complete(
        &self,
        source: &Arc<dyn Source>,
        policy: &TagPolicy,
        mut candidate: Candidate,
    ) -> Result<Option<Candidate>, Failure> {
        let digest = match &candidate.digest {
            Some(digest) => digest.clone(),
            None => match self.digest(source, &candidate).await {
                Ok(digest) => digest,
                Err(failure) if failure.kind == Some(ErrorKind::NotFound) => return Ok(None),
                Err(failure) => return Err(failure),
            },
        };
        candidate.digest = Some(digest.clone());
        let times = &mut candidate.times;
        if policy.needed_times(times, self.now).first_seen {
            let repository = source.repository();
            let first_seen = self.inventory.first_seen(repository, &digest, self.now);
            times.first_seen = first_seen.await;
        }
        if policy.needed_times(times, self.now).created {
            times.created = self.created(source, digest.clone()).await?;
        }
        Ok(Some(candidate))
    }

    async fn digest(
        &self,
        source: &Arc<dyn Source>,
        candidate: &Candidate,
    ) -> Result<Digest, Failure> {
        let image = self.image(source, Target::Tag(candidate.tag.clone()));
        Ok(image.head().await?.digest)
    }

    async fn created(
        &self,
        source: &Arc<dyn Source>,
        digest: Digest,
    ) -> Result<Option<SystemTime>, Failure> {
        let image = self.image(source, Target::Digest(digest.clone()));
        let key = (source.repository().clone(), digest);
        self.created.get(key, |_| 1, || image.created()).await
    }

    fn image(&self, source: &Arc<dyn Source>, target: Target) -> SourceImage {
        let manifests = Arc::clone(&self.manifests);
        SourceImage::new(Arc::clone(source), target, Arc::default(), manifests)
    }
}
