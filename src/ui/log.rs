//! The log: where it goes and what is in it.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::anyhow;
use tracing::Dispatch;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::cli::Logging;
use crate::ui::Printer;

/// Where the log goes. It belongs to one run and not to the process: threads of the run enter it.
#[derive(Clone)]
pub struct Log {
    dispatch: Dispatch,
    to_file: bool,
    quiet: bool,
    verbose: bool,
}

/// The crates whose words are logged. Those below them (the HTTP library, TLS) could log headers, and thus secrets.
const OURS: [&str; 3] = ["image_syncer", "registry", "sync"];

impl Log {
    /// Opens the log that the flags and `RUST_LOG` ask for.
    pub fn open(flags: &Logging, printer: Printer) -> anyhow::Result<Self> {
        let filter = filter(flags, std::env::var("RUST_LOG").ok().as_deref())?;
        let layer = tracing_subscriber::fmt::layer().with_target(false);
        let registry = tracing_subscriber::registry();
        let dispatch = if let Some(path) = &flags.log {
            let file = LogFile(Arc::new(open(path)?));
            let layer = layer.with_ansi(false).with_writer(file);
            Dispatch::new(registry.with(layer.with_filter(filter)))
        } else {
            let layer = layer
                .with_ansi(printer.colours())
                .with_writer(move || printer.clone());
            Dispatch::new(registry.with(layer.with_filter(filter)))
        };
        Ok(Self {
            dispatch,
            to_file: flags.log.is_some(),
            quiet: flags.quiet,
            verbose: flags.verbose > 0,
        })
    }

    /// Whether the log has a file of its own, so that stderr is left for what needs attention.
    pub(super) fn to_file(&self) -> bool {
        self.to_file
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
    pub fn enter_for_good(&self) {
        std::mem::forget(tracing::dispatcher::set_default(&self.dispatch));
    }

    /// Lets this thread log here until the guard is dropped.
    pub fn enter(&self) -> tracing::dispatcher::DefaultGuard {
        tracing::dispatcher::set_default(&self.dispatch)
    }
}

/// A file that every writer appends whole lines to.
#[derive(Clone)]
struct LogFile(Arc<File>);

impl<'a> MakeWriter<'a> for LogFile {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for LogFile {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        (&*self.0).write(buffer)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn open(path: &Path) -> anyhow::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(|error| {
            anyhow!(
                "cannot open the log file {}: {}: name a file in a directory that exists and may be written to",
                path.display(),
                registry::io_clause(&error)
            )
        })
}

/// What is logged: `RUST_LOG`, else what the flags say, of our own crates alone.
fn filter(flags: &Logging, variable: Option<&str>) -> anyhow::Result<Targets> {
    let default = match (flags.quiet, flags.verbose) {
        (true, _) => "warn",
        (false, 0 | 1) => "info",
        (false, 2) => "debug",
        (false, _) => "trace",
    };
    let text = variable.filter(|text| !text.is_empty()).unwrap_or(default);
    let asked: Targets = text.parse().map_err(|error| {
        anyhow!("RUST_LOG={text} cannot be read ({error}): write, for example, RUST_LOG=registry=debug,sync=trace")
    })?;
    let everywhere = asked
        .default_level()
        .map(|level| OURS.map(|ours| (ours, level)));
    let ours = |target: &str| {
        OURS.iter()
            .any(|ours| target.split("::").next() == Some(ours))
    };
    Ok(Targets::new()
        .with_targets(everywhere.into_iter().flatten())
        .with_targets(asked.iter().filter(|(target, _)| ours(target))))
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
        assert!(lets_through(0, None, "sync::engine", Level::INFO));
        assert!(!lets_through(0, None, "sync::engine", Level::DEBUG));
        assert!(!lets_through(1, None, "sync::engine", Level::DEBUG));
        assert!(lets_through(2, None, "image_syncer::ui", Level::DEBUG));
        assert!(lets_through(3, None, "registry::auth", Level::TRACE));
    }

    #[test]
    fn the_variable_beats_the_flags() {
        let variable = Some("registry=debug");
        assert!(lets_through(0, variable, "registry::auth", Level::DEBUG));
        assert!(!lets_through(3, variable, "sync::engine", Level::DEBUG));
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
        let error = filter(&Logging::default(), Some("registry=loud")).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("RUST_LOG=registry=loud cannot be read")
        );
    }
}
