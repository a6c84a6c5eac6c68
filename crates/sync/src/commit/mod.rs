//! Manifests to a destination: leaves first, the root last, so that whoever pulls by tag sees nothing until all is
//! there.

mod advice;

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use image_syncer_registry::manifest::ManifestView;
use image_syncer_registry::{Digest, Error, ErrorKind, Manifest, Tag, Target};

use crate::compare::CopyPlan;
use crate::failure::{Failure, Side};
use crate::store::Store;

/// Children that are pushed at a time.
const PUSHES: usize = 8;

/// What a commit led to.
#[derive(Debug)]
pub enum CommitOutcome {
    /// The root stands under its name.
    Done,
    /// The destination says that it lacks something that was believed to be there.
    Lacking(MissingContent),
}

/// What a destination lacks.
#[derive(Debug)]
pub struct MissingContent {
    /// What it names as missing; may be empty, as not all registries say what.
    pub missing: Vec<Digest>,
    /// The children that it took before.
    pub pushed: Vec<Digest>,
    /// What it said, in case nothing helps.
    pub failure: Failure,
}

/// Pushes the manifests of `plan`: children by digest, leaves first, siblings together; then the root, in one request
/// with its tag.
pub async fn commit(destination: &dyn Store, plan: &CopyPlan) -> Result<CommitOutcome, Failure> {
    let target = match &plan.tag {
        Some(tag) => Target::Tag(tag.clone()),
        None => Target::Digest(plan.root.digest().clone()),
    };
    commit_as(destination, plan, &target).await
}

/// The same without the tag: something that refers to the root is to be there before.
pub async fn commit_untagged(
    destination: &dyn Store,
    plan: &CopyPlan,
) -> Result<CommitOutcome, Failure> {
    let target = Target::Digest(plan.root.digest().clone());
    commit_as(destination, plan, &target).await
}

/// Pushes a root that stands at the destination by its tag.
pub async fn name(
    destination: &dyn Store,
    root: &Manifest,
    tag: &Tag,
) -> Result<CommitOutcome, Failure> {
    let target = Target::Tag(tag.clone());
    let Err(error) = destination.put_manifest(&target, root).await else {
        return Ok(CommitOutcome::Done);
    };
    let failure = Failure::registry(Side::Destination, &error);
    if error.kind() != ErrorKind::MissingContent {
        return Err(failure);
    }
    Ok(CommitOutcome::Lacking(MissingContent {
        missing: error.missing().to_vec(),
        pushed: Vec::new(),
        failure,
    }))
}

async fn commit_as(
    destination: &dyn Store,
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

/// Pushes the children of `plan` as [`commit`] does, for a root that stands already: where tags cannot be moved, not
/// even to what they name, it could not be pushed again.
pub async fn commit_children(
    destination: &dyn Store,
    plan: &CopyPlan,
) -> Result<CommitOutcome, Failure> {
    let pushed = push_children(destination, plan).await?;
    Ok(pushed.map_or_else(CommitOutcome::Lacking, |_| CommitOutcome::Done))
}

/// The digests of the children of `plan`, all of which the destination took, or what it lacks.
async fn push_children(
    destination: &dyn Store,
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
                // The siblings are heard out: the more is named as missing, the fewer turns it takes.
                Err(error) => {
                    let (missing, failure) = refused(error, &Target::Digest(digest), &child, plan)?;
                    lacking.push(missing);
                    reason.get_or_insert(failure);
                }
            }
        }
        drop(answers);
        if let Some(failure) = reason {
            // One that does not say what it lacks may lack anything.
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

/// Images all at once, then indexes one by one, as each may name those before it.
fn stages(children: &[Arc<Manifest>]) -> Vec<Vec<Arc<Manifest>>> {
    let is_index = |child: &Arc<Manifest>| matches!(child.view(), Ok(ManifestView::Index(_)));
    let (indexes, images): (Vec<_>, Vec<_>) = children.iter().cloned().partition(is_index);
    let indexes = indexes.into_iter().map(|index| vec![index]);
    std::iter::once(images).chain(indexes).collect()
}

async fn push_child(
    destination: &dyn Store,
    child: Arc<Manifest>,
) -> (Arc<Manifest>, Result<(), Error>) {
    let target = Target::Digest(child.digest().clone());
    let answer = destination.put_manifest(&target, &child).await;
    (child, answer)
}

/// What a refusal of `manifest` names as missing; any other error is the commit's failure, and so is one that names
/// what was left out on purpose.
fn refused(
    error: Error,
    target: &Target,
    manifest: &Manifest,
    plan: &CopyPlan,
) -> Result<(Vec<Digest>, Failure), Failure> {
    let failed = |error: &Error| Failure::registry(Side::Destination, error);
    if error.kind() != ErrorKind::MissingContent {
        return Err(failed(&advice::advise(error, target, manifest, plan)));
    }
    if let Some(layer) = advice::demanded(error.missing(), manifest, plan) {
        let clause = advice::foreign_layer_advice(layer);
        return Err(failed(&error.clone().with_clause(&clause)));
    }
    Ok((error.missing().to_vec(), failed(&error)))
}
