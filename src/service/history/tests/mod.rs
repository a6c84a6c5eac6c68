#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod bench;
mod deliveries;
mod faults;
mod paging;
mod plans;
mod retention;
mod rows;
mod tags;
mod throughput;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use image_syncer_registry::Digest;
use image_syncer_sync::event::{Change, Copied, Evidence, Planned, RuleDescription, Volume};
use image_syncer_sync::{Event, Failure, ImageId, Outcome, RuleId};
use jiff::Timestamp;
use tempfile::TempDir;

use crate::lock::lock;
use crate::service::history::retention::Retention;
use crate::service::history::{History, HistoryFile};
use crate::service::observer::RunObserver as _;
use crate::service::run::{Cause, Run, RunCounts, RunId, RunPurpose, RunState, Scope};

/// Maximum wait of tests for the thread that writes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A history in a directory of its own, and the faults that it reported.
struct Fixture {
    directory: TempDir,
    history: History,
    reported: Arc<Mutex<Vec<String>>>,
}

impl Fixture {
    fn new() -> Self {
        Self::with(Retention::default())
    }

    fn with(retention: Retention) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let reported: Arc<Mutex<Vec<String>>> = Arc::default();
        let reports = Arc::clone(&reported);
        let report = move |error: &_| lock(&reports).push(format!("{error}"));
        let path = directory.path().join("history.sqlite3");
        let history = History::open_with(&path, retention, report).unwrap();
        Self {
            directory,
            history,
            reported,
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("history.sqlite3")
    }

    fn file(&self) -> HistoryFile {
        HistoryFile::open(&self.path()).unwrap()
    }

    /// Returns the number of a query.
    fn number(&self, query: &str) -> i64 {
        let file = self.file();
        file.connection
            .query_row(query, (), |row| row.get(0))
            .unwrap()
    }

    /// Carries out a run with these events, and returns it.
    fn run(&self, mut run: Run, events: impl IntoIterator<Item = Event>) -> Run {
        self.history.changed(&run);
        run.state = RunState::Running;
        run.started = Some(run.requested);
        self.history.changed(&run);
        for event in events {
            self.history.event(run.id, &event);
        }
        run.state = RunState::Succeeded;
        run.ended = Some(at(run.requested.as_millisecond() + 1_000));
        self.history.changed(&run);
        run
    }
}

fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap()
}

/// Returns run `number` of a rule, which waits.
pub(super) fn queued(rule: &str, number: i64) -> Run {
    let requested = at(1_796_000_000_000 + number * 60_000);
    Run {
        id: RunId::after(requested, None),
        rule: rule.into(),
        cause: Cause::Schedule,
        purpose: RunPurpose::Sync,
        scope: Scope::default(),
        state: RunState::Queued,
        requested,
        started: None,
        ended: None,
        counts: RunCounts::default(),
        failure: None,
    }
}

fn digest(number: u64) -> Digest {
    Digest::sha256(&number.to_be_bytes())
}

fn rule_id() -> RuleId {
    RuleId::new("rule", None)
}

/// Returns the events of a rule with these images.
fn listed(images: Vec<Event>) -> Vec<Event> {
    let mut rule = RuleDescription::unknown(rule_id());
    rule.source = "a.example/team/*".to_owned();
    let mut events = vec![
        Event::RuleStarted {
            rule: Arc::new(rule),
        },
        Event::RuleDiscovered {
            rule: rule_id(),
            images: images.len() as u64,
            empty: None,
        },
    ];
    events.extend(images);
    events
}

/// Returns the end of the image `name` (`app:v1`), which is copied from `a.example` to `b.example/mirror`.
fn ended(name: &str, outcome: Outcome) -> Event {
    Event::ImageFinished {
        image: ImageId {
            rule: rule_id(),
            source: format!("a.example/{name}").into(),
            destination: format!("b.example/mirror/{name}").into(),
        },
        outcome,
        elapsed: Duration::from_millis(250),
    }
}

fn unchanged(name: &str, number: u64) -> Event {
    let outcome = Outcome::Unchanged {
        digest: digest(number),
        by: Evidence::Registry,
    };
    ended(name, outcome)
}

fn copied(name: &str, number: u64) -> Event {
    let volume = Volume {
        bytes: 1_000,
        ..Volume::default()
    };
    let outcome = Outcome::Copied(Copied {
        volume,
        ..Copied::without_transfer(digest(number))
    });
    ended(name, outcome)
}

fn planned(name: &str, number: u64, change: Change) -> Event {
    let outcome = Outcome::Planned(Box::new(Planned {
        digest: digest(number),
        change,
        filtered: false,
        sparse: false,
        hidden: false,
        cost: None,
    }));
    ended(name, outcome)
}

fn failed(name: &str, cause: image_syncer_registry::Cause, host: &str) -> Event {
    let failure = Failure {
        cause,
        host: host.to_owned(),
        ..Failure::local(format!("cannot copy {name}: refused"))
    };
    ended(name, Outcome::Failed(failure))
}
