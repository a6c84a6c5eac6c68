//! Stores without content, which take time or fail, for tests of runs over simulated time.

#![allow(clippy::unwrap_used)]
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use image_syncer_registry::{Error, ErrorKind};
use image_syncer_sync::config::{ConfigFiles, Defaults, Input};
use image_syncer_sync::rule::OptionOverrides;
use image_syncer_sync::session::SessionOptions;
use image_syncer_sync::settings::Listing;
use image_syncer_sync::store::{
    Destination, Endpoint, RepositoryPage, RepositoryPages, RepositoryScope, Source, StoreError,
    StoreResult, Stores,
};
use image_syncer_sync::{Config, Repository, Session};
use jiff::Timestamp;

use crate::lock::lock;
use crate::service::clock::Clock;
use crate::service::observer::{RunObserver, RunObservers};
use crate::service::rule_book::RuleBook;
use crate::service::run::{Run, RunState};
use crate::service::runs::{RunLimits, Runs};
use crate::service::schedule::{LastStart, Schedules};

/// Stores in which every list of repositories is empty. The list of `slow-90.example` takes 90 minutes, that of
/// `broken.example` fails, and that of `panic.example` panics.
struct EmptyStores;

struct EmptyList(Duration);

impl Stores for EmptyStores {
    fn source<'a>(&'a self, _: &'a Repository) -> BoxFuture<'a, StoreResult<Arc<dyn Source>>> {
        unreachable!("there are no repositories")
    }

    fn destination<'a>(
        &'a self,
        _: &'a Repository,
    ) -> BoxFuture<'a, StoreResult<Arc<dyn Destination>>> {
        unreachable!("there are no repositories")
    }

    fn repositories<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        _: &'a RepositoryScope,
    ) -> BoxFuture<'a, StoreResult<Box<dyn RepositoryPages>>> {
        let host = endpoint.name();
        assert_ne!(host, "panic.example", "the list panicked");
        if host == "broken.example" {
            let error = Error::new(ErrorKind::Denied, "list repositories", &*host, "forbidden");
            return std::future::ready(Err(StoreError::source(error))).boxed();
        }
        let minutes = host.strip_prefix("slow-");
        let minutes = minutes.and_then(|rest| rest.trim_end_matches(".example").parse().ok());
        let time = Duration::from_secs(60 * minutes.unwrap_or(0));
        std::future::ready(Ok(Box::new(EmptyList(time)) as Box<dyn RepositoryPages>)).boxed()
    }
}

impl RepositoryPages for EmptyList {
    fn next(&mut self) -> BoxFuture<'_, StoreResult<Option<RepositoryPage>>> {
        async {
            tokio::time::sleep(self.0).await;
            Ok(None)
        }
        .boxed()
    }
}

/// Returns a session over stores without content.
pub(super) fn session() -> Session {
    Session::over(Arc::new(EmptyStores), SessionOptions::default())
}

/// Returns the rules of a native file with these rules in flow form, one a line:
/// `{name: a, from: "fast.example/**", schedule: {every: 1h}}`.
pub(super) fn rules(lines: &[&str]) -> Arc<RuleBook> {
    let rules = lines.iter().enumerate().map(|(number, line)| {
        let line = line.strip_suffix('}').unwrap();
        // Rules that copy the same would be merged.
        format!("- {line}, to: \"to-{number}.example/{{repository}}\", if-empty: ignore}}\n")
    });
    let rules: Vec<String> = rules.collect();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rules.yaml");
    std::fs::write(&path, format!("version: 1\nrules:\n{}", rules.concat())).unwrap();
    let files = ConfigFiles {
        config: vec![Input::File(path)],
        ..ConfigFiles::default()
    };
    let none = OptionOverrides::default();
    let config = Config::read(&files, &Defaults::default(), &|_| None, &none);
    Arc::new(RuleBook::new(&config.unwrap()))
}

/// A service over simulated time, with the states of its runs as lines.
pub(super) struct Simulation {
    pub(super) clock: Clock,
    pub(super) runs: Runs,
    pub(super) schedules: Schedules,
    pub(super) recorder: Arc<Recorder>,
}

/// Records the states of runs, and the last starts, as the history does.
pub(super) struct Recorder {
    lines: Mutex<Vec<String>>,
    /// Causes and tags of runs that wait, at each change.
    pub(super) waiting: Mutex<Vec<String>>,
    starts: Mutex<HashMap<Arc<str>, LastStart>>,
}

impl RunObserver for Recorder {
    fn changed(&self, run: &Run) {
        let at = match run.state {
            RunState::Queued => {
                let line = format!("{} {}:{}", run.rule, run.cause, run.scope.tags.join(","));
                lock(&self.waiting).push(line);
                return;
            }
            RunState::Running => run.started,
            _ => run.ended,
        };
        let at = at.unwrap().strftime("%a %d %H:%M");
        lock(&self.lines).push(format!("{at} {} {} {}", run.rule, run.state, run.cause));
        if let Some(started) = run.started {
            let start = match run.state {
                RunState::Interrupted => LastStart::Interrupted(started),
                _ => LastStart::At(started),
            };
            lock(&self.starts).insert(Arc::clone(&run.rule), start);
        }
    }

    fn reloaded(&self, rules: Result<&Arc<RuleBook>, &str>) {
        let line = match rules {
            Ok(rules) => format!("reloaded: {} rules", rules.rules().len()),
            Err(mistakes) => format!("not reloaded: {mistakes}"),
        };
        lock(&self.lines).push(line);
    }
}

impl Recorder {
    /// Returns the lines since the last call.
    pub(super) fn lines(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.lines))
    }
}

impl Simulation {
    /// Starts a service at `now`.
    pub(super) fn start(now: &str, rules: Arc<RuleBook>, most: usize) -> Self {
        let clock = Clock::following_tokio(now.parse().unwrap());
        let recorder = Arc::new(Recorder {
            lines: Mutex::default(),
            waiting: Mutex::default(),
            starts: Mutex::default(),
        });
        Self::with(clock, recorder, rules, most)
    }

    fn with(clock: Clock, recorder: Arc<Recorder>, rules: Arc<RuleBook>, most: usize) -> Self {
        let schedules = Schedules::new(clock, lock(&recorder.starts).clone());
        let limits = RunLimits {
            runs: most,
            grace: Duration::ZERO,
            listing: Listing::Auto,
            clock,
        };
        let observers: Vec<Arc<dyn RunObserver>> =
            vec![recorder.clone(), Arc::new(schedules.clone())];
        let observers = RunObservers::new(observers);
        Self {
            runs: Runs::new(session(), rules, limits, observers, None),
            clock,
            schedules,
            recorder,
        }
    }

    /// Ends the service, and starts it again `down` later, with the starts that it recorded.
    pub(super) async fn restart(self, down: Duration) -> Self {
        self.runs.close();
        self.runs.interrupt();
        self.runs.drive().await;
        tokio::time::sleep(down).await;
        let (rules, most) = (self.runs.rules(), self.runs.most());
        Self::with(self.clock, self.recorder, rules, most)
    }

    /// Lets the service go on until `end`, and returns the lines.
    pub(super) async fn until(&self, end: &str) -> Vec<String> {
        let end: Timestamp = end.parse().unwrap();
        let left = Duration::try_from(end.duration_since(self.clock.now())).unwrap();
        tokio::select! {
            () = self.runs.drive() => {}
            () = self.schedules.drive(&self.runs) => {}
            () = tokio::time::sleep(left) => {}
        }
        self.recorder.lines()
    }
}
