//! List of images for the command `tags`: a table for a terminal, lines with tabs elsewhere, or JSON.

mod json;
mod lines;
mod table;
#[cfg(test)]
mod tests;

use std::time::SystemTime;

use image_syncer_registry::Digest;
use image_syncer_sync::image_list::{ImageDetail, ImageKind, ImageListItem, ListedImage};
use jiff::{Timestamp, Unit};

use crate::escape;
use crate::ui::full_reason;
use table::Table;

/// Word for an artifact whose type is unknown or too long.
const ARTIFACT: &str = "artifact";

/// Form of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TagsForm {
    /// Aligned columns for a terminal, with short digests.
    Table {
        /// Number of columns of the terminal.
        width: usize,
        /// True for a terminal with colours.
        colours: bool,
    },
    /// Fields between tabs, with whole digests.
    Lines,
    /// An array of objects.
    Json,
}

/// Formatter of a list of images, part by part.
pub(crate) struct TagsOutput {
    form: TagsForm,
    columns: TagColumns,
    table: Table,
    /// Number of entries.
    count: u64,
    /// Number of images with a failure.
    failed: u64,
}

/// Columns of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TagColumns {
    /// Repositories.
    Repositories,
    /// Images.
    Images {
        /// Details of the images.
        detail: ImageDetail,
        /// True for files, which have referrers and no times of pushes.
        is_local: bool,
    },
}

/// Entry as columns show it.
#[derive(Default)]
struct Row {
    name: String,
    digest: Option<Digest>,
    /// Platforms, each once.
    platforms: Vec<String>,
    /// Type of an artifact.
    artifact: Option<String>,
    size: Option<u64>,
    referrers: Option<usize>,
    pushed: Option<String>,
    failure: Option<String>,
}

impl TagsOutput {
    /// Creates the output of a list with `columns`.
    pub(crate) fn new(form: TagsForm, columns: TagColumns) -> Self {
        let (width, colours) = match form {
            TagsForm::Table { width, colours } => (width, colours),
            TagsForm::Lines | TagsForm::Json => (0, false),
        };
        Self {
            form,
            columns,
            table: Table::new(columns, width, colours),
            count: 0,
            failed: 0,
        }
    }

    /// Returns the number of entries so far.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Returns the number of images so far that have a failure.
    pub(crate) fn failed(&self) -> u64 {
        self.failed
    }

    /// Returns the text of a part of the list. Failed lists are not part of it.
    pub(crate) fn part(&mut self, items: &[ImageListItem]) -> String {
        let items: Vec<&ImageListItem> = items
            .iter()
            .filter(|item| !matches!(item, ImageListItem::Failed { .. }))
            .collect();
        let rows = || items.iter().map(|item| Row::new(item)).collect::<Vec<_>>();
        let text = match self.form {
            TagsForm::Table { .. } => self.table.part(&rows()),
            TagsForm::Lines => lines::part(self.columns, &rows()),
            TagsForm::Json => json::part(&items, self.count == 0),
        };
        self.count += items.len() as u64;
        let failed = items.iter().filter(|item| has_failed(item));
        self.failed += failed.count() as u64;
        text
    }

    /// Returns the end of the list.
    pub(crate) fn end(&self) -> &'static str {
        match (self.form, self.count) {
            (TagsForm::Json, 0) => "[]\n",
            (TagsForm::Json, _) => "\n]\n",
            _ => "",
        }
    }
}

impl Row {
    fn new(item: &ImageListItem) -> Self {
        match item {
            ImageListItem::Repository(repository) => Self {
                name: repository.to_string(),
                ..Self::default()
            },
            ImageListItem::Image(image) => Self::of_image(image),
            ImageListItem::Failed { .. } => Self::default(),
        }
    }

    fn of_image(image: &ListedImage) -> Self {
        let mut row = Self {
            name: escape::line(&image.name).into_owned(),
            digest: image.digest.clone(),
            pushed: image.pushed.and_then(time),
            referrers: image.referrers.as_ref().map(Vec::len),
            ..Self::default()
        };
        if let Some(summary) = &image.summary {
            row.size = summary.size;
            for platform in &summary.platforms {
                let platform = escape::line(&platform.platform.to_string()).into_owned();
                if !row.platforms.contains(&platform) {
                    row.platforms.push(platform);
                }
            }
            if summary.kind == ImageKind::Artifact {
                let kind = summary.artifact_type.as_deref().unwrap_or(ARTIFACT);
                row.artifact = Some(escape::line(kind).into_owned());
            }
        }
        let reason = image.failure.as_ref().map(full_reason);
        row.failure = reason.map(|reason| escape::line(&reason).into_owned());
        row
    }
}

fn has_failed(item: &ImageListItem) -> bool {
    matches!(item, ImageListItem::Image(image) if image.failure.is_some())
}

/// Returns the time in UTC, to the second: `2026-11-30T09:14:00Z`.
fn time(time: SystemTime) -> Option<String> {
    let time = Timestamp::try_from(time).ok()?;
    Some(time.round(Unit::Second).unwrap_or(time).to_string())
}
