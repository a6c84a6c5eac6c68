//! Output files for programs.

use std::path::PathBuf;
use std::sync::Arc;

use image_syncer_registry::transport::Observer;
use image_syncer_sync::report::Summary;
use image_syncer_sync::{Listener, Session};

use crate::images_file::{FileFormat, ImageSelection, ImagesFile};
#[cfg(feature = "service")]
use crate::metrics::MetricsFile;
use crate::problems::Problems;
use crate::report::ReportFile;
use crate::run::collisions::Named;
use crate::run::run_outputs::FinishedRun;

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
    /// The metrics.
    #[cfg(feature = "service")]
    pub(crate) metrics: Option<PathBuf>,
}

/// Output files of a run, opened before it begins.
pub(super) struct Outputs {
    pub(super) report: Option<Arc<ReportFile>>,
    pub(super) images: Vec<Arc<ImagesFile>>,
    #[cfg(feature = "service")]
    pub(super) metrics: Option<Arc<MetricsFile>>,
}

impl OutputPaths {
    /// Returns each path with its flag.
    pub(super) fn named(&self) -> impl Iterator<Item = Named<'_>> {
        let all = [
            ("--report", self.report.as_deref()),
            ("--output-success-images", self.success_images.as_deref()),
            ("--failed-images", self.failed_images.as_deref()),
            #[cfg(feature = "service")]
            ("--metrics", self.metrics.as_deref()),
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
        #[cfg(feature = "service")]
        let metrics = paths.metrics.as_deref();
        #[cfg(feature = "service")]
        let metrics = metrics.map(|path| problems.collect(MetricsFile::begin(path)));
        let images: Option<Vec<_>> = [copied, failed].into_iter().flatten().collect();
        Some(Self {
            report: match report {
                Some(opened) => Some(Arc::new(opened?)),
                None => None,
            },
            images: images?.into_iter().map(Arc::new).collect(),
            #[cfg(feature = "service")]
            metrics: match metrics {
                Some(opened) => Some(Arc::new(opened?)),
                None => None,
            },
        })
    }

    /// Listeners that fill the files.
    pub(super) fn listeners(&self) -> impl Iterator<Item = Arc<dyn Listener>> {
        let report = self.report.iter().cloned();
        let report = report.map(|file| file as Arc<dyn Listener>);
        let images = self.images.iter().cloned();
        let files = report.chain(images.map(|file| file as Arc<dyn Listener>));
        #[cfg(feature = "service")]
        let files = {
            let metrics = self.metrics.iter().cloned();
            files.chain(metrics.map(|file| file as Arc<dyn Listener>))
        };
        files
    }

    /// Observers that fill the files.
    #[cfg_attr(not(feature = "service"), allow(clippy::unused_self))]
    pub(super) fn observers(&self) -> impl Iterator<Item = Arc<dyn Observer>> {
        #[cfg(feature = "service")]
        let observers = self.metrics.iter().map(|file| file.observer());
        #[cfg(not(feature = "service"))]
        let observers = std::iter::empty();
        observers
    }

    /// Puts the file with metrics in place.
    ///
    /// # Errors
    /// It could not be written.
    #[cfg_attr(
        not(feature = "service"),
        allow(unused_variables, clippy::unused_self, clippy::unnecessary_wraps)
    )]
    pub(super) fn put_metrics(
        &self,
        ended: &FinishedRun<'_>,
        summary: &Summary,
    ) -> anyhow::Result<()> {
        #[cfg(feature = "service")]
        if let Some(file) = &self.metrics {
            file.put(ended.descriptions, summary, ended.intent)?;
        }
        Ok(())
    }

    /// Uses the limits of the run's session.
    #[cfg_attr(not(feature = "service"), allow(unused_variables, clippy::unused_self))]
    pub(super) fn set_session(&self, session: &Session) {
        #[cfg(feature = "service")]
        if let Some(file) = &self.metrics {
            file.set_session(session);
        }
    }
}
