//! Which children a destination has already, learned with as few requests as can be.

use std::collections::HashSet;

use futures_util::{StreamExt, stream};
use image_syncer_registry::manifest::ManifestView;
use image_syncer_registry::manifest::media_type::{DOCKER_MANIFEST, OCI_MANIFEST};
use image_syncer_registry::{Digest, ErrorKind, Manifest, ManifestHead, Repository, Target};

use crate::compare::{Comparer, MissingImage, QUESTIONS, SparseChildren};
use crate::failure::{Failure, Side};
use crate::graph::{MAX_MANIFESTS, names_blob};
use crate::lock::lock;
use crate::store::Store;

/// The children that a destination is believed to have with everything below them, and what it contradicted.
#[derive(Debug, Default)]
pub struct KnownChildren {
    children: HashSet<Digest>,
    contradicted: HashSet<Digest>,
    /// The destination lacks something and does not say what.
    contradicted_all: bool,
}

impl KnownChildren {
    /// Whether the destination is believed to have this child.
    pub fn has(&self, child: &Digest) -> bool {
        self.children.contains(child)
    }
    /// Whether the destination said that it lacks this, or lacks something unnamed.
    pub fn is_contradicted(&self, digest: &Digest) -> bool {
        self.contradicted_all || self.contradicted.contains(digest)
    }
    /// Whether the destination contradicted anything.
    pub fn is_in_doubt(&self) -> bool {
        self.contradicted_all || !self.contradicted.is_empty()
    }
    /// The destination lacks `missing` (empty: it does not say what), and took `pushed` before it said so.
    pub fn correct(&mut self, missing: &[Digest], pushed: &[Digest]) {
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
    /// Which children of the root the destination has.
    ///
    /// The destination's old root, one GET, names children that are there by construction; the others have changed,
    /// and nobody need ask. Where there is no old root, one child is asked for, and only if it is there the others:
    /// under a new name they are mostly new together or known together. Whoever verifies believes none of this.
    pub async fn known(
        &self,
        missing: &MissingImage,
        destination: &dyn Store,
    ) -> Result<KnownChildren, Failure> {
        let repository = destination.repository();
        let is_there = self
            .inventory
            .has_manifest(repository, missing.root.digest());
        if self.force || self.verify || is_there {
            return Ok(KnownChildren::default());
        }
        if let Some(sparse) = &missing.sparse {
            return self.known_of(sparse, destination).await;
        }
        let mut children = HashSet::new();
        let mut unknown = Vec::new();
        let mut seen = HashSet::new();
        for child in entries(&missing.root) {
            if self.inventory.has_manifest(repository, &child) {
                children.insert(child);
            } else if seen.insert(child.clone()) {
                unknown.push(child);
            }
        }
        // More than an image may have: it is refused where it is walked through.
        if !unknown.is_empty() && unknown.len() <= MAX_MANIFESTS {
            match &missing.there {
                Some(old) => children.extend(self.below(old, destination).await?),
                None => children.extend(self.head_children(unknown, destination).await?),
            }
        }
        Ok(KnownChildren {
            children,
            ..KnownChildren::default()
        })
    }

    /// Which images below a sparse root the destination has; its old root might be sparse itself.
    async fn known_of(
        &self,
        sparse: &SparseChildren,
        destination: &dyn Store,
    ) -> Result<KnownChildren, Failure> {
        let repository = destination.repository();
        let (mut children, unknown): (Vec<_>, Vec<_>) = sparse
            .wanted
            .iter()
            .cloned()
            .partition(|child| self.inventory.has_manifest(repository, child));
        match &sparse.there {
            Some(there) => {
                let found = unknown.into_iter().filter(|child| there.contains(child));
                children.extend(found);
            }
            None => children.extend(self.head_children(unknown, destination).await?),
        }
        Ok(KnownChildren {
            children: children.into_iter().collect(),
            ..KnownChildren::default()
        })
    }

    /// The destination's old root and what it names.
    async fn below(
        &self,
        old: &ManifestHead,
        destination: &dyn Store,
    ) -> Result<Vec<Digest>, Failure> {
        let mut known = vec![old.digest.clone()];
        let media_type = old.media_type.as_deref().unwrap_or_default();
        if [OCI_MANIFEST, DOCKER_MANIFEST].contains(&media_type) {
            return Ok(known);
        }
        let target = Target::Digest(old.digest.clone());
        match destination.manifest(&target).await {
            Ok(manifest) => known.extend(entries(&manifest)),
            // It was but a hint. Who may push need not be able to pull, and what stands there may be anything.
            Err(error) if is_inconclusive(error.kind()) => {}
            Err(error) => return Err(Failure::registry(Side::Destination, &error)),
        }
        Ok(known)
    }

    /// Which of `children` are there, asked one by one: the first, then the rest.
    async fn head_children(
        &self,
        children: Vec<Digest>,
        destination: &dyn Store,
    ) -> Result<Vec<Digest>, Failure> {
        let repository = destination.repository();
        let mut children = children.into_iter();
        let Some(first) = children.next() else {
            return Ok(Vec::new());
        };
        if self.is_barren(repository) {
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

    fn is_barren(&self, repository: &Repository) -> bool {
        self.without_children().contains(repository)
    }
    fn without_children(&self) -> std::sync::MutexGuard<'_, HashSet<Repository>> {
        lock(&self.barren)
    }
}

/// The digests that an index names, but for those of plain blobs; none where it is no index, or cannot be read.
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

pub(super) async fn has(destination: &dyn Store, child: Digest) -> Result<Option<Digest>, Failure> {
    let target = Target::Digest(child);
    let head = destination.resolve_for_push(&target).await;
    let head = head.map_err(|error| Failure::registry(Side::Destination, &error))?;
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
