//! Finds the children that a destination already has, with as few requests as possible.

use std::collections::HashSet;

use futures_util::{StreamExt, stream};
use image_syncer_registry::manifest::ManifestView;
use image_syncer_registry::manifest::media_type::{DOCKER_MANIFEST, OCI_MANIFEST};
use image_syncer_registry::{Digest, ErrorKind, Manifest, ManifestHead, Target};

use crate::Repository;
use crate::compare::{CompareTarget, Comparer, MissingImage, QUESTIONS, SparseChildren};
use crate::failure::Failure;
use crate::graph::{MAX_MANIFESTS, names_blob};
use crate::lock::lock;
use crate::store::Destination;

/// Children that a destination is expected to have with everything below them, and the facts that it contradicted.
#[derive(Debug, Default)]
pub(crate) struct KnownChildren {
    children: HashSet<Digest>,
    contradicted: HashSet<Digest>,
    /// True if the destination lacks content and does not name it.
    contradicted_all: bool,
}

impl KnownChildren {
    /// Returns true if the destination is expected to have this child.
    pub(crate) fn has(&self, child: &Digest) -> bool {
        self.children.contains(child)
    }
    /// Returns true if the destination reported that it lacks this content, or lacks content that it did not name.
    pub(crate) fn is_contradicted(&self, digest: &Digest) -> bool {
        self.contradicted_all || self.contradicted.contains(digest)
    }
    /// Returns true if the destination contradicted any fact.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.contradicted_all || !self.contradicted.is_empty()
    }
    /// Records that the destination lacks `missing` (empty: it does not name the content), after it accepted `pushed`.
    pub(crate) fn correct(&mut self, missing: &[Digest], pushed: &[Digest]) {
        self.children.extend(pushed.iter().cloned());
        if missing.is_empty() {
            self.children.clear();
            self.contradicted_all = true;
        }
        for digest in missing {
            self.children.remove(digest);
            self.contradicted.insert(digest.clone());
        }
    }
}

impl Comparer {
    /// Returns the children of the root that the destination has.
    ///
    /// The old root of the destination (one GET) names children that exist there by construction; the other children
    /// have changed and are not queried. Without an old root, one child is queried, and the others only if it exists:
    /// under a new name, usually all are new or all are known. With `--force` and `--verify` nothing is assumed.
    pub(crate) async fn known(
        &self,
        missing: &MissingImage,
        destination: CompareTarget<'_>,
    ) -> Result<KnownChildren, Failure> {
        let CompareTarget { store, scope, .. } = destination;
        let repository = store.repository();
        let root = missing.root.digest();
        let is_there = self.inventory.has_manifest(repository, root, scope);
        if destination.force || destination.verify || is_there {
            return Ok(KnownChildren::default());
        }
        if let Some(sparse) = &missing.sparse {
            return self.known_of(sparse, destination).await;
        }
        let mut children = HashSet::new();
        let mut unknown = Vec::new();
        let mut seen = HashSet::new();
        for child in entries(&missing.root) {
            if self.inventory.has_manifest(repository, &child, scope) {
                children.insert(child);
            } else if seen.insert(child.clone()) {
                unknown.push(child);
            }
        }
        // An image with more children is refused when it is walked.
        if !unknown.is_empty() && unknown.len() <= MAX_MANIFESTS {
            match &missing.there {
                Some(old) => children.extend(self.below(old, store).await?),
                None => children.extend(self.head_children(unknown, store).await?),
            }
        }
        Ok(KnownChildren {
            children,
            ..KnownChildren::default()
        })
    }

    /// Returns the images below a sparse root that the destination has. The old root of the destination may be sparse
    /// itself.
    async fn known_of(
        &self,
        sparse: &SparseChildren,
        destination: CompareTarget<'_>,
    ) -> Result<KnownChildren, Failure> {
        let CompareTarget { store, scope, .. } = destination;
        let repository = store.repository();
        let (mut children, unknown): (Vec<_>, Vec<_>) = sparse
            .wanted
            .iter()
            .cloned()
            .partition(|child| self.inventory.has_manifest(repository, child, scope));
        match &sparse.there {
            Some(there) => {
                let found = unknown.into_iter().filter(|child| there.contains(child));
                children.extend(found);
            }
            None => children.extend(self.head_children(unknown, store).await?),
        }
        Ok(KnownChildren {
            children: children.into_iter().collect(),
            ..KnownChildren::default()
        })
    }

    /// Returns the old root of the destination and its children.
    async fn below(
        &self,
        old: &ManifestHead,
        destination: &dyn Destination,
    ) -> Result<Vec<Digest>, Failure> {
        let mut known = vec![old.digest.clone()];
        let media_type = old.media_type.as_deref().unwrap_or_default();
        if [OCI_MANIFEST, DOCKER_MANIFEST].contains(&media_type) {
            return Ok(known);
        }
        let target = Target::Digest(old.digest.clone());
        match destination.manifest(&target).await {
            Ok(manifest) => known.extend(entries(&manifest)),
            // A hint only: a login that may push may be unable to pull, and the old manifest may be of any kind.
            Err(error) if is_inconclusive(error.kind()) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(known)
    }

    /// Returns those of `children` that exist: queries the first, and the others only if the first exists.
    async fn head_children(
        &self,
        children: Vec<Digest>,
        destination: &dyn Destination,
    ) -> Result<Vec<Digest>, Failure> {
        let repository = destination.repository();
        let mut children = children.into_iter();
        let Some(first) = children.next() else {
            return Ok(Vec::new());
        };
        if self.is_childless(repository) {
            return Ok(Vec::new());
        }
        let Some(first) = has(destination, first).await? else {
            self.without_children().insert(repository.clone());
            return Ok(Vec::new());
        };
        let mut known = vec![first];
        let mut answers = stream::iter(children)
            .map(|child| has(destination, child))
            .buffer_unordered(QUESTIONS);
        while let Some(answer) = answers.next().await {
            known.extend(answer?);
        }
        Ok(known)
    }

    fn is_childless(&self, repository: &Repository) -> bool {
        self.without_children().contains(repository)
    }
    fn without_children(&self) -> std::sync::MutexGuard<'_, HashSet<Repository>> {
        lock(&self.childless)
    }
}

/// Digests that an index names, except those of plain blobs. Empty for other documents, and for unreadable ones.
fn entries(manifest: &Manifest) -> Vec<Digest> {
    match manifest.view() {
        Ok(ManifestView::Index(index)) => {
            let entries = index.manifests.into_iter();
            let manifests = entries.filter(|entry| !names_blob(entry));
            manifests.map(|entry| entry.digest).collect()
        }
        _ => Vec::new(),
    }
}

pub(super) async fn has(
    destination: &dyn Destination,
    child: Digest,
) -> Result<Option<Digest>, Failure> {
    let target = Target::Digest(child);
    let head = destination.resolve(&target).await;
    let head = head?;
    Ok(head.found().map(|head| head.digest))
}

fn is_inconclusive(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::NotFound
            | ErrorKind::Denied
            | ErrorKind::Unauthorized
            | ErrorKind::Rejected
            | ErrorKind::Corrupt
            | ErrorKind::Protocol
    )
}
