//! Failures that get a line when they happen: the first of each kind. Others with the same reason are only counted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use image_syncer_sync::Failure;
use image_syncer_sync::report::{FailureGroup, KEPT};

use crate::lock::lock;

/// Maximum number of different reasons of one group that are printed.
const REASONS: usize = 10;

/// Decides which failures are printed.
#[derive(Debug, Default)]
pub(super) struct FailureFilter(Mutex<BTreeMap<FailureGroup, PrintedReasons>>);

/// Reasons of one group that were printed, without the names in them.
#[derive(Debug, Default)]
struct PrintedReasons {
    patterns: BTreeSet<String>,
    /// The first failure that was not printed was announced.
    announced: bool,
}

/// Form in which a failure is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FailureLine {
    /// A line with the full reason.
    Full,
    /// A line that says that further failures like this are only counted.
    Announcement,
    /// No line.
    None,
}

impl FailureFilter {
    /// Decides for `failure`, and remembers it.
    pub(super) fn line(&self, failure: &Failure) -> FailureLine {
        let mut groups = lock(&self.0);
        let group = FailureGroup::from_failure(failure);
        if groups.len() >= KEPT && !groups.contains_key(&group) {
            return FailureLine::Full;
        }
        let printed = groups.entry(group).or_default();
        let pattern = pattern(&failure.reason);
        if printed.patterns.len() < REASONS && printed.patterns.insert(pattern) {
            FailureLine::Full
        } else if std::mem::replace(&mut printed.announced, true) {
            FailureLine::None
        } else {
            FailureLine::Announcement
        }
    }
}

/// Returns `reason` without names, digests and numbers: what is left is the same for failures that are alike.
fn pattern(reason: &str) -> String {
    let is_name = |word: &str| {
        let inner = word.trim_end_matches([':', ',', ';', ')']);
        inner.contains(['/', ':', '@']) || inner.contains(|c: char| c.is_ascii_digit())
    };
    let words = reason.split_whitespace();
    let words = words.map(|word| if is_name(word) { "…" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// Returns the reason of `failure`, with the status and code of the registry if the sentence does not contain them.
pub(crate) fn full_reason(failure: &Failure) -> String {
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

/// Returns whether `text` contains `word`, and not only as a part of something else, such as a port.
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

    fn at(host: &str, reason: &str) -> Failure {
        Failure {
            host: host.to_owned(),
            ..Failure::local(reason)
        }
    }

    #[test]
    fn failures_that_differ_in_names_alone_have_one_line() {
        let filter = FailureFilter::default();
        let refused = |tag: &str| {
            filter.line(&at(
                "b.example",
                &format!("cannot push manifest team/app:{tag} at b.example: the registry answered 403 (DENIED: no)"),
            ))
        };
        assert_eq!(refused("v1"), FailureLine::Full);
        assert_eq!(refused("latest"), FailureLine::Announcement);
        assert_eq!(refused("v3"), FailureLine::None);
        // Another reason at the same host, and the same reason at another host.
        let other = filter.line(&at(
            "b.example",
            "cannot push manifest team/app:v1 at b.example: DENIED: never",
        ));
        assert_eq!(other, FailureLine::Full);
        assert_eq!(filter.line(&at("c.example", "no")), FailureLine::Full);
    }

    #[test]
    fn reasons_and_groups_are_bounded() {
        let filter = FailureFilter::default();
        let word = |number: usize| "x".repeat(number);
        for number in 1..=REASONS {
            assert_eq!(
                filter.line(&at("b.example", &word(number))),
                FailureLine::Full
            );
        }
        let more = at("b.example", &word(REASONS + 1));
        assert_eq!(filter.line(&more), FailureLine::Announcement);
        assert_eq!(filter.line(&more), FailureLine::None);
        for number in 1..KEPT {
            filter.line(&at(&format!("{number}.example"), "no"));
        }
        // There is no room to remember these.
        for _ in 0..2 {
            assert_eq!(filter.line(&at("z.example", "no")), FailureLine::Full);
        }
    }

    #[test]
    fn a_port_is_not_a_status() {
        let printed = |text: &str| {
            full_reason(&Failure {
                status: Some(404),
                ..Failure::local(text)
            })
        };
        let at_port = "cannot find x:v1 at localhost:14041: it does not exist";
        assert_eq!(printed(at_port), format!("{at_port} (404)"));
        for complete in ["it answered 404 Not Found", "no luck: 404", "a 404: gone"] {
            assert_eq!(printed(complete), complete);
        }
    }
}
