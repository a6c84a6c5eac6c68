//! What failed: each with all there is to say, but what failed alike once.

use image_syncer_sync::report::{FEW, FailedImage, FailureGroup, Summary};
use image_syncer_sync::{Failure, Responsibility};

use crate::ui::hint::hint;
use crate::ui::style::Style;
use crate::ui::summary::{FullLists, SummaryLine};
use crate::ui::units;

/// How many of those are named.
const NAMED: usize = 3;

/// The failures; nothing where there are none. What failed alike stands together, in the order of the first of each.
pub(super) fn lines(summary: &Summary, files: FullLists<'_>) -> Vec<SummaryLine> {
    if summary.failures.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![
        (Style::Plain, String::new()),
        (Style::Bold, format!("failed: {}", classes(summary))),
    ];
    let (mut told, mut left_out) = (0, false);
    for (alike, group) in groups(summary) {
        let kept = group.len() as u64;
        let number = summary.by_cause.get(&alike).copied().unwrap_or(kept);
        // So many of each kind are kept; of more, one is told, and some are named.
        if number > FEW {
            told += number;
            left_out = true;
            lines.extend(together(&alike, number, &group));
        } else {
            told += kept;
            lines.extend(group.into_iter().flat_map(one));
        }
    }
    let more = (summary.failed + summary.failed_rules).saturating_sub(told);
    if more > 0 {
        let text = format!("  and {} more", units::grouped(more));
        lines.push((Style::Plain, text));
    }
    if more > 0 || left_out {
        lines.push((Style::Plain, format!("  {}", all(files))));
    }
    lines
}

/// The failures that are kept, by what they have in common.
fn groups(summary: &Summary) -> Vec<(FailureGroup, Vec<&FailedImage>)> {
    let mut groups: Vec<(FailureGroup, Vec<&FailedImage>)> = Vec::new();
    let mut positions = std::collections::BTreeMap::new();
    for failed in &summary.failures {
        let alike = FailureGroup::from_failure(&failed.failure);
        let position = *positions.entry(alike.clone()).or_insert(groups.len());
        match groups.get_mut(position) {
            Some((_, group)) => group.push(failed),
            None => groups.push((alike, vec![failed])),
        }
    }
    groups
}

/// Source and destination, the reason, which rule wanted it, what it is, and what can be done.
fn one(failed: &FailedImage) -> Vec<SummaryLine> {
    let mut lines = vec![(Style::Plain, format!("  {}", name(failed)))];
    lines.extend(failure_details(failed));
    lines
}

/// Failures of which one stands for all.
fn together(alike: &FailureGroup, number: u64, group: &[&FailedImage]) -> Vec<SummaryLine> {
    let at = if alike.host.is_empty() {
        String::new()
    } else {
        format!(" at {}", alike.host)
    };
    let number = units::grouped(number);
    let mut lines = vec![(
        Style::Plain,
        format!("  {number} failed alike{at}, such as"),
    )];
    for failed in group.iter().take(NAMED) {
        lines.push((Style::Plain, format!("    {}", name(failed))));
    }
    lines.extend(
        group
            .first()
            .into_iter()
            .flat_map(|failed| failure_details(failed)),
    );
    lines
}

fn name(failed: &FailedImage) -> String {
    match &failed.destination {
        Some(destination) => format!("{} → {destination}", failed.source),
        None => failed.source.clone(),
    }
}

/// What is said below the name.
fn failure_details(failed: &FailedImage) -> Vec<SummaryLine> {
    let failure = &failed.failure;
    let mut lines = vec![
        (Style::Red, format!("    {}", reason(failure))),
        (Style::Dim, format!("    {}", facts(failed))),
    ];
    if let Some(hint) = hint(failure) {
        lines.push((Style::Dim, format!("    hint: {hint}")));
    }
    lines
}

/// `rule a.example/x (images.yaml:3), host b.example, cause no-push-right, 3 tries`.
fn facts(failed: &FailedImage) -> String {
    let failure = &failed.failure;
    let mut parts = vec![format!("rule {}", units::rule(&failed.rule))];
    if !failure.host.is_empty() {
        parts.push(format!("host {}", failure.host));
    }
    parts.push(format!("cause {}", failure.cause));
    // What was asked of nobody was not tried.
    if !failure.host.is_empty() {
        parts.push(match failure.tries {
            1 => "1 try".to_owned(),
            tries => format!("{tries} tries"),
        });
    }
    parts.join(", ")
}

/// Where all of them are.
fn all(files: FullLists<'_>) -> String {
    let places: Vec<String> = [
        (files.report, "--report"),
        (files.failed_images, "--failed-images"),
    ]
    .into_iter()
    .filter_map(|(name, flag)| name.map(|name| format!("{name} ({flag})")))
    .collect();
    if places.is_empty() {
        "each was told when it failed; --report FILE keeps all of them".to_owned()
    } else {
        format!("all of them are in {}", places.join(" and "))
    }
}

/// `2 at the source, 1 for want of a login or right`.
fn classes(summary: &Summary) -> String {
    let parts: Vec<String> = summary
        .by_class
        .iter()
        .map(|(class, number)| {
            let place = match class {
                Responsibility::Source => "at the source",
                Responsibility::Destination => "at the destination",
                Responsibility::Credentials => "for want of a login or right",
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

/// The reason, with what the registry answered where the sentence leaves it out.
fn reason(failure: &Failure) -> String {
    let status = failure.status.map(|status| status.to_string());
    let answer: Vec<&str> = [status.as_deref(), failure.code.as_deref()]
        .into_iter()
        .flatten()
        .filter(|part| !has_word(&failure.reason, part))
        .collect();
    if answer.is_empty() {
        failure.reason.clone()
    } else {
        format!("{} ({})", failure.reason, answer.join(" "))
    }
}

/// Whether `text` says `word`, and not merely as a part of something else, such as a port.
fn has_word(text: &str, word: &str) -> bool {
    let is_apart = |c: Option<char>| c.is_none_or(|c| c.is_whitespace() || "()[],;\"'".contains(c));
    text.match_indices(word).any(|(start, _)| {
        let (before, rest) = text.split_at(start);
        let after = rest.chars().nth(word.chars().count());
        // A clause may end with it: "… answered 404: …".
        is_apart(before.chars().next_back())
            && (is_apart(after) || matches!(after, Some(':' | '.')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_not_a_status() {
        let told = |text: &str| {
            reason(&Failure {
                status: Some(404),
                ..Failure::local(text)
            })
        };
        let at_port = "cannot find x:v1 at localhost:14041: it is not there";
        assert_eq!(told(at_port), format!("{at_port} (404)"));
        for says_it in ["it answered 404 Not Found", "no luck: 404", "a 404: gone"] {
            assert_eq!(told(says_it), says_it);
        }
    }
}
