//! List as a table for a terminal. If the terminal is narrow, platforms are counted and digests are cut; names are whole.

use image_syncer_sync::image_list::ImageDetail;

use super::{ARTIFACT, Row, TagColumns};
use crate::ui::plan::wrap;
use crate::ui::style::Style;
use crate::ui::units::{self, SHORT};

/// Blanks between columns.
const GAP: &str = "  ";

/// Blanks before the reason of a row that failed.
const INDENT: &str = "    ";

/// Column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Name,
    Digest,
    Platforms,
    Size,
    Referrers,
    Pushed,
}

/// Amount of detail.
#[derive(Clone, Copy)]
struct Detail {
    digits: usize,
    names_platforms: bool,
}

/// Amounts of detail, from the widest to the narrowest.
const DETAILS: [Detail; 3] = [
    Detail {
        digits: SHORT,
        names_platforms: true,
    },
    Detail {
        digits: SHORT,
        names_platforms: false,
    },
    Detail {
        digits: 7,
        names_platforms: false,
    },
];

/// Table that is written part by part. Columns grow from part to part.
pub(super) struct Table {
    columns: Vec<Column>,
    widths: Vec<usize>,
    /// Position in [`DETAILS`].
    detail: usize,
    /// Number of columns of the terminal.
    width: usize,
    colours: bool,
    has_begun: bool,
    heads_repositories: bool,
}

impl Table {
    /// Creates a table of at most `width` columns, if names allow that.
    pub(super) fn new(columns: TagColumns, width: usize, colours: bool) -> Self {
        let shown = match columns {
            TagColumns::Repositories => vec![Column::Name],
            TagColumns::Images { detail, is_local } => {
                let last = if is_local {
                    Column::Referrers
                } else {
                    Column::Pushed
                };
                match detail {
                    ImageDetail::Names => vec![Column::Name],
                    ImageDetail::Digests => vec![Column::Name, Column::Digest, last],
                    ImageDetail::Contents => vec![
                        Column::Name,
                        Column::Digest,
                        Column::Platforms,
                        Column::Size,
                        last,
                    ],
                }
            }
        };
        Self {
            columns: shown,
            widths: Vec::new(),
            detail: 0,
            width,
            colours,
            has_begun: false,
            heads_repositories: columns == TagColumns::Repositories,
        }
    }

    /// Returns the lines of `rows`, with the heading before the first.
    pub(super) fn part(&mut self, rows: &[Row]) -> String {
        if rows.is_empty() {
            return String::new();
        }
        if !self.has_begun {
            // A registry that states no times has no column for them, and a file without referrers neither.
            self.columns.retain(|column| match column {
                Column::Pushed => rows.iter().any(|row| row.pushed.is_some()),
                Column::Referrers => rows.iter().any(|row| row.referrers > Some(0)),
                _ => true,
            });
        }
        let heading: Vec<String> = self.columns.iter().map(|it| self.heading(*it)).collect();
        let cells = self.fit(&heading, rows);
        let mut text = String::new();
        if !self.has_begun {
            let line = Style::Dim.apply(&self.line(&heading), self.colours);
            text.push_str(&line);
            text.push('\n');
            self.has_begun = true;
        }
        for (row, cells) in rows.iter().zip(&cells) {
            text.push_str(&self.line(cells));
            text.push('\n');
            if let Some(failure) = &row.failure {
                text.push_str(&self.failure(failure));
            }
        }
        text
    }

    /// Returns the cells of the rows in the widest detail that fits, and widens the columns for them.
    fn fit(&mut self, heading: &[String], rows: &[Row]) -> Vec<Vec<String>> {
        loop {
            let cells: Vec<Vec<String>> = rows.iter().map(|row| self.cells(row)).collect();
            let mut widths = self.widths.clone();
            widths.resize(self.columns.len(), 0);
            for line in cells.iter().map(Vec::as_slice).chain([heading]) {
                for (width, cell) in widths.iter_mut().zip(line) {
                    *width = (*width).max(cell.chars().count());
                }
            }
            let gaps = GAP.len() * widths.len().saturating_sub(1);
            let fits = widths.iter().sum::<usize>() + gaps <= self.width;
            if fits || self.detail + 1 >= DETAILS.len() {
                self.widths = widths;
                return cells;
            }
            self.detail += 1;
            self.widths.clear();
        }
    }

    fn cells(&self, row: &Row) -> Vec<String> {
        let detail = DETAILS.get(self.detail).unwrap_or(&DETAILS[0]);
        let cell = |column: &Column| match column {
            Column::Name => short_name(row, detail.digits),
            Column::Digest => {
                let digest = row.digest.as_ref();
                digest.map_or_else(String::new, |it| units::short(it, detail.digits))
            }
            Column::Platforms => match (row.platforms.as_slice(), &row.artifact) {
                ([], Some(artifact)) if detail.names_platforms => artifact.clone(),
                ([], Some(_)) => ARTIFACT.to_owned(),
                ([_, _, ..], _) if !detail.names_platforms => row.platforms.len().to_string(),
                (platforms, _) => platforms.join(", "),
            },
            Column::Size => row.size.map_or_else(String::new, units::bytes),
            Column::Referrers => match row.referrers {
                None | Some(0) => String::new(),
                Some(number) => units::grouped(number as u64),
            },
            Column::Pushed => row.pushed.clone().unwrap_or_default(),
        };
        self.columns.iter().map(cell).collect()
    }

    fn heading(&self, column: Column) -> String {
        let text = match column {
            Column::Name if self.heads_repositories => "REPOSITORY",
            Column::Name => "NAME",
            Column::Digest => "DIGEST",
            Column::Platforms => "PLATFORMS",
            Column::Size => "SIZE",
            Column::Referrers => "REFERRERS",
            Column::Pushed => "PUSHED",
        };
        text.to_owned()
    }

    /// Returns aligned cells; numbers are aligned to the right.
    fn line(&self, cells: &[String]) -> String {
        let cells = self.columns.iter().zip(&self.widths).zip(cells);
        let cells = cells.map(|((column, width), cell)| match column {
            Column::Size | Column::Referrers => format!("{cell:>width$}"),
            _ => format!("{cell:width$}"),
        });
        let line = cells.collect::<Vec<_>>().join(GAP);
        line.trim_end().to_owned()
    }

    /// Returns the reason for a row that failed, below it.
    fn failure(&self, reason: &str) -> String {
        let reason = format!("error: {reason}");
        let lines = wrap(&reason, self.width.saturating_sub(INDENT.len()));
        let lines = lines.iter().map(|line| {
            let line = Style::Red.apply(line, self.colours);
            format!("{INDENT}{line}\n")
        });
        lines.collect()
    }
}

/// Returns the name, with a short digest if it has no tag.
fn short_name(row: &Row, digits: usize) -> String {
    match (row.name.rsplit_once('@'), &row.digest) {
        (Some((name, _)), Some(digest)) => format!("{name}@{}", units::short(digest, digits)),
        _ => row.name.clone(),
    }
}
