//! The summary of a run, in a few lines that can be pasted into a ticket: totals, hosts, rules without images, and last
//! the failures.

mod failures;
mod hosts;
pub(in crate::ui) mod totals;

use image_syncer_sync::report::{RuleSummary, Summary};

use crate::run_summary::RunSummary;
use crate::ui::lines::LineWriter;
use crate::ui::style::Style;
use crate::ui::units;

/// Line and its colour.
type SummaryLine = (Style, String);

/// Maximum number of rules without images that are named.
const NAMED: usize = 10;

/// Files with the complete lists of what a summary shows in part.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FullLists<'a> {
    /// `--report`.
    pub(crate) report: Option<&'a str>,
    /// `--failed-images`.
    pub(crate) failed_images: Option<&'a str>,
}

/// Prints the summary to `lines`.
pub(crate) fn print_summary(lines: &LineWriter, ending: &RunSummary<'_>, files: FullLists<'_>) {
    lines.closing(ending.summary.exit_code() != 0, &block(ending, files));
}

/// Returns the lines of the summary.
fn block(ending: &RunSummary<'_>, files: FullLists<'_>) -> Vec<SummaryLine> {
    let summary = ending.summary;
    let mut block = vec![
        (Style::Plain, String::new()),
        (totals::verdict(summary), totals::images(summary)),
        (Style::Plain, totals::moved(ending)),
    ];
    block.extend(totals::shard(summary).map(|line| (Style::Plain, line)));
    block.extend(totals::unfinished(ending));
    block.extend(totals::saved_source_line(ending.traffic));
    block.extend(hosts::lines(ending.hosts));
    block.extend(totals::referrers(summary));
    block.extend(totals::updated(summary));
    block.extend(totals::verified(summary));
    block.extend(totals::recorded(summary));
    block.extend(empty(summary));
    if summary.was_interrupted() {
        let text = "interrupted: run again to finish; complete layers are not sent again";
        block.push((Style::Yellow, text.to_owned()));
    }
    block.extend(failure_lines(summary, files));
    block
}

/// Returns the lines about failures and missing results, if any.
pub(crate) fn failure_lines(summary: &Summary, files: FullLists<'_>) -> Vec<SummaryLine> {
    let mut block = Vec::new();
    if !summary.is_complete() {
        let text = "some images have no result: this is a defect of image-syncer, please report it; run again";
        block.push((Style::Red, text.to_owned()));
    }
    block.extend(failures::lines(summary, files));
    block
}

/// Returns the rules that match nothing, the first few by name. Each was printed when it was found, maybe far above.
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
        let text = format!("  {}: {why}", entry.rule);
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
