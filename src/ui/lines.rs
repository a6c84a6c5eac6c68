//! Lines for people during a run: their first word and their destination.

use image_syncer_sync::event::RuleDescription;
use image_syncer_sync::{Failure, ImageId};

use crate::cli::LogLevel;
use crate::escape;
use crate::ui::screen::LinePriority;
use crate::ui::style::Style;
use crate::ui::{Log, Printer};

/// First word of a line. It determines colour and importance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineLabel {
    /// An image was copied.
    Copied,
    /// An image was copied, and its tag had another image before.
    Updated,
    /// The destination lacked parts of the image, and has them again.
    Repaired,
    /// The destination had the image.
    Unchanged,
    /// The destination had the image with all of its parts.
    Verified,
    /// The image would be copied.
    Planned,
    /// The image is not selected.
    Skipped,
    /// The image is not at its destination.
    Failed,
    /// The run was interrupted before the image was finished.
    Interrupted,
    /// Fails nothing, but needs attention.
    Warning,
    /// A policy selected tags.
    Selected,
    /// Useful to know.
    Note,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    /// Printed with `-v` only.
    Detail,
    Info,
    Warning,
    Error,
}

impl LineLabel {
    fn text(self) -> &'static str {
        match self {
            Self::Copied => "copied",
            Self::Updated => "updated",
            Self::Repaired => "repaired",
            Self::Unchanged => "unchanged",
            Self::Verified => "verified",
            Self::Planned => "planned",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Warning => "warning",
            Self::Selected => "selected",
            Self::Note => "note",
        }
    }

    fn paint(self) -> Style {
        match self {
            Self::Copied | Self::Updated | Self::Planned => Style::Green,
            Self::Unchanged | Self::Verified => Style::Dim,
            Self::Repaired | Self::Skipped | Self::Interrupted | Self::Warning => Style::Yellow,
            Self::Failed => Style::Red,
            Self::Selected | Self::Note => Style::Plain,
        }
    }

    fn level(self) -> Level {
        match self {
            Self::Failed => Level::Error,
            Self::Warning => Level::Warning,
            // Most images of a run are unchanged. Their number is enough.
            Self::Unchanged | Self::Verified | Self::Selected => Level::Detail,
            _ => Level::Info,
        }
    }
}

/// Subject of a line, as fields for log searches. The line itself names it as well.
#[derive(Clone, Copy, Debug, Default)]
pub struct LineSubject<'a> {
    /// Name of the rule.
    pub rule: Option<&'a str>,
    /// Full reference at the source.
    pub source: Option<&'a str>,
    /// Full reference at the destination.
    pub destination: Option<&'a str>,
    /// Host.
    pub host: Option<&'a str>,
}

impl<'a> LineSubject<'a> {
    /// Returns the subject of a line about a rule.
    pub(super) fn rule(rule: &'a RuleDescription) -> Self {
        Self {
            rule: Some(&rule.name),
            ..Self::default()
        }
    }
    /// Returns the subject of a line about an image of `rule` and a destination.
    pub(super) fn image(rule: &'a RuleDescription, image: &'a ImageId) -> Self {
        Self {
            source: Some(&image.source),
            destination: Some(&image.destination),
            ..Self::rule(rule)
        }
    }
    /// Returns the subject with the host of `failure`.
    pub(super) fn at(self, failure: &'a Failure) -> Self {
        let host = Some(failure.host.as_str()).filter(|host| !host.is_empty());
        Self { host, ..self }
    }
    /// Returns the subject of a line about a host.
    pub(super) fn host(host: &'a str) -> Self {
        Self {
            host: Some(host),
            ..Self::default()
        }
    }
}

/// Sends lines to stderr, or to the log if the log has a file or takes stderr. Lines that need attention go to both.
#[derive(Clone)]
pub struct LineWriter {
    printer: Printer,
    /// The log takes lines.
    logged: bool,
    /// The log is for programs, which need nothing twice.
    machine: bool,
    quiet: bool,
    /// Minimum level on stderr. `None` prints nothing, because stderr is the log.
    least: Option<Level>,
    /// Minimum level on stderr of lines about an image.
    least_of_images: Option<Level>,
    /// Minimum level on stderr of lines about a rule.
    least_of_rules: Option<Level>,
}

