//! Safe text for terminals, log lines and documents that programs read. All text from outside passes through here.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io;

/// Returns `text` on one line. Characters that would end the line, move the cursor, colour or hide text are written as
/// escapes (`\n`, `\u{1b}`). Not for text that already contains colours.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    visible(text, |_| false)
}

/// Returns `text` like [`line`], but keeps line ends and tabs: for text that is drawn on several lines.
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

/// Returns `text`, which is JSON or quoted YAML, with escapes for the characters that a terminal does not show and that
/// these formats allow: `\u009b`, `\u202e`.
pub(crate) fn document(text: &str) -> Cow<'_, str> {
    if !text.contains(is_escaped_in_documents) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if is_escaped_in_documents(character) {
            let _ = write!(shown, "\\u{:04x}", u32::from(character));
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// Returns whether `text` must be quoted in YAML, so that [`document`] can escape it.
pub(crate) fn needs_quotes(text: &str) -> bool {
    text.contains(is_escaped_in_documents)
}

/// Returns whether [`document`] escapes `character`. The formats themselves escape controls below DEL, or use them as
/// white space.
fn is_escaped_in_documents(character: char) -> bool {
    character >= '\u{7f}' && is_hidden(character)
}

/// Writer that escapes documents like [`document`].
pub(crate) struct DocumentWriter<W> {
    out: W,
    /// First bytes of a character that is not complete yet.
    begun: Vec<u8>,
}

impl<W: io::Write> DocumentWriter<W> {
    /// Writes to `out`.
    pub(crate) fn new(out: W) -> Self {
        Self {
            out,
            begun: Vec::new(),
        }
    }

    /// Returns the output.
    pub(crate) fn into_inner(self) -> W {
        self.out
    }
}

impl<W: io::Write> io::Write for DocumentWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.begun.is_empty() && bytes.is_ascii() && !bytes.contains(&0x7f) {
            return self.out.write(bytes);
        }
        self.begun.extend_from_slice(bytes);
        let (text, rest) = match std::str::from_utf8(&self.begun) {
            Ok(text) => (text, Vec::new()),
            Err(error) => {
                let (valid, rest) = self.begun.split_at(error.valid_up_to());
                if error.error_len().is_some() {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                let text = std::str::from_utf8(valid).unwrap_or_default();
                (text, rest.to_vec())
            }
        };
        self.out.write_all(document(text).as_bytes())?;
        self.begun = rest;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Returns whether a terminal hides `character` or acts on it: controls (C0, DEL, C1), unusual line ends, and marks of
/// direction, which change the text that is seen.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
        )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_a_terminal_acts_on_are_escaped() {
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
    fn a_document_is_escaped_in_pieces_of_any_size() {
        let text = "{\"a\": \"é\u{7f}\u{9b}31m\u{202e}\u{feff}😀\\n\"}\n\t";
        let expected = "{\"a\": \"é\\u007f\\u009b31m\\u202e\\ufeff😀\\n\"}\n\t";
        assert_eq!(document(text), expected);
        for size in 1..8 {
            let mut out = DocumentWriter::new(Vec::new());
            for chunk in text.as_bytes().chunks(size) {
                io::Write::write_all(&mut out, chunk).unwrap();
            }
            assert_eq!(out.into_inner(), expected.as_bytes(), "{size}");
        }
    }

    #[test]
    fn a_block_keeps_its_lines() {
        let drawn = "file:1\n |\tx\u{1b}[31m\n";
        assert_eq!(block(drawn), "file:1\n |\tx\\u{1b}[31m\n");
    }
}
