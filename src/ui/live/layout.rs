//! Pieces of text side by side, within a width.

use crate::ui::style::Style;

/// Line of coloured pieces that knows its width. References are ASCII, and a view has no other wide characters.
#[derive(Debug, Default)]
pub(super) struct StyledLine {
    text: String,
    width: usize,
    colours: bool,
}

impl StyledLine {
    /// Creates an empty line.
    pub(super) fn new(colours: bool) -> Self {
        Self {
            colours,
            ..Self::default()
        }
    }

    /// Appends a piece.
    pub(super) fn with(mut self, paint: Style, piece: &str) -> Self {
        if !piece.is_empty() {
            self.text.push_str(&paint.apply(piece, self.colours));
            self.width += piece.chars().count();
        }
        self
    }

    /// Appends blanks up to this column.
    pub(super) fn to(self, column: usize) -> Self {
        let blanks = column.saturating_sub(self.width);
        self.with(Style::Plain, &" ".repeat(blanks))
    }

    /// Appends a bar of this width, filled to `done` of `all`.
    pub(super) fn bar(self, width: usize, done: u64, all: u64) -> Self {
        let full = filled(width, done, all);
        self.with(Style::Green, &"━".repeat(full))
            .with(Style::Dim, &"─".repeat(width - full))
    }

    /// Appends the pieces that fit into `width`, in their order, each after two blanks.
    pub(super) fn fitting(mut self, width: usize, pieces: &[(Style, String)]) -> Self {
        for (paint, piece) in pieces {
            if !piece.is_empty() && self.width + 2 + piece.chars().count() <= width {
                self = self.with(Style::Plain, "  ").with(*paint, piece);
            }
        }
        self
    }

    /// Returns the text, with its colours.
    pub(super) fn text(self) -> String {
        self.text
    }
}

/// Returns the filled part of a bar. The bar is full only if everything is done.
fn filled(width: usize, done: u64, all: u64) -> usize {
    if all == 0 {
        return 0;
    }
    let full = u128::from(done.min(all)) * width as u128 / u128::from(all);
    usize::try_from(full).unwrap_or(width).min(width)
}

/// Returns the percentage, rounded down: 100 only if everything is done.
pub(super) fn percent(done: u64, all: u64) -> usize {
    filled(100, done, all)
}

/// Returns `text` in at most `width` characters. The middle is cut, because names differ at their ends.
pub(super) fn shorten(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let Some(kept) = width.checked_sub(1) else {
        return String::new();
    };
    let tail = kept - kept / 3;
    let start: String = text.chars().take(kept / 3).collect();
    let end: String = text.chars().skip(length - tail).collect();
    format!("{start}…{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shortened_in_the_middle() {
        let name = "registry.example.com/team/project/image";
        assert_eq!(shorten(name, 39), name);
        assert_eq!(shorten(name, 25), "registry…am/project/image");
        assert_eq!(shorten(name, 4), "r…ge");
        assert_eq!(
            (shorten(name, 1), shorten(name, 0)),
            ("…".to_owned(), String::new())
        );
        for width in 0..50 {
            assert!(shorten(name, width).chars().count() <= width, "{width}");
        }
    }

    #[test]
    fn a_bar_is_full_when_all_is_done() {
        for (done, all, full) in [(0, 10, 0), (1, 10, 2), (9_999, 10_000, 19), (10, 10, 20)] {
            assert_eq!(filled(20, done, all), full, "{done} of {all}");
        }
        assert_eq!((filled(20, 5, 0), filled(20, u64::MAX, 1)), (0, 20));
        assert_eq!((percent(999, 1000), percent(1, 1)), (99, 100));
    }

    #[test]
    fn pieces_that_do_not_fit_are_omitted() {
        let pieces = ["one", "a long one", "two"].map(|text| (Style::Plain, text.to_owned()));
        let line = StyledLine::new(false).with(Style::Plain, "start").to(8);
        assert_eq!(line.fitting(20, &pieces).text(), "start     one  two");
    }
}
