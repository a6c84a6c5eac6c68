//! The report: one JSON document for `--report FILE` and `plan --output json`, described in docs/report.md.
//!
//! [`ReportWriter`] writes it while a run goes on, an image a line, so that it costs no memory; what is known only at the
//! end comes last. `image` and `closing` are its parts, in the words of the schema.

mod closing;
mod document;
mod file;
mod image;

pub(crate) use document::ReportWriter;
pub(crate) use file::ReportFile;

/// The version of the document. It rises when something is taken away or means something else, not when something is
/// added.
const VERSION: u32 = 1;

/// Seconds to the millisecond, as a JSON number.
fn seconds(duration: std::time::Duration) -> f64 {
    #[allow(
        clippy::cast_precision_loss,
        reason = "a run of 285,000 years is still exact"
    )]
    let milliseconds = duration.as_millis() as f64;
    milliseconds / 1000.0
}

#[cfg(test)]
mod tests;
