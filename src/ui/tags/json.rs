//! List as JSON: an array with an object on each line.

use image_syncer_registry::{Descriptor, Digest};
use image_syncer_sync::image_list::{ImageKind, ImageListItem, ListedImage, PlatformSummary};
use serde::Serialize;

use super::time;
use crate::escape;
use crate::ui::full_reason;

/// Entry of the list. Fields that do not apply are absent.
#[derive(Default, Serialize)]
struct Record {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(flatten)]
    image: Option<ImageRecord>,
}

#[derive(Serialize)]
struct ImageRecord {
    source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    repository: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    platforms: Option<Vec<PlatformRecord>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    referrers: Option<Vec<ReferrerRecord>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pushed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
struct PlatformRecord {
    platform: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    os_version: Option<String>,
    digest: Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
}

#[derive(Serialize)]
struct ReferrerRecord {
    digest: Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
}

/// Returns the lines of `items`. `first` begins the array.
pub(super) fn part(items: &[&ImageListItem], first: bool) -> String {
    let mut text = String::new();
    for (number, item) in items.iter().enumerate() {
        text.push_str(if first && number == 0 { "[\n" } else { ",\n" });
        let record = Record::new(item);
        // Writing JSON into memory does not fail.
        let record = serde_json::to_string(&record).unwrap_or_else(|_| "{}".to_owned());
        text.push_str(&escape::document(&record));
    }
    text
}

impl Record {
    fn new(item: &ImageListItem) -> Self {
        match item {
            ImageListItem::Repository(repository) => Self {
                name: repository.to_string(),
                kind: Some("repository"),
                image: None,
            },
            ImageListItem::Image(image) => {
                let kind = image.summary.as_ref().map(|summary| match summary.kind {
                    ImageKind::Index => "index",
                    ImageKind::Image => "image",
                    ImageKind::Artifact => "artifact",
                });
                Self {
                    name: image.name.clone(),
                    kind,
                    image: Some(ImageRecord::new(image)),
                }
            }
            ImageListItem::Failed { .. } => Self::default(),
        }
    }
}

impl ImageRecord {
    fn new(image: &ListedImage) -> Self {
        let summary = image.summary.as_deref();
        let referrers = image.referrers.as_ref();
        Self {
            source: image.reference.clone(),
            repository: image.repository.clone(),
            tag: image.tag.as_ref().map(ToString::to_string),
            digest: image.digest.clone(),
            media_type: image.media_type.clone(),
            artifact_type: summary.and_then(|summary| summary.artifact_type.clone()),
            size: summary.and_then(|summary| summary.size),
            platforms: summary
                .map(|summary| summary.platforms.iter().map(PlatformRecord::new).collect()),
            subject: summary.and_then(|summary| summary.subject.clone()),
            referrers: referrers.map(|found| found.iter().map(ReferrerRecord::new).collect()),
            pushed: image.pushed.and_then(time),
            error: image.failure.as_ref().map(full_reason),
        }
    }
}

impl PlatformRecord {
    fn new(summary: &PlatformSummary) -> Self {
        Self {
            platform: summary.platform.to_string(),
            os_version: summary.platform.os_version.clone(),
            digest: summary.digest.clone(),
            size: summary.size,
        }
    }
}

impl ReferrerRecord {
    fn new(referrer: &Descriptor) -> Self {
        Self {
            digest: referrer.digest.clone(),
            media_type: Some(referrer.media_type.clone()).filter(|text| !text.is_empty()),
            artifact_type: referrer.artifact_type.clone(),
        }
    }
}
