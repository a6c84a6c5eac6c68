//! Those who are told of a run, put together in one place, and heard out at its end.

use std::sync::Arc;
use std::time::Instant;

use registry::transport::Observer;
use sync::Listener;
use sync::report::{Report, Summary};

use crate::cli;
use crate::commands::listeners::Listeners;
use crate::commands::observers::Observers;
use crate::exit::Exit;
use crate::images_file::ImagesFile;
use crate::ui::{Counts, Lines, Progress, Wire, Word, print_summary};

/// Those who are told of a run.
pub(super) struct Audience {
    pub(super) lines: Lines,
    wire: Arc<Wire>,
    counts: Arc<Counts>,
    pub(super) report: Arc<Report>,
    images_file: Option<Arc<ImagesFile>>,
}

impl Audience {
    /// Those whom the flags ask for.
    ///
    /// # Errors
    /// When a file that is asked for cannot be written.
    pub(super) fn gather(output: &cli::Output, lines: Lines) -> anyhow::Result<Self> {
        let images_file = output
            .output_success_images
            .clone()
            .map(|path| ImagesFile::new(path, output.output_images_format))
            .transpose()?;
        Ok(Self {
            wire: Arc::new(Wire::new(lines.clone())),
            counts: Arc::new(Counts::new()),
            lines,
            report: Arc::new(Report::new()),
            images_file: images_file.map(Arc::new),
        })
    }

    /// Those who hear every event.
    pub(super) fn listener(&self) -> Arc<dyn Listener> {
        let mut all: Vec<Arc<dyn Listener>> = vec![
            self.report.clone(),
            Arc::new(Progress::new(self.lines.clone())),
        ];
        all.extend(
            self.images_file
                .clone()
                .map(|file| file as Arc<dyn Listener>),
        );
        Arc::new(Listeners(all))
    }

    /// Those who hear every request.
    pub(super) fn observer(&self) -> Arc<dyn Observer> {
        Arc::new(Observers(vec![self.counts.clone(), self.wire.clone()]))
    }

    /// Says what the run came to, and turns it into an exit.
    pub(super) fn close(&self, summary: &Summary, started: Instant) -> Exit {
        print_summary(
            &self.lines,
            summary,
            self.counts.totals(),
            started.elapsed(),
        );
        let written = self
            .images_file
            .as_ref()
            .map_or(Ok(()), |file| file.write());
        if let Err(error) = &written {
            self.lines.say(Word::Failed, &format!("{error:#}"));
        }
        match summary.exit_code() {
            0 if written.is_ok() => Exit::Done,
            130 => Exit::Interrupted,
            _ => Exit::Failed,
        }
    }
}
