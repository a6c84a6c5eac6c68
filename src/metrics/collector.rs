//! Encoding of the values, in the order of their labels.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use crate::metrics::Metrics;
use crate::metrics::histogram::Histogram;
use crate::metrics::state::{METHODS, NOTIFICATION_OUTCOMES, OUTCOMES, STATUSES, State};

/// Encodes the present values.
pub(super) struct Collector(Metrics);

impl Collector {
    pub(super) fn new(metrics: Metrics) -> Self {
        Self(metrics)
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").finish_non_exhaustive()
    }
}

impl prometheus_client::collector::Collector for Collector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let state = self.0.state();
        let encoder = &mut encoder;
        build(encoder)?;
        runs(encoder, &state)?;
        rules(encoder, &state)?;
        bytes(encoder, &state)?;
        requests(encoder, &state)?;
        pauses(encoder, &state)?;
        limits(encoder, &state)?;
        service(encoder, &state)?;
        notifications(encoder, &state)?;
        workers(encoder, &state)
    }
}

/// Begins a counter.
fn counter<'a>(
    encoder: &'a mut DescriptorEncoder<'_>,
    name: &'a str,
    help: &str,
    unit: Option<&'a Unit>,
) -> Result<MetricEncoder<'a>, fmt::Error> {
    encoder.encode_descriptor(name, help, unit, MetricType::Counter)
}

/// Begins a gauge.
fn gauge<'a>(
    encoder: &'a mut DescriptorEncoder<'_>,
    name: &'a str,
    help: &str,
    unit: Option<&'a Unit>,
) -> Result<MetricEncoder<'a>, fmt::Error> {
    encoder.encode_descriptor(name, help, unit, MetricType::Gauge)
}

/// Begins a histogram of durations.
fn durations<'a>(
    encoder: &'a mut DescriptorEncoder<'_>,
    name: &'a str,
    help: &str,
) -> Result<MetricEncoder<'a>, fmt::Error> {
    encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)
}

/// Writes a value of a counter.
fn add(encoder: &mut MetricEncoder<'_>, labels: &impl EncodeLabelSet, value: u64) -> fmt::Result {
    let mut encoder = encoder.encode_family(labels)?;
    encoder.encode_counter::<NoLabelSet, u64, u64>(&value, None)
}

/// Writes a value of a counter of seconds.
fn add_seconds(
    encoder: &mut MetricEncoder<'_>,
    labels: &impl EncodeLabelSet,
    value: std::time::Duration,
) -> fmt::Result {
    let mut encoder = encoder.encode_family(labels)?;
    encoder.encode_counter::<NoLabelSet, f64, f64>(&value.as_secs_f64(), None)
}

/// Writes a value of a gauge.
fn set(encoder: &mut MetricEncoder<'_>, labels: &impl EncodeLabelSet, value: i64) -> fmt::Result {
    encoder.encode_family(labels)?.encode_gauge(&value)
}

/// Writes a histogram.
fn observe<const N: usize>(
    encoder: &mut MetricEncoder<'_>,
    labels: &impl EncodeLabelSet,
    value: &Histogram<N>,
) -> fmt::Result {
    let mut encoder = encoder.encode_family(labels)?;
    encoder.encode_histogram::<NoLabelSet>(value.sum(), value.count(), &value.buckets(), None)
}

/// Returns a number as the value of a gauge.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn build(encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let help = "Version of the program; the value is always 1.";
    let mut info = encoder.encode_descriptor("build", help, None, MetricType::Info)?;
    info.encode_info(&[("version", env!("CARGO_PKG_VERSION"))])
}

fn runs(encoder: &mut DescriptorEncoder<'_>, state: &State) -> fmt::Result {
    let help = "Runs that ended, by the reason for them and their result.";
    let mut runs = counter(encoder, "runs", help, None)?;
    for (rule, series) in state.labelled_rules() {
        for ((cause, result), number) in &series.runs {
            let labels = [("rule", rule), ("cause", cause), ("result", result)];
            add(&mut runs, &labels, *number)?;
        }
    }
    let mut duration = durations(encoder, "run_duration", "Duration of runs.")?;
    for (rule, series) in state.labelled_rules() {
        observe(&mut duration, &[("rule", rule)], &series.duration)?;
    }
    Ok(())
}

