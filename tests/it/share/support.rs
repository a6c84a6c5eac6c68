//! Registries, a server, and the processes of a shared run.

use std::collections::BTreeMap;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::{Image, Kind, Layer, Profile, Registry};

use crate::support::postgres::Postgres;
use crate::support::report::report;
use crate::support::{Outcome, PATIENCE, Place, assert_arrived, signal};

/// Number of repositories of a run.
pub(super) const REPOSITORIES: usize = 40;
/// Number of all images.
pub(super) const IMAGES: usize = REPOSITORIES * TAGS.len();
const TAGS: [&str; 2] = ["v1", "v2"];
/// Time of each answer, so that a run lasts longer than the start of a process.
const LATENCY: Duration = Duration::from_millis(20);

/// Native file with one pattern.
const FILE: &str = r#"version: 1
registries:
  "SRC": {list: catalog, tls: {plain-http: true}}
  "DST": {list: catalog, tls: {plain-http: true}}
rules:
  - {name: teams, from: "SRC/team/*", to: "DST/{repository}"}
"#;

/// Files of a run between two registries.
pub(super) struct Shared {
    pub(super) source: Registry,
    pub(super) destination: Registry,
    pub(super) place: Place,
    url: String,
}

impl Shared {
    /// Starts registries of which the source has [`images`].
    pub(super) fn new(server: &Postgres) -> Self {
        let shared = Self::empty(server);
        for ((repository, tag), image) in images() {
            shared.source.push(&repository, Some(tag), &image);
        }
        shared.source.set_latency(LATENCY);
        shared.destination.set_latency(LATENCY);
        shared
    }

    /// Starts empty registries. Leases last two seconds.
    pub(super) fn empty(server: &Postgres) -> Self {
        Self::between(server, Profile::distribution)
    }

    /// Starts empty registries of this kind.
    pub(super) fn between(server: &Postgres, profile: fn() -> Profile) -> Self {
        let start = || Registry::builder().profile(profile()).start_on_thread();
        let (source, destination) = (start(), start());
        let file = FILE
            .replace("SRC", &source.host())
            .replace("DST", &destination.host());
        Self {
            source,
            destination,
            place: Place::new()
                .file("mirror.yaml", &file)
                .variable("IMAGE_SYNCER_TEST_LEASE", "2"),
            url: server.url(),
        }
    }

    /// Uses another URL of the server from now on.
    pub(super) fn set_url(&mut self, url: &str) {
        url.clone_into(&mut self.url);
    }

    /// Starts the process that begins a run.
    pub(super) fn begin(&self, arguments: &[&str]) -> Process {
        self.start(&[&["--report", "report.json"], arguments].concat())
    }

    /// Starts a worker.
    pub(super) fn worker(&self) -> Process {
        self.start(&["work"])
    }

    /// Starts a worker that ends when there was no work for a time.
    pub(super) fn idle_worker(&self) -> Process {
        self.start(&["work", "--idle", "2s"])
    }

    /// Starts a worker that also writes what it prints to a file.
    pub(super) fn logged_worker(&self, log: &str) -> Process {
        self.start(&["work", "--log", log])
    }

    /// Waits until a worker has written `text` to its log.
    #[track_caller]
    pub(super) fn wait_for_line(&self, log: &str, text: &str) {
        let path = self.place.path(log);
        until(|| std::fs::read_to_string(&path).is_ok_and(|lines| lines.contains(text)));
    }

    fn start(&self, arguments: &[&str]) -> Process {
        let files = [
            "--config",
            "mirror.yaml",
            "--no-records",
            "--share",
            &self.url,
        ];
        let mut command = self.place.command(&[arguments, &files].concat());
        Process::start(&mut command)
    }

    /// Waits until the destination has received this many requests. Returns false if `process` ends before.
    pub(super) fn wait_for_requests(&self, requests: u64, process: &mut Process) -> bool {
        until(|| self.destination.totals().requests >= requests || process.has_ended());
        !process.has_ended()
    }

    /// Asserts that all tags are right, and no request broke the specification.
    #[track_caller]
    pub(super) fn has_all(&self) {
        for ((repository, tag), image) in images() {
            assert_arrived(&self.destination, &repository, tag, &image);
        }
        assert_eq!(self.source.problems(), [""; 0]);
        assert_eq!(self.destination.problems(), [""; 0]);
    }