impl LineWriter {
    /// Returns whether the log takes lines, in a file or on stderr.
    pub(super) fn are_logged(&self) -> bool {
        self.logged
    }

    /// Creates the writer of lines to `printer`, with the settings of `log`.
    pub fn new(printer: Printer, log: &Log) -> Self {
        let least = if log.quiet() || log.to_file() {
            Level::Warning
        } else if log.verbose() {
            Level::Detail
        } else {
            Level::Info
        };
        // Without a file, the lines for people are the log.
        let allowed = match log.level() {
            _ if log.to_file() => Level::Detail,
            LogLevel::Error => Level::Error,
            LogLevel::Warn => Level::Warning,
            LogLevel::Info | LogLevel::Debug | LogLevel::Trace => Level::Detail,
        };
        let least = (!log.takes_stderr()).then(|| least.max(allowed));
        Self {
            printer,
            logged: log.to_file() || log.takes_stderr(),
            machine: log.is_json(),
            quiet: log.quiet(),
            least,
            least_of_images: least,
            least_of_rules: least,
        }
    }

    /// Returns a writer for a run with a plan on stdout: lines about images that need no attention are not printed.
    /// With `all`, the plan is on the same terminal, and no lines about images and rules are printed.
    #[must_use]
    pub fn without_planned_lines(self, all: bool) -> Self {
        let of_images = self.least_of_images.filter(|_| !all);
        Self {
            least_of_images: of_images.map(|least| least.max(Level::Warning)),
            least_of_rules: self.least_of_rules.filter(|_| !all),
            ..self
        }
    }

    /// Prints one line about the whole run.
    pub fn print(&self, word: LineLabel, text: &str) {
        self.print_about(word, LineSubject::default(), text);
    }

    /// Prints one line.
    pub fn print_about(&self, word: LineLabel, about: LineSubject<'_>, text: &str) {
        let level = word.level();
        if self.logged {
            log(level, word.text(), about, text);
        }
        let least = match (about.source, about.rule) {
            (Some(_), _) => self.least_of_images,
            (None, Some(_)) => self.least_of_rules,
            (None, None) => self.least,
        };
        if least.is_some_and(|least| level >= least) {
            let word = self
                .printer
                .paint(word.paint(), &format!("{:<11}", word.text()));
            let weight = if level >= Level::Warning {
                LinePriority::Attention
            } else {
                LinePriority::Info
            };
            let text = escape::block(text);
            self.printer.weighted(weight, &format!("{word}  {text}"));
        }
    }

    /// Returns whether all levels are printed.
    pub(super) fn are_verbose(&self) -> bool {
        self.least == Some(Level::Detail)
    }

    /// Writes one line to the log only, if it takes lines.
    pub(super) fn log_about(&self, word: LineLabel, about: LineSubject<'_>, text: &str) {
        if self.logged {
            log(word.level(), word.text(), about, text);
        }
    }

    /// Prints the lines at the end of a run to stderr and to the log. If nothing in them needs attention, `quiet` omits
    /// them. A log for programs gets only the first paragraph, the totals, because it has a line for each failure.
    pub(super) fn closing(&self, needs_attention: bool, block: &[(Style, String)]) {
        // An empty line ends a paragraph; the first line may be empty.
        let (mut begun, mut over) = (false, false);
        for (paint, line) in block {
            over |= begun && line.is_empty();
            begun |= !line.is_empty();
            if self.logged && !line.is_empty() && !(self.machine && over) {
                let line = if self.machine { line.trim() } else { line };
                if needs_attention {
                    tracing::warn!("{line}");
                } else {
                    tracing::info!("{line}");
                }
            }
            if self.least.is_some() && (needs_attention || !self.quiet) {
                let line = self.printer.paint(*paint, &escape::line(line));
                self.printer.weighted(LinePriority::Closing, &line);
            }
        }
    }
}

/// Writes a line to the log.
fn log(level: Level, outcome: &str, about: LineSubject<'_>, text: &str) {
    let LineSubject {
        rule,
        source,
        destination,
        host,
    } = about;
    match level {
        Level::Detail | Level::Info => {
            tracing::info!(outcome, rule, source, destination, host, "{text}");
        }
        Level::Warning => tracing::warn!(outcome, rule, source, destination, host, "{text}"),
        Level::Error => tracing::error!(outcome, rule, source, destination, host, "{text}"),
    }
}
