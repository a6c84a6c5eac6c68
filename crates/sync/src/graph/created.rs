//! Creation time of an image.

use std::time::SystemTime;

use image_syncer_registry::Descriptor;
use image_syncer_registry::manifest::ManifestView;
use serde::Deserialize;

use crate::failure::Failure;
use crate::graph::filter::{IMAGE_CONFIGS, MAX_CONFIG_BYTES};
use crate::graph::{MAX_DEPTH, SourceImage};

/// Part of a config.
#[derive(Deserialize)]
struct Config {
    created: Option<String>,
}

impl SourceImage {
    /// Returns the creation time in the config of the image, `None` if it has none. Of an index, one image decides: that for
    /// linux/amd64, or else the first. Costs two requests, and one for each index.
    pub(crate) async fn created(&self) -> Result<Option<SystemTime>, Failure> {
        let mut manifest = self.unfiltered_root().await?;
        for _ in 0..MAX_DEPTH {
            let image = match self.view(&manifest)? {
                ManifestView::Index(index) => {
                    let Some(entry) = representative(&index.manifests) else {
                        return Ok(None);
                    };
                    let failed = |failure| Self::child_failure(entry, failure);
                    manifest = self.manifest(&entry.digest).await.map_err(failed)?;
                    continue;
                }
                ManifestView::Image(image) => image,
                ManifestView::Schema1(_) => return Ok(None),
            };
            let is_config =
                |config: &Descriptor| IMAGE_CONFIGS.contains(&config.media_type.as_str());
            let Some(config) = image.config.filter(is_config) else {
                return Ok(None);
            };
            let bytes = self.store.read_blob(&config, MAX_CONFIG_BYTES).await?;
            return Ok(created_of(&bytes));
        }
        Err(self.too_deep())
    }
}

/// Returns the entry that stands for all images of an index.
fn representative(entries: &[Descriptor]) -> Option<&Descriptor> {
    let is_image = |entry: &&Descriptor| !entry.is_attestation();
    let usual = |entry: &&Descriptor| {
        let platform = entry.platform.as_ref();
        platform.is_some_and(|it| it.os == "linux" && it.architecture == "amd64")
    };
    let mut images = entries.iter().filter(is_image);
    images.clone().find(usual).or_else(|| images.next())
}

/// Returns the time in a config; `None` if it is missing or invalid.
fn created_of(config: &[u8]) -> Option<SystemTime> {
    let config: Config = serde_json::from_slice(config).ok()?;
    let created: jiff::Timestamp = config.created?.parse().ok()?;
    Some(created.into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_time_of_a_config_may_be_missing_or_invalid() {
        let at = |seconds: u64| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        for (config, expected) in [
            (r#"{"created":"2024-10-02T17:55:12Z"}"#, at(1_727_891_712)),
            (
                r#"{"created":"2024-10-02T19:55:12+02:00"}"#,
                at(1_727_891_712),
            ),
            (r#"{"created":"1970-01-01T00:00:00Z"}"#, at(0)),
            (r#"{"created":"yesterday"}"#, None),
            (r#"{"created":null}"#, None),
            (r#"{"created":17}"#, None),
            ("{}", None),
            ("", None),
        ] {
            assert_eq!(created_of(config.as_bytes()), expected, "{config}");
        }
    }
}
