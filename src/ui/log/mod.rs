//! The log: where it goes and what is in it.

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

/// Where the log goes. It belongs to one run and not to the process: threads of the run enter it.
#[derive(Clone)]
pub struct Log {
    dispatch: Dispatch,
    file: Option<LogFile>,
    takes_stderr: bool,
    json: bool,
    /// What the flags let through, whatever `RUST_LOG` says.
    level: LogLevel,
    quiet: bool,
    verbose: bool,
}

/// The crates whose words are logged. Those below them (the HTTP library, TLS) could log headers, and thus secrets.
const OURS: [&str; 3] = ["image_syncer", "image_syncer_registry", "image_syncer_sync"];

/// Where the spans are made that say on whose behalf something is logged: they are wanted at whatever level anything is.
const SPANS: &str = "image_syncer_sync::span";

/// How long the end of a run waits for a disk that is slow to take the last lines.
const CLOSING: Duration = Duration::from_secs(5);

impl Log {
    /// Checks what [`Log::open`] reads besides the file.
    ///
    /// # Errors
    /// When `RUST_LOG` cannot be read.
    pub fn check(flags: &Logging) -> anyhow::Result<()> {
        filter(flags, std::env::var("RUST_LOG").ok().as_deref()).map(drop)
    }

    /// Opens the log that the flags and `RUST_LOG` ask for.
    ///
    /// # Errors
    /// When the file cannot be opened, or `RUST_LOG` cannot be read.
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

    /// Whether the log has a file of its own, so that stderr is left for what needs attention.
    pub(super) fn to_file(&self) -> bool {
        self.file.is_some()
    }

    /// Whether stderr is the log, and for machines: lines for people would be in their way.
    pub(crate) fn takes_stderr(&self) -> bool {
        self.takes_stderr
    }

    /// Whether its lines are objects.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// What the flags let through; on stderr, too, where that is the log.
    pub(super) fn level(&self) -> LogLevel {
        self.level
    }

    /// Whether only what needs attention is wanted.
    pub(super) fn quiet(&self) -> bool {
        self.quiet
    }

    /// Whether stderr is to tell of every image, of those as well that were there.
    pub(super) fn verbose(&self) -> bool {
        self.verbose
    }

    /// Lets this thread log here for as long as it lives: for threads that serve one run only.
    pub fn attach_thread(&self) {
        std::mem::forget(tracing::dispatcher::set_default(&self.dispatch));
    }

    /// Lets this thread log here until the guard is dropped.
    pub fn attach(&self) -> tracing::dispatcher::DefaultGuard {
        tracing::dispatcher::set_default(&self.dispatch)
    }

    /// Sees to the last lines when it is dropped, however the run ends.
    pub(crate) fn closing(&self) -> LogGuard<'_> {
        LogGuard(self)
    }

    /// Sees the last lines written; what is said later is lost. Gives up on a disk that takes none for a few seconds.
    pub fn close(&self) {
        if let Some(file) = &self.file {
            file.close(CLOSING);
        }
    }
}

/// See [`Log::closing`].
pub(crate) struct LogGuard<'a>(&'a Log);

impl Drop for LogGuard<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// The level that the flags ask for. `-q` is for who watches: a file misses nothing for it.
fn level(flags: &Logging) -> LogLevel {
    let quiet = flags.quiet && flags.log.is_none();
    flags.log_level.unwrap_or(match flags.verbose {
        _ if quiet => LogLevel::Warn,
        0 | 1 => LogLevel::Info,
        2 => LogLevel::Debug,
        _ => LogLevel::Trace,
    })
}

/// What is logged: `RUST_LOG`, else what the flags say, of our own crates alone.
fn filter(flags: &Logging, variable: Option<&str>) -> anyhow::Result<Targets> {
    let default = level(flags).text();
    let text = variable.filter(|text| !text.is_empty()).unwrap_or(default);
    let asked: Targets = text.parse().map_err(|error| {
        anyhow!("RUST_LOG={text} is invalid ({error}): write, for example, RUST_LOG=image_syncer_registry=debug,image_syncer_sync=trace")
    })?;
    let everywhere = asked
        .default_level()
        .map(|level| OURS.map(|ours| (ours, level)));
    let ours = |target: &str| {
        OURS.iter()
            .any(|ours| target.split("::").next() == Some(ours))
    };
    let ours_alone: Vec<_> = asked.iter().filter(|(target, _)| ours(target)).collect();
    let most = ours_alone.iter().map(|(_, level)| *level);
    let most = most.chain(asked.default_level()).max();
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
    fn crates_below_ours_are_never_heard() {
        for variable in [Some("trace"), Some("h2=trace,hyper=trace"), None] {
            assert!(!lets_through(3, variable, "h2::codec", Level::ERROR));
            assert!(!lets_through(3, variable, "hyper::proto", Level::TRACE));
        }
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_an_error_that_shows_one() {
        let error = filter(&Logging::default(), Some("image_syncer_registry=loud")).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("RUST_LOG=image_syncer_registry=loud is invalid")
        );
    }
}
