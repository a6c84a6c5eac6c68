//! Registries between which everything there is to show differs.

use testkit::{Action, Fault, Gate, Kind, Registry};

use super::program::normalised;
use super::{Outcome, Place, image, index, insecure, registry};

/// The files of [`World::place`].
pub(crate) const FILES: [&str; 4] = ["--images", "images.yaml", "--auth", "auth.yaml"];

/// A source and a destination, and the rules from one to the other.
pub(crate) struct World {
    pub(crate) source: Registry,
    pub(crate) destination: Registry,
    pub(crate) place: Place,
    /// At which the list of [`World::stuck`] waits.
    pub(crate) list: Gate,
}

impl World {
    /// `app:v1` is new, `app:v2` another than there, `app:v3` the same; nothing matches of `web`; `gone` is not there.
    pub(crate) fn new() -> Self {
        let (source, destination) = (registry(), registry());
        for (tag, image) in [("v1", index("1")), ("v2", image("2")), ("v3", image("3"))] {
            source.push("app", Some(tag), &image);
        }
        destination.push("app", Some("v2"), &image("old"));
        destination.push("app", Some("v3"), &image("3"));
        source.push("web", Some("latest"), &image("w"));
        let rules = "SRC/app: DST/app\nSRC/web:/^v/: DST/web\n";
        Self::of(source, destination, rules)
    }

    /// With rules in which `SRC` and `DST` stand for the hosts.
    pub(crate) fn of(source: Registry, destination: Registry, rules: &str) -> Self {
        let rules = rules
            .replace("SRC", &source.host())
            .replace("DST", &destination.host());
        let place = Place::new()
            .file("images.yaml", &rules)
            .file("auth.yaml", &insecure(&[&source, &destination]));
        Self {
            source,
            destination,
            place,
            list: Gate::new(),
        }
    }

    /// With a rule whose source cannot be listed.
    pub(crate) fn failing(self) -> Self {
        self.with("SRC/gone: DST/gone\n")
    }

    /// With a last rule whose source is never listed to its end.
    pub(crate) fn stuck(self) -> Self {
        let fault = Fault::on(Kind::Tags).repository("never");
        self.source.fault(fault, Action::Hold(self.list.clone()));
        self.with("SRC/never: DST/never\n")
    }

    fn with(self, rules: &str) -> Self {
        let rules = rules
            .replace("SRC", &self.source.host())
            .replace("DST", &self.destination.host());
        let rules = self.place.read("images.yaml") + &rules;
        let place = self.place.file("images.yaml", &rules);
        Self { place, ..self }
    }

    /// Runs the program with the files and these arguments around them.
    pub(crate) fn run(&self, command: &[&str], flags: &[&str]) -> Outcome {
        self.place.run(&[command, &FILES, flags].concat())
    }

    /// Runs it, and asserts that it sent nothing but questions.
    #[track_caller]
    pub(crate) fn asks(&self, command: &[&str], flags: &[&str]) -> Outcome {
        let before = [&self.source, &self.destination].map(|r| r.requests().len());
        let outcome = self.run(command, flags);
        let all = [&self.source, &self.destination].map(Registry::requests);
        for (requests, before) in all.into_iter().zip(before) {
            for request in &requests[before..] {
                let method = request.method.as_str();
                assert!(matches!(method, "GET" | "HEAD"), "{}", request.line());
            }
        }
        outcome
    }

    /// `text` with the names of hosts in it that do not change.
    pub(crate) fn named(&self, text: &str) -> String {
        let (from, to) = (self.source.host(), self.destination.host());
        normalised(
            text,
            &[(&from, "source.example"), (&to, "destination.example")],
        )
    }
}
