//! JSON as the tools write it.

use serde_json::Value;

/// How a document is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Layout {
    /// On one line.
    #[default]
    Compact,
    /// With line breaks and three blanks, as Docker's own tools write it: a syncer that writes such a document anew
    /// changes its digest.
    Pretty,
}

impl Layout {
    pub(super) fn write(self, document: &Value) -> Vec<u8> {
        match self {
            Self::Compact => document.to_string().into_bytes(),
            Self::Pretty => {
                let mut out = Vec::new();
                let formatter = serde_json::ser::PrettyFormatter::with_indent(b"   ");
                let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
                // A `Value` has nothing that could fail to be written into memory.
                let _ = serde::Serialize::serialize(document, &mut serializer);
                out
            }
        }
    }
}
