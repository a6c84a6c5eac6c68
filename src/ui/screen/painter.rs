//! Lines and view as one stream of bytes for a terminal.

use std::fmt::Write as _;

/// Draws a view below lines. The cursor is left at the start of the view's first line: however a terminal breaks lines
/// anew when it is resized, what is to be drawn over begins there, and nothing needs to be counted.
#[derive(Debug, Default)]
pub(super) struct Painter {
    drawn: Vec<String>,
}

/// Says that what follows is shown at once, to terminals that know this; others ignore it.
const BEGIN: &str = "\x1b[?2026h";
const END: &str = "\x1b[?2026l";
/// Cuts lines that are too wide, and breaks them again: the terminal may have become narrower since its width was
/// asked for, and a line of the view that takes two would leave one behind.
const CUT: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";
/// Erases what is behind the cursor in its line, and everything behind it.
const REST_OF_LINE: &str = "\x1b[K";
const REST: &str = "\x1b[J";

impl Painter {
    /// What to write so that `lines` stand above, and `frame` below them in place of what was drawn before. Nothing
    /// where nothing changes, and `lines` as they are where there is nothing below.
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
            // Cannot fail.
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
    fn only_the_view_is_cut_where_the_terminal_is_narrower_than_thought() {
        let painted = Painter::default().paint("a line\n", vec!["view".to_owned()]);
        let (before, view) = painted.split_once(CUT).unwrap_or_default();
        assert!(before.ends_with("a line\n"));
        assert!(view.starts_with("view") && view.contains(WRAP));
    }

    #[test]
    fn nothing_is_written_where_nothing_changes() {
        let frame = || vec!["one".to_owned(), "two".to_owned()];
        let mut painter = Painter::default();
        assert!(!painter.paint("", frame()).is_empty());
        assert_eq!(painter.paint("", frame()), "");
        assert!(!painter.paint("a line\n", frame()).is_empty());
    }
}
