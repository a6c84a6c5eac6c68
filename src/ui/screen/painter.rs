//! Lines and view as one stream of bytes for a terminal.

use std::fmt::Write as _;

/// Draws a view below lines. The cursor stays at the start of the view's first line, so that the next frame begins
/// there even if the terminal wraps lines again after a resize.
#[derive(Debug, Default)]
pub(super) struct Painter {
    drawn: Vec<String>,
}

/// Begin and end of an update that the terminal shows at once. Terminals that do not support this ignore it.
const BEGIN: &str = "\x1b[?2026h";
const END: &str = "\x1b[?2026l";
/// Disables and enables line wrapping. The terminal may have become narrower, and a view line that wraps would leave a
/// rest behind.
const CUT: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";
/// Erases the rest of the line, and the rest of the screen.
const REST_OF_LINE: &str = "\x1b[K";
const REST: &str = "\x1b[J";

impl Painter {
    /// Returns the bytes that print `lines`, and below them `frame` in place of the last one. Returns nothing if
    /// nothing changed, and only `lines` if there is no view.
    pub(super) fn paint(&mut self, lines: &str, frame: Vec<String>) -> String {
        if self.drawn.is_empty() && frame.is_empty() {
            return lines.to_owned();
        }
        if lines.is_empty() && self.drawn == frame {
            return String::new();
        }
        let mut out = format!("{BEGIN}\r");
        if !lines.is_empty() {
            out.push_str(REST);
            out.push_str(lines);
        }
        out.push_str(CUT);
        for (number, line) in frame.iter().enumerate() {
            if number > 0 {
                out.push_str("\r\n");
            }
            out.push_str(line);
            out.push_str(REST_OF_LINE);
        }
        out.push_str(WRAP);
        out.push_str(REST);
        out.push('\r');
        if frame.len() > 1 {
            // Writing to a string does not fail.
            let _ = write!(out, "\x1b[{}A", frame.len() - 1);
        }
        out.push_str(END);
        self.drawn = frame;
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_without_a_view_are_plain() {
        assert_eq!(Painter::default().paint("a\nb\n", Vec::new()), "a\nb\n");
    }

    #[test]
    fn only_the_view_is_cut_on_a_narrower_terminal() {
        let painted = Painter::default().paint("a line\n", vec!["view".to_owned()]);
        let (before, view) = painted.split_once(CUT).unwrap_or_default();
        assert!(before.ends_with("a line\n"));
        assert!(view.starts_with("view") && view.contains(WRAP));
    }

    #[test]
    fn an_unchanged_frame_writes_nothing() {
        let frame = || vec!["one".to_owned(), "two".to_owned()];
        let mut painter = Painter::default();
        assert!(!painter.paint("", frame()).is_empty());
        assert_eq!(painter.paint("", frame()), "");
        assert!(!painter.paint("a line\n", frame()).is_empty());
    }
}
