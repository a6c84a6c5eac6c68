//! Tables on stdout.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use jiff::{Timestamp, Unit};

use crate::escape;

/// Returns rows with aligned columns and a heading for a terminal, otherwise with tabs.
pub(super) fn table(heading: &[&str], rows: &[Vec<String>]) -> String {
    let cells = |row: &Vec<String>| -> Vec<String> {
        let cells = row.iter().map(|cell| escape::line(cell).into_owned());
        cells.collect()
    };
    let mut rows: Vec<Vec<String>> = rows.iter().map(cells).collect();
    if !std::io::stdout().is_terminal() {
        let lines = rows.iter().map(|row| row.join("\t") + "\n");
        return lines.collect();
    }
    rows.insert(0, heading.iter().map(|&cell| cell.to_owned()).collect());
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..heading.len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    text
}

/// Returns a time to the second, in UTC.
pub(super) fn time(time: Timestamp) -> String {
    time.round(Unit::Second).unwrap_or(time).to_string()
}
