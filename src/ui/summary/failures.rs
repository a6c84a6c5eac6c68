//! Failures at the end of a run, in groups by cause and host. Their reasons were printed when they happened.

use std::collections::{BTreeMap, HashMap};

use image_syncer_sync::report::{FEW, FailedImage, FailureGroup, RuleSummary, Summary};
use image_syncer_sync::{Responsibility, RuleId};

use crate::hint::hint;
use crate::ui::failure_filter::full_reason;
use crate::ui::style::Style;
use crate::ui::summary::{FullLists, SummaryLine};
use crate::ui::units;

/// Number of names of a group that is larger than [`FEW`].
const NAMED: usize = 3;

type Rules<'a> = HashMap<RuleId, &'a RuleSummary>;

/// Returns the groups of failures, in the order of the first failure of each, or nothing if nothing failed.
pub(super) fn lines(summary: &Summary, files: FullLists<'_>) -> Vec<SummaryLine> {
    if summary.failures.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![
        (Style::Plain, String::new()),
        (Style::Bold, format!("failed: {}", classes(summary))),
    ];
    let rules = summary.rules_by_id();
    let (mut counted, mut is_complete) = (0, true);
    for (group, failures) in groups(summary) {
        let kept = failures.len() as u64;
        let number = summary.by_cause.get(&group).copied().unwrap_or(kept);
        counted += number;
        // The first few of each group are kept, of any number of failures.
        is_complete &= number <= FEW;
        lines.extend(group_lines(number, &failures, &rules));
    }
    let more = summary.failures_given().saturating_sub(counted);
    if more > 0 {
        let text = format!("  and {} more", units::grouped(more));
        lines.push((Style::Plain, text));
    }
    if more > 0 || !is_complete {
        lines.push((Style::Plain, format!("  {}", full_list(files))));
    }
    lines
}

/// Returns the kept failures by group.
fn groups(summary: &Summary) -> Vec<(FailureGroup, Vec<&FailedImage>)> {
    let mut groups: Vec<(FailureGroup, Vec<&FailedImage>)> = Vec::new();
    let mut positions = BTreeMap::new();
    for failed in &summary.failures {
        let group = FailureGroup::from_failure(&failed.failure);
        let position = *positions.entry(group.clone()).or_insert(groups.len());
        match groups.get_mut(position) {
            Some((_, failures)) => failures.push(failed),
            None => groups.push((group, vec![failed])),
        }
    }
    groups
}

/// Returns the lines of one group: cause, host and number; some names; what to do, or the reason if there is no hint.
fn group_lines(number: u64, failures: &[&FailedImage], rules: &Rules<'_>) -> Vec<SummaryLine> {
    let Some(first) = failures.first() else {
        return Vec::new();
    };
    let heading = format!(
        "  {}: {}",
        units::cause(&first.failure),
        units::count(number, "failure")
    );
    let mut lines = vec![(Style::Red, heading)];
    let named = if number > FEW { NAMED } else { failures.len() };
    for failed in failures.iter().take(named) {
        lines.push((Style::Plain, format!("    {}", name(failed, rules))));
    }
    let more = number.saturating_sub(named as u64);
    if more > 0 {
        let text = format!("    and {} more", units::grouped(more));
        lines.push((Style::Plain, text));
    }
    let remedy = match hint(&first.failure) {
        Some(hint) => format!("    hint: {hint}"),
        None => format!("    {}", full_reason(&first.failure)),
    };
    lines.push((Style::Dim, remedy));
    lines
}

/// Returns source and destination, and the place of the rule: `a.example/x:v1 → b.example/y:v1 (images.yaml:3)`.
fn name(failed: &FailedImage, rules: &Rules<'_>) -> String {
    let destination = failed.destination.as_ref();
    let destination = destination.map_or_else(String::new, |name| format!(" → {name}"));
    let rule = rules.get(&failed.rule);
    let location = rule.and_then(|entry| entry.rule.location.as_ref());
    let location = location.map_or_else(String::new, |location| format!(" ({location})"));
    format!("{}{destination}{location}", failed.source)
}

/// Returns where all failures are listed.
fn full_list(files: FullLists<'_>) -> String {
    let places: Vec<String> = [
        (files.report, "--report"),
        (files.failed_images, "--failed-images"),
    ]
    .into_iter()
    .filter_map(|(name, flag)| name.map(|name| format!("{name} ({flag})")))
    .collect();
    if places.is_empty() {
        "-v prints every failure, --report FILE lists them".to_owned()
    } else {
        format!("all failures are listed in {}", places.join(" and "))
    }
}

/// Returns the failures by who has to act: `2 at the source, 1 for a login or right`.
fn classes(summary: &Summary) -> String {
    let parts: Vec<String> = summary
        .by_class
        .iter()
        .map(|(class, number)| {
            let place = match class {
                Responsibility::Source => "at the source",
                Responsibility::Destination => "at the destination",
                Responsibility::Credentials => "for a login or right",
                Responsibility::RateLimit => "by a rate limit",
                Responsibility::Rules => "in the rules",
                Responsibility::Internal => "in image-syncer itself",
                Responsibility::Interrupted => "interrupted",
            };
            format!("{} {place}", units::grouped(*number))
        })
        .collect();
    parts.join(", ")
}
