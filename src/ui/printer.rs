//! Output to stdout and stderr. Nothing else writes there, except the screen during a run.

use std::io::{IsTerminal, Write};

use crate::escape;
use crate::ui::screen::{LinePriority, Screen, View, ViewGuard};
use crate::ui::style::Style;

/// Writes to the two streams of the process. If a stream is closed (`
///  head`), output is lost without a panic or a failure.
#[derive(Clone, Debug)]
pub struct Printer {
    terminal: bool,
    colours: bool,
    screen: Option<Screen>,
}

impl Printer {
    /// Creates the printer of this process. It uses colours only if stderr is a terminal and `NO_COLOR` is unset or
    /// empty.
    pub fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self {
            terminal,
            colours: colours_on(&std::io::stderr()),
            screen: None,
        }
    }

    /// Returns a printer that sends its lines to `screen`.
    #[must_use]
    pub(crate) fn by_way_of(self, screen: &Screen) -> Self {
        Self {
            screen: Some(screen.clone()),
            ..self
        }
    }

    /// Writes a message of clap: help and version to stdout, mistakes to stderr.
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

    /// Writes `text` to stdout: the output of a command.
    pub fn out(&self, text: &str) {
        let mut stdout = std::io::stdout().lock();
        let _ = stdout.write_all(text.as_bytes());
        let _ = stdout.flush();
    }

    /// Writes a line to stderr, with one call.
    pub fn line(&self, line: &str) {
        self.weighted(LinePriority::Attention, line);
    }

    /// Writes a line to stderr. If the queue is full, its priority decides whether it is omitted.
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

    /// Writes a log line, including its end, to stderr.
    pub(super) fn log(&self, line: &str, level: tracing::Level) {
        let weight = if level <= tracing::Level::WARN {
            LinePriority::Attention
        } else {
            LinePriority::Info
        };
        self.write_lines(weight, line);
    }

    /// Returns whether stderr shows colours.
    pub(super) fn colours(&self) -> bool {
        self.colours
    }

    /// Returns whether stderr is a terminal that can show a live view.
    pub(super) fn is_live(&self) -> bool {
        self.terminal && std::env::var_os("TERM").is_some_and(|term| term != "dumb")
    }

    /// Shows `view` below the lines until the guard is dropped. Does nothing outside a run.
    pub(super) fn view(&self, view: Box<dyn View>) -> Option<ViewGuard> {
        self.screen.as_ref().map(|screen| screen.show(view))
    }

    /// Returns the screen of a run, if there is one.
    pub(super) fn screen(&self) -> Option<&Screen> {
        self.screen.as_ref()
    }

    /// Returns whether stdout shows colours, independent of stderr.
    pub(crate) fn stdout_colours() -> bool {
        colours_on(&std::io::stdout())
    }

    /// Returns the number of columns of stdout if it is a terminal, 80 if the terminal does not report it.
    pub(crate) fn stdout_width() -> Option<usize> {
        let stdout = std::io::stdout();
        let width = |(width, _): (terminal_size::Width, _)| usize::from(width.0);
        let reported = terminal_size::terminal_size_of(&stdout).map(width);
        let reported = reported.filter(|width| *width > 0).unwrap_or(80);
        stdout.is_terminal().then_some(reported)
    }

    /// Returns `text` in a colour, if stderr shows colours.
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

/// Returns whether a terminal may show colours: not if it supports none, or if `NO_COLOR` is set and not empty.
fn are_wanted() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !refused && !is_dumb_terminal()
}

/// Returns whether a stream shows colours.
fn colours_on(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && are_wanted()
}

/// Returns whether the terminal supports no escape sequences.
fn is_dumb_terminal() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

impl Default for Printer {
    fn default() -> Self {
        Self::new()
    }
}
