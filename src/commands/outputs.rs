//! Output files for programs.

use std::sync::Arc;

use image_syncer_sync::Listener;

use crate::cli;
use crate::commands::problems::Problems;
use crate::images_file::{ImageSelection, ImagesFile};
use crate::report::ReportFile;

/// Output files of a run, opened before it begins.
pub(super) struct Outputs {
    pub(super) report: Option<Arc<ReportFile>>,
    pub(super) images: Vec<Arc<ImagesFile>>,
}

impl Outputs {
    /// Opens the files that the flags of `command` name. Returns `None` if one of them cannot be written, with a mistake
    /// for each.
    pub(super) fn open(
        command: &str,
        flags: &cli::Output,
        problems: &mut Problems,
    ) -> Option<Self> {
        let report = flags.reporting.report.as_deref();
        let report = report.map(|path| problems.collect(ReportFile::begin(path, command)));
        let copied = flags.output_success_images.as_deref();
        let format = flags.output_images_format;
        let copied = copied
            .map(|path| problems.collect(ImagesFile::new(ImageSelection::There, path, format)));
        let failed = flags.failed_images.as_deref();
        let failed = failed
            .map(|path| problems.collect(ImagesFile::by_suffix(ImageSelection::Failed, path)));
        let images: Option<Vec<_>> = [copied, failed].into_iter().flatten().collect();
        Some(Self {
            report: match report {
                Some(opened) => Some(Arc::new(opened?)),
                None => None,
            },
            images: images?.into_iter().map(Arc::new).collect(),
        })
    }

    /// Listeners that fill the files.
    pub(super) fn listeners(&self) -> impl Iterator<Item = Arc<dyn Listener>> {
        let report = self.report.iter().cloned();
        let report = report.map(|file| file as Arc<dyn Listener>);
        let images = self.images.iter().cloned();
        report.chain(images.map(|file| file as Arc<dyn Listener>))
    }
}
