//! What a copy took, over all of its turns.

use std::collections::HashMap;

use registry::Digest;

use crate::commit::Lacking;
use crate::compare::{Damage, Missing, Plan};
use crate::event::{Copied, Loss, Volume};
use crate::failure::Failure;
use crate::transfer::Moved;

/// What was moved and pushed for one destination.
#[derive(Default)]
pub(super) struct Tally {
    volume: Volume,
    /// What this image brought itself, with the sizes.
    sent: HashMap<Digest, u64>,
    refusal: Option<Failure>,
}

impl Tally {
    /// The blobs of `plan` came there as `moved` says, in the plan's order.
    pub(super) fn moved(&mut self, plan: &Plan, moved: &[Moved]) {
        // What an earlier turn brought is found there by a later one, and was not there before.
        let mut brought: u64 = self.sent.values().sum();
        let mut present: u64 = plan.present.iter().filter_map(|blob| blob.size).sum();
        for (blob, moved) in plan.blobs.iter().zip(moved) {
            let size = blob.size.unwrap_or_default();
            match moved {
                Moved::Present => {
                    present += size;
                    continue;
                }
                Moved::Mounted => self.volume.mounted_bytes += size,
                Moved::Streamed(bytes) => {
                    self.volume.blobs += 1;
                    self.volume.bytes += bytes;
                }
            }
            if self.sent.insert(blob.digest.clone(), size).is_some() {
                brought -= size;
            }
        }
        self.volume.present_bytes = present.saturating_sub(brought);
    }
    /// The blobs that this image brought itself.
    pub(super) fn sent(&self) -> impl Iterator<Item = &Digest> {
        self.sent.keys()
    }
    /// The destination refused the plan.
    pub(super) fn refused(&mut self, lacking: Lacking) {
        self.volume.manifests += lacking.pushed.len() as u64;
        self.refusal = Some(lacking.failure);
    }
    /// The destination took the plan.
    pub(super) fn committed(self, missing: &Missing, plan: &Plan) -> Copied {
        let there = missing.there.as_ref().map(|there| &there.digest);
        let replaced = there.filter(|there| *there != plan.root.digest());
        Copied {
            filtered: missing.filtered,
            volume: self.pushed(plan.children.len() as u64 + 1),
            replaced: replaced.cloned(),
            ..Copied::of(plan.root.digest().clone())
        }
    }
    /// The destination has again what it had lost.
    pub(super) fn repaired(self, damage: &Damage, filtered: bool, losses: Vec<Loss>) -> Copied {
        let root = u64::from(damage.root_is_lost);
        Copied {
            filtered,
            volume: self.pushed(damage.plan.children.len() as u64 + root),
            losses,
            ..Copied::of(damage.plan.root.digest().clone())
        }
    }
    /// All of it, with the manifests that the destination took at last.
    fn pushed(&self, manifests: u64) -> Volume {
        Volume {
            manifests: self.volume.manifests + manifests,
            ..self.volume
        }
    }
    /// The destination refused every plan.
    pub(super) fn gave_up(self, turns: u32) -> Failure {
        let mut failure = self
            .refusal
            .unwrap_or_else(|| Failure::internal("an image was given up without a reason"));
        failure.reason = format!(
            "{}; what it lacks was sent, or the registry said that it has it, {turns} times over",
            failure.reason
        );
        failure
    }
}
