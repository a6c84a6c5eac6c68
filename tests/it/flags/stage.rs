//! Two registries, a command between them, and the observable results of its run.

use std::path::Path;

use testkit::{Image, Kind, Profile, Registry};

use crate::support::program::normalised;
use crate::support::{Outcome, Place, Service, between};

/// Registries and files of a scenario: all tags of `a` at the source go to `b` at the destination, or of `team/a` to
/// `team/b`.
pub(super) struct Stage {
    command: &'static str,
    pub(super) source: Registry,
    pub(super) destination: Registry,
    pub(super) place: Place,
    /// Repositories at the source and at the destination.
    paths: [&'static str; 2],
    /// Images of an archive, instead of those of the source.
    archived: Option<String>,
}

/// Observable results of a run, without its messages.
#[derive(Debug, PartialEq, Eq)]
struct Trace {
    code: i32,
    stdout: String,
    /// Requests: end, kind and reference, sorted.
    requests: Vec<String>,
    /// Manifests and blobs of the destination.
    there: Vec<String>,
    /// Names of files, and the content of those that begin with `out`.
    files: Vec<String>,
}

impl Stage {
    /// With nothing at the source.
    pub(super) fn new(command: &'static str) -> Self {
        Self::of(command, &Profile::strict(), ["a", "b"])
    }

    /// With nothing at a source of this profile.
    pub(super) fn of(
        command: &'static str,
        profile: &Profile,
        [from, to]: [&'static str; 2],
    ) -> Self {
        let registry = || {
            let profile = profile.clone();
            Registry::builder().profile(profile).start_on_thread()
        };
        let (source, destination) = (registry(), registry());
        let rules = format!("SRC/{from}: DST/{to}\n");
        let place = between(&source, &destination, &rules);
        Self {
            command,
            source,
            destination,
            place,
            paths: [from, to],
            archived: None,
        }
    }

    /// With the tag `v1` at the source.
    pub(super) fn with(self, image: &Image) -> Self {
        self.source.push(self.paths[0], Some("v1"), image);
        self
    }

    /// With images of an archive in the directory instead of those of the source.
    pub(super) fn archived(self, name: &str) -> Self {
        let (destination, to) = (self.destination.host(), self.paths[1]);
        let rules = format!("{name}: {destination}/{to}\n");
        std::fs::write(self.place.path("images.yaml"), rules).unwrap();
        Self {
            archived: Some(name.to_owned()),
            ..self
        }
    }

    /// Syncs everything to the destination.
    pub(super) fn synced(self) -> Self {
        Self::sync(&self.place, &[]);
        self
    }

    /// Runs a sync, whatever the command of the stage.
    pub(super) fn sync(place: &Place, flags: &[&str]) {
        let files = ["--images", "images.yaml", "--auth", "auth.yaml"];
        place.run(&[&files, flags].concat()).exits(0);
    }

    /// Runs the command.
    pub(super) fn run(&self, flags: &[&str]) -> Outcome {
        let (from, to) = (
            self.archived
                .clone()
                .unwrap_or_else(|| format!("{}/{}", self.source.host(), self.paths[0])),
            format!("{}/{}", self.destination.host(), self.paths[1]),
        );
        let rest = match self.command {
            "copy" => vec!["--auth", "auth.yaml", "--all-tags", &from, &to],
            _ => vec!["--images", "images.yaml", "--auth", "auth.yaml"],
        };
        if self.command == "serve" {
            return self.serve(&[flags, &rest].concat());
        }
        let command: Vec<&str> = self.command.split_whitespace().collect();
        self.place.run(&[&command[..], flags, &rest].concat())
    }

    /// Starts a service, and ends it after the first run of its rule.
    fn serve(&self, flags: &[&str]) -> Outcome {
        // The directory of the records that a sync has.
        let own = ["--sync-at-start", "--state", ".local/state/image-syncer"];
        let mut service = Service::start(&self.place, &[&own, flags].concat());
        service.until_run_ended();
        service.stop()
    }

    /// Returns `text` with hosts and other differences between two stages replaced.
    pub(super) fn named(&self, text: &str) -> String {
        let (from, to) = (self.source.host(), self.destination.host());
        normalised(text, &[(&from, "source"), (&to, "destination")])
    }

    fn trace(&self, flags: &[&str]) -> Trace {
        self.source.clear_requests();
        self.destination.clear_requests();
        let outcome = self.run(flags);
        let mut requests: Vec<String> =
            [("source", &self.source), ("destination", &self.destination)]
                .iter()
                .flat_map(|(end, registry)| {
                    let told = |request: &testkit::Request| match request.kind {
                        // The session of a blob differs from run to run.
                        Kind::UploadPut | Kind::UploadPost => format!("{end} {:?}", request.kind),
                        kind => format!("{end} {kind:?} {:?}", request.reference),
                    };
                    // A list at the destination begins beside the opening of an archive, whose failure may come first.
                    let may_be_late = |request: &&testkit::Request| {
                        self.archived.is_some() && request.kind == Kind::Tags
                    };
                    let all = registry.requests();
                    let certain = all.iter().filter(|request| !may_be_late(request));
                    certain.map(told).collect::<Vec<_>>()
                })
                .collect();
        requests.sort();
        let state = self.destination.state();
        let mut there = state.manifests(self.paths[1]);
        there.extend(state.blobs(self.paths[1]));
        there.sort();
        let mut files = Vec::new();
        self.list(&self.place.path(""), &mut files);
        files.sort();
        Trace {
            code: outcome.code,
            stdout: self.named(&outcome.stdout),
            requests,
            there,
            files,
        }
    }

    fn list(&self, directory: &Path, files: &mut Vec<String>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                self.list(&path, files);
            } else if name.starts_with("out") {
                let text = std::fs::read_to_string(&path).unwrap();
                files.push(format!("{name}: {}", self.named(&text)));
            } else if !name.contains("sqlite3-") {
                files.push(name);
            }
        }
    }
}

/// Asserts that `flags` change the observable results of a run, with nothing else changed. `base` has flags that they
/// need.
#[track_caller]
pub(super) fn differs(stage: &impl Fn() -> Stage, base: &[&str], flags: &[&str]) {
    let without = stage().trace(base);
    assert_eq!(
        without,
        stage().trace(base),
        "two runs alike differ: {base:?}"
    );
    let with = stage().trace(&[base, flags].concat());
    assert_ne!(without, with, "{flags:?} change nothing");
}

/// Asserts that the value of a flag is parsed.
#[track_caller]
pub(super) fn refuses(command: &'static str, flag: &str, wrong: &str) {
    let stage = Stage::new(command);
    let flag = format!("--{flag}");
    stage.run(&[&flag, wrong]).exits(2).says(&flag);
    assert_eq!(stage.source.requests().len(), 0);
}
