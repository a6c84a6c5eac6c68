//! Screens as an SVG: a single one is static, several are an endless animation.
//!
//! A row that is the same in consecutive frames is written once. A viewer without animations shows the last frame.

use std::collections::BTreeSet;
use std::fmt::{self, Display, Formatter};
use std::ops::Range;
use std::time::Duration;

use crate::screen::{Colour, Piece, Style};

/// One screen.
#[derive(Clone)]
pub(crate) struct Frame {
    pub(crate) lines: Vec<Vec<Piece>>,
    /// Display time.
    pub(crate) time: Duration,
}

/// Frames of a picture, with its title and size.
pub(crate) struct Picture {
    pub(crate) title: &'static str,
    pub(crate) columns: usize,
    pub(crate) rows: usize,
    pub(crate) frames: Vec<Frame>,
}

/// Width and height of a character, in tenths of a pixel.
const WIDTH: usize = 84;
const HEIGHT: usize = 180;
/// Margins around the text, and above it for the title bar.
const MARGIN: usize = 160;
const BAR: usize = 280;

const BACKGROUND: &str = "#0d1117";
const FOREGROUND: &str = "#e6edf3";
/// Sixteen colours of the terminal.
const PALETTE: [&str; 16] = [
    "#484f58", "#ff7b72", "#3fb950", "#d29922", "#58a6ff", "#bc8cff", "#39c5cf", "#b1bac4",
    "#6e7681", "#ffa198", "#56d364", "#e3b341", "#79c0ff", "#d2a8ff", "#56d4dd", "#f0f6fc",
];

impl Display for Picture {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let rows = self.used_rows();
        let width = pixels(self.columns * WIDTH + 2 * MARGIN);
        let height = pixels(rows * HEIGHT + BAR + 2 * MARGIN);
        let rows: Vec<(usize, Range<usize>)> = (0..rows).flat_map(|row| self.spans(row)).collect();
        writeln!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" role=\"img\" aria-label=\"{0}\">\n<title>{0}</title>",
            self.title
        )?;
        self.write_style(out, &rows)?;
        writeln!(
            out,
            "<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{BACKGROUND}\"/>"
        )?;
        for (index, colour) in ["#ff5f57", "#febc2e", "#28c840"].iter().enumerate() {
            let x = 20 + index * 18;
            writeln!(
                out,
                "<circle cx=\"{x}\" cy=\"18\" r=\"5.5\" fill=\"{colour}\"/>"
            )?;
        }
        for (row, span) in &rows {
            self.write_row(out, *row, span)?;
        }
        writeln!(out, "</svg>")
    }
}

impl Picture {
    /// Returns the number of rows, without unused ones at the end.
    fn used_rows(&self) -> usize {
        let used = |frame: &Frame| frame.lines.iter().rposition(|line| !is_blank(line));
        let last = self.frames.iter().filter_map(used).max();
        last.map_or(1, |row| row + 1).min(self.rows)
    }

    /// Returns the ranges of frames in which `row` is the same and not blank.
    fn spans(&self, row: usize) -> Vec<(usize, Range<usize>)> {
        let mut spans: Vec<Range<usize>> = Vec::new();
        for index in 0..self.frames.len() {
            match spans.last_mut() {
                Some(span) if self.line(span.start, row) == self.line(index, row) => {
                    span.end = index + 1;
                }
                _ => spans.push(index..index + 1),
            }
        }
        spans.retain(|span| !is_blank(self.line(span.start, row)));
        spans.into_iter().map(|span| (row, span)).collect()
    }

    fn line(&self, frame: usize, row: usize) -> &[Piece] {
        let frame = self.frames.get(frame);
        frame
            .and_then(|frame| frame.lines.get(row))
            .map_or(&[], Vec::as_slice)
    }

