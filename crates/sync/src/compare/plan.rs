//! Lists the manifests to push, and the blobs that may be missing.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use image_syncer_registry::{Descriptor, Presence};

use crate::compare::{CompareTarget, Comparer, CopyPlan, KnownChildren, MissingImage, QUESTIONS};
use crate::failure::Failure;
use crate::graph::{ImageContent, SourceImage};
use crate::inventory::Fact;
use crate::store::Destination;

impl Comparer {
    /// Returns the plan for an image that `destination` lacks, given its `known` children.
    ///
    /// Costs a GET at the source for each child to push. Blobs that are not known to exist go into the plan without a
    /// query, since the first request of an upload tells. With `--force`, however, the blobs of an image that the
    /// destination already has most likely exist as well, and a HEAD for each saves their bytes.
    pub(crate) async fn plan(
        &self,
        image: &SourceImage,
        destination: CompareTarget<'_>,
        missing: &MissingImage,
        known: &KnownChildren,
    ) -> Result<CopyPlan, Failure> {
        let CompareTarget { store, scope, .. } = destination;
        let repository = store.repository();
        let root = missing.root.digest();
        let is_there = self.inventory.has_manifest(repository, root, scope);
        let content = if is_there && !known.is_in_doubt() {
            // Copied by this run under another name: only the new name is missing.
            ImageContent::default()
        } else {
            let inventory = &self.inventory;
            let is_here = |child: &_| {
                if self.claims {
                    return known.has(child) || !inventory.claim_manifest(repository, child, scope);
                }
                known.has(child)
                    || (inventory.has_manifest(repository, child, scope)
                        && !known.is_contradicted(child))
            };
            image.content(&missing.root, is_here).await?
        };
        let (mut here, blobs): (Vec<Descriptor>, Vec<Descriptor>) =
            content.blobs.into_iter().partition(|blob| {
                !known.is_contradicted(&blob.digest)
                    && self.inventory.blob(repository, &blob.digest) == Fact::Here
            });
        let mut blobs = image.measured(blobs).await?;
        if destination.force && missing.is_there() && !known.is_in_doubt() {
            here.extend(self.remove_present(&mut blobs, store).await?);
        }
        Ok(CopyPlan {
            root: Arc::clone(&missing.root),
            tag: missing.tag.clone(),
            children: content.children,
            blobs,
            present: here,
            sparse: image.is_sparse(),
        })
    }

    /// Removes from `blobs` those that the destination reports to have.
    async fn remove_present(
        &self,
        blobs: &mut Vec<Descriptor>,
        destination: &dyn Destination,
    ) -> Result<Vec<Descriptor>, Failure> {
        let mut here = Vec::new();
        let mut answers = stream::iter(std::mem::take(blobs))
            .map(|blob| async {
                let found = destination.head_blob(&blob).await;
                found.map(|found| (blob, found))
            })
            .buffered(QUESTIONS);
        while let Some(answer) = answers.next().await {
            match answer? {
                (blob, Presence::Present) => {
                    self.inventory
                        .record_present(destination.repository(), &blob.digest);
                    here.push(blob);
                }
                (blob, Presence::Absent) => blobs.push(blob),
                (blob, Presence::WrongSize(_)) => {
                    let repository = destination.repository();
                    self.inventory.record_missing(repository, &blob.digest);
                    blobs.push(blob);
                }
            }
        }
        Ok(here)
    }
}

impl MissingImage {
    /// Returns true if the destination has this root, so that only `--force` copies it.
    fn is_there(&self) -> bool {
        let there = self.there.as_ref();
        there.is_some_and(|there| there.digest == *self.root.digest())
    }
}
