//! Pushes manifests to a destination: leaves first, the root last. A client that pulls by tag sees nothing until
//! everything is there.

mod advice;

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use image_syncer_registry::manifest::ManifestView;
use image_syncer_registry::{Cause, Digest, ErrorKind, Manifest, Tag, Target};

use crate::compare::CopyPlan;
use crate::failure::Failure;
use crate::store::{Destination, StoreError, StoreResult};

/// Maximum number of children that are pushed at the same time.
const PUSHES: usize = 8;

/// Result of a commit.
#[derive(Debug)]
pub(crate) enum CommitOutcome {
    /// The root exists under its name.
    Done,
    /// The destination reports that it lacks content that was believed to be there.
    Lacking(MissingContent),
}

/// Content that a destination lacks.
#[derive(Debug)]
pub(crate) struct MissingContent {
    /// Digests that it reports as missing; may be empty, as not all registries name them.
    pub missing: Vec<Digest>,
    /// Children that it accepted before.
    pub pushed: Vec<Digest>,
    /// The destination's answer, in case no repair helps.
    pub failure: Failure,
}

/// Pushes the manifests of `plan`: children by digest, leaves first, siblings together; then the root, in one request
/// with its tag.
pub(crate) async fn commit(
    destination: &dyn Destination,
    plan: &CopyPlan,
) -> Result<CommitOutcome, Failure> {
    let target = match &plan.tag {
        Some(tag) => Target::Tag(tag.clone()),
        None => Target::Digest(plan.root.digest().clone()),
    };
    commit_as(destination, plan, &target).await
}

/// Pushes the same manifests without the tag, for a root whose referrers must exist before its tag.
pub(crate) async fn commit_untagged(
    destination: &dyn Destination,
    plan: &CopyPlan,
) -> Result<CommitOutcome, Failure> {
    let target = Target::Digest(plan.root.digest().clone());
    commit_as(destination, plan, &target).await
}

/// Tags a root that exists at the destination.
pub(crate) async fn name(
    destination: &dyn Destination,
    root: &Manifest,
    tag: &Tag,
) -> Result<CommitOutcome, Failure> {
    let target = Target::Tag(tag.clone());
    let Err(error) = destination.put_manifest(&target, root).await else {
        return Ok(CommitOutcome::Done);
    };
    if error.kind() != ErrorKind::MissingContent {
        return Err(error.into());
    }
    Ok(CommitOutcome::Lacking(MissingContent {
        missing: error.missing().to_vec(),
        pushed: Vec::new(),
        failure: error.into(),
    }))
}

async fn commit_as(
    destination: &dyn Destination,
    plan: &CopyPlan,
    target: &Target,
) -> Result<CommitOutcome, Failure> {
    let pushed = match push_children(destination, plan).await? {
        Ok(pushed) => pushed,
        Err(lacking) => return Ok(CommitOutcome::Lacking(lacking)),
    };
    match destination.put_manifest(target, &plan.root).await {
        Ok(()) => Ok(CommitOutcome::Done),
        Err(error) => {
            let (missing, failure) = refused(error, target, &plan.root, plan)?;
            Ok(CommitOutcome::Lacking(MissingContent {
                missing,
                pushed,
                failure,
            }))
        }
    }
}

/// Pushes the children of `plan` as [`commit`] does, for a root that exists already. Where tags are immutable, that
/// root could not be pushed again, not even with the same digest.
pub(crate) async fn commit_children(
    destination: &dyn Destination,
    plan: &CopyPlan,
) -> Result<CommitOutcome, Failure> {
    let pushed = push_children(destination, plan).await?;
    Ok(pushed.map_or_else(CommitOutcome::Lacking, |_| CommitOutcome::Done))
}

/// Pushes the children of `plan`. Returns their digests if the destination accepted all of them, otherwise the content
/// that it lacks.
async fn push_children(
    destination: &dyn Destination,
    plan: &CopyPlan,
) -> Result<Result<Vec<Digest>, MissingContent>, Failure> {
    let mut pushed = Vec::new();
    for siblings in stages(&plan.children) {
        let mut lacking: Vec<Vec<Digest>> = Vec::new();
        let mut reason = None;
        let mut answers = stream::iter(siblings)
            .map(|child| push_child(destination, child))
            .buffer_unordered(PUSHES);
        while let Some((child, answer)) = answers.next().await {
            let digest = child.digest().clone();
            match answer {
                Ok(()) => pushed.push(digest),
                // The remaining siblings are pushed as well: the more missing content is reported, the fewer
                // repetitions are needed.
                Err(error) => {
                    let (missing, failure) = refused(error, &Target::Digest(digest), &child, plan)?;
                    lacking.push(missing);
                    reason.get_or_insert(failure);
                }
            }
        }
        drop(answers);
        if let Some(failure) = reason {
            // A refusal that names nothing may mean any content.
            let unnamed = lacking.iter().any(Vec::is_empty);
            let missing = if unnamed {
                Vec::new()
            } else {
                lacking.concat()
            };
            return Ok(Err(MissingContent {
                missing,
                pushed,
                failure,
            }));
        }
    }
    Ok(Ok(pushed))
}

/// Groups the children into stages: all images at once, then each index alone, as it may name those before it.
fn stages(children: &[Arc<Manifest>]) -> Vec<Vec<Arc<Manifest>>> {
    let is_index = |child: &Arc<Manifest>| matches!(child.view(), Ok(ManifestView::Index(_)));
    let (indexes, images): (Vec<_>, Vec<_>) = children.iter().cloned().partition(is_index);
    let indexes = indexes.into_iter().map(|index| vec![index]);
    std::iter::once(images).chain(indexes).collect()
}

async fn push_child(
    destination: &dyn Destination,
    child: Arc<Manifest>,
) -> (Arc<Manifest>, StoreResult<()>) {
    let target = Target::Digest(child.digest().clone());
    let answer = destination.put_manifest(&target, &child).await;
    (child, answer)
}

/// Returns the content that a refusal of `manifest` reports as missing. Any other error fails the commit, and so does a
/// report of content that was left out on purpose.
fn refused(
    error: StoreError,
    target: &Target,
    manifest: &Manifest,
    plan: &CopyPlan,
) -> Result<(Vec<Digest>, Failure), Failure> {
    if error.kind() != ErrorKind::MissingContent {
        let advised = error.map(|error| advice::advise(error, target, manifest, plan));
        return Err(advised.into());
    }
    if let Some(layer) = advice::demanded(error.missing(), manifest, plan) {
        let clause = advice::foreign_layer_advice(layer);
        let error = error.map(|error| {
            let error = error.with_clause(&clause);
            error.with_cause(Cause::ForeignLayerRequired)
        });
        return Err(error.into());
    }
    Ok((error.missing().to_vec(), error.into()))
}
