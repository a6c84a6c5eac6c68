//! Comparison by digests that lists of tags show.
//!
//! A listed digest is a hint of the store itself, and may be stale. It only ever proves that an image is unchanged. For any
//! other result, the tag is resolved at both ends as without lists: an image is never copied by a listed digest.

use image_syncer_registry::{Digest, Target};

use crate::compare::resolve::{Found, resolve};
use crate::compare::{CompareTarget, Comparer, Comparison};
use crate::failure::Failure;
use crate::graph::SourceImage;

/// Result of a comparison by listed digests.
pub(super) enum ListedComparison {
    /// The comparison is settled.
    Settled(Comparison),
    /// The lists do not settle it. The destination may have been queried meanwhile.
    Open(Option<Found>),
}

impl Comparer {
    /// Compares `image` with the manifest that `destination` has under `target`, as far as lists show its digest at one end
    /// or both: with no request, or with one at the end without a list.
    pub(super) async fn compare_listed(
        &self,
        image: &SourceImage,
        destination: CompareTarget<'_>,
        target: &Target,
    ) -> Result<ListedComparison, Failure> {
        let CompareTarget { force, verify, .. } = destination;
        // The copy of a filtered image has another digest.
        if force || verify || image.is_filtered() {
            return Ok(ListedComparison::Open(None));
        }
        match (image.listed_digest(), destination.listed) {
            (Some(wanted), Some(there)) if wanted == there => Ok(unchanged(wanted, true)),
            (Some(wanted), None) => {
                let found = resolve(destination.store, target).await?;
                Ok(match &found.there {
                    Some(there) if there.digest == *wanted => unchanged(wanted, true),
                    _ => ListedComparison::Open(Some(found)),
                })
            }
            (None, Some(there)) => {
                let wanted = image.head().await?.digest;
                Ok(if wanted == *there {
                    unchanged(there, false)
                } else {
                    ListedComparison::Open(None)
                })
            }
            (Some(_), Some(_)) | (None, None) => Ok(ListedComparison::Open(None)),
        }
    }
}

fn unchanged(digest: &Digest, listed: bool) -> ListedComparison {
    ListedComparison::Settled(Comparison::Unchanged {
        digest: digest.clone(),
        listed,
    })
}
