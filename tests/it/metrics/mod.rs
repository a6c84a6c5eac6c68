//! Metrics: the file of `--metrics`, `/metrics` of the service, and the alerts and the dashboard in `contrib`.

pub(crate) mod file;
mod parser;
mod service;
mod shipped;

use testkit::Registry;

use crate::support::{Place, registry};

/// Two registries, and a native file between them.
struct MetricsWorld {
    source: Registry,
    destination: Registry,
    place: Place,
}

impl MetricsWorld {
    /// Starts the registries. `SRC` and `DST` stand for their hosts in `rules`, the list of rules.
    fn new(rules: &str) -> Self {
        let (source, destination) = (registry(), registry());
        let insecure = "{tls: {insecure: true, plain-http: true}}";
        let file = format!(
            "version: 1\nregistries:\n  SRC: {insecure}\n  DST: {insecure}\nrules:\n{rules}"
        );
        let file = file.replace("SRC", &source.host());
        let file = file.replace("DST", &destination.host());
        Self {
            place: Place::new().file("sync.yaml", &file),
            source,
            destination,
        }
    }

    /// Returns `text` with names in place of the hosts.
    fn named(&self, text: &str) -> String {
        text.replace(&self.source.host(), "SRC")
            .replace(&self.destination.host(), "DST")
    }
}