    /// Returns the number of uploads of each blob, complete or not.
    pub(super) fn uploads(&self) -> BTreeMap<String, usize> {
        let mut uploads = BTreeMap::new();
        for request in self.destination.requests() {
            if matches!(request.kind, Kind::UploadPut | Kind::UploadPost)
                && let Some(digest) = request.parameter("digest")
            {
                *uploads.entry(digest).or_default() += 1;
            }
        }
        uploads
    }

    /// Returns the report of the process that began the run, after a check of its totals: one image for each tag.
    #[track_caller]
    pub(super) fn report(&self) -> Value {
        let report = report(&self.place, "report.json");
        let images = report["images"].as_array().unwrap();
        let mut sources: Vec<&str> = images
            .iter()
            .map(|image| image["source"].as_str().unwrap())
            .collect();
        let count = sources.len();
        sources.sort_unstable();
        sources.dedup();
        assert_eq!(sources.len(), count, "an image is in the report twice");
        report
    }

    /// Asserts that the report has every image once, and none that failed.
    #[track_caller]
    pub(super) fn reports_all(&self) {
        let report = self.report();
        let number = |name: &str| report["summary"][name].as_u64().unwrap();
        assert_eq!(report["complete"], true);
        assert_eq!(report["exit_code"], 0);
        let numbers = (number("copied") + number("unchanged"), number("failed"));
        assert_eq!(numbers, (IMAGES as u64, 0));
        assert_eq!(report["images"].as_array().unwrap().len(), IMAGES);
    }
}

/// Returns the images of a run. No repository shares a layer with another one.
pub(super) fn images() -> BTreeMap<(String, &'static str), Image> {
    let repositories = 0..REPOSITORIES;
    let images = repositories.flat_map(|number| {
        let name = format!("team/app-{number:02}");
        TAGS.map(|tag| {
            let base = Layer::tar(&name, 6_000);
            let own = Layer::tar(&format!("{name}-{tag}"), 12_000);
            ((name.clone(), tag), Image::single([base, own]))
        })
    });
    images.collect()
}

/// A process, which is killed at the end of the test.
pub(super) struct Process(Option<Child>);

impl Process {
    fn start(command: &mut Command) -> Self {
        Self(Some(command.spawn().unwrap()))
    }

    fn child(&mut self) -> &mut Child {
        self.0.as_mut().unwrap()
    }

    /// Returns the process ID.
    pub(super) fn id(&mut self) -> u32 {
        self.child().id()
    }

    /// Returns true once it has ended.
    pub(super) fn has_ended(&mut self) -> bool {
        self.child().try_wait().unwrap().is_some()
    }

    /// Sends a signal (`-INT`).
    pub(super) fn signal(&mut self, name: &str) {
        signal(self.child(), name);
    }

    /// Kills it.
    pub(super) fn kill(mut self) {
        self.child().kill().unwrap();
        self.child().wait().unwrap();
    }

    /// Waits for its end.
    pub(super) fn outcome(mut self) -> Outcome {
        until(|| self.has_ended());
        Outcome::of(self.0.take().unwrap().wait_with_output().unwrap())
    }

    /// Ends it with SIGTERM.
    pub(super) fn terminate(mut self) -> Outcome {
        self.signal("-TERM");
        self.outcome()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Waits until `condition` holds.
#[track_caller]
pub(super) fn until(mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "this does not happen");
        sleep(Duration::from_millis(5));
    }
}

/// Waits until workers are registered.
pub(super) fn wait_for_workers(server: &Postgres, count: usize) {
    const TABLE: &str = "SELECT to_regclass('image_syncer.workers') IS NOT NULL";
    const LIVE: &str = "SELECT count(*) FROM image_syncer.workers WHERE NOT has_left";
    until(|| server.sql(TABLE) == "t" && server.sql(LIVE).parse::<usize>().unwrap() >= count);
}

/// Waits until all workers have renewed their leases twice from now on, so that they have begun what they do at once.
#[track_caller]
pub(super) fn wait_for_renewals(server: &Postgres) {
    for _ in 0..2 {
        let now = server.sql("SELECT clock_timestamp()");
        let late = format!(
            "SELECT count(*) FROM image_syncer.workers WHERE NOT has_left AND seen <= '{now}'"
        );
        until(|| server.sql(&late) == "0");
    }
}

/// Returns the number of rounds: `short`, or the number that `scripts/reliability --workers` sets.
pub(super) fn rounds(short: u64, long: u64) -> u64 {
    if std::env::var_os("RELIABILITY_WORKERS").is_some() {
        long
    } else {
        short
    }
}
