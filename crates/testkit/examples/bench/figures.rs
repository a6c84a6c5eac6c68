//! Figures that a workload must reach, and their verdicts.

use crate::measure::Sample;
use crate::servers::Asked;
use crate::workloads::{Content, Figure, Workload};

/// The measurements for a verdict.
pub(crate) struct Evidence<'a> {
    pub(crate) workload: &'a Workload,
    pub(crate) content: &'a Content,
    pub(crate) ours: &'a Sample,
    pub(crate) relay: Option<&'a Sample>,
    /// Our binary with one destination only.
    pub(crate) single: Option<&'a Sample>,
}

/// The verdict on a figure.
pub(crate) struct Verdict {
    /// The required and the actual value.
    pub(crate) text: String,
    /// `None` if the reference was not measured.
    pub(crate) met: Option<bool>,
}

/// Returns CPU seconds per 10^9 bytes that destinations received, or `None` if these are too few.
pub(crate) fn cpu_per_gb(sample: &Sample) -> Option<f64> {
    let gb = as_f64(sample.asked.sent) / 1e9;
    (gb >= 0.1).then(|| sample.cpu / gb)
}

/// Returns CPU milliseconds per request at the registries, or `None` if bytes of blobs went with them.
pub(crate) fn cpu_per_question(sample: &Sample) -> Option<f64> {
    let asked = &sample.asked;
    let only_asks = asked.fetched == 0 && asked.sent == 0 && asked.requests > 0;
    only_asks.then(|| sample.cpu * 1e3 / as_f64(asked.requests))
}

/// Converts a count for calculations.
#[allow(
    clippy::cast_precision_loss,
    reason = "counts and sizes are far below 2^52"
)]
pub(crate) fn as_f64(count: u64) -> f64 {
    count as f64
}

impl Figure {
    /// Returns the verdict.
    pub(crate) fn judge(&self, evidence: &Evidence<'_>) -> Verdict {
        let Evidence {
            workload,
            content,
            ours,
            relay,
            single,
        } = evidence;
        let (wall, asked) = (ours.wall, &ours.asked);
        let unique = content.unique;
        match *self {
            Self::Seconds(most) => at_most("s", wall, most),
            Self::SecondsOrRelay(most, ratio) => seconds_or_relay(wall, *relay, most, ratio),
            Self::CpuOfRelay(most) => cpu_of_relay(ours, *relay, most),
            Self::Requests(most) => counted(
                &format!("at most {most} requests"),
                asked.requests,
                asked.requests <= most,
            ),
            Self::ListsAndTokens => lists_and_tokens(asked),
            Self::PutsOnly(puts) => puts_only(asked, puts),
            Self::FetchedOnce => exactly("fetched", asked.fetched, unique),
            Self::SentOnce => exactly("sent", asked.sent, unique * workload.destinations as u64),
            Self::FetchedAtMost(most) => {
                let times = as_f64(asked.fetched) / as_f64(unique);
                at_most("times the unique bytes fetched", times, most)
            }
            Self::PeakMib(most) => at_most("MiB of memory", ours.peak / 1024.0, most),
            Self::TagsPerSecond(least) => at_least("tags/s", as_f64(content.tags) / wall, least),
            Self::TimesOneConnection(least) => {
                let rate = as_f64(workload.source_rate.unwrap_or(u64::MAX));
                let times = as_f64(asked.sent) / wall / rate;
                at_least("times the speed of one connection", times, least)
            }
            Self::Refused(most) => counted(
                &format!("at most {most} answers 429"),
                asked.refused,
                asked.refused <= most,
            ),
            Self::TimesLimit(most) => {
                let limit = workload.requests_per_second.unwrap_or(u32::MAX);
                // After the burst of the first second.
                let time = as_f64(asked.accepted) / f64::from(limit) - 1.0;
                at_most("of the time that the limit demands", wall / time, most)
            }
            Self::ThanOneDestination(most) => match single {
                Some(single) => at_most("of the time of one destination", wall / single.wall, most),
                None => unknown(&format!("at most {most} of the time of one destination")),
            },
        }
    }
}

fn seconds_or_relay(wall: f64, relay: Option<&Sample>, most: f64, ratio: f64) -> Verdict {
    let Some(relay) = relay else {
        return at_most("s", wall, most);
    };
    let of_relay = wall / relay.wall;
    Verdict {
        text: format!("{most} s or {ratio} of the relay: {wall:.2} s, {of_relay:.2} of it"),
        met: Some(wall <= most || of_relay <= ratio),
    }
}

fn cpu_of_relay(ours: &Sample, relay: Option<&Sample>, most: f64) -> Verdict {
    match (cpu_per_gb(ours), relay.and_then(cpu_per_gb)) {
        (Some(ours), Some(relay)) => at_most("of the relay's CPU s/GB", ours / relay, most),
        _ => unknown(&format!("at most {most} of the relay's CPU s/GB")),
    }
}

fn lists_and_tokens(asked: &Asked) -> Verdict {
    let is_other = |kind: &String| !["Tags", "Token", "Ping"].iter().any(|k| kind.ends_with(k));
    let others = asked.kinds.iter().filter(|(kind, _)| is_other(kind));
    let others: u64 = others.map(|(_, count)| count).sum();
    let text = "other requests than lists and tokens: 0";
    counted(text, others, others == 0)
}

fn puts_only(asked: &Asked, puts: u64) -> Verdict {
    let count = |kind: &str| asked.kinds.get(&format!("destination {kind}")).copied();
    let manifests = count("ManifestPut").unwrap_or(0);
    let blobs = ["BlobHead", "UploadPost", "Mount"];
    let blobs: u64 = blobs.iter().filter_map(|kind| count(kind)).sum();
    Verdict {
        text: format!("{puts} PUTs and no request for a blob: {manifests}, {blobs}"),
        met: Some(manifests == puts && blobs == 0),
    }
}

fn at_most(unit: &str, value: f64, most: f64) -> Verdict {
    Verdict {
        text: format!("at most {most} {unit}: {value:.2}"),
        met: Some(value <= most),
    }
}

fn at_least(unit: &str, value: f64, least: f64) -> Verdict {
    Verdict {
        text: format!("at least {least} {unit}: {value:.1}"),
        met: Some(value >= least),
    }
}

fn counted(text: &str, value: u64, met: bool) -> Verdict {
    Verdict {
        text: format!("{text}: {value}"),
        met: Some(met),
    }
}

fn exactly(what: &str, value: u64, unique: u64) -> Verdict {
    let times = as_f64(value) / as_f64(unique);
    Verdict {
        text: format!("every byte {what} once: {times:.2} times"),
        met: Some(value == unique),
    }
}

fn unknown(text: &str) -> Verdict {
    Verdict {
        text: format!("{text}: not measured"),
        met: None,
    }
}
