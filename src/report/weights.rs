//! Times of repositories in a report.

use std::borrow::Cow;
use std::path::Path;

use image_syncer_sync::shard::Weights;
use serde::Deserialize;

use crate::report::reading;

/// Fields of an image that decide about its weight.
#[derive(Deserialize)]
struct TimedImage<'a> {
    #[serde(borrow)]
    source: Cow<'a, str>,
    elapsed_seconds: f64,
}

/// Returns the times of all repositories in the report at `path`, in milliseconds.
///
/// # Errors
/// If the file cannot be read or is not a report.
pub(crate) fn read_weights(path: &Path) -> anyhow::Result<Weights> {
    let mut weights = Weights::default();
    reading::read(path, &mut |image| {
        let image: TimedImage<'_> = reading::image(image)?;
        weights.add(
            repository(&image.source),
            milliseconds(image.elapsed_seconds),
        );
        Ok(())
    })?;
    Ok(weights)
}

/// Returns the time in milliseconds. An image that took none costs some requests as well.
fn milliseconds(seconds: f64) -> u64 {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the conversion saturates"
    )]
    let milliseconds = (seconds * 1000.0).round() as u64;
    milliseconds.max(1)
}

/// Returns the repository of a full reference: without its tag or digest.
fn repository(reference: &str) -> &str {
    let cut = |text: &str, at: char| {
        let (before, after) = text.rsplit_once(at)?;
        (!after.contains(['/', '#'])).then_some(before.len())
    };
    let end = cut(reference, '@').unwrap_or(reference.len());
    let reference = reference.get(..end).unwrap_or(reference);
    let end = cut(reference, ':').unwrap_or(reference.len());
    reference.get(..end).unwrap_or(reference)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_has_a_repository() {
        let digest = format!("sha256:{}", "0".repeat(64));
        for (reference, expected) in [
            ("a.example/x:v1", "a.example/x"),
            ("a.example:5000/x:v1", "a.example:5000/x"),
            ("a.example:5000/x", "a.example:5000/x"),
            (&format!("a.example:5000/x@{digest}"), "a.example:5000/x"),
            (&format!("a.example/x:v1@{digest}"), "a.example/x"),
            ("oci:/srv/images#team/app:v1", "oci:/srv/images#team/app"),
            ("oci:/srv/images:v1", "oci:/srv/images"),
        ] {
            assert_eq!(repository(reference), expected, "{reference}");
        }
    }

    #[test]
    fn every_image_weighs_something() {
        let found = [0.0, 0.0004, 1.2346, -5.0, f64::NAN, 1e300].map(milliseconds);
        assert_eq!(found, [1, 1, 1235, 1, 1, u64::MAX]);
    }
}
