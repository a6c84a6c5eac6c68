//! Which parts of an image are copied, beside its platforms.

use std::fmt;

/// Which parts of an image are copied, beside its platforms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Leave `BuildKit`'s attestations out of indexes, which then are new documents.
    pub strip_attestations: bool,
    /// Keep indexes as they are, and leave out the children that do not pass, instead of writing new ones.
    pub sparse: bool,
    /// Bring foreign and non-distributable layers along, which are left out otherwise.
    pub foreign_layers: bool,
}

impl Parts {
    /// The same for what refers to an image, which no filter touches.
    #[must_use]
    pub fn for_referrers(self) -> Self {
        Self {
            foreign_layers: self.foreign_layers,
            ..Self::default()
        }
    }
}

impl fmt::Display for Parts {
    /// As the flags that ask for it; nothing where none is needed.
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
