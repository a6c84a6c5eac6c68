//! The view: a few lines below everything else, of constant height.

use std::time::Instant;

use crate::ui::live::heartbeat::{ending, listings, pauses, roughly};
use crate::ui::live::layout::{StyledLine, percent, shorten};
use crate::ui::live::meter::ProgressMeter;
use crate::ui::live::{ActiveTransfer, RunStatus};
use crate::ui::screen::{TerminalSize, View};
use crate::ui::style::Style;
use crate::ui::units;

/// Column at which the bars of the totals begin.
const LABEL: usize = 8;

/// Minimum width of a line for a transfer.
const LEAST: usize = 24;

/// View of a run.
pub(super) struct LiveView {
    meter: ProgressMeter,
    colours: bool,
    height: StableHeight,
}

/// Maximum number of lines so far, which is kept so that nothing jumps up and down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct StableHeight {
    transfers: usize,
    notes: usize,
}

impl LiveView {
    pub(super) fn new(meter: ProgressMeter, colours: bool) -> Self {
        Self {
            meter,
            colours,
            height: StableHeight::default(),
        }
    }
}

impl View for LiveView {
    fn frame(&mut self, now: Instant, size: TerminalSize) -> Vec<String> {
        let status = self.meter.sample(now);
        frame(&status, size, self.colours, &mut self.height)
    }
}

/// Returns the lines for `status`: totals, transfers, notes. If there are too few rows, the last ones are cut.
fn frame(
    status: &RunStatus,
    size: TerminalSize,
    colours: bool,
    height: &mut StableHeight,
) -> Vec<String> {
    // A line that fills the last column makes some terminals begin a new one.
    let width = size.columns.saturating_sub(1);
    let rows = size.rows.saturating_sub(1);
    let mut lines = vec![images(status, width, colours)];
    if !status.sends_nothing {
        lines.push(bytes(status, width, colours));
    }
    let notes: Vec<String> = notes(status)
        .into_iter()
        .map(|(style, note)| {
            let note = shorten(&note, width);
            StyledLine::new(colours).with(style, &note).text()
        })
        .collect();
    height.notes = height.notes.max(notes.len());
    let room = rows.saturating_sub(lines.len() + height.notes);
    let transfers = transfers(status, width, colours);
    let used = transfers.iter().rposition(Option::is_some);
    height.transfers = height.transfers.max(used.map_or(0, |last| last + 1));
    let transfers = transfers
        .into_iter()
        .map(Option::unwrap_or_default)
        .chain(std::iter::repeat(String::new()));
    lines.extend(transfers.take(height.transfers.min(room)));
    let notes = notes
        .into_iter()
        .chain(std::iter::repeat(String::new()))
        .take(height.notes);
    lines.extend(notes);
    lines.truncate(rows);
    lines
}

/// Returns the line of images: `images  ━━━━━━━━────────  1,234 of 10,000+  12 %  1 failed  3 min left  2 retries`.
fn images(status: &RunStatus, width: usize, colours: bool) -> String {
    let more = if status.listing { "+" } else { "" };
    let count = if status.found == 0 && status.listing {
        "looking for images".to_owned()
    } else {
        format!(
            "{} of {}{more}",
            units::grouped(status.ended),
            units::grouped(status.found)
        )
    };
    let failed = match status.failed {
        0 => String::new(),
        number => format!("{} failed", units::grouped(number)),
    };
    let retries = match status.retries {
        0 => String::new(),
        1 => "1 retry".to_owned(),
        number => format!("{} retries", units::grouped(number)),
    };
    let left = status.left.map(|left| format!("{} left", roughly(left)));
    // If the line is short, other pieces matter more.
    let part = match status.found {
        found if found > 0 && !status.listing && bar_width(width) > 0 => {
            format!("{} %", percent(status.ended, found))
        }
        _ => String::new(),
    };
    total(
        status.unit.plural(),
        (status.ended, status.found),
        width,
        colours,
    )
    .fitting(
        width,
        &[
            (Style::Plain, count),
            (Style::Plain, part),
            (Style::Red, failed),
            (Style::Bold, left.unwrap_or_default()),
            (Style::Yellow, retries),
        ],
    )
    .text()
}

