//! Plan as a table for a terminal. If the terminal is narrow, there are fewer columns; only digests are cut.

use std::io::{Result, Write};

use image_syncer_registry::Digest;

use crate::ui::plan::cells::{RuleSection, heading, sections, short_name, shortcomings};
use crate::ui::plan::gather::RuleRows;
use crate::ui::plan::row::{CopySize, PlanRow, PlannedOutcome, RowKind};
use crate::ui::plan::wrap::wrap;
use crate::ui::style::Style;
use crate::ui::units::{self, SHORT, short};

/// Blanks before each row.
const INDENT: usize = 4;

/// Blanks between columns.
const GAP: usize = 2;

/// Minimum width of a reason beside its row. A longer reason is below the row.
const LEAST_REASON: usize = 40;

/// Amount of detail.
#[derive(Clone, Copy)]
struct TableLayout {
    digits: usize,
    platforms: PlatformColumns,
    sizes: SizeColumns,
}

#[derive(Clone, Copy)]
enum PlatformColumns {
    Names,
    Number,
    None,
}

#[derive(Clone, Copy)]
enum SizeColumns {
    All,
    /// Bytes to send, and bytes that need not be sent.
    Two,
}

/// Layouts, from the widest to the narrowest.
const LAYOUTS: [TableLayout; 5] = [
    layout(SHORT, PlatformColumns::Names, SizeColumns::All),
    layout(SHORT, PlatformColumns::Number, SizeColumns::All),
    layout(SHORT, PlatformColumns::Number, SizeColumns::Two),
    layout(7, PlatformColumns::Number, SizeColumns::Two),
    NARROWEST,
];

const NARROWEST: TableLayout = layout(7, PlatformColumns::None, SizeColumns::Two);

const fn layout(digits: usize, platforms: PlatformColumns, sizes: SizeColumns) -> TableLayout {
    TableLayout {
        digits,
        platforms,
        sizes,
    }
}

/// Number of possible cells of a row.
const CELLS: usize = 9;

/// Index of the cell of platforms: a list of names, or a number.
const PLATFORMS: usize = 3;

/// Cells that are aligned to the right.
const RIGHT: std::ops::Range<usize> = 4..CELLS;

/// Column of the table.
struct Column {
    /// Index of its cell.
    at: usize,
    width: usize,
    right: bool,
}

/// Writes a rule: its name, and its images for each destination.
pub(super) fn rule(
    out: &mut dyn Write,
    rule: &RuleRows,
    width: usize,
    colours: bool,
) -> Result<()> {
    let paint = |paint: Style, text: &str| paint.apply(text, colours);
    let (name, location) = heading(rule);
    let location = paint(Style::Dim, &location);
    writeln!(out, "{}{location}", paint(Style::Bold, &name))?;
    for section in sections(rule) {
        let heading = format!("  {}: ", section.heading(&rule.rule));
        let counts = section.counts();
        if heading.chars().count() + counts.chars().count() <= width {
            writeln!(out, "{heading}{counts}")?;
        } else {
            let lines = wrap(&counts, width.saturating_sub(INDENT));
            let counts = lines.join(&format!("\n{:INDENT$}", ""));
            writeln!(out, "{}\n{:INDENT$}{counts}", heading.trim_end(), "")?;
        }
        rows(out, &section, width, colours)?;
    }
    for text in shortcomings(rule) {
        let lines = wrap(&text, width.saturating_sub(2));
        let text = lines.join("\n  ");
        writeln!(out, "  {}", paint(Style::Yellow, &text))?;
    }
    for (name, why) in &rule.failures {
        let why = if *name == heading(rule).0 {
            why.clone()
        } else {
            format!("{name}: {why}")
        };
        let lines = wrap(&why, width.saturating_sub(10));
        let why = lines.join("\n          ");
        writeln!(
            out,
            "  {}  {why}",
            paint(Style::Red, RowKind::Failed.label())
        )?;
    }
    writeln!(out)
}

