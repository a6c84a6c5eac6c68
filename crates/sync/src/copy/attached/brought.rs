//! What came along.

use std::sync::Arc;

use registry::{Digest, Manifest, Tag};

use crate::event::{Copied, Outcome};

/// What came along with an image, over all levels.
#[derive(Debug, Default)]
pub(in crate::copy) struct Brought {
    referrers: u64,
    contended: u64,
    manifests: u64,
    blobs: u64,
    bytes: u64,
    mounted_bytes: u64,
    present_bytes: u64,
}

/// What came of one subject.
#[derive(Default)]
pub(super) struct Served {
    pub(super) brought: Brought,
    /// What may be a subject in turn, each with whether it is new at the destination.
    pub(super) next: Vec<(Digest, bool)>,
    /// Roots that get their tag when what refers to them is there.
    pub(super) names: Vec<(Arc<Manifest>, Tag)>,
}

impl Brought {
    /// One more came along.
    pub(super) fn one(&mut self, copied: &Copied) {
        self.referrers += 1;
        self.manifests += copied.manifests;
        self.blobs += copied.blobs;
        self.bytes += copied.bytes;
        self.mounted_bytes += copied.mounted_bytes;
        self.present_bytes += copied.present_bytes;
    }
    /// Others wrote the list of a subject's referrers at the same time.
    pub(super) fn contended(&mut self) {
        self.contended += 1;
    }
    /// Whether that happened.
    pub(super) fn is_contended(&self) -> bool {
        self.contended > 0
    }
    pub(super) fn add(&mut self, other: &Self) {
        self.referrers += other.referrers;
        self.contended += other.contended;
        self.manifests += other.manifests;
        self.blobs += other.blobs;
        self.bytes += other.bytes;
        self.mounted_bytes += other.mounted_bytes;
        self.present_bytes += other.present_bytes;
    }
    /// The copy of an image, with what came along.
    pub(in crate::copy) fn with(&self, copied: Copied) -> Copied {
        Copied {
            referrers: copied.referrers + self.referrers,
            contended: copied.contended + self.contended,
            manifests: copied.manifests + self.manifests,
            blobs: copied.blobs + self.blobs,
            bytes: copied.bytes + self.bytes,
            mounted_bytes: copied.mounted_bytes + self.mounted_bytes,
            present_bytes: copied.present_bytes + self.present_bytes,
            ..copied
        }
    }
    /// How an image ends whose root `digest` stood at the destination and that ended as `outcome` by itself.
    pub(super) fn beside(&self, digest: Digest, outcome: Outcome) -> Outcome {
        let copied = match outcome {
            Outcome::Copied(copied) => copied,
            // That a list may lack something is not to be lost from the report.
            outcome if self.referrers == 0 && self.contended == 0 => return outcome,
            _ => Copied {
                digest,
                filtered: false,
                sparse: false,
                manifests: 0,
                blobs: 0,
                bytes: 0,
                mounted_bytes: 0,
                present_bytes: 0,
                referrers: 0,
                root_unchanged: true,
                contended: 0,
                losses: Vec::new(),
            },
        };
        Outcome::Copied(self.with(copied))
    }
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::*;
    use crate::event::Evidence;

    #[test]
    fn a_list_that_others_wrote_is_told_though_all_stood() {
        let digest = Digest::sha256(b"root");
        let unchanged = Outcome::Unchanged {
            digest: digest.clone(),
            by: Evidence::Registry,
        };
        let mut brought = Brought::default();
        let outcome = brought.beside(digest.clone(), unchanged.clone());
        assert!(matches!(outcome, Outcome::Unchanged { .. }));
        brought.contended();
        let Outcome::Copied(copied) = brought.beside(digest, unchanged) else {
            panic!("the contention is lost");
        };
        assert!(copied.root_unchanged);
        assert_eq!((copied.contended, copied.referrers), (1, 0));
    }
}
