//! A source, a destination, and a directory with the files of a sync between them.

use std::process::{Child, Command};

use testkit::{Image, Kind, Profile, Registry};

use super::program::normalised;
use super::{Outcome, Place, assert_arrived, insecure, registry};

/// Arguments that name the files of [`between`].
pub(crate) const FILES: [&str; 4] = ["--images", "images.yaml", "--auth", "auth.yaml"];

/// Returns `rules` with the hosts in place of `SRC` and `DST`.
pub(crate) fn with_hosts(rules: &str, source: &Registry, destination: &Registry) -> String {
    rules
        .replace("SRC", &source.host())
        .replace("DST", &destination.host())
}

/// Returns a directory with an `images.yaml`, in which `SRC` and `DST` stand for the hosts, and an `auth.yaml`.
pub(crate) fn between(source: &Registry, destination: &Registry, rules: &str) -> Place {
    Place::new()
        .file("images.yaml", &with_hosts(rules, source, destination))
        .file("auth.yaml", &insecure(&[source, destination]))
}

/// Sends a signal (`-INT`) to a process.
pub(crate) fn signal(process: &Child, name: &str) {
    let arguments = [name, &process.id().to_string()];
    let status = Command::new("kill").args(arguments).status();
    assert!(status.unwrap().success());
}

/// Two registries and the files of a sync between them.
pub(crate) struct World {
    pub(crate) source: Registry,
    pub(crate) destination: Registry,
    pub(crate) place: Place,
}

impl World {
    /// Starts two empty registries. `SRC` and `DST` stand for their hosts in `rules`.
    pub(crate) fn new(rules: &str) -> Self {
        Self::of(registry(), registry(), rules)
    }

    /// Like [`World::new`], with registries of one profile.
    pub(crate) fn with_profile(profile: &Profile, rules: &str) -> Self {
        let start = || {
            Registry::builder()
                .profile(profile.clone())
                .start_on_thread()
        };
        Self::of(start(), start(), rules)
    }

    /// Like [`World::new`], with existing registries.
    pub(crate) fn of(source: Registry, destination: Registry, rules: &str) -> Self {
        let place = between(&source, &destination, rules);
        Self {
            source,
            destination,
            place,
        }
    }

    /// Pushes an image to the source.
    pub(crate) fn with(self, repository: &str, tag: &str, image: &Image) -> Self {
        self.source.push(repository, Some(tag), image);
        self
    }

    /// Returns `text` with the hosts in place of `SRC` and `DST`.
    pub(crate) fn with_hosts(&self, text: &str) -> String {
        with_hosts(text, &self.source, &self.destination)
    }

    /// Returns the program, ready to start, with the files and these arguments.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.place.command(&[&FILES, arguments].concat())
    }

    /// Runs a sync of the files with these arguments.
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        self.run_command(&[], arguments)
    }

    /// Runs a subcommand on the files with these arguments.
    pub(crate) fn run_command(&self, command: &[&str], arguments: &[&str]) -> Outcome {
        self.place.run(&[command, &FILES, arguments].concat())
    }

    /// Replaces the rules.
    pub(crate) fn set_rules(&self, rules: &str) {
        std::fs::write(self.place.path("images.yaml"), self.with_hosts(rules)).unwrap();
    }

    /// Appends rules.
    pub(crate) fn with_rules(self, rules: &str) -> Self {
        self.set_rules(&(self.place.read("images.yaml") + rules));
        self
    }

    /// Replaces the rules, forgets all requests, and runs a sync with these arguments.
    pub(crate) fn sync(&self, rules: &str, arguments: &[&str]) -> Outcome {
        self.set_rules(rules);
        self.clear_requests();
        self.run(arguments)
    }

    /// Forgets all requests of both registries.
    pub(crate) fn clear_requests(&self) {
        self.source.clear_requests();
        self.destination.clear_requests();
    }

    /// Returns the number of all requests at both registries.
    pub(crate) fn request_count(&self) -> usize {
        self.source.requests().len() + self.destination.requests().len()
    }

    /// Returns the number of requests of each kind at the destination.
    pub(crate) fn pushed<const N: usize>(&self, kinds: [Kind; N]) -> [usize; N] {
        kinds.map(|kind| self.destination.count(|request| request.kind == kind))
    }

    /// Asserts that no request of the program broke the specification.
    #[track_caller]
    pub(crate) fn has_no_problems(&self) {
        assert_eq!(self.source.problems(), [""; 0]);
        assert_eq!(self.destination.problems(), [""; 0]);
    }

    /// Returns the tags of a repository at the destination.
    pub(crate) fn tags(&self, repository: &str) -> Vec<String> {
        self.destination.state().tags(repository)
    }

    /// Asserts that `repository:reference` is complete at the destination and is `image`.
    #[track_caller]
    pub(crate) fn arrived(&self, repository: &str, reference: &str, image: &Image) {
        assert_arrived(&self.destination, repository, reference, image);
    }

    /// Returns `text` without differences between runs, and with names in place of the hosts.
    pub(crate) fn named(&self, text: &str) -> String {
        let (from, to) = (self.source.host(), self.destination.host());
        normalised(
            text,
            &[(&from, "source.example"), (&to, "destination.example")],
        )
    }
}
