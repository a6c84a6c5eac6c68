//! Checks of reports that are to be merged.

use std::collections::BTreeSet;

use crate::report::merge::ShardReport;

/// Maximum number of shards that a warning names.
const NAMED: usize = 20;

/// Returns a sentence for each report that does not fit to the first one, or that has the shard of another one.
pub(super) fn mistakes(reports: &[ShardReport]) -> Vec<String> {
    let Some((first, others)) = reports.split_first() else {
        return Vec::new();
    };
    let mut mistakes = Vec::new();
    for (number, report) in others.iter().enumerate() {
        let before = reports.iter().take(number + 1);
        let same = |other: &&ShardReport| other.shard.index == report.shard.index;
        let path = report.path.display();
        let (shard, others) = (&report.shard, first.name());
        if shard.count != first.shard.count {
            mistakes.push(format!(
                "{path}: shard {}/{} is of another run than {others}. Name the reports of one run.",
                shard.index, shard.count
            ));
        } else if report.text("command") != first.text("command") {
            mistakes.push(format!(
                "{path}: the report is of another command than {others}. Name the reports of one run."
            ));
        } else if shard.config != first.shard.config {
            mistakes.push(format!(
                "{path}: shard {}/{} had other rules or weights than {others}. Run all shards with the same files and flags.",
                shard.index, shard.count
            ));
        } else if let Some(other) = before.clone().find(same) {
            mistakes.push(format!(
                "{path}: shard {}/{} is in {} as well. Name one report for each shard.",
                shard.index,
                shard.count,
                other.path.display()
            ));
        }
    }
    mistakes
}

/// Returns the shards without a report.
pub(super) fn missing(reports: &[ShardReport]) -> Vec<u32> {
    let present: BTreeSet<u32> = reports.iter().map(|report| report.shard.index).collect();
    let count = reports.first().map_or(0, |report| report.shard.count);
    (0..count)
        .filter(|index| !present.contains(index))
        .collect()
}

/// Returns sentences about `missing` shards, and about reports of different programs.
pub(super) fn warnings(reports: &[ShardReport], missing: &[u32]) -> Vec<String> {
    let mut warnings = Vec::new();
    let count = reports.first().map_or(0, |report| report.shard.count);
    if !missing.is_empty() {
        let named: Vec<String> = missing
            .iter()
            .take(NAMED)
            .map(|index| format!("{index}/{count}"))
            .collect();
        let more = match missing.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let (noun, verb) = match missing.len() {
            1 => ("shard", "is"),
            _ => ("shards", "are"),
        };
        warnings.push(format!(
            "{} of {count} shards have no report here: {noun} {}{more} {verb} missing, so that the merged report is incomplete. Name the reports of all shards.",
            missing.len(),
            named.join(", ")
        ));
    }
    let program = |report: &ShardReport| report.fields.get("program").cloned();
    let different = reports.windows(2).find_map(|two| match two {
        [one, other] if program(one) != program(other) => Some((one, other)),
        _ => None,
    });
    if let Some((one, other)) = different {
        warnings.push(format!(
            "{} and {} are of different versions of image-syncer. Run all shards with one version.",
            one.path.display(),
            other.path.display()
        ));
    }
    warnings
}
