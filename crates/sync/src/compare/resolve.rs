//! Manifest that a destination has under a name.

use image_syncer_registry::{ManifestHead, ManifestPresence, Target};

use crate::failure::Failure;
use crate::store::{Destination, StoreError};

/// Answer of a destination about the manifest under a name.
#[derive(Default)]
pub(super) struct Found {
    pub(super) there: Option<ManifestHead>,
    /// Reason why the destination does not answer.
    pub(super) unknown: Option<Failure>,
}

/// Resolves `target` at `destination`.
pub(super) async fn resolve(
    destination: &dyn Destination,
    target: &Target,
) -> Result<Found, Failure> {
    let found = destination.resolve(target).await;
    let found = found?;
    Ok(match found {
        ManifestPresence::Present(head) => Found {
            there: Some(head),
            unknown: None,
        },
        ManifestPresence::Absent => Found::default(),
        ManifestPresence::Unknown(error) => Found {
            there: None,
            unknown: Some(StoreError::destination(error).into()),
        },
    })
}
