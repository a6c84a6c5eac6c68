//! Output files for programs.

use std::path::PathBuf;
use std::sync::Arc;

use image_syncer_sync::Listener;

use crate::images_file::{FileFormat, ImageSelection, ImagesFile};
use crate::problems::Problems;
use crate::report::ReportFile;
use crate::run::collisions::Named;

/// Paths of the files that a run writes for programs.
#[derive(Debug, Default)]
pub(crate) struct OutputPaths {
    /// The report.
    pub(crate) report: Option<PathBuf>,
    /// The map of images at their destinations.
    pub(crate) success_images: Option<PathBuf>,
    /// Format of that map.
    pub(crate) success_format: FileFormat,
    /// The map of images that failed.
    pub(crate) failed_images: Option<PathBuf>,
}

/// Output files of a run, opened before it begins.
pub(super) struct Outputs {
    pub(super) report: Option<Arc<ReportFile>>,
    pub(super) images: Vec<Arc<ImagesFile>>,
}

impl OutputPaths {
    /// Returns each path with its flag.
    pub(super) fn named(&self) -> impl Iterator<Item = Named<'_>> {
        let all = [
            ("--report", self.report.as_deref()),
            ("--output-success-images", self.success_images.as_deref()),
            ("--failed-images", self.failed_images.as_deref()),
        ];
        all.into_iter()
            .filter_map(|(flag, path)| Some((flag, path?)))
    }
}

impl Outputs {
    /// Opens the files of `command`. Returns `None` if one of them cannot be written, with a mistake for each.
    pub(super) fn open(
        command: &str,
        paths: &OutputPaths,
        problems: &mut Problems,
    ) -> Option<Self> {
        let report = paths.report.as_deref();
        let report = report.map(|path| problems.collect(ReportFile::begin(path, command)));
        let copied = paths.success_images.as_deref();
        let format = paths.success_format;
        let copied = copied
            .map(|path| problems.collect(ImagesFile::new(ImageSelection::There, path, format)));
        let failed = paths.failed_images.as_deref();
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
