//! Registries and a native file between them.

use testkit::{Profile, Registry};

use crate::support::{Outcome, Place, registry};

/// A Harbor as the source, two destinations, and a directory with the native file.
pub(super) struct NativeWorld {
    pub(super) source: Registry,
    pub(super) destination: Registry,
    pub(super) backup: Registry,
    pub(super) place: Place,
}

impl NativeWorld {
    /// Starts the registries. `SRC`, `DST` and `BAK` stand for their hosts in `rules`, the list of rules.
    pub(super) fn new(rules: &str) -> Self {
        let source = Registry::builder()
            .profile(Profile::harbor())
            .start_on_thread();
        Self::over(source, rules)
    }

    /// Like [`NativeWorld::new`], with another source.
    pub(super) fn over(source: Registry, rules: &str) -> Self {
        let world = Self {
            source,
            destination: registry(),
            backup: registry(),
            place: Place::new(),
        };
        world.set_rules(rules);
        world
    }

    /// Replaces the rules.
    pub(super) fn set_rules(&self, rules: &str) {
        let insecure = "{tls: {insecure: true, plain-http: true}}";
        let file = format!(
            "version: 1\nregistries:\n  SRC: {insecure}\n  DST: {insecure}\n  BAK: {insecure}\nrules:\n{rules}"
        );
        std::fs::write(self.place.path("sync.yaml"), self.with_hosts(&file)).unwrap();
    }

    /// Returns `text` with the hosts in place of their names.
    pub(super) fn with_hosts(&self, text: &str) -> String {
        text.replace("SRC", &self.source.host())
            .replace("DST", &self.destination.host())
            .replace("BAK", &self.backup.host())
    }

    /// Returns `text` with the names in place of the hosts.
    pub(super) fn named(&self, text: &str) -> String {
        text.replace(&self.source.host(), "SRC")
            .replace(&self.destination.host(), "DST")
            .replace(&self.backup.host(), "BAK")
    }

    /// Runs a command, or a sync without one, on the file.
    pub(super) fn run(&self, words: &[&str]) -> Outcome {
        let records = ["--config", "sync.yaml"];
        self.place.run(&[words, &records].concat())
    }
}

/// Returns the repositories of a registry that have tags, each with its tags.
pub(super) fn content(registry: &Registry) -> Vec<String> {
    let state = registry.state();
    let mut names: Vec<String> = state
        .repositories()
        .into_iter()
        .map(|name| format!("{name}: {}", state.tags(&name).join(" ")))
        .filter(|line| !line.ends_with(": "))
        .collect();
    names.sort_unstable();
    names
}
