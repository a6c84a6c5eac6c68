//! Warnings about images whose manifests state wrong sizes.

use image_syncer_registry::{Descriptor, Target};

use crate::compare::CopyPlan;
use crate::copy::Copier;
use crate::copy::referrer_progress::{CompletedStep, StepScope};
use crate::event::Event;
use crate::graph::SourceImage;

impl Copier {
    /// Warns, once for each image, about blobs in `plan` that have other sizes than the manifests state.
    pub(super) fn warn_of_sizes(&self, image: &SourceImage, plan: &CopyPlan) {
        let mut wrong: Vec<String> = plan
            .blobs
            .iter()
            .chain(&plan.present)
            .filter_map(|blob| self.wrong_size(blob))
            .collect();
        let source = image.store().repository();
        let root = plan.root.digest();
        let (steps, scope) = (&self.referrer_progress, StepScope::at_source(source));
        if wrong.is_empty() || !steps.set(CompletedStep::WrongSizes, scope, root) {
            return;
        }
        wrong.sort();
        wrong.dedup();
        let joint = match image.target() {
            Target::Tag(_) => ':',
            Target::Digest(_) => '@',
        };
        let text = format!(
            "{source}{joint}{}: its manifest states wrong sizes: {}. The image is copied as it is, but some clients refuse \
             it. Build it again with a newer builder.",
            image.target(),
            wrong.join("; "),
        );
        self.listener.event(&Event::Warning { text });
    }

    /// Describes the difference between the stated and the known size of a blob.
    fn wrong_size(&self, blob: &Descriptor) -> Option<String> {
        let size = self.inventory.size(&blob.digest)?;
        let stated = blob.size.filter(|stated| *stated != size)?;
        let digest = &blob.digest;
        Some(format!("{digest} has {size} bytes instead of {stated}"))
    }
}
