//! What a plan comes to.

use image_syncer_sync::report::Summary;

use crate::ui::lines::LineWriter;
use crate::ui::style::Style;
use crate::ui::summary::{FullLists, failure_lines};
use crate::ui::units;

/// Says on stderr what a check came to: its totals, and what failed.
pub(crate) fn print_check_summary(lines: &LineWriter, summary: &Summary, files: FullLists<'_>) {
    let totals = totals(summary, false).into_iter();
    let mut block: Vec<(Style, String)> = totals.map(|line| (Style::Plain, line)).collect();
    block.extend(failure_lines(summary, files));
    lines.closing(summary.exit_code() != 0, &block);
}

/// Says on stderr what a plan lacks, if anything; its totals stand on stdout. `above` it, where that is the same
/// terminal.
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

/// Images by kind; and where that was asked, the bytes; then what is not known.
pub fn totals(summary: &Summary, sizes: bool) -> Vec<String> {
    let mut lines = vec![images(summary)];
    if sizes {
        lines.push(bytes(summary));
    }
    lines.extend(rules(summary));
    if summary.was_interrupted() {
        let images = (summary.interrupted, "image", "not looked at");
        let sources = (summary.interrupted_rules, "source", "not listed to the end");
        lines.push(format!(
            "incomplete, as it was interrupted: {}",
            numbers(&[images, sources])
        ));
    }
    lines
}

/// `12 images: 3 new, 1 changed, 7 unchanged, 1 skipped, 0 failed`.
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
    let found = summary.finished().saturating_sub(summary.interrupted);
    format!("{}: {}", units::count(found, "image"), all.join(", "))
}

/// `67.3 MiB to send in 14 blobs and 3 manifests, 12.0 MiB to mount, 3.0 MiB there, 1.0 MiB shared`.
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

/// `1 rule matches nothing; 2 sources could not be listed`; nothing where all rules have images.
fn rules(summary: &Summary) -> Option<String> {
    let empty = summary.by_rule.iter().filter(|rule| rule.empty.is_some());
    let empty = match empty.count() as u64 {
        1 => (1, "rule", "matches nothing"),
        number => (number, "rule", "match nothing"),
    };
    let failed = (summary.failed_rules, "source", "could not be listed");
    let text = numbers(&[empty, failed]);
    (!text.is_empty()).then_some(text)
}

/// Those of which there are any.
fn numbers(all: &[(u64, &str, &str)]) -> String {
    let some = all.iter().filter(|(number, _, _)| *number > 0);
    let some = some.map(|(number, noun, what)| format!("{} {what}", units::count(*number, noun)));
    some.collect::<Vec<_>>().join("; ")
}