/// Returns the line of bytes: `bytes   ━━━━━━━━────────  3.4 GiB of 9.1 GiB  87.2 MiB/s  avg 64.0 MiB/s`.
fn bytes(status: &RunStatus, width: usize, colours: bool) -> String {
    let known = status.moved + status.remaining;
    let line = total("bytes", (status.moved, known), width, colours);
    if known == 0 {
        return line
            .fitting(
                width,
                &[(Style::Plain, "nothing to send so far".to_owned())],
            )
            .text();
    }
    let speed = |speed: Option<u64>| format!("{}/s", units::bytes(speed.unwrap_or_default()));
    let (moved, all) = (units::bytes(status.moved), units::bytes(known));
    let average = status.average.map_or_else(String::new, |average| {
        format!("avg {}", speed(Some(average)))
    });
    line.fitting(
        width,
        &[
            (Style::Plain, format!("{moved} of {all}")),
            (Style::Bold, speed(status.speed)),
            (Style::Dim, average),
        ],
    )
    .text()
}

/// Returns the label of a total, and its bar if it fits.
fn total(label: &str, (done, all): (u64, u64), width: usize, colours: bool) -> StyledLine {
    let line = StyledLine::new(colours).with(Style::Plain, &shorten(label, width));
    match bar_width(width) {
        0 => line.to(width.min(LABEL - 2)),
        bar => line.to(LABEL).bar(bar, done, all),
    }
}

/// Returns the width of bars, which depends only on the terminal.
fn bar_width(width: usize) -> usize {
    match width {
        ..60 => 0,
        60..100 => 12,
        100..140 => 24,
        _ => 32,
    }
}

/// Returns a line with the number of transfers, and one for each position of the largest transfers.
fn transfers(status: &RunStatus, width: usize, colours: bool) -> Vec<Option<String>> {
    if width < LEAST {
        return Vec::new();
    }
    let all = match (status.flowing_transfers, status.waiting_transfers) {
        (0, 0) => None,
        (flowing, waiting) => {
            let waiting = match waiting {
                0 => String::new(),
                waiting => format!(", {} waiting", units::grouped(waiting)),
            };
            let text = format!("{} under way{waiting}", units::count(flowing, "transfer"));
            Some(
                StyledLine::new(colours)
                    .with(Style::Dim, &shorten(&text, width))
                    .text(),
            )
        }
    };
    let places = status.transfers.iter();
    let largest = places.map(|place| place.as_ref().map(|one| transfer(one, width, colours)));
    std::iter::once(all).chain(largest).collect()
}

/// Returns the line of a transfer: `  library/nginx  1a2b3c4d5e6f  ━━━━────  45 %  12.0 MiB of 67.3 MiB`, or less if
/// the terminal is narrow.
fn transfer(transfer: &ActiveTransfer, width: usize, colours: bool) -> String {
    let ActiveTransfer {
        digest, done, size, ..
    } = transfer;
    let bar = bar_width(width);
    let is_wide = width >= 100;
    let amount = if is_wide {
        format!("{} of {}", units::bytes(*done), units::bytes(*size))
    } else {
        units::bytes(*size)
    };
    // Two blanks come before each of name, digest, bar, percentage and amount. The widest amount is `1023.9 MiB`.
    let digest_width = if bar > 0 {
        digest.chars().count() + 2
    } else {
        0
    };
    let bar_room = if bar > 0 { bar + 2 } else { 0 };
    let amount_room = if is_wide { 2 + 24 } else { 2 + 10 };
    let others = 2 + digest_width + bar_room + 2 + 5 + amount_room;
    let name_width = width.saturating_sub(others).min(72);
    let name = if is_wide {
        &transfer.name
    } else {
        &transfer.short_name
    };
    let mut line = StyledLine::new(colours)
        .with(Style::Plain, "  ")
        .with(Style::Plain, &shorten(name, name_width))
        .to(2 + name_width);
    if bar > 0 {
        line = line
            .with(Style::Plain, "  ")
            .with(Style::Dim, digest)
            .with(Style::Plain, "  ")
            .bar(bar, *done, *size);
    }
    let hundredths = format!("{:>3} %", percent(*done, *size));
    line.fitting(width, &[(Style::Plain, hundredths), (Style::Plain, amount)])
        .text()
}

/// Returns what the run waits for: lists of repositories, paused hosts, the end of the work in flight.
fn notes(status: &RunStatus) -> Vec<(Style, String)> {
    let listed = listings(status, 2).into_iter();
    let mut notes: Vec<(Style, String)> = listed.map(|note| (Style::Plain, note)).collect();
    let mut attention = pauses(status, 2);
    attention.extend(status.ending.map(|state| ending(state, status)));
    notes.extend(attention.into_iter().map(|note| (Style::Yellow, note)));
    notes
}

#[cfg(test)]
mod tests;
