//! Different images for one name at a destination: the image of the rule that comes first keeps the name.
//!
//! Both are read at their sources, so that the decision depends on what they are and never on which of them is copied
//! sooner. The same content from two sources is no conflict.

use std::sync::Arc;

use image_syncer_registry::{Digest, ErrorKind};

use crate::copy::Copier;
use crate::discover::{ImageDestination, Rival, located};
use crate::event::{ImageName, full_reference};
use crate::failure::Failure;
use crate::graph::{Root, SourceImage};

impl Copier {
    /// Fails if an earlier rule writes other content to `place` than `image`.
    ///
    /// Costs a HEAD for each rival; nothing for a place that has none.
    pub(super) async fn check_earlier_rules(
        &self,
        image: &SourceImage,
        name: &ImageName,
        place: &ImageDestination,
    ) -> Result<(), Failure> {
        if place.rivals.is_empty() {
            return Ok(());
        }
        let Some(own) = copied_digest(image).await? else {
            return Ok(());
        };
        for rival in &place.rivals {
            let source = SourceImage::new(
                self.stores.store(&rival.source),
                rival.target.clone(),
                Arc::clone(&self.platforms),
                Arc::clone(&self.manifests),
            )
            .with_parts(self.parts);
            match copied_digest(&source).await {
                Ok(Some(other)) if other != own => return Err(conflict(name, rival)),
                Ok(_) => {}
                Err(failure) if !rival.certain && is_absent(&failure) => {}
                Err(failure) => return Err(unknown(name, rival, failure)),
            }
        }
        Ok(())
    }
}

/// The digest that a copy of the image has; `None` if nothing of it is copied.
async fn copied_digest(image: &SourceImage) -> Result<Option<Digest>, Failure> {
    if !image.is_filtered() {
        return Ok(Some(image.head().await?.digest));
    }
    Ok(match image.root().await? {
        Root::Whole(root) | Root::Filtered(root) => Some(root.digest().clone()),
        Root::Nothing { .. } => None,
    })
}

fn is_absent(failure: &Failure) -> bool {
    failure.kind == Some(ErrorKind::NotFound)
}

fn conflict(name: &ImageName, rival: &Rival) -> Failure {
    Failure::tag_conflict(format!(
        "{}: rule {} writes another image to this tag, {}",
        cannot_write(name),
        rival.rule,
        full_reference(&rival.source, Some(&rival.target))
    ))
}

fn unknown(name: &ImageName, rival: &Rival, failure: Failure) -> Failure {
    let reason = format!(
        "{}: rule {} writes to this tag as well, and its image {} cannot be compared: {}",
        cannot_write(name),
        rival.rule,
        full_reference(&rival.source, Some(&rival.target)),
        failure.reason
    );
    Failure { reason, ..failure }
}

fn cannot_write(name: &ImageName) -> String {
    format!(
        "cannot write {} (rule {}) to {}",
        name.source,
        located(&name.rule),
        name.destination
    )
}