fn rules(encoder: &mut DescriptorEncoder<'_>, state: &State) -> fmt::Result {
    let help = "End of the last run of the whole rule that succeeded, since 1970.";
    let mut success = gauge(
        encoder,
        "rule_last_success_timestamp",
        help,
        Some(&Unit::Seconds),
    )?;
    for (rule, series) in state.labelled_rules() {
        if let Some(value) = series.last_success {
            set(&mut success, &[("rule", rule)], value)?;
        }
    }
    let help = "Images, repositories and rules that failed in the last run of the whole rule.";
    let mut failed = gauge(encoder, "rule_last_run_failed_images", help, None)?;
    for (rule, series) in state.labelled_rules() {
        if let Some(value) = series.last_run_failed {
            set(&mut failed, &[("rule", rule)], signed(value))?;
        }
    }
    let help = "Start of the next run by schedule, since 1970.";
    let mut next = gauge(
        encoder,
        "rule_next_run_timestamp",
        help,
        Some(&Unit::Seconds),
    )?;
    for (rule, series) in state.labelled_rules() {
        if let Some(planned) = series.planned {
            set(&mut next, &[("rule", rule)], planned.start.as_second())?;
        }
    }
    let help = "Time from the next run by schedule to the one after it.";
    let mut interval = gauge(encoder, "rule_interval", help, Some(&Unit::Seconds))?;
    for (rule, series) in state.labelled_rules() {
        if let Some(value) = series.planned.and_then(|planned| planned.interval) {
            set(&mut interval, &[("rule", rule)], value.as_secs())?;
        }
    }
    let help = "Images that ended, once for each destination, by their outcome.";
    let mut images = counter(encoder, "images", help, None)?;
    for (rule, series) in state.labelled_rules() {
        for (outcome, number) in OUTCOMES.iter().zip(series.images) {
            add(&mut images, &[("rule", rule), ("outcome", outcome)], number)?;
        }
    }
    Ok(())
}

fn bytes(encoder: &mut DescriptorEncoder<'_>, state: &State) -> fmt::Result {
    let help = "Bytes of the bodies of requests and answers.";
    let mut moved = counter(encoder, "transferred", help, Some(&Unit::Bytes))?;
    for (registry, series) in state.labelled_registries() {
        let by_direction = [
            ("received", series.bytes.received()),
            ("sent", series.bytes.sent()),
        ];
        for (direction, bytes) in by_direction {
            let labels = [("registry", registry), ("direction", direction)];
            add(&mut moved, &labels, bytes)?;
        }
    }
    let help = "Bytes of blobs that a destination did not have to receive.";
    let mut saved = counter(encoder, "saved", help, Some(&Unit::Bytes))?;
    for (registry, series) in state.labelled_registries() {
        let by_kind = [
            ("mounted", series.saved.mounted),
            ("present", series.saved.present),
            ("shared", series.saved.shared),
        ];
        for (how, bytes) in by_kind {
            add(&mut saved, &[("registry", registry), ("how", how)], bytes)?;
        }
    }
    Ok(())
}

fn requests(encoder: &mut DescriptorEncoder<'_>, state: &State) -> fmt::Result {
    let help =
        "Requests that were tried, by the class of the answer's status; none without an answer.";
    let mut requests = counter(encoder, "registry_requests", help, None)?;
    for (registry, series) in state.labelled_registries() {
        for (method, statuses) in METHODS.iter().zip(&series.requests) {
            for (status, number) in STATUSES.iter().zip(statuses) {
                if *number > 0 {
                    let labels = [
                        ("registry", registry),
                        ("method", method),
                        ("status", status),
                    ];
                    add(&mut requests, &labels, *number)?;
                }
            }
        }
    }
    let help = "Time from the request to the head of its answer.";
    let mut duration = durations(encoder, "registry_request_duration", help)?;
    for (registry, series) in state.labelled_registries() {
        observe(&mut duration, &[("registry", registry)], &series.duration)?;
    }
    let help = "Requests that failed and were tried again.";
    let mut retries = counter(encoder, "registry_retries", help, None)?;
    for (registry, series) in state.labelled_registries() {
        add(&mut retries, &[("registry", registry)], series.retries)?;
    }
    Ok(())
}

