//! Names for what a run counts: images, or copies if a rule has several destinations.

use std::sync::Arc;

use image_syncer_sync::event::RuleDescription;
use image_syncer_sync::report::{RuleSummary, Summary};

use crate::ui::units;

/// Unit of the counters of a run, which count each image once for each destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum CopyUnit {
    /// Every rule has one destination, so that each copy is an image of its own.
    #[default]
    Image,
    /// A rule has several destinations.
    Copy,
}

impl CopyUnit {
    /// Returns the unit for a run of `rules`.
    pub(crate) fn for_rules<'a>(rules: impl IntoIterator<Item = &'a Arc<RuleDescription>>) -> Self {
        let rules = rules.into_iter();
        Self::for_destinations(rules.map(|rule| rule.destinations.len()))
    }

    /// Returns the unit for the rules in `summary`.
    pub(super) fn for_summary(summary: &Summary) -> Self {
        let rules = summary.by_rule.iter();
        Self::for_destinations(rules.map(|entry| entry.rule.destinations.len()))
    }

    /// Returns the unit for rules with these numbers of destinations.
    fn for_destinations(mut numbers: impl Iterator<Item = usize>) -> Self {
        if numbers.any(|number| number > 1) {
            Self::Copy
        } else {
            Self::Image
        }
    }

    /// Returns the plural: `images`, `copies`.
    pub(super) fn plural(self) -> &'static str {
        match self {
            Self::Image => "images",
            Self::Copy => "copies",
        }
    }

    /// Returns a number with its unit: `1 image`, `3 copies`.
    pub(super) fn count(self, number: u64) -> String {
        let noun = match self {
            Self::Image => "image",
            Self::Copy if number == 1 => "copy",
            Self::Copy => return format!("{} copies", units::grouped(number)),
        };
        units::count(number, noun)
    }
}

/// Returns the total of a run: `12 images`, or `3 images to 2 destinations, 6 copies`. Interrupted copies count only if
/// `interrupted` is set.
pub(super) fn total(summary: &Summary, interrupted: bool) -> String {
    let copies = |entry: &RuleSummary| {
        let ended = entry.copied + entry.planned + entry.unchanged + entry.skipped + entry.failed;
        ended + if interrupted { entry.interrupted } else { 0 }
    };
    let all = if interrupted {
        summary.finished()
    } else {
        summary.finished().saturating_sub(summary.interrupted)
    };
    let counted = summary.by_rule.iter().filter(|entry| copies(entry) > 0);
    let (mut images, mut fewest, mut most) = (0, u64::MAX, 1);
    for entry in counted {
        let destinations = entry.rule.destinations.len().max(1) as u64;
        images += copies(entry).div_ceil(destinations);
        (fewest, most) = (fewest.min(destinations), most.max(destinations));
    }
    if most == 1 {
        return units::count(all, "image");
    }
    let up_to = if fewest < most { "up to " } else { "" };
    format!(
        "{} to {up_to}{most} destinations, {}",
        units::count(images, "image"),
        CopyUnit::Copy.count(all)
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use image_syncer_sync::report::Report;
    use image_syncer_sync::rule::{Rule, RuleError};
    use image_syncer_sync::{Event, Failure, ImageId, Listener, Outcome};

    use super::*;

    /// Starts a rule with this source.
    fn rule(report: &Report, source: &str, destinations: &[&str]) -> Rule {
        let none = |_: &_| Err(RuleError("no default".to_owned()));
        let rule = Rule::parse(source, destinations, &none).unwrap();
        report.event(&Event::RuleStarted {
            rule: Arc::new((&rule).into()),
        });
        rule
    }

    /// Ends this number of copies of a rule.
    fn end(report: &Report, rule: &Rule, outcome: &Outcome, copies: u64) {
        for _ in 0..copies {
            report.event(&Event::ImageFinished {
                image: ImageId {
                    rule: rule.id,
                    source: "".into(),
                    destination: "".into(),
                },
                outcome: outcome.clone(),
                elapsed: Duration::ZERO,
            });
        }
    }

    #[test]
    fn an_image_to_two_destinations_is_one_image_and_two_copies() {
        let report = Report::new();
        assert_eq!(total(&report.summary(), true), "0 images");
        let one = rule(&report, "a.example/x", &["b.example/y"]);
        let two = rule(&report, "a.example/z", &["b.example/y", "c.example/y"]);
        let skipped = Outcome::Skipped { why: String::new() };
        end(&report, &two, &skipped, 6);
        assert_eq!(
            total(&report.summary(), true),
            "3 images to 2 destinations, 6 copies"
        );
        end(&report, &one, &skipped, 1);
        assert_eq!(
            total(&report.summary(), true),
            "4 images to up to 2 destinations, 7 copies"
        );
        end(&report, &two, &Outcome::Failed(Failure::interrupted()), 1);
        assert_eq!(
            total(&report.summary(), false),
            "4 images to up to 2 destinations, 7 copies"
        );
        assert_eq!(
            total(&report.summary(), true),
            "5 images to up to 2 destinations, 8 copies"
        );
        assert_eq!(CopyUnit::for_summary(&report.summary()), CopyUnit::Copy);
    }

    #[test]
    fn with_one_destination_each_copy_is_an_image() {
        let report = Report::new();
        end(
            &report,
            &rule(&report, "a.example/x", &["b.example/y"]),
            &Outcome::Skipped { why: String::new() },
            2,
        );
        assert_eq!(total(&report.summary(), true), "2 images");
        assert_eq!(CopyUnit::for_summary(&report.summary()), CopyUnit::Image);
        assert_eq!(CopyUnit::Image.count(1), "1 image");
        assert_eq!(CopyUnit::Copy.count(1), "1 copy");
        assert_eq!(CopyUnit::Copy.count(1_234), "1,234 copies");
    }
}
