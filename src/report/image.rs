//! Entry of the report for one image and one destination.

use std::time::Duration;

use image_syncer_registry::ErrorKind;
use image_syncer_sync::event::{Change, Copied, Cost, Evidence, Loss, Planned, Volume};
use image_syncer_sync::{Failure, ImageId, Outcome, Responsibility, Side};
use serde::Serialize;

use crate::hint::hint;
use crate::report::seconds;

/// Image and destination. Fields that do not apply are omitted.
#[derive(Debug, Serialize)]
pub(super) struct ImageRecord<'a> {
    rule: &'a str,
    source: &'a str,
    destination: &'a str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(flatten)]
    how: OutcomeFields<'a>,
    elapsed_seconds: f64,
}

/// Fields of one outcome only.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum OutcomeFields<'a> {
    Copied(CopiedRecord),
    Unchanged { evidence: Evidence },
    Skipped { why: &'a str },
    Failed { failure: FailureRecord<'a> },
    Planned { planned: PlannedRecord<'a> },
}

#[derive(Debug, Serialize)]
struct CopiedRecord {
    #[serde(skip_serializing_if = "Option::is_none")]
    replaced: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    filtered: bool,
    #[serde(skip_serializing_if = "is_false")]
    sparse: bool,
    volume: Volume,
    referrers: u64,
    #[serde(skip_serializing_if = "is_false")]
    only_referrers: bool,
    #[serde(skip_serializing_if = "is_zero")]
    contended: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    losses: Vec<String>,
}

/// Reason of a failure.
#[derive(Debug, Serialize)]
pub(super) struct FailureRecord<'a> {
    side: Side,
    class: &'static str,
    cause: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    host: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    tries: u32,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

#[derive(Debug, Serialize)]
struct PlannedRecord<'a> {
    change: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    losses: Vec<String>,
    #[serde(skip_serializing_if = "is_false")]
    filtered: bool,
    #[serde(skip_serializing_if = "is_false")]
    sparse: bool,
    #[serde(skip_serializing_if = "is_false")]
    hidden: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<&'a Cost>,
}

impl<'a> ImageRecord<'a> {
    /// Creates the entry of `image`, which belongs to the rule of that name.
    pub(super) fn new(
        rule: &'a str,
        image: &'a ImageId,
        outcome: &'a Outcome,
        elapsed: Duration,
    ) -> Self {
        let (word, digest, how) = match outcome {
            Outcome::Copied(copied) => {
                let how = OutcomeFields::Copied(CopiedRecord::new(copied));
                ("copied", Some(copied.digest.to_string()), how)
            }
            Outcome::Unchanged { digest, by } => {
                let evidence = *by;
                let how = OutcomeFields::Unchanged { evidence };
                ("unchanged", Some(digest.to_string()), how)
            }
            Outcome::Skipped { why } => ("skipped", None, OutcomeFields::Skipped { why }),
            Outcome::Failed(failure) => {
                let word = if failure.interrupted {
                    "interrupted"
                } else {
                    "failed"
                };
                let failure = FailureRecord::new(failure);
                (word, None, OutcomeFields::Failed { failure })
            }
            Outcome::Planned(planned) => {
                let digest = Some(planned.digest.to_string());
                let planned = PlannedRecord::new(planned);
                ("planned", digest, OutcomeFields::Planned { planned })
            }
        };
        Self {
            rule,
            source: &image.source,
            destination: &image.destination,
            outcome: word,
            digest,
            how,
            elapsed_seconds: seconds(elapsed),
        }
    }
}

impl CopiedRecord {
    fn new(copied: &Copied) -> Self {
        Self {
            replaced: copied.replaced.as_ref().map(ToString::to_string),
            filtered: copied.filtered,
            sparse: copied.sparse,
            volume: copied.volume,
            referrers: copied.referrers,
            only_referrers: copied.root_unchanged,
            contended: copied.contended,
            losses: copied.losses.iter().map(Loss::to_string).collect(),
        }
    }
}

impl<'a> FailureRecord<'a> {
    /// Creates the record of `failure`.
    pub(super) fn new(failure: &'a Failure) -> Self {
        Self {
            side: failure.side,
            class: class(failure.class()),
            cause: failure.cause.name(),
            kind: failure.kind.map(ErrorKind::name),
            host: &failure.host,
            status: failure.status,
            code: failure.code.as_deref(),
            tries: failure.tries,
            reason: &failure.reason,
            hint: hint(failure),
        }
    }
}

impl<'a> PlannedRecord<'a> {
    fn new(planned: &'a Planned) -> Self {
        let (change, from, losses): (_, _, &[Loss]) = match &planned.change {
            Change::New => ("new", None, &[]),
            Change::Moved { from } => ("moved", Some(from.to_string()), &[]),
            Change::Referrers => ("referrers", None, &[]),
            Change::Again(losses) => ("again", None, losses),
        };
        Self {
            change,
            from,
            losses: losses.iter().map(Loss::to_string).collect(),
            filtered: planned.filtered,
            sparse: planned.sparse,
            hidden: planned.hidden,
            cost: planned.cost.as_ref(),
        }
    }
}

/// Returns the name of a class.
pub(super) fn class(class: Responsibility) -> &'static str {
    match class {
        Responsibility::Source => "source",
        Responsibility::Destination => "destination",
        Responsibility::Credentials => "credentials",
        Responsibility::RateLimit => "rate-limit",
        Responsibility::Rules => "rules",
        Responsibility::Internal => "internal",
        Responsibility::Interrupted => "interrupted",
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
