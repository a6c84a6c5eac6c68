//! The log: its destination and its content.

mod entry;
mod file;
mod layer;

use std::time::Duration;

use anyhow::anyhow;
use tracing::Dispatch;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::cli::{LogFormat, LogLevel, Logging};
use crate::ui::Printer;

use entry::LogFields;
use file::LogFile;
use layer::{LogLayer, LogSink};

/// Log of one run, not of the process: the threads of the run attach to it.
#[derive(Clone)]
pub struct Log {
    dispatch: Dispatch,
    file: Option<LogFile>,
    takes_stderr: bool,
    json: bool,
    /// Level of the flags, independent of `RUST_LOG`.
    level: LogLevel,
    quiet: bool,
    verbose: bool,
}

/// Crates whose events are logged. The crates below them (HTTP, TLS) could log headers, and so secrets.
const OURS: [&str; 3] = ["image_syncer", "image_syncer_registry", "image_syncer_sync"];

/// Target of the spans with the fields of rule and image, which are needed at every level.
const SPANS: &str = "image_syncer_sync::span";

/// Time for which the end of a run waits for a slow disk to take the last lines.
const CLOSING: Duration = Duration::from_secs(5);

impl Log {
    /// Checks the input of [`Log::open`] other than the file.
    ///
    /// # Errors
    /// `RUST_LOG` is invalid.
    pub fn check(flags: &Logging) -> anyhow::Result<()> {
        filter(flags, std::env::var("RUST_LOG").ok().as_deref()).map(drop)
    }

    /// Opens the log for the flags and `RUST_LOG`.
    ///
    /// # Errors
    /// The file cannot be opened, or `RUST_LOG` is invalid.
    pub fn open(flags: &Logging, printer: Printer) -> anyhow::Result<Self> {
        let filter = filter(flags, std::env::var("RUST_LOG").ok().as_deref())?;
        let format = flags.log_format;
        let file = match &flags.log {
            Some(path) => {
                let (name, printer) = (path.display().to_string(), printer.clone());
                let complain = move |error: &std::io::Error| {
                    printer.warning(&format!(
                        "cannot write to the log file {name}: {}; the run continues, and lines are missing in the log",
                        image_syncer_registry::io_clause(error)
                    ));
                };
                let gap = match format {
                    LogFormat::Text => {
                        |lines| LogFields::missing_lines(lines).text(tracing::Level::WARN, false)
                    }
                    LogFormat::Json => {
                        |lines| LogFields::missing_lines(lines).json(tracing::Level::WARN)
                    }
                };
                Some(LogFile::open(path, gap, complain)?)
            }
            None => None,
        };
        let sink = match &file {
            Some(file) => LogSink::File(file.clone()),
            None => LogSink::Stderr(printer),
        };
        let recorder = LogLayer { sink, format }.with_filter(filter);
        Ok(Self {
            dispatch: Dispatch::new(tracing_subscriber::registry().with(recorder)),
            file,
            takes_stderr: flags.takes_stderr(),
            json: format == LogFormat::Json,
            level: level(flags),
            quiet: flags.quiet,
            verbose: flags.verbose > 0,
        })
    }

    /// Returns whether the log has a file, so that stderr has only what needs attention.
    pub(super) fn to_file(&self) -> bool {
        self.file.is_some()
    }

    /// Returns whether stderr is a log for programs, without lines for people.
    pub(crate) fn takes_stderr(&self) -> bool {
        self.takes_stderr
    }

    /// Returns whether the lines are JSON objects.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Returns the level of the flags. It also applies to stderr if stderr is the log.
    pub(super) fn level(&self) -> LogLevel {
        self.level
    }

    /// Returns whether only lines that need attention are printed.
    pub(super) fn quiet(&self) -> bool {
        self.quiet
    }

    /// Returns whether stderr has a line for every image, including unchanged ones.
    pub(super) fn verbose(&self) -> bool {
        self.verbose
    }

    /// Attaches this thread to the log until the thread ends: for threads that serve one run only.
    pub fn attach_thread(&self) {
        std::mem::forget(tracing::dispatcher::set_default(&self.dispatch));
    }

