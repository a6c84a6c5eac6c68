//! Volume of a copy, over all of its attempts.

use std::collections::HashSet;

use image_syncer_registry::{Descriptor, Digest};

use crate::commit::MissingContent;
use crate::compare::{CopyPlan, Damage, MissingImage};
use crate::event::{Copied, Loss, Volume};
use crate::failure::Failure;
use crate::transfer::Moved;

/// Blobs and manifests moved to one destination.
#[derive(Default)]
pub(super) struct CopyStats {
    volume: Volume,
    /// Blobs that this image moved itself.
    sent: HashSet<Digest>,
    refusal: Option<Failure>,
}

impl CopyStats {
    /// Records the transfers of the plan's blobs, in the plan's order. `was_uploaded` tells if an existing blob was
    /// moved by this run.
    pub(super) fn moved(
        &mut self,
        plan: &CopyPlan,
        moved: &[Moved],
        was_uploaded: impl Fn(&Digest) -> bool,
    ) {
        let mut there: Vec<&Descriptor> = plan.present.iter().collect();
        for (blob, moved) in plan.blobs.iter().zip(moved) {
            match moved {
                Moved::Present => {
                    there.push(blob);
                    continue;
                }
                Moved::Mounted => self.volume.mounted_bytes += blob.size.unwrap_or_default(),
                Moved::Streamed(bytes) => {
                    self.volume.blobs += 1;
                    self.volume.bytes += bytes;
                }
            }
            self.sent.insert(blob.digest.clone());
        }
        // Only the last attempt counts for existing blobs.
        (self.volume.present_bytes, self.volume.shared_bytes) = (0, 0);
        for blob in there {
            let size = blob.size.unwrap_or_default();
            if self.sent.contains(&blob.digest) {
                // Moved by an earlier attempt, and counted there.
            } else if was_uploaded(&blob.digest) {
                self.volume.shared_bytes += size;
            } else {
                self.volume.present_bytes += size;
            }
        }
    }
    /// Reattempts the blobs that this image moved itself.
    pub(super) fn sent(&self) -> impl Iterator<Item = &Digest> {
        self.sent.iter()
    }
    /// Records that the destination refused the plan.
    pub(super) fn refused(&mut self, lacking: MissingContent) {
        self.volume.manifests += lacking.pushed.len() as u64;
        self.refusal = Some(lacking.failure);
    }
    /// Reattempts the result of a committed plan.
    pub(super) fn committed(self, missing: &MissingImage, plan: &CopyPlan) -> Copied {
        let there = missing.there.as_ref().map(|there| &there.digest);
        let replaced = there.filter(|there| *there != plan.root.digest());
        Copied {
            filtered: missing.filtered,
            volume: self.pushed(plan.children.len() as u64 + 1),
            replaced: replaced.cloned(),
            ..Copied::without_transfer(plan.root.digest().clone())
        }
    }
    /// Reattempts the result of a repair.
    pub(super) fn repaired(self, damage: &Damage, filtered: bool, losses: Vec<Loss>) -> Copied {
        let root = u64::from(damage.root_is_lost);
        Copied {
            filtered,
            volume: self.pushed(damage.plan.children.len() as u64 + root),
            losses,
            ..Copied::without_transfer(damage.plan.root.digest().clone())
        }
    }
    /// Reattempts the volume with the manifests of the last attempt.
    fn pushed(&self, manifests: u64) -> Volume {
        Volume {
            manifests: self.volume.manifests + manifests,
            ..self.volume
        }
    }
    /// Reattempts the failure after `attempts` refused plans.
    pub(super) fn into_failure(self, attempts: u32) -> Failure {
        let mut failure = self
            .refusal
            .unwrap_or_else(|| Failure::internal("an image failed without a reason"));
        failure.reason = format!(
            "{}; the missing content was sent, or the registry reported it as present, {attempts} times",
            failure.reason
        );
        failure
    }
}
