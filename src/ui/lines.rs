//! Lines for people while a run goes on: what each begins with, and where they go.

use image_syncer_sync::Failure;
use image_syncer_sync::event::ImageName;
use image_syncer_sync::rule::Rule;

use crate::cli::LogLevel;
use crate::escape;
use crate::ui::screen::LinePriority;
use crate::ui::style::Style;
use crate::ui::{Log, Printer};

/// The word that a line begins with; tells how it is painted and how much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineLabel {
    /// An image was copied.
    Copied,
    /// An image was copied to a tag that had another one.
    Updated,
    /// The destination had lost parts of it, and has them again.
    Repaired,
    /// The destination had it already.
    Unchanged,
    /// The destination had it already, with everything below it.
    Verified,
    /// It would be copied.
    Planned,
    /// It was not to be copied.
    Skipped,
    /// It is not at its destination.
    Failed,
    /// The run was interrupted before it was finished.
    Interrupted,
    /// Something to look at that fails nothing.
    Warning,
    /// Something worth knowing.
    Note,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    /// Not told of where nothing more is asked for.
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
            Self::Note => "note",
        }
    }

    fn paint(self) -> Style {
        match self {
            Self::Copied | Self::Updated | Self::Planned => Style::Green,
            Self::Unchanged | Self::Verified => Style::Dim,
            Self::Repaired | Self::Skipped | Self::Interrupted | Self::Warning => Style::Yellow,
            Self::Failed => Style::Red,
            Self::Note => Style::Plain,
        }
    }

    fn level(self) -> Level {
        match self {
            Self::Failed => Level::Error,
            Self::Warning => Level::Warning,
            // Of many thousand images that are what they were, a number is all that anybody wants to know.
            Self::Unchanged | Self::Verified => Level::Detail,
            _ => Level::Info,
        }
    }
}

/// What a line is about, for logs that are searched; the line itself says it as well.
#[derive(Clone, Copy, Debug, Default)]
pub struct LineSubject<'a> {
    /// The rule's name.
    pub rule: Option<&'a str>,
    /// The full reference at the source.
    pub source: Option<&'a str>,
    /// The full reference at the destination.
    pub destination: Option<&'a str>,
    /// The host.
    pub host: Option<&'a str>,
}

impl<'a> LineSubject<'a> {
    /// About a rule as a whole.
    pub(super) fn rule(rule: &'a Rule) -> Self {
        Self {
            rule: Some(&rule.name),
            ..Self::default()
        }
    }
    /// About an image and a destination.
    pub(super) fn image(image: &'a ImageName) -> Self {
        Self {
            source: Some(&image.source),
            destination: Some(&image.destination),
            ..Self::rule(&image.rule)
        }
    }
    /// The same, at the host that failed.
    pub(super) fn at(self, failure: &'a Failure) -> Self {
        let host = Some(failure.host.as_str()).filter(|host| !host.is_empty());
        Self { host, ..self }
    }
    /// About a host.
    pub(super) fn host(host: &'a str) -> Self {
        Self {
            host: Some(host),
            ..Self::default()
        }
    }
}

/// Sends lines to stderr, or to the log where that has a file or takes stderr; what needs attention goes to both.
#[derive(Clone)]
pub struct LineWriter {
    printer: Printer,
    /// Whether the log takes lines.
    logged: bool,
    /// Whether the log is for machines, which need nothing twice.
    machine: bool,
    quiet: bool,
    /// The least that people are told on stderr; `None`: nothing, as it is the log.
    least: Option<Level>,
    /// The least that is told there of an image, if anything is.
    least_of_images: Option<Level>,
    /// The least that is told there of a rule as a whole, if anything is.
    least_of_rules: Option<Level>,
}

impl LineWriter {
    /// Whether the log takes lines, in a file or in place of what people are told.
    pub(super) fn are_logged(&self) -> bool {
        self.logged
    }

    /// Lines by way of `printer`, as `log` has it.
    pub fn new(printer: Printer, log: &Log) -> Self {
        let least = if log.quiet() || log.to_file() {
            Level::Warning
        } else if log.verbose() {
            Level::Detail
        } else {
            Level::Info
        };
        // Without a file, what people are told is the log.
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

    /// The same, which leave to stdout what is shown there: of images what needs no attention; where `all` is shown,
    /// and on the same terminal, everything of images and rules.
    #[must_use]
    pub fn without_planned_lines(self, all: bool) -> Self {
        let of_images = self.least_of_images.filter(|_| !all);
        Self {
            least_of_images: of_images.map(|least| least.max(Level::Warning)),
            least_of_rules: self.least_of_rules.filter(|_| !all),
            ..self
        }
    }

    /// Says one line, of the run as a whole.
    pub fn print(&self, word: LineLabel, text: &str) {
        self.print_about(word, LineSubject::default(), text);
    }

    /// Says one line.
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

    /// Whether people are told everything.
    pub(super) fn are_verbose(&self) -> bool {
        self.least == Some(Level::Detail)
    }

    /// Says one line to the log alone, if it takes lines.
    pub(super) fn log_about(&self, word: LineLabel, about: LineSubject<'_>, text: &str) {
        if self.logged {
            log(word.level(), word.text(), about, text);
        }
    }

    /// Says several lines that belong together, at the end of a run: to both stderr and the log. Where nothing in them
    /// needs attention, `quiet` silences them. Of a log for machines it is only the first paragraph: the totals, as each
    /// failure had a line of its own.
    pub(super) fn closing(&self, needs_attention: bool, block: &[(Style, String)]) {
        // An empty line ends a paragraph; one may stand before the first.
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

/// Says a line to the log.
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
