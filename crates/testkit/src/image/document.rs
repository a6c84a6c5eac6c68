//! JSON as various tools write it.

use serde_json::Value;

/// Formatting of a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Layout {
    /// On one line.
    #[default]
    Compact,
    /// With line breaks and three blanks, as Docker's own tools write it. A program that formats such a document again
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
                // A `Value` contains nothing that could fail in memory.
                let _ = serde::Serialize::serialize(document, &mut serializer);
                out
            }
        }
    }
}