    /// Attaches this thread to the log until the guard is dropped.
    pub fn attach(&self) -> tracing::dispatcher::DefaultGuard {
        tracing::dispatcher::set_default(&self.dispatch)
    }

    /// Returns a guard that writes the last lines when it is dropped, however the run ends.
    pub(crate) fn closing(&self) -> LogGuard<'_> {
        LogGuard(self)
    }

    /// Waits until the last lines are written. Later lines are lost. Gives up after a few seconds if the disk takes
    /// nothing.
    pub fn close(&self) {
        if let Some(file) = &self.file {
            file.close(CLOSING);
        }
    }
}

/// Guard of [`Log::closing`].
pub(crate) struct LogGuard<'a>(&'a Log);

impl Drop for LogGuard<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Returns the level of the flags. `-q` applies to a terminal only: a file gets everything.
fn level(flags: &Logging) -> LogLevel {
    let quiet = flags.quiet && flags.log.is_none();
    flags.log_level.unwrap_or(match flags.verbose {
        _ if quiet => LogLevel::Warn,
        0 | 1 => LogLevel::Info,
        2 => LogLevel::Debug,
        _ => LogLevel::Trace,
    })
}

/// Returns the filter of `RUST_LOG`, or else of the flags, for our own crates only.
fn filter(flags: &Logging, variable: Option<&str>) -> anyhow::Result<Targets> {
    let default = level(flags).text();
    let text = variable.filter(|text| !text.is_empty()).unwrap_or(default);
    let filter: Targets = text.parse().map_err(|error| {
        anyhow!("RUST_LOG={text} is invalid ({error}): write, for example, RUST_LOG=image_syncer_registry=debug,image_syncer_sync=trace")
    })?;
    let everywhere = filter
        .default_level()
        .map(|level| OURS.map(|ours| (ours, level)));
    let ours = |target: &str| {
        OURS.iter()
            .any(|ours| target.split("::").next() == Some(ours))
    };
    let ours_alone: Vec<_> = filter.iter().filter(|(target, _)| ours(target)).collect();
    let most = ours_alone.iter().map(|(_, level)| *level);
    let most = most.chain(filter.default_level()).max();
    Ok(Targets::new()
        .with_target(SPANS, most.unwrap_or(LevelFilter::OFF))
        .with_targets(everywhere.into_iter().flatten())
        .with_targets(ours_alone))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tracing::Level;

    fn lets_through(verbose: u8, variable: Option<&str>, target: &str, level: Level) -> bool {
        let flags = Logging {
            verbose,
            ..Logging::default()
        };
        filter(&flags, variable)
            .unwrap()
            .would_enable(target, &level)
    }

    #[test]
    fn flags_choose_the_level_of_our_own_crates() {
        assert!(lets_through(
            0,
            None,
            "image_syncer_sync::engine",
            Level::INFO
        ));
        assert!(!lets_through(
            0,
            None,
            "image_syncer_sync::engine",
            Level::DEBUG
        ));
        assert!(!lets_through(
            1,
            None,
            "image_syncer_sync::engine",
            Level::DEBUG
        ));
        assert!(lets_through(2, None, "image_syncer::ui", Level::DEBUG));
        assert!(lets_through(
            3,
            None,
            "image_syncer_registry::auth",
            Level::TRACE
        ));
    }

    #[test]
    fn the_variable_beats_the_flags() {
        let variable = Some("image_syncer_registry=debug");
        assert!(lets_through(
            0,
            variable,
            "image_syncer_registry::auth",
            Level::DEBUG
        ));
        assert!(!lets_through(
            3,
            variable,
            "image_syncer_sync::engine",
            Level::DEBUG
        ));
    }

    #[test]
    fn other_crates_are_never_logged() {
        for variable in [Some("trace"), Some("h2=trace,hyper=trace"), None] {
            assert!(!lets_through(3, variable, "h2::codec", Level::ERROR));
            assert!(!lets_through(3, variable, "hyper::proto", Level::TRACE));
        }
    }

    #[test]
    fn an_invalid_filter_is_an_error_with_an_example() {
        let error = filter(&Logging::default(), Some("image_syncer_registry=loud")).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("RUST_LOG=image_syncer_registry=loud is invalid")
        );
    }
}
