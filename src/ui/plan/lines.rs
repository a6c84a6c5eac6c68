//! Plan as whole lines, each with everything about its image: for files, pipes and `grep`.

use std::io::{Result, Write};

use image_syncer_registry::Digest;

use crate::ui::plan::cells::{RuleSection, heading, sections, shortcomings};
use crate::ui::plan::gather::RuleRows;
use crate::ui::plan::row::{CopySize, PlanRow, PlannedOutcome, RowKind};
use crate::ui::style::Style;
use crate::ui::units;

/// Writes a rule: lines about the rule after `#`, and its images. A line depends only on its image. Its fields are
/// separated by two blanks.
pub(super) fn rule(out: &mut dyn Write, rule: &RuleRows) -> Result<()> {
    let (name, location) = heading(rule);
    writeln!(out, "# {name}{location}")?;
    for section in sections(rule) {
        writeln!(
            out,
            "# {}: {}",
            section.heading(&rule.rule),
            section.counts()
        )?;
        for row in section.rows {
            writeln!(out, "{}", line(&section, row, false, false))?;
        }
    }
    for text in shortcomings(rule) {
        writeln!(out, "# {text}")?;
    }
    for (name, why) in &rule.failures {
        writeln!(out, "{}  {name}: {why}", kind_label(RowKind::Failed, false))?;
    }
    Ok(())
}

/// Writes the images of a rule and nothing else.
pub(super) fn rows(out: &mut dyn Write, rule: &RuleRows, short: bool, colours: bool) -> Result<()> {
    for section in sections(rule) {
        for row in section.rows {
            writeln!(out, "{}", line(&section, row, short, colours))?;
        }
    }
    Ok(())
}

fn line(section: &RuleSection<'_>, row: &PlanRow, short: bool, colours: bool) -> String {
    let written = |digest: &Digest| {
        if short {
            units::short(digest, units::SHORT)
        } else {
            digest.to_string()
        }
    };
    let source = section.source;
    let name = format!(
        "{source}{} → {}{}",
        row.source, section.repository, row.destination
    );
    let word = kind_label(row.outcome.kind(), colours);
    match &row.outcome {
        PlannedOutcome::Skipped(why) | PlannedOutcome::Failed(why) => {
            format!("{word}  {name}: {why}")
        }
        PlannedOutcome::Unchanged(digest) => format!("{word}  {name}  {}", written(digest)),
        PlannedOutcome::Planned(wanted) => {
            let digest = match &wanted.from {
                Some(from) => format!("{} → {}", written(from), written(&wanted.digest)),
                None => written(&wanted.digest),
            };
            let mut fields = vec![word, name, digest];
            fields.extend(wanted.size.iter().flat_map(size));
            if !wanted.notes.is_empty() {
                fields.push(wanted.notes.to_string());
            }
            fields.join("  ")
        }
    }
}

fn kind_label(kind: RowKind, colours: bool) -> String {
    let paint = if colours { kind.paint() } else { Style::Plain };
    paint.apply(&format!("{:<9}", kind.label()), colours)
}

/// Returns a fixed number of fields, so that each has its position.
fn size(size: &CopySize) -> [String; 6] {
    let platforms: &str = match &*size.platforms {
        "" => "-",
        platforms => platforms,
    };
    let volume = &size.volume;
    let bytes = |count, what| format!("{} {what}", units::bytes(count));
    [
        platforms.to_owned(),
        units::count(size.layers, "layer"),
        bytes(volume.bytes, "to send"),
        bytes(volume.mounted_bytes, "to mount"),
        bytes(volume.present_bytes, "there"),
        bytes(volume.shared_bytes, "shared"),
    ]
}
