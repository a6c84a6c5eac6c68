//! Log lines for requests, and lines for people about retries, pauses and warnings of registries.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

use image_syncer_registry::transport::{Lane, Observer, PauseReason, RequestRecord};

use crate::lock::lock;
use crate::ui::lines::{LineLabel, LineSubject, LineWriter};
use crate::ui::units;

/// Maximum number of sentences that are remembered to print each only once. A registry that always sends other warnings
/// must not fill the memory.
const REMEMBERED: usize = 1000;

/// Minimum length of a pause that is printed.
const SHORT_PAUSE: Duration = Duration::from_secs(2);

/// Target of these lines in `RUST_LOG`: the transport of the registry crate.
const TARGET: &str = "image_syncer_registry::transport";

/// Logs every request.
pub struct RequestLogger {
    lines: LineWriter,
    said: Mutex<HashSet<String>>,
}

impl RequestLogger {
    /// Prints to `lines`.
    pub fn new(lines: LineWriter) -> Self {
        Self {
            lines,
            said: Mutex::default(),
        }
    }

    fn first_time(&self, sentence: &str) -> bool {
        let mut said = lock(&self.said);
        said.len() < REMEMBERED && said.insert(sentence.to_owned())
    }
}

impl Observer for RequestLogger {
    fn request(&self, record: &RequestRecord<'_>) {
        if !tracing::enabled!(target: TARGET, tracing::Level::DEBUG) {
            return;
        }
        let url = record.url();
        let status = record.status.map(|status| status.as_u16());
        let answer = status.map_or("no answer".to_owned(), |status| status.to_string());
        tracing::debug!(
            target: TARGET,
            host = %record.host(),
            method = record.method.as_str(),
            url,
            status,
            elapsed_ms = u64::try_from(record.elapsed.as_millis()).unwrap_or(u64::MAX),
            "try" = record.tries,
            request_id = record.request_id(),
            action = record.action,
            sent_bytes = (record.sent > 0).then_some(record.sent),
            answer_bytes = record.length,
            "{} {} {answer}",
            record.method,
            url,
        );
    }

    fn retry(&self, host: &str, error: &str, tries: u32, delay: Duration) {
        let delay = units::time(delay);
        // The first retry at a host explains why a run takes longer; the others go to the log.
        if self.first_time(&format!("retry {host}")) {
            self.lines.print_about(
                LineLabel::Note,
                LineSubject::host(host),
                &format!(
                    "retry in {delay}: {error} (further retries at {host} are logged with -vv)"
                ),
            );
        } else {
            tracing::debug!(target: TARGET, host, "try {tries} failed, retry in {delay}: {error}");
        }
    }

    fn pause(&self, host: &str, delay: Duration, why: PauseReason) {
        let delay_text = units::time(delay);
        if delay >= SHORT_PAUSE {
            self.lines.print_about(
                LineLabel::Note,
                LineSubject::host(host),
                &format!("{host} asks for a pause of {delay_text}"),
            );
        } else {
            let why = match why {
                PauseReason::RateLimit => "it answered 429",
                PauseReason::Overload => "it is overloaded",
            };
            tracing::debug!(target: TARGET, host, "{host}: pause of {delay_text}: {why}");
        }
    }

    fn narrowed(&self, host: &str, lane: Lane, size: usize) {
        let what = match lane {
            Lane::Calls => "small requests",
            Lane::Downloads => "downloads",
            Lane::Uploads => "uploads",
        };
        tracing::trace!(host, "{host}: at most {size} {what} at a time for now");
    }

    fn warning(&self, host: &str, text: &str) {
        let sentence = format!("{host} says: {text}");
        if self.first_time(&sentence) {
            self.lines
                .print_about(LineLabel::Warning, LineSubject::host(host), &sentence);
        }
    }
}
