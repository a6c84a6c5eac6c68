//! Finds the children that a destination has of an image whose index is copied without some of them.

use std::collections::HashSet;

use futures_util::{StreamExt, stream};
use image_syncer_registry::Digest;

use crate::compare::known_children::has;
use crate::compare::{CompareTarget, Comparer, Comparison, MissingImage, QUESTIONS};
use crate::failure::Failure;
use crate::graph::SourceImage;
use crate::store::Destination;

/// Children of a sparse image.
#[derive(Debug)]
pub(crate) struct SparseChildren {
    /// Wanted images. The index does not tell what is below a nested index.
    pub(crate) wanted: Vec<Digest>,
    /// Wanted images that exist; `None` if the destination was not queried.
    pub(crate) there: Option<HashSet<Digest>>,
}

impl Comparer {
    /// Returns the result for an image that is `missing`, or whose root exists (`same`). For a sparse image, equal
    /// digests settle nothing, and neither does an old root: a HEAD for each wanted child does.
    pub(super) async fn compare_sparse(
        &self,
        image: &SourceImage,
        destination: CompareTarget<'_>,
        mut missing: MissingImage,
        same: bool,
    ) -> Result<Comparison, Failure> {
        let unchanged = || Comparison::Unchanged {
            digest: missing.root.digest().clone(),
            listed: false,
        };
        let Some(wanted) = image.required_children() else {
            return Ok(if same {
                unchanged()
            } else {
                Comparison::Missing(missing)
            });
        };
        let mut there = None;
        if missing.there.is_some() && !destination.force {
            let found = found(destination.store, &wanted).await?;
            if same && found.len() == wanted.len() {
                return Ok(unchanged());
            }
            there = Some(found);
        }
        let images = wanted.into_iter().filter(|(_, is_index)| !is_index);
        missing.sparse = Some(SparseChildren {
            wanted: images.map(|(digest, _)| digest).collect(),
            there,
        });
        Ok(Comparison::Missing(missing))
    }
}

async fn found(
    destination: &dyn Destination,
    wanted: &[(Digest, bool)],
) -> Result<HashSet<Digest>, Failure> {
    let mut found = HashSet::new();
    let wanted: Vec<Digest> = wanted.iter().map(|(digest, _)| digest.clone()).collect();
    let mut answers = stream::iter(wanted)
        .map(|digest| has(destination, digest))
        .buffer_unordered(QUESTIONS);
    while let Some(answer) = answers.next().await {
        found.extend(answer?);
    }
    Ok(found)
}
