//! Text from outside, fit for a terminal and for a line of a log: the one place that sees to it.

use std::borrow::Cow;
use std::fmt::Write as _;

/// `text` on one line: what would end it, move the cursor, colour or hide what follows is written out (`\n`,
/// `\u{1b}`). Not for text that is painted already.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    visible(text, |_| false)
}

/// As [`line`], for what is drawn on several lines: their ends, and blanks at their beginnings, stay.
pub(crate) fn block(text: &str) -> Cow<'_, str> {
    visible(text, |character| matches!(character, '\n' | '\t'))
}

fn visible(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    let goes = |character: char| is_hidden(character) && !stays(character);
    if !text.contains(goes) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if goes(character) {
            // Writing to a string does not fail.
            let _ = write!(shown, "{}", character.escape_default());
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// Whether a terminal does something else with it than to show it: controls (C0, DEL, C1), ends of lines by another
/// name, and marks of direction, by which the text that is seen is another than the one that came.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_act_on_is_written_out() {
        for (text, shown) in [
            ("plain → text", "plain → text"),
            ("\u{1b}[2Jgone", "\\u{1b}[2Jgone"),
            ("two\r\nlines\t.", "two\\r\\nlines\\t."),
            ("\u{9b}31m\u{7f}", "\\u{9b}31m\\u{7f}"),
            ("right\u{202e}left", "right\\u{202e}left"),
            ("a\u{2028}b\u{feff}", "a\\u{2028}b\\u{feff}"),
        ] {
            assert_eq!(line(text), shown);
        }
        assert!(matches!(line("as it is"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_block_keeps_its_lines() {
        let drawn = "file:1\n |\tx\u{1b}[31m\n";
        assert_eq!(block(drawn), "file:1\n |\tx\\u{1b}[31m\n");
    }
}
