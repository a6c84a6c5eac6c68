//! Parts of images to copy, besides platforms.

use std::fmt;

/// Parts of images to copy, besides platforms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Parts {
    /// Remove `BuildKit`'s attestations from indexes, which then are new documents.
    pub strip_attestations: bool,
    /// Keep indexes unchanged and leave filtered children out, instead of writing new indexes.
    pub sparse: bool,
    /// Copy foreign and non-distributable layers, which are left out otherwise.
    pub foreign_layers: bool,
}

impl Parts {
    /// Returns the parts for referrers, which no filter changes.
    #[must_use]
    pub fn for_referrers(self) -> Self {
        Self {
            foreign_layers: self.foreign_layers,
            ..Self::default()
        }
    }
}

impl fmt::Display for Parts {
    /// Displays the flags; empty if none is set.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = [
            (self.strip_attestations, "--strip-attestations"),
            (self.sparse, "--sparse"),
            (self.foreign_layers, "--foreign-layers"),
        ];
        let flags: Vec<&str> = flags
            .into_iter()
            .filter_map(|(set, flag)| set.then_some(flag))
            .collect();
        f.write_str(&flags.join(" "))
    }
}
