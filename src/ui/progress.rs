//! One line for each image when it ends.

use std::time::Duration;

use image_syncer_sync::event::{Copied, Evidence, Loss, RuleTable};
use image_syncer_sync::{Event, Failure, ImageId, Listener, Outcome};

use crate::ui::failure_filter::{FailureFilter, FailureLine, full_reason};
use crate::ui::lines::{LineLabel, LineSubject, LineWriter};
use crate::ui::live::announcement;
use crate::ui::units;

/// Maximum number of losses of one image that are named.
const NAMED: usize = 3;

/// Prints a line for each event that matters to people. Of failures with the same reason, the first has a line; the
/// summary counts all of them.
pub struct EventLines {
    lines: LineWriter,
    failures: FailureFilter,
    rules: RuleTable,
}

impl EventLines {
    /// Prints to `lines`.
    pub fn new(lines: LineWriter) -> Self {
        Self {
            lines,
            failures: FailureFilter::default(),
            rules: RuleTable::default(),
        }
    }

    fn image(&self, image: &ImageId, outcome: &Outcome, elapsed: Duration) {
        let name = format!("{} → {}", image.source, image.destination);
        let rule = self.rules.get(image.rule);
        let about = LineSubject::image(&rule, image);
        let print = |label, text: &str| {
            self.lines.print_about(label, about, text);
        };
        match outcome {
            Outcome::Copied(copied) if !copied.losses.is_empty() => {
                let text = format!(
                    "{name}  {}: {}",
                    describe_cost(copied, elapsed),
                    describe_losses(&copied.losses)
                );
                print(LineLabel::Repaired, &text);
            }
            Outcome::Copied(copied) => {
                let label = match copied.replaced {
                    Some(_) => LineLabel::Updated,
                    None => LineLabel::Copied,
                };
                print(
                    label,
                    &format!("{name}  {}", describe_cost(copied, elapsed)),
                );
            }
            Outcome::Unchanged {
                by: Evidence::Verified,
                ..
            } => print(LineLabel::Verified, &name),
            Outcome::Unchanged { .. } => print(LineLabel::Unchanged, &name),
            Outcome::Planned(_) => print(LineLabel::Planned, &name),
            Outcome::Skipped { why } => print(LineLabel::Skipped, &format!("{name}: {why}")),
            Outcome::Failed(failure) if failure.interrupted => {
                print(LineLabel::Interrupted, &name);
            }
            Outcome::Failed(failure) => self.failed(about, failure, &name),
        }
    }

    fn failed(&self, about: LineSubject<'_>, failure: &Failure, name: &str) {
        let about = about.at(failure);
        let text = format!("{name}: {}", full_reason(failure));
        let line = self.failures.line(failure);
        if line == FailureLine::Full || self.lines.are_verbose() {
            self.lines.print_about(LineLabel::Failed, about, &text);
            return;
        }
        self.lines.log_about(LineLabel::Failed, about, &text);
        if line == FailureLine::Announcement {
            let cause = units::cause(failure);
            let text = format!(
                "further failures like this ({cause}) are counted in the summary. -v prints each."
            );
            self.lines.print(LineLabel::Warning, &text);
        }
    }
}

impl Listener for EventLines {
    fn event(&self, event: &Event) {
        self.rules.record(event);
        if let Some(text) = announcement(event) {
            self.lines.print(LineLabel::Note, &text);
        }
        match event {
            Event::ImageFinished {
                image,
                outcome,
                elapsed,
            } => self.image(image, outcome, *elapsed),
            Event::RuleFailed { rule, failure } if !failure.interrupted => {
                let rule = self.rules.get(*rule);
                self.failed(LineSubject::rule(&rule), failure, &rule.name);
            }
            Event::RepositoryFailed {
                rule,
                repository,
                failure,
            } if !failure.interrupted => {
                let rule = self.rules.get(*rule);
                self.failed(LineSubject::rule(&rule), failure, repository);
            }
            Event::RuleDiscovered {
                rule,
                empty: Some(why),
                ..
            } => {
                let rule = self.rules.get(*rule);
                let text = format!("{} matches nothing: {why}", rule.name);
                self.lines
                    .print_about(LineLabel::Warning, LineSubject::rule(&rule), &text);
            }
            Event::TagsSelected {
                repository,
                explanation,
                ..
            } => {
                let text = format!("{repository}: {explanation}");
                self.lines.print(LineLabel::Selected, &text);
            }
            Event::Warning { text } => self.lines.print(LineLabel::Warning, text),
            _ => {}
        }
    }
}

/// Returns the losses: the first few by name, and the number of others.
fn describe_losses(losses: &[Loss]) -> String {
    let mut parts: Vec<String> = losses.iter().take(NAMED).map(Loss::to_string).collect();
    let more = losses.len().saturating_sub(NAMED);
    if more > 0 {
        parts.push(format!("and {more} more"));
    }
    parts.join("; ")
}

/// Returns the cost of a copy, after the digests of an updated tag: `67.3 MiB in 2.1 s (32.0 MiB/s), 12.0 MiB mounted`.
fn describe_cost(copied: &Copied, elapsed: Duration) -> String {
    let speed = units::speed(copied.volume.bytes, elapsed)
        .map_or_else(String::new, |speed| format!(" ({speed})"));
    let (bytes, time) = (units::bytes(copied.volume.bytes), units::time(elapsed));
    let mut parts = Vec::new();
    if let Some(old) = &copied.replaced {
        let [old, new] = [old, &copied.digest].map(|digest| units::short(digest, units::SHORT));
        parts.push(format!("{old} → {new}"));
    }
    parts.push(format!("{bytes} in {time}{speed}"));
    if copied.volume.mounted_bytes > 0 {
        parts.push(format!(
            "{} mounted",
            units::bytes(copied.volume.mounted_bytes)
        ));
    }
    if copied.volume.present_bytes > 0 {
        parts.push(format!(
            "{} already there",
            units::bytes(copied.volume.present_bytes)
        ));
    }
    parts.extend(referrers(copied));
    if copied.filtered {
        parts.push("as a filtered index".to_owned());
    }
    if copied.sparse {
        parts.push("without the children that were not selected".to_owned());
    }
    parts.join(", ")
}

/// Returns the number of copied referrers, and whether the image itself was unchanged.
fn referrers(copied: &Copied) -> Option<String> {
    let number = match copied.referrers {
        0 => return None,
        number => units::count(number, "referrer"),
    };
    let unchanged = match (copied.root_unchanged, copied.contended) {
        (true, 0) => "; the image is unchanged",
        (false, 0) => "",
        (true, _) => "; the image is unchanged; other writers changed its list of referrers",
        (false, _) => "; other writers changed its list of referrers",
    };
    Some(format!("{number} (signatures and the like){unchanged}"))
}
