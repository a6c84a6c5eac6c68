//! What a run came to, in a few lines that can be pasted into a ticket: totals, hosts, what matched nothing, and at last
//! what failed.

mod failures;
mod hosts;
mod totals;

use image_syncer_sync::report::{RuleSummary, Summary};

use crate::report::RunSummary;
use crate::ui::lines::LineWriter;
use crate::ui::style::Style;
use crate::ui::units;

/// A line and its colour.
type SummaryLine = (Style, String);

/// How many rules that match nothing are named.
const NAMED: usize = 10;

/// The files that have all of what a summary has but the first of.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FullLists<'a> {
    /// `--report`.
    pub(crate) report: Option<&'a str>,
    /// `--failed-images`.
    pub(crate) failed_images: Option<&'a str>,
}

/// Says the summary by way of `lines`.
pub(crate) fn print_summary(lines: &LineWriter, ending: &RunSummary<'_>, files: FullLists<'_>) {
    lines.closing(ending.summary.exit_code() != 0, &block(ending, files));
}

/// The lines.
fn block(ending: &RunSummary<'_>, files: FullLists<'_>) -> Vec<SummaryLine> {
    let summary = ending.summary;
    let mut block = vec![
        (Style::Plain, String::new()),
        (totals::verdict(summary), totals::images(summary)),
        (Style::Plain, totals::moved(ending)),
    ];
    block.extend(totals::unfinished(ending));
    block.extend(totals::saved_source_line(ending.traffic));
    block.extend(hosts::lines(ending.hosts));
    block.extend(totals::referrers(summary));
    block.extend(totals::updated(summary));
    block.extend(totals::verified(summary));
    block.extend(totals::recorded(summary));
    block.extend(empty(summary));
    if summary.was_interrupted() {
        let text = "interrupted: run again to finish; what is there is not sent again";
        block.push((Style::Yellow, text.to_owned()));
    }
    block.extend(failure_lines(summary, files));
    block
}

/// What was lost sight of, and what failed; nothing where nothing did.
pub(crate) fn failure_lines(summary: &Summary, files: FullLists<'_>) -> Vec<SummaryLine> {
    let mut block = Vec::new();
    if !summary.is_complete() {
        let text = "some images were lost sight of: this is a defect of image-syncer, please report it; run again";
        block.push((Style::Red, text.to_owned()));
    }
    block.extend(failures::lines(summary, files));
    block
}

/// Rules that match nothing, the first few by name: each is said when it is found, and may be far above by now.
fn empty(summary: &Summary) -> Vec<SummaryLine> {
    let empty = |rule: &&RuleSummary| rule.empty.is_some();
    let rules = summary.by_rule.iter().filter(empty);
    let number = rules.clone().count();
    if number == 0 {
        return Vec::new();
    }
    let mut lines = vec![(
        Style::Yellow,
        format!("{} matched nothing:", units::count(number as u64, "rule")),
    )];
    for entry in rules.take(NAMED) {
        let why = entry.empty.as_deref().unwrap_or_default();
        let text = format!("  {}: {why}", units::rule(&entry.rule));
        lines.push((Style::Plain, text));
    }
    if number > NAMED {
        let text = format!("  and {} more", units::grouped((number - NAMED) as u64));
        lines.push((Style::Plain, text));
    }
    lines
}

#[cfg(test)]
mod tests;