fn pauses(encoder: &mut DescriptorEncoder<'_>, state: &State) -> fmt::Result {
    let help = "Time for which a registry asked to be left alone, counted when a pause begins.";
    let mut paused = counter(encoder, "registry_paused", help, Some(&Unit::Seconds))?;
    for (registry, series) in state.labelled_registries() {
        let by_reason = [
            ("rate-limit", series.rate_limit_pauses),
            ("overload", series.overload_pauses),
        ];
        for (why, time) in by_reason {
            add_seconds(&mut paused, &[("registry", registry), ("why", why)], time)?;
        }
    }
    Ok(())
}

fn limits(encoder: &mut DescriptorEncoder<'_>, state: &State) -> fmt::Result {
    let help = "Maximum number of requests of a kind in flight, which adjusts itself.";
    let mut windows = gauge(encoder, "registry_window", help, None)?;
    for (registry, series) in state.labelled_registries() {
        let by_kind = [
            ("calls", series.limits.calls),
            ("downloads", series.limits.downloads),
            ("uploads", series.limits.uploads),
        ];
        for (kind, size) in by_kind {
            if let Some(size) = size {
                let labels = [("registry", registry), ("kind", kind)];
                set(&mut windows, &labels, signed(size as u64))?;
            }
        }
    }
    let help = "Pulls that the registry has left for us, if it says so.";
    let mut pulls = gauge(encoder, "registry_pulls_remaining", help, None)?;
    for (registry, series) in state.labelled_registries() {
        if let Some(left) = series.limits.pulls_remaining {
            set(&mut pulls, &[("registry", registry)], signed(left))?;
        }
    }
    Ok(())
}

fn service(encoder: &mut DescriptorEncoder<'_>, state: &State) -> fmt::Result {
    let help = "Uploads of blobs in progress, waiting ones included.";
    let mut transfers = gauge(encoder, "transfers_in_flight", help, None)?;
    transfers.encode_gauge(&signed(state.transfers()))?;
    let help = "Hooks that were received, by their kind and result.";
    let mut hooks = counter(encoder, "hooks", help, None)?;
    for ((kind, result), number) in &state.hooks {
        add(&mut hooks, &[("kind", *kind), ("result", *result)], *number)?;
    }
    let help = "1 if the files could be read at the last reload, otherwise 0.";
    let mut reload = gauge(encoder, "config_reload_ok", help, None)?;
    match state.config_reload_ok {
        Some(is_ok) => reload.encode_gauge(&i64::from(is_ok)),
        None => Ok(()),
    }
}

fn notifications(encoder: &mut DescriptorEncoder<'_>, state: &State) -> fmt::Result {
    let help = "Tries to send a notification, by their receiver and outcome.";
    let mut tries = counter(encoder, "notifications", help, None)?;
    for (receiver, numbers) in &state.notifications {
        for (outcome, number) in NOTIFICATION_OUTCOMES.iter().zip(numbers) {
            let labels = [("receiver", &**receiver), ("outcome", outcome)];
            add(&mut tries, &labels, *number)?;
        }
    }
    let help = "Notifications in the queue, which are sent or tried again.";
    let mut waiting = gauge(encoder, "notifications_waiting", help, None)?;
    match state.waiting_notifications {
        Some(number) => waiting.encode_gauge(&signed(number)),
        None => Ok(()),
    }
}

fn workers(encoder: &mut DescriptorEncoder<'_>, state: &State) -> fmt::Result {
    let help = "Workers that share the runs, seen within a minute.";
    let mut workers = gauge(encoder, "workers", help, None)?;
    match state.workers {
        Some(number) => workers.encode_gauge(&signed(number)),
        None => Ok(()),
    }
}