/// Writes the lines after all rules.
pub(super) fn last(out: &mut dyn Write, lines: &[String], width: usize) -> Result<()> {
    for line in lines {
        writeln!(out, "{}", wrap(line, width.saturating_sub(2)).join("\n  "))?;
    }
    Ok(())
}

fn rows(out: &mut dyn Write, section: &RuleSection<'_>, width: usize, colours: bool) -> Result<()> {
    let fitting = LAYOUTS.iter().find_map(|layout| {
        let columns = columns(section.rows, *layout);
        (total(&columns) <= width).then_some((*layout, columns))
    });
    let (layout, columns) =
        fitting.unwrap_or_else(|| (NARROWEST, columns(section.rows, NARROWEST)));
    if section.rows.iter().any(|row| size(row).is_some()) {
        let line = joined(&columns, &headings(layout).map(str::to_owned));
        writeln!(out, "{}", Style::Dim.apply(line.trim_end(), colours))?;
    }
    let place = ReasonPlacement::choose(&columns, width);
    for row in section.rows {
        let line = joined(&columns, &cells(row, layout));
        let line = line.trim_end();
        let line = match (&row.outcome, row.outcome.kind()) {
            (PlannedOutcome::Skipped(why) | PlannedOutcome::Failed(why), _) => {
                place.append_reason(line, why)
            }
            (PlannedOutcome::Planned(wanted), _) if !wanted.notes.is_empty() => {
                ReasonPlacement::below(width).append_reason(line, &shortened(&wanted.notes))
            }
            (_, kind) => {
                if kind == RowKind::Unchanged {
                    Style::Dim.apply(line, colours)
                } else {
                    line.to_owned()
                }
            }
        };
        writeln!(out, "{}", painted(&line, row.outcome.kind(), colours))?;
    }
    Ok(())
}

/// Returns `line` with its first word in colour.
fn painted(line: &str, kind: RowKind, colours: bool) -> String {
    let word = kind.label();
    match line.split_once(word) {
        Some((before, behind)) if kind != RowKind::Unchanged => {
            format!("{before}{}{behind}", kind.paint().apply(word, colours))
        }
        _ => line.to_owned(),
    }
}

/// Position of the reason of a row.
#[derive(Clone, Copy)]
struct ReasonPlacement {
    start: usize,
    width: usize,
    beside: bool,
}

impl ReasonPlacement {
    /// Returns the position beside the name, if there is space.
    fn choose(columns: &[Column], width: usize) -> Self {
        let start = INDENT + columns.iter().take(2).map(|c| c.width + GAP).sum::<usize>();
        if width.saturating_sub(start) < LEAST_REASON {
            return Self::below(width);
        }
        Self {
            start,
            width,
            beside: true,
        }
    }

    /// Returns the position below the row.
    fn below(width: usize) -> Self {
        Self {
            start: INDENT + GAP,
            width,
            beside: false,
        }
    }

    fn append_reason(self, line: &str, sentence: &str) -> String {
        let indent = self.start;
        let lines = wrap(sentence, self.width.saturating_sub(indent));
        let sentence = lines.join(&format!("\n{:indent$}", ""));
        if self.beside {
            format!("{line:indent$}{sentence}")
        } else {
            format!("{line}\n{:indent$}{sentence}", "")
        }
    }
}

