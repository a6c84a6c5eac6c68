//! Transfers of a run that writes nothing: they are decided as in a copy, looked up and counted.

use std::sync::{Arc, Mutex};

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use image_syncer_registry::{Cause, Descriptor, Digest, ErrorKind, Presence};

use crate::Repository;
use crate::failure::Failure;
use crate::inventory::{Inventory, MountConfidence};
use crate::keyed::KeyedLock;
use crate::lock::lock;
use crate::settings::Intent;
use crate::store::{Destination, StoreError};
use crate::transfer::{Decision, Moved, Situation, decide, knowledge_with_source};

/// Maximum number of blob lookups in flight for one image and destination.
const MAX_LOOKUPS: usize = 8;

/// Transfers of a run that writes nothing.
pub(super) struct DryRun {
    inventory: Arc<Inventory>,
    /// True if only differences are of interest.
    only_checks: bool,
    lookups: KeyedLock<(Repository, Digest)>,
    /// Held while a transfer is decided and recorded.
    decisions: Mutex<()>,
}

impl DryRun {
    /// Returns the transfers of a run with `intent`; `None` if it writes.
    pub(super) fn for_intent(intent: Intent, inventory: &Arc<Inventory>) -> Option<Self> {
        (intent != Intent::Copy).then(|| Self {
            inventory: Arc::clone(inventory),
            only_checks: intent == Intent::Check,
            lookups: KeyedLock::default(),
            decisions: Mutex::default(),
        })
    }

    /// Returns the way of each of `blobs` from `source` to `destination`.
    pub(super) async fn transfer(
        &self,
        source: &Repository,
        destination: &dyn Destination,
        blobs: &[Descriptor],
    ) -> Result<Vec<Moved>, Failure> {
        let mut moves = Vec::with_capacity(blobs.len());
        for blob in blobs {
            moves.push(self.plan_blob(source, destination, blob).boxed());
        }
        stream::iter(moves)
            .buffered(MAX_LOOKUPS)
            .try_collect()
            .await
    }

    /// Decides as a transfer does. Where the first request of an upload would tell that the blob exists, a HEAD does, once
    /// for each repository and run.
    async fn plan_blob(
        &self,
        source: &Repository,
        destination: &dyn Destination,
        blob: &Descriptor,
    ) -> Result<Moved, Failure> {
        let repository = destination.repository();
        if self.only_checks {
            return Ok(Moved::Streamed(blob.size.unwrap_or_default()));
        }
        let key = (repository.clone(), blob.digest.clone());
        let _lookup = self.lookups.lock(key).await;
        let needs_lookup = match self.decide(source, repository, blob, false) {
            Decision::Present => return Ok(Moved::Present),
            Decision::SendUnchecked => false,
            Decision::Mount(from) => from.confidence != MountConfidence::Source,
            _ => true,
        };
        if needs_lookup
            && !self.inventory.was_empty(repository)
            && self.is_present(destination, blob).await?
        {
            return Ok(Moved::Present);
        }
        // The first repository of a registry gets the bytes, the others mount them.
        let _decision = lock(&self.decisions);
        let decision = self.decide(source, repository, blob, true);
        self.inventory.record_upload(repository, &blob.digest);
        Ok(match decision {
            Decision::Mount(_) => Moved::Mounted,
            _ => Moved::Streamed(blob.size.unwrap_or_default()),
        })
    }

    /// Returns the decision of a transfer for a blob that no other task transfers. `checked` tells that the records of
    /// this repository were checked and wrong.
    fn decide(
        &self,
        source: &Repository,
        repository: &Repository,
        blob: &Descriptor,
        checked: bool,
    ) -> Decision {
        let mut known = knowledge_with_source(&self.inventory, source, repository, &blob.digest);
        known.recorded &= !checked;
        decide(Situation {
            known,
            uploading_here: false,
            uploading_to_sibling: false,
            probing_mount: false,
            committing_to_sibling: false,
        })
    }

    async fn is_present(
        &self,
        destination: &dyn Destination,
        blob: &Descriptor,
    ) -> Result<bool, Failure> {
        match destination.head_blob(blob).await {
            Ok(Presence::Present) => {
                let repository = destination.repository();
                self.inventory.record_present(repository, &blob.digest);
                Ok(true)
            }
            Ok(Presence::Absent | Presence::WrongSize(_)) => Ok(false),
            Err(error) if is_unknown(&error) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Returns true if the registry only reports that the repository is unknown or hidden: one that does not exist yet (404,
/// 401 of Harbor and Docker Hub, 403 of Artifactory). A refused login is another matter.
fn is_unknown(error: &StoreError) -> bool {
    let refused = matches!(error.kind(), ErrorKind::Unauthorized | ErrorKind::Denied);
    error.kind() == ErrorKind::NotFound || (refused && error.error().cause() != Cause::LoginRefused)
}
