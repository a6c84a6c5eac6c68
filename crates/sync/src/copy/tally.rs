//! What a copy took, over all of its turns.

use std::collections::HashMap;

use registry::Digest;

use crate::commit::Lacking;
use crate::compare::{Damage, Missing, Plan};
use crate::event::{Copied, Loss};
use crate::failure::Failure;
use crate::transfer::Moved;

/// What was moved and pushed for one destination.
#[derive(Default)]
pub(super) struct Tally {
    manifests: u64,
    blobs: u64,
    bytes: u64,
    mounted_bytes: u64,
    present_bytes: u64,
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
                Moved::Mounted => self.mounted_bytes += size,
                Moved::Streamed(bytes) => {
                    self.blobs += 1;
                    self.bytes += bytes;
                }
            }
            if self.sent.insert(blob.digest.clone(), size).is_some() {
                brought -= size;
            }
        }
        self.present_bytes = present.saturating_sub(brought);
    }
    /// The blobs that this image brought itself.
    pub(super) fn sent(&self) -> impl Iterator<Item = &Digest> {
        self.sent.keys()
    }
    /// The destination refused the plan.
    pub(super) fn refused(&mut self, lacking: Lacking) {
        self.manifests += lacking.pushed.len() as u64;
        self.refusal = Some(lacking.failure);
    }
    /// The destination took the plan.
    pub(super) fn committed(self, missing: &Missing, plan: &Plan) -> Copied {
        Copied {
            digest: plan.root.digest().clone(),
            filtered: missing.filtered,
            sparse: false,
            manifests: self.manifests + plan.children.len() as u64 + 1,
            blobs: self.blobs,
            bytes: self.bytes,
            mounted_bytes: self.mounted_bytes,
            present_bytes: self.present_bytes,
            referrers: 0,
            root_unchanged: false,
            contended: 0,
            losses: Vec::new(),
        }
    }
    /// The destination has again what it had lost.
    pub(super) fn repaired(self, damage: &Damage, filtered: bool, losses: Vec<Loss>) -> Copied {
        let root = u64::from(damage.root_is_lost);
        Copied {
            digest: damage.plan.root.digest().clone(),
            filtered,
            sparse: false,
            manifests: self.manifests + damage.plan.children.len() as u64 + root,
            blobs: self.blobs,
            bytes: self.bytes,
            mounted_bytes: self.mounted_bytes,
            present_bytes: self.present_bytes,
            referrers: 0,
            root_unchanged: false,
            contended: 0,
            losses,
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
