//! Deep check of everything below a root that a destination has.
//!
//! Manifests are read at the destination, which proves that they exist and costs nothing where pulls have a quota. The
//! source is queried only for lost manifests. Each blob is looked up once for each repository and run: the inventory
//! has the results, and the blobs that the run copied itself.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use futures_util::{StreamExt, stream};
use image_syncer_registry::{Descriptor, Digest, ErrorKind, Manifest, Presence, Tag, Target};

use crate::Repository;
use crate::compare::{CompareTarget, Comparer, CopyPlan, QUESTIONS};
use crate::event::Loss;
use crate::failure::Failure;
use crate::graph::{FoundEntry, ImageContent, SourceImage, names_manifest};
use crate::inventory::ManifestScope;
use crate::lock::lock;
use crate::store::{Destination, Source, StoreError, head_copied_blob};

/// Content of an image that a destination has lost, with the plan that restores it.
pub(crate) struct Damage {
    /// Manifests and blobs to push. The root is among them only if it is lost.
    pub(crate) plan: CopyPlan,
    /// True if the root itself must be pushed.
    pub(crate) root_is_lost: bool,
    /// Lost content, sorted.
    pub(crate) losses: Vec<Loss>,
}

/// Deep check of one image at one destination.
struct Verification<'a> {
    comparer: &'a Comparer,
    image: &'a SourceImage,
    destination: &'a dyn Destination,
    losses: Mutex<Vec<Loss>>,
}

impl Comparer {
    /// Looks up everything below the root `digest`, which `destination` has under `tag` or by digest. Returns `None` if
    /// nothing is lost.
    ///
    /// Costs a GET for each manifest and a HEAD for each blob without a known fact, all at the destination, and a GET
    /// at the source for each lost manifest.
    pub(crate) async fn verify(
        &self,
        image: &SourceImage,
        destination: CompareTarget<'_>,
        digest: &Digest,
        tag: Option<&Tag>,
    ) -> Result<Option<Damage>, Failure> {
        let CompareTarget { store, scope, .. } = destination;
        let verification = Verification {
            comparer: self,
            image,
            destination: store,
            losses: Mutex::default(),
        };
        let repository = store.repository();
        let root = verification.root(digest).await?;
        let is_verified = |child: &Digest| self.inventory.has_manifest(repository, child, scope);
        let content = image
            .content_by(&root, is_verified, |entry| verification.find(entry))
            .await?;
        let damage = verification.blobs(root, content, tag).await?;
        if damage.losses.is_empty() {
            self.is_whole(repository, &damage.plan, scope);
            return Ok(None);
        }
        Ok(Some(damage))
    }

    fn is_whole(&self, repository: &Repository, plan: &CopyPlan, scope: ManifestScope) {
        let blobs = plan.present.iter().map(|blob| &blob.digest);
        self.inventory.record_committed(repository, blobs);
        let root = plan.root.digest();
        self.inventory.record_manifest(repository, root, scope);
    }

    /// Returns the content under the blob's digest at the destination: one HEAD for each repository and run.
    async fn presence(
        &self,
        destination: &dyn Destination,
        source: &dyn Source,
        blob: &Descriptor,
    ) -> Result<Presence, Failure> {
        let repository = destination.repository();
        let key = (repository.clone(), blob.digest.clone());
        let check = || async {
            let known = self.inventory.knowledge(repository, &blob.digest);
            if known.here {
                return Ok(Presence::Present);
            }
            if known.missing {
                return Ok(Presence::Absent);
            }
            let found = head_copied_blob(destination, source, blob).await;
            let found = found?;
            match found {
                Presence::Present => self.inventory.record_present(repository, &blob.digest),
                Presence::Absent | Presence::WrongSize(_) => {
                    self.inventory.record_missing(repository, &blob.digest);
                }
            }
            Ok(found)
        };
        self.presence_checks.get(key, |_| 1, check).await
    }
}