    fn write_style(&self, out: &mut Formatter<'_>, rows: &[(usize, Range<usize>)]) -> fmt::Result {
        writeln!(
            out,
            "<style>\ntext{{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;\
             white-space:pre;fill:{FOREGROUND}}}\n.b{{font-weight:700}}\n.d{{opacity:.6}}"
        )?;
        for (index, colour) in PALETTE.iter().enumerate() {
            writeln!(out, ".c{index}{{fill:{colour}}}")?;
        }
        let whole: Duration = self.frames.iter().map(|frame| frame.time).sum();
        let begins = |frame: usize| -> f64 {
            let before: Duration = self.frames.iter().take(frame).map(|frame| frame.time).sum();
            100.0 * before.as_secs_f64() / whole.as_secs_f64()
        };
        let spans: BTreeSet<(usize, usize)> = rows
            .iter()
            .map(|(_, span)| (span.start, span.end))
            .collect();
        for (start, end) in spans {
            if (start, end) == (0, self.frames.len()) {
                continue;
            }
            let state = |shown: bool| if shown { "visible" } else { "hidden" };
            let name = format!("k{start}-{end}");
            write!(
                out,
                "@keyframes {name}{{0%{{visibility:{}}}",
                state(start == 0)
            )?;
            for (frame, shown) in [(start, true), (end, false)] {
                if frame > 0 && frame < self.frames.len() {
                    write!(out, "{:.2}%{{visibility:{}}}", begins(frame), state(shown))?;
                }
            }
            let at_rest = state(end == self.frames.len());
            writeln!(
                out,
                "}}\n.{name}{{visibility:{at_rest};animation:{name} {:.1}s step-end infinite}}",
                whole.as_secs_f64()
            )?;
        }
        writeln!(
            out,
            "@media(prefers-reduced-motion:reduce){{g{{animation:none!important}}}}\n</style>"
        )
    }

    fn write_row(&self, out: &mut Formatter<'_>, row: usize, span: &Range<usize>) -> fmt::Result {
        let name = if *span == (0..self.frames.len()) {
            String::new()
        } else {
            format!(" class=\"k{}-{}\"", span.start, span.end)
        };
        writeln!(out, "<g{name}>")?;
        for piece in self.line(span.start, row) {
            write_piece(out, row, piece)?;
        }
        writeln!(out, "</g>")
    }
}

fn is_blank(line: &[Piece]) -> bool {
    line.iter()
        .all(|piece| piece.text.trim().is_empty() && piece.style.background.is_none())
}

fn write_piece(out: &mut Formatter<'_>, row: usize, piece: &Piece) -> fmt::Result {
    let Style {
        mut colour,
        mut background,
        bold,
        dim,
        reverse,
    } = piece.style;
    if reverse {
        (colour, background) = (
            background.or(Some(Colour::Named(0))),
            colour.or(Some(Colour::Named(7))),
        );
    }
    let top = BAR + MARGIN + row * HEIGHT;
    if let Some(background) = background {
        writeln!(
            out,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"{}/>",
            pixels(MARGIN + piece.column * WIDTH),
            pixels(top),
            pixels(piece.text.chars().count() * WIDTH),
            pixels(HEIGHT),
            fill(background)
        )?;
    }
    let text = piece.text.trim_end();
    let shown = text.trim_start();
    if shown.is_empty() {
        return Ok(());
    }
    let column = piece.column + text.chars().count() - shown.chars().count();
    let mut classes = Vec::new();
    if bold {
        classes.push("b".to_owned());
    }
    if dim {
        classes.push("d".to_owned());
    }
    let style = match colour {
        Some(Colour::Named(index)) => {
            classes.push(format!("c{index}"));
            String::new()
        }
        Some(colour) => fill(colour),
        None => String::new(),
    };
    let classes = match classes.join(" ") {
        none if none.is_empty() => none,
        classes => format!(" class=\"{classes}\""),
    };
    writeln!(
        out,
        "<text x=\"{}\" y=\"{}\" textLength=\"{}\" lengthAdjust=\"spacingAndGlyphs\"{classes}{style}>{}</text>",
        pixels(MARGIN + column * WIDTH),
        pixels(top + HEIGHT * 3 / 4),
        pixels(shown.chars().count() * WIDTH),
        escaped(shown)
    )
}

fn fill(colour: Colour) -> String {
    match colour {
        Colour::Named(index) => {
            let colour = PALETTE.get(usize::from(index)).unwrap_or(&FOREGROUND);
            format!(" fill=\"{colour}\"")
        }
        Colour::Rgb(red, green, blue) => format!(" style=\"fill:#{red:02x}{green:02x}{blue:02x}\""),
    }
}

/// Formats tenths of a pixel as pixels.
fn pixels(tenths: usize) -> String {
    match tenths % 10 {
        0 => (tenths / 10).to_string(),
        rest => format!("{}.{rest}", tenths / 10),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
