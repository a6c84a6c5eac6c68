//! Colours of words.

/// Style of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// No style.
    Plain,
    /// Good news.
    Green,
    /// Bad news.
    Red,
    /// Something to look at.
    Yellow,
    /// Less important.
    Dim,
    /// More important.
    Bold,
}

impl Style {
    /// Returns `text` in this colour, if `colours` is set.
    pub(super) fn apply(self, text: &str, colours: bool) -> String {
        let code = match self {
            Self::Plain => return text.to_owned(),
            Self::Green => "32",
            Self::Red => "31",
            Self::Yellow => "33",
            Self::Dim => "2",
            Self::Bold => "1",
        };
        if colours {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}