impl Verification<'_> {
    async fn root(&self, digest: &Digest) -> Result<Arc<Manifest>, Failure> {
        match self.there(digest).await? {
            Ok(root) => Ok(root),
            Err(loss) => {
                let root = self.image.manifest(digest).await?;
                lock(&self.losses).push(loss);
                Ok(root)
            }
        }
    }

    /// Reads an entry of an index from the destination, or from the source if the destination lost it.
    async fn find(&self, entry: Descriptor) -> Result<FoundEntry, Failure> {
        let loss = match self.there(&entry.digest).await? {
            Ok(manifest) => return Ok(FoundEntry::Manifest(manifest)),
            Err(loss) => loss,
        };
        if !names_manifest(&entry) {
            let found = self.presence(&entry).await?;
            if found == Presence::Present {
                return Ok(FoundEntry::Blob(Box::new(entry)));
            }
        }
        let found = self.image.find(entry).await?;
        if let FoundEntry::Manifest(_) = &found {
            lock(&self.losses).push(loss);
        }
        Ok(found)
    }

    async fn presence(&self, blob: &Descriptor) -> Result<Presence, Failure> {
        let source = &**self.image.store();
        self.comparer.presence(self.destination, source, blob).await
    }

    /// Returns the manifest at the destination, or the kind of its loss.
    async fn there(&self, digest: &Digest) -> Result<Result<Arc<Manifest>, Loss>, Failure> {
        let target = Target::Digest(digest.clone());
        match self.destination.manifest(&target).await {
            Ok(manifest) => {
                let manifest = Arc::new(manifest);
                // Held with the others, so that the total size of one image is bounded.
                self.image
                    .keep_manifest(digest, Ok(Arc::clone(&manifest)))?;
                Ok(Ok(manifest))
            }
            Err(error) => Ok(Err(loss(digest, error)?)),
        }
    }

    /// Looks up the blobs, and returns all findings.
    async fn blobs(
        self,
        root: Arc<Manifest>,
        content: ImageContent,
        tag: Option<&Tag>,
    ) -> Result<Damage, Failure> {
        let mut plan = CopyPlan {
            root,
            tag: tag.cloned(),
            children: content.children,
            blobs: Vec::new(),
            present: Vec::new(),
            sparse: self.image.is_sparse(),
        };
        let mut losses = Vec::new();
        let mut answers = stream::iter(content.blobs)
            .map(|blob| async {
                let found = self.presence(&blob).await;
                found.map(|found| (blob, found))
            })
            .buffered(QUESTIONS);
        while let Some(answer) = answers.next().await {
            let (blob, found) = answer?;
            let digest = blob.digest.clone();
            let size = blob.size.unwrap_or_default();
            match found {
                Presence::Present => {
                    plan.present.push(blob);
                    continue;
                }
                Presence::Absent => losses.push(Loss::Blob(digest)),
                Presence::WrongSize(found) => losses.push(Loss::WrongBlob {
                    digest,
                    size,
                    found,
                }),
            }
            plan.blobs.push(blob);
        }
        drop(answers);
        plan.blobs = self.image.measured(std::mem::take(&mut plan.blobs)).await?;
        let mut manifests = std::mem::take(&mut *lock(&self.losses));
        let lost: HashSet<Digest> = manifests.iter().map(|l| l.digest().clone()).collect();
        plan.children.retain(|child| lost.contains(child.digest()));
        losses.append(&mut manifests);
        losses.sort();
        Ok(Damage {
            root_is_lost: lost.contains(plan.root.digest()),
            plan,
            losses,
        })
    }
}

/// Returns the kind of loss for a manifest that the destination answered with `error`. An error that says nothing about
/// the manifest fails the check.
fn loss(digest: &Digest, error: StoreError) -> Result<Loss, Failure> {
    match error.kind() {
        ErrorKind::NotFound => Ok(Loss::Manifest(digest.clone())),
        ErrorKind::Corrupt => Ok(Loss::WrongManifest(digest.clone())),
        _ => Err(error.into()),
    }
}
