//! The only place that writes to stdout and stderr, with the screen, which does so for a run.

use std::io::{IsTerminal, Write};

use crate::escape;
use crate::ui::screen::{LinePriority, Screen, View, ViewGuard};
use crate::ui::style::Style;

/// Writes to the two streams of the process. A stream that is closed (`| head`) is written to in vain, never a panic
/// and never a failure of the run.
#[derive(Clone, Debug)]
pub struct Printer {
    terminal: bool,
    colours: bool,
    screen: Option<Screen>,
}

impl Printer {
    /// The printer of this process; colours only where stderr is a terminal and `NO_COLOR` is unset or empty.
    pub fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self {
            terminal,
            colours: colours_on(&std::io::stderr()),
            screen: None,
        }
    }

    /// The same, which leaves what goes to stderr to `screen`.
    #[must_use]
    pub(crate) fn by_way_of(self, screen: &Screen) -> Self {
        Self {
            screen: Some(screen.clone()),
            ..self
        }
    }

    /// Writes what clap has to say: help and version to stdout, mistakes to stderr.
    pub(crate) fn clap(&self, message: &clap::Error) {
        let text = message.render();
        let painted = |colours: bool| {
            if colours {
                text.ansi().to_string()
            } else {
                text.to_string()
            }
        };
        if message.use_stderr() {
            self.line(painted(self.colours).trim_end());
        } else {
            self.out(&painted(colours_on(&std::io::stdout())));
        }
    }

    /// Writes `text` to stdout: what a command was asked to print.
    pub fn out(&self, text: &str) {
        let mut stdout = std::io::stdout().lock();
        let _ = stdout.write_all(text.as_bytes());
        let _ = stdout.flush();
    }

    /// Writes a line to stderr, in one piece.
    pub fn line(&self, line: &str) {
        self.weighted(LinePriority::Attention, line);
    }

    /// Writes a line to stderr, which is left out, where there is no room, as its weight has it.
    pub(super) fn weighted(&self, weight: LinePriority, line: &str) {
        self.write_lines(weight, &format!("{line}\n"));
    }

    /// Writes `error: …` to stderr.
    pub fn error(&self, text: &str) {
        let text = escape::block(text);
        self.line(&format!("{} {text}", self.paint(Style::Red, "error:")));
    }

    /// Writes `warning: …` to stderr.
    pub fn warning(&self, text: &str) {
        let text = escape::block(text);
        self.line(&format!("{} {text}", self.paint(Style::Yellow, "warning:")));
    }

    /// Writes a line of the log, with its end, to stderr.
    pub(super) fn log(&self, line: &str, level: tracing::Level) {
        let weight = if level <= tracing::Level::WARN {
            LinePriority::Attention
        } else {
            LinePriority::Info
        };
        self.write_lines(weight, line);
    }

    /// Whether stderr shows colours.
    pub(super) fn colours(&self) -> bool {
        self.colours
    }

    /// Whether stderr is a terminal on which a view can be drawn.
    pub(super) fn is_live(&self) -> bool {
        self.terminal && std::env::var_os("TERM").is_some_and(|term| term != "dumb")
    }

    /// Shows `view` below what is written, until what this gives is dropped; nothing where nobody writes for a run.
    pub(super) fn view(&self, view: Box<dyn View>) -> Option<ViewGuard> {
        self.screen.as_ref().map(|screen| screen.show(view))
    }

    /// The writer of a run's lines and view, if there is one.
    pub(super) fn screen(&self) -> Option<&Screen> {
        self.screen.as_ref()
    }

    /// Whether stdout shows colours: a terminal of its own, or none, whatever stderr is.
    pub(crate) fn stdout_colours() -> bool {
        colours_on(&std::io::stdout())
    }

    /// How many columns stdout has, where it is a terminal; those of most where it does not say.
    pub(crate) fn stdout_width() -> Option<usize> {
        let stdout = std::io::stdout();
        let width = |(width, _): (terminal_size::Width, _)| usize::from(width.0);
        let told = terminal_size::terminal_size_of(&stdout).map(width);
        let told = told.filter(|width| *width > 0).unwrap_or(80);
        stdout.is_terminal().then_some(told)
    }

    /// `text` in a colour, if stderr shows them.
    pub(super) fn paint(&self, paint: Style, text: &str) -> String {
        paint.apply(text, self.colours)
    }

    fn write_lines(&self, weight: LinePriority, lines: &str) {
        match &self.screen {
            Some(screen) => screen.push(weight, lines),
            None => {
                let _ = std::io::stderr().lock().write_all(lines.as_bytes());
            }
        }
    }
}

/// Whether colours are wanted where there is a terminal: not if it knows none, or `NO_COLOR` is set and not empty.
fn are_wanted() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !refused && !is_dumb_terminal()
}

/// Whether a stream shows colours.
fn colours_on(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && are_wanted()
}

/// Whether the terminal says of itself that it knows no escape sequences.
fn is_dumb_terminal() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

impl Default for Printer {
    fn default() -> Self {
        Self::new()
    }
}
