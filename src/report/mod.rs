//! The report: one JSON document for `--report FILE` and `plan --output json`, described in docs/report.md.
//!
//! [`ReportWriter`] writes it during a run, one image per line, so that it needs no memory. Fields that are known only
//! at the end come last. The modules `image` and `closing` have its parts, with the names of the schema.

mod closing;
mod document;
mod file;
mod image;
mod merge;
mod reading;
mod weights;

pub(crate) use document::ReportWriter;
pub(crate) use file::ReportFile;
pub(crate) use merge::ShardReports;
pub(crate) use weights::read_weights;

/// Version of the document. It rises if a field is removed or changes its meaning, not if one is added.
const VERSION: u32 = 1;

/// Returns seconds to the millisecond, as a JSON number.
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
