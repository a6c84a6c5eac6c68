//! Writer of the document.

use std::io::{self, BufWriter, Write};
use std::sync::{Mutex, MutexGuard};
use std::time::SystemTime;

use image_syncer_sync::event::RuleTable;
use image_syncer_sync::{Event, Listener};
use jiff::{Timestamp, Unit};
use serde_json::json;

use crate::escape::DocumentWriter;
use crate::lock::lock;
use crate::report::VERSION;
use crate::report::closing::ClosingFields;
use crate::report::image::ImageRecord;
use crate::run_summary::RunSummary;

/// Listener that writes the report to any `Write`, one image at a time. A write error is returned at the end; the run
/// continues.
pub(crate) struct ReportWriter<W: Write> {
    state: Mutex<State<W>>,
    rules: RuleTable,
}

enum State<W: Write> {
    Open {
        out: BufWriter<DocumentWriter<W>>,
        images: u64,
    },
    Broken(io::Error),
    Closed,
}

impl<W: Write> ReportWriter<W> {
    /// Starts a document about `command`.
    pub(crate) fn begin(out: W, command: &str) -> Self {
        Self::begin_at(out, command, now())
    }

    /// Starts a document about `command`, which started at this time.
    pub(crate) fn begin_at(out: W, command: &str, started: Timestamp) -> Self {
        let mut out = BufWriter::with_capacity(1 << 16, DocumentWriter::new(out));
        let state = match head(&mut out, command, started) {
            Ok(()) => State::Open { out, images: 0 },
            Err(error) => State::broken(error, out),
        };
        Self {
            state: Mutex::new(state),
            rules: RuleTable::default(),
        }
    }

    /// Writes the last part, and returns the output. Later events are ignored.
    ///
    /// # Errors
    /// The first error since the start.
    pub(crate) fn end(&self, ending: &RunSummary<'_>) -> io::Result<W> {
        self.end_at(ending, now())
    }

    /// Does the same for a run that finished at this time.
    ///
    /// # Errors
    /// As [`Self::end`].
    pub(crate) fn end_at(&self, ending: &RunSummary<'_>, finished: Timestamp) -> io::Result<W> {
        match std::mem::replace(&mut *self.lock(), State::Closed) {
            State::Open { mut out, images } => match foot(&mut out, images, ending, finished) {
                Ok(()) => {
                    let out = out.into_inner().map_err(io::IntoInnerError::into_error)?;
                    Ok(out.into_inner())
                }
                Err(error) => {
                    drop(out.into_parts());
                    Err(error)
                }
            },
            State::Broken(error) => Err(error),
            State::Closed => Err(io::Error::other("it was ended before")),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<W>> {
        lock(&self.state)
    }
}

impl<W: Write> State<W> {
    /// Drops the buffer, so that its content is not written again.
    fn broken(error: io::Error, out: BufWriter<DocumentWriter<W>>) -> Self {
        drop(out.into_parts());
        Self::Broken(error)
    }
}

impl<W: Write + Send> Listener for ReportWriter<W> {
    fn event(&self, event: &Event) {
        self.rules.record(event);
        let Event::ImageFinished {
            image,
            outcome,
            elapsed,
        } = event
        else {
            return;
        };
        // Serialised before the lock is taken, because tasks of many images arrive here at the same time.
        let rule = self.rules.get(image.rule);
        let record = ImageRecord::new(&rule.name, image, outcome, *elapsed);
        let record = serde_json::to_vec(&record);
        let mut state = self.lock();
        let State::Open { out, images } = &mut *state else {
            return;
        };
        let before: &[u8] = if *images == 0 { b"\n    " } else { b",\n    " };
        *images += 1;
        let written = record
            .map_err(io::Error::from)
            .and_then(|record| out.write_all(before).and_then(|()| out.write_all(&record)));
        if let Err(error) = written
            && let State::Open { out, .. } = std::mem::replace(&mut *state, State::Closed)
        {
            *state = State::broken(error, out);
        }
    }
}

/// Returns the current time to the millisecond. It displays as RFC 3339 in UTC.
fn now() -> Timestamp {
    timestamp(SystemTime::now())
}

/// Returns `time` to the millisecond, or the nearest time that RFC 3339 can express, because a wrong clock may have any
/// value.
fn timestamp(time: SystemTime) -> Timestamp {
    let nearest = if time < SystemTime::UNIX_EPOCH {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    let time = Timestamp::try_from(time).unwrap_or(nearest);
    rounded(time)
}

fn rounded(time: Timestamp) -> Timestamp {
    time.round(Unit::Millisecond).unwrap_or(time)
}

fn head(out: &mut impl Write, command: &str, started: Timestamp) -> io::Result<()> {
    let program = json!({"name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION")});
    write!(
        out,
        "{{\n  \"version\": {VERSION},\n  \"program\": {program},\n  \"command\": {},\n  \"started\": \"{}\",\n  \
         \"images\": [",
        json!(command),
        rounded(started)
    )
}

fn foot(
    out: &mut impl Write,
    images: u64,
    ending: &RunSummary<'_>,
    finished: Timestamp,
) -> io::Result<()> {
    let close = if images == 0 { "]" } else { "\n  ]" };
    // The last fields of the document, without the braces of their object.
    let text = serde_json::to_string_pretty(&ClosingFields::new(ending, rounded(finished)))?;
    let fields = text.trim_start_matches('{').trim_start_matches('\n');
    write!(out, "{close},\n{fields}\n")?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::timestamp;

    #[test]
    fn a_clock_that_is_far_off_gives_the_nearest_valid_time() {
        let year = Duration::from_secs(31_556_952);
        let later = SystemTime::UNIX_EPOCH + 10_030 * year;
        let earlier = SystemTime::UNIX_EPOCH - 20_000 * year;
        assert_eq!(
            timestamp(later).to_string(),
            "9999-12-30T22:00:00.999999999Z"
        );
        assert_eq!(timestamp(earlier).to_string(), "-009999-01-02T01:59:59Z");
        let now = SystemTime::UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_400);
        assert_eq!(timestamp(now).to_string(), "2023-11-14T22:13:20.123Z");
    }
}
