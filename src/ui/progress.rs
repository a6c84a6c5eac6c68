//! One line for each image as it ends.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use image_syncer_sync::event::{Copied, Evidence, ImageName, Loss};
use image_syncer_sync::report::{FEW, FailureGroup, KEPT};
use image_syncer_sync::{Event, Failure, Listener, Outcome};

use crate::ui::lines::{LineLabel, LineSubject, LineWriter};
use crate::ui::units;

/// How many losses of one image are named.
const NAMED: usize = 3;

/// Says what happens while it happens. Of failures that are alike, the first few have a line each; the summary tells of
/// all of them together.
pub struct EventLines {
    lines: LineWriter,
    /// Failures so far, by what they have in common; of so many kinds.
    failed: Mutex<BTreeMap<FailureGroup, u64>>,
}

impl EventLines {
    /// Says it by way of `lines`.
    pub fn new(lines: LineWriter) -> Self {
        Self {
            lines,
            failed: Mutex::default(),
        }
    }

    fn image(&self, image: &ImageName, outcome: &Outcome, elapsed: Duration) {
        let name = format!("{} → {}", image.source, image.destination);
        let say = |word, text: &str| {
            self.lines
                .print_about(word, LineSubject::image(image), text);
        };
        match outcome {
            Outcome::Copied(copied) if !copied.losses.is_empty() => {
                let text = format!(
                    "{name}  {}: {}",
                    describe_cost(copied, elapsed),
                    describe_losses(&copied.losses)
                );
                say(LineLabel::Repaired, &text);
            }
            Outcome::Copied(copied) => {
                let word = match copied.replaced {
                    Some(_) => LineLabel::Updated,
                    None => LineLabel::Copied,
                };
                say(word, &format!("{name}  {}", describe_cost(copied, elapsed)));
            }
            Outcome::Unchanged {
                by: Evidence::Verified,
                ..
            } => say(LineLabel::Verified, &name),
            Outcome::Unchanged { .. } => say(LineLabel::Unchanged, &name),
            Outcome::Planned(_) => say(LineLabel::Planned, &name),
            Outcome::Skipped { why } => say(LineLabel::Skipped, &format!("{name}: {why}")),
            Outcome::Failed(failure) if failure.interrupted => {
                say(LineLabel::Interrupted, &name);
            }
            Outcome::Failed(failure) => {
                let text = format!("{name}: {failure}");
                self.failed(LineSubject::image(image).at(failure), failure, &text);
            }
        }
    }
}

impl EventLines {
    fn failed(&self, about: LineSubject<'_>, failure: &Failure, text: &str) {
        let number = self.count(FailureGroup::from_failure(failure));
        if number <= FEW || self.lines.are_verbose() {
            self.lines.print_about(LineLabel::Failed, about, text);
            return;
        }
        self.lines.log_of(LineLabel::Failed, about, text);
        if number == FEW + 1 {
            let at = match failure.host.as_str() {
                "" => String::new(),
                host => format!(" at {host}"),
            };
            let text = format!(
                "further failures{at} with the cause {} have no lines here; the summary counts them",
                failure.cause
            );
            self.lines.print(LineLabel::Warning, &text);
        }
    }

    /// Counts a failure; returns the number of those that are alike, or 1 beyond the kinds that are counted.
    fn count(&self, alike: FailureGroup) -> u64 {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.len() >= KEPT && !failed.contains_key(&alike) {
            return 1;
        }
        let number = failed.entry(alike).or_default();
        *number += 1;
        *number
    }
}

impl Listener for EventLines {
    fn event(&self, event: &Event) {
        match event {
            Event::ImageFinished {
                image,
                outcome,
                elapsed,
            } => self.image(image, outcome, *elapsed),
            Event::RuleFailed { rule, failure } if !failure.interrupted => {
                let text = format!("{}: {failure}", rule.name);
                self.failed(LineSubject::rule(rule).at(failure), failure, &text);
            }
            Event::RuleDiscovered {
                rule,
                empty: Some(why),
                ..
            } => {
                let text = format!("{} matches nothing: {why}", rule.name);
                self.lines
                    .print_about(LineLabel::Warning, LineSubject::rule(rule), &text);
            }
            Event::Warning { text } => self.lines.print(LineLabel::Warning, text),
            _ => {}
        }
    }
}

/// What was lost: the first few by name, and how many more.
fn describe_losses(losses: &[Loss]) -> String {
    let mut parts: Vec<String> = losses.iter().take(NAMED).map(Loss::to_string).collect();
    let more = losses.len().saturating_sub(NAMED);
    if more > 0 {
        parts.push(format!("and {more} more"));
    }
    parts.join("; ")
}

/// Cost of a copy, after the digests of a tag that had another image: `67.3 MiB in 2.1 s (32.0 MiB/s), 12.0 MiB mounted`.
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
            "{} there",
            units::bytes(copied.volume.present_bytes)
        ));
    }
    parts.extend(referrers(copied));
    if copied.filtered {
        parts.push("an index of its own, of what was asked for".to_owned());
    }
    if copied.sparse {
        parts.push("without the children that were not asked for".to_owned());
    }
    parts.join(", ")
}

/// What came along: `2 referrers`, and whether it is all that came.
fn referrers(copied: &Copied) -> Option<String> {
    let number = match copied.referrers {
        0 => return None,
        number => units::count(number, "referrer"),
    };
    let unchanged = match (copied.root_unchanged, copied.contended) {
        (true, 0) => "; the image is unchanged",
        (false, 0) => "",
        (true, _) => "; the image is unchanged; others were writing its list of referrers",
        (false, _) => "; others were writing its list of referrers",
    };
    Some(format!("{number} (signatures and the like){unchanged}"))
}
