//! Totals of a plan.

use image_syncer_sync::report::Summary;

use crate::ui::copy_unit::{self, CopyUnit};
use crate::ui::lines::LineWriter;
use crate::ui::style::Style;
use crate::ui::summary::totals::shard as shard_line;
use crate::ui::summary::{FullLists, failure_lines};
use crate::ui::units;

/// Prints the totals and the failures of a check to stderr.
pub(crate) fn print_check_summary(lines: &LineWriter, summary: &Summary, files: FullLists<'_>) {
    let totals = totals(summary, false).into_iter();
    let mut block: Vec<(Style, String)> = totals.map(|line| (Style::Plain, line)).collect();
    block.extend(failure_lines(summary, files));
    lines.closing(summary.exit_code() != 0, &block);
}

/// Prints to stderr what is missing in a plan, if anything; its totals are on stdout. `above` adds an empty line, for a
/// plan on the same terminal.
pub(crate) fn print_plan_summary(
    lines: &LineWriter,
    summary: &Summary,
    files: FullLists<'_>,
    above: bool,
) {
    let mut block = Vec::new();
    if summary.was_interrupted() {
        let text = "interrupted: the plan is incomplete";
        block.push((Style::Yellow, text.to_owned()));
    }
    block.extend(failure_lines(summary, files));
    if above && !block.is_empty() {
        block.push((Style::Plain, String::new()));
    }
    lines.closing(summary.exit_code() != 0, &block);
}

/// Returns the number of images of each kind, the bytes if `sizes` is set, and what is unknown.
pub fn totals(summary: &Summary, sizes: bool) -> Vec<String> {
    let mut lines = vec![images(summary)];
    lines.extend(shard_line(summary));
    if sizes {
        lines.push(bytes(summary));
    }
    lines.extend(rules(summary));
    if summary.was_interrupted() {
        let unit = CopyUnit::for_summary(summary);
        let images = (summary.interrupted > 0)
            .then(|| format!("{} not compared", unit.count(summary.interrupted)));
        let sources = (summary.interrupted_sources() > 0).then(|| {
            let sources = units::count(summary.interrupted_sources(), "source");
            format!("{sources} not listed to the end")
        });
        let missing: Vec<String> = images.into_iter().chain(sources).collect();
        lines.push(format!(
            "interrupted and incomplete: {}",
            missing.join("; ")
        ));
    }
    lines
}

/// Returns the number of images of each kind: `12 images: 3 new, 1 changed, 7 unchanged, 1 skipped, 0 failed`.
fn images(summary: &Summary) -> String {
    let standing = [
        (summary.planned_referrers, "with new referrers"),
        (summary.planned_repairs, "to repair"),
        (summary.planned_again, "to push again"),
    ];
    let standing = standing.into_iter().filter(|(number, _)| *number > 0);
    let all = [
        (summary.planned_new, "new"),
        (summary.planned_moved, "changed"),
    ]
    .into_iter()
    .chain(standing)
    .chain([
        (summary.unchanged, "unchanged"),
        (summary.skipped, "skipped"),
        (summary.failed, "failed"),
    ]);
    let all: Vec<String> = all
        .map(|(number, what)| format!("{} {what}", units::grouped(number)))
        .collect();
    format!("{}: {}", copy_unit::total(summary, false), all.join(", "))
}

/// Returns the volume: `67.3 MiB to send in 14 blobs and 3 manifests, 12.0 MiB to mount, 3.0 MiB there, 1.0 MiB shared`.
fn bytes(summary: &Summary) -> String {
    let volume = &summary.volume;
    format!(
        "{} to send in {} and {}, {} to mount, {} there, {} shared",
        units::bytes(volume.bytes),
        units::count(volume.blobs, "blob"),
        units::count(volume.manifests, "manifest"),
        units::bytes(volume.mounted_bytes),
        units::bytes(volume.present_bytes),
        units::bytes(volume.shared_bytes),
    )
}

/// Returns the rules without images, if any: `1 rule matches nothing; 2 sources could not be listed`.
fn rules(summary: &Summary) -> Option<String> {
    let empty = summary.by_rule.iter().filter(|rule| rule.empty.is_some());
    let empty = match empty.count() as u64 {
        0 => None,
        1 => Some("1 rule matches nothing".to_owned()),
        number => Some(format!("{} match nothing", units::count(number, "rule"))),
    };
    let failed = (summary.failed_sources() > 0).then(|| {
        let sources = units::count(summary.failed_sources(), "source");
        format!("{sources} could not be listed")
    });
    let parts: Vec<String> = empty.into_iter().chain(failed).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}
