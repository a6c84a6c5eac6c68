//! The content of a screen, read from text with SGR escape sequences, as `tmux capture-pane -e` writes it.

/// Style of a piece of text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Style {
    pub(crate) colour: Option<Colour>,
    pub(crate) background: Option<Colour>,
    pub(crate) bold: bool,
    pub(crate) dim: bool,
    pub(crate) reverse: bool,
}

/// A colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    /// One of the terminal's sixteen colours.
    Named(u8),
    /// Any colour.
    Rgb(u8, u8, u8),
}

/// Text of one style, with its first column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) column: usize,
    pub(crate) text: String,
    pub(crate) style: Style,
}

/// Reads a screen, line by line.
pub(crate) fn read(screen: &str) -> Vec<Vec<Piece>> {
    let mut style = Style::default();
    screen
        .lines()
        .map(|line| read_line(line, &mut style))
        .collect()
}

fn read_line(line: &str, style: &mut Style) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut column = 0;
    for (index, part) in line.split("\x1b[").enumerate() {
        let text = match part.split_once('m') {
            Some((codes, text)) if index > 0 => {
                style.apply(codes);
                text
            }
            _ => part,
        };
        if text.is_empty() {
            continue;
        }
        let width = text.chars().count();
        pieces.push(Piece {
            column,
            text: text.to_owned(),
            style: *style,
        });
        column += width;
    }
    pieces
}

impl Style {
    /// Applies the numbers of one sequence.
    fn apply(&mut self, codes: &str) {
        let mut codes = codes
            .split([';', ':'])
            .map(|code| code.parse().unwrap_or(0));
        while let Some(code) = codes.next() {
            match code {
                0 => *self = Self::default(),
                1 => self.bold = true,
                2 => self.dim = true,
                7 => self.reverse = true,
                22 => (self.bold, self.dim) = (false, false),
                27 => self.reverse = false,
                30..=37 => self.colour = Some(Colour::Named(code - 30)),
                38 => self.colour = Colour::extended(&mut codes),
                39 => self.colour = None,
                40..=47 => self.background = Some(Colour::Named(code - 40)),
                48 => self.background = Colour::extended(&mut codes),
                49 => self.background = None,
                90..=97 => self.colour = Some(Colour::Named(code - 82)),
                100..=107 => self.background = Some(Colour::Named(code - 92)),
                _ => {}
            }
        }
    }
}

impl Colour {
    fn extended(codes: &mut impl Iterator<Item = u8>) -> Option<Self> {
        match codes.next()? {
            2 => Some(Self::Rgb(codes.next()?, codes.next()?, codes.next()?)),
            5 => Some(Self::indexed(codes.next()?)),
            _ => None,
        }
    }

    /// Returns one of the 256 colours: sixteen named ones, a cube of six steps, and greys.
    fn indexed(index: u8) -> Self {
        let step = |level: u8| if level == 0 { 0 } else { 55 + level * 40 };
        match index {
            0..=15 => Self::Named(index),
            16..=231 => {
                let index = index - 16;
                Self::Rgb(step(index / 36), step(index / 6 % 6), step(index % 6))
            }
            _ => {
                let grey = 8 + (index - 232) * 10;
                Self::Rgb(grey, grey, grey)
            }
        }
    }
}