/// Returns the cells of a row. Unknown values and zeros are empty.
fn cells(row: &PlanRow, layout: TableLayout) -> [String; CELLS] {
    let mut cells = <[String; CELLS]>::default();
    let [
        kind,
        name,
        digest,
        platforms,
        layers,
        sent,
        mounted,
        present,
        shared,
    ] = &mut cells;
    row.outcome.kind().label().clone_into(kind);
    *name = named(row, layout.digits);
    match &row.outcome {
        PlannedOutcome::Planned(wanted) => {
            let new = short(&wanted.digest, layout.digits);
            *digest = match &wanted.from {
                Some(from) => format!("{} → {new}", short(from, layout.digits)),
                None => new,
            };
        }
        PlannedOutcome::Unchanged(there) => *digest = short(there, layout.digits),
        PlannedOutcome::Skipped(_) | PlannedOutcome::Failed(_) => {}
    }
    let Some(size) = size(row) else {
        return cells;
    };
    let some = |bytes| match bytes {
        0 => String::new(),
        bytes => units::bytes(bytes),
    };
    let volume = &size.volume;
    *platforms = listed(&size.platforms, layout.platforms);
    if !matches!(layout.platforms, PlatformColumns::None) {
        *layers = units::grouped(size.layers);
    }
    *sent = units::bytes(volume.bytes);
    match layout.sizes {
        SizeColumns::All => {
            *mounted = some(volume.mounted_bytes);
            *present = some(volume.present_bytes);
            *shared = some(volume.shared_bytes);
        }
        SizeColumns::Two => {
            let spared = [volume.present_bytes, volume.shared_bytes];
            *mounted = some(
                spared
                    .into_iter()
                    .fold(volume.mounted_bytes, u64::saturating_add),
            );
        }
    }
    cells
}

/// Returns the headings of the cells.
fn headings(layout: TableLayout) -> [&'static str; CELLS] {
    let [mounted, there, shared] = match layout.sizes {
        SizeColumns::All => ["to mount", "there", "shared"],
        SizeColumns::Two => ["spared", "", ""],
    };
    let (digest, sent) = ("digest", "to send");
    [
        "",
        "",
        digest,
        "platforms",
        "layers",
        sent,
        mounted,
        there,
        shared,
    ]
}

/// Returns the name at the source, and the name at the destination if it differs.
fn named(row: &PlanRow, digits: usize) -> String {
    let name = short_name(&row.source, digits);
    if row.source == row.destination || row.destination.is_empty() {
        return name;
    }
    format!("{name} → {}", short_name(&row.destination, digits))
}

fn listed(platforms: &str, how: PlatformColumns) -> String {
    match how {
        _ if platforms.is_empty() => String::new(),
        PlatformColumns::Names => platforms.replace(',', ", "),
        PlatformColumns::Number => platforms.split(',').count().to_string(),
        PlatformColumns::None => String::new(),
    }
}

/// Returns the columns that are not empty, with their widths.
fn columns(rows: &[PlanRow], layout: TableLayout) -> Vec<Column> {
    let mut widths = [0; CELLS];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(cells(row, layout)) {
            *width = cell.chars().count().max(*width);
        }
    }
    let headed = rows.iter().any(|row| size(row).is_some());
    let names = matches!(layout.platforms, PlatformColumns::Names);
    let columns = widths.into_iter().zip(headings(layout)).enumerate();
    let shown = columns.filter(|(_, (width, _))| *width > 0);
    shown
        .map(|(at, (width, heading))| Column {
            at,
            width: if headed {
                width.max(heading.len())
            } else {
                width
            },
            right: RIGHT.contains(&at) || (at == PLATFORMS && !names),
        })
        .collect()
}

/// Joins cells to a line.
fn joined(columns: &[Column], cells: &[String; CELLS]) -> String {
    let mut line = " ".repeat(INDENT);
    for (column, cell) in columns.iter().filter_map(|c| Some((c, cells.get(c.at)?))) {
        let padding = " ".repeat(column.width.saturating_sub(cell.chars().count()));
        let parts = if column.right {
            [padding.as_str(), cell]
        } else {
            [cell.as_str(), &padding]
        };
        line.extend(parts);
        line.push_str(&" ".repeat(GAP));
    }
    line
}

/// Returns `text` with short digests.
fn shortened(text: &str) -> String {
    let words = text.split(' ').map(|word| match Digest::parse(word) {
        Ok(digest) => short(&digest, SHORT),
        Err(_) => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

fn total(columns: &[Column]) -> usize {
    INDENT
        + columns.iter().map(|column| column.width).sum::<usize>()
        + GAP * columns.len().saturating_sub(1)
}

fn size(row: &PlanRow) -> Option<&CopySize> {
    match &row.outcome {
        PlannedOutcome::Planned(wanted) => wanted.size.as_ref(),
        _ => None,
    }
}
