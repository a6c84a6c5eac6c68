//! Parts that all forms of a plan share: the sections of a rule, and the name of an image.

use std::collections::BTreeMap;

use image_syncer_registry::Digest;
use image_syncer_sync::event::RuleDescription;

use crate::ui::CopyUnit;
use crate::ui::plan::gather::RuleRows;
use crate::ui::plan::row::{PlanRow, RowKind, printable};
use crate::ui::units::{self, short};

/// Images of a rule for one repository.
pub(super) struct RuleSection<'a> {
    /// Source repository.
    pub(super) source: &'a str,
    /// Destination repository.
    pub(super) repository: &'a str,
    /// Rows of the images.
    pub(super) rows: &'a [PlanRow],
    /// Number of unchanged images.
    unchanged: u64,
}

/// Returns the sections of a rule that have images, one for each destination, in the order of the rule; of a pattern one
/// for each repository and destination, by name.
pub(super) fn sections(rule: &RuleRows) -> Vec<RuleSection<'_>> {
    let order = rule.places.in_order(&rule.rule);
    let mut sections = Vec::with_capacity(order.len());
    for place in order {
        let Some(repositories) = rule.places.get(place) else {
            continue;
        };
        let from = rule.rows.partition_point(|row| row.place < place);
        let to = rule.rows.partition_point(|row| row.place <= place);
        let section = RuleSection {
            source: &repositories.source,
            repository: &repositories.destination,
            rows: rule.rows.get(from..to).unwrap_or_default(),
            unchanged: repositories.unchanged,
        };
        if !section.rows.is_empty() || section.unchanged > 0 {
            sections.push(section);
        }
    }
    sections
}

impl RuleSection<'_> {
    /// Returns the name of the section: the destination, with the source if it is not in the heading of the rule.
    pub(super) fn heading(&self, rule: &RuleDescription) -> String {
        let source = if rule.is_pattern { self.source } else { "" };
        let space = if source.is_empty() { "" } else { " " };
        format!("{source}{space}→ {}", self.repository)
    }

    /// Returns the number of images of each kind: `2 new, 1 changed, 7 unchanged`.
    pub(super) fn counts(&self) -> String {
        let mut counts: BTreeMap<RowKind, u64> = BTreeMap::new();
        for row in self.rows {
            *counts.entry(row.outcome.kind()).or_default() += 1;
        }
        counts.remove(&RowKind::Unchanged);
        if self.unchanged > 0 {
            counts.insert(RowKind::Unchanged, self.unchanged);
        }
        let each = |(kind, number): (&RowKind, &u64)| {
            let number = units::grouped(*number);
            match kind {
                RowKind::Referrers => format!("{number} with new referrers"),
                RowKind::Repair => format!("{number} to repair"),
                RowKind::Again => format!("{number} to push again"),
                kind => format!("{number} {}", kind.label()),
            }
        };
        counts.iter().map(each).collect::<Vec<_>>().join(", ")
    }
}

/// Returns the rule's name and its location.
pub(super) fn heading(rule: &RuleRows) -> (String, String) {
    let place = rule.rule.location.as_ref();
    let place = place.map_or_else(String::new, |location| format!("  ({location})"));
    (printable(&rule.rule.name), printable(&place))
}

/// Returns the reasons for missing images.
pub(super) fn shortcomings(rule: &RuleRows) -> Vec<String> {
    let empty = rule.empty.as_ref();
    let empty = empty.map(|why| format!("matches nothing: {why}"));
    let interrupted = (rule.interrupted > 0).then(|| {
        let images = CopyUnit::for_rules([&rule.rule]).count(rule.interrupted);
        format!("interrupted: {images} not compared")
    });
    empty.into_iter().chain(interrupted).collect()
}

/// Returns the part of a reference after the repository, with a short digest: `v1`, `@9f8e7d6c5b4a`.
pub(super) fn short_name(name: &str, digits: usize) -> String {
    match name.split_at_checked(1) {
        Some((":", tag)) => tag.to_owned(),
        Some(("@", digest)) => Digest::parse(digest).map_or_else(
            |_| name.to_owned(),
            |digest| format!("@{}", short(&digest, digits)),
        ),
        _ => name.to_owned(),
    }
}
