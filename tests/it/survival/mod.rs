//! Kills and outages with the real `docker-registry`, which refuses incomplete manifests.
//!
//! A relay between the program and the registry stops at a given byte. So the byte, not the clock, decides when the
//! program is killed or the registry ends.

mod concurrent;
mod kills;
mod outages;

use std::collections::BTreeMap;
use std::process::Child;

use testkit::raw::verify_over_http;
use testkit::real::{self, DockerRegistry};
use testkit::{Image, Registry, Relay};

use crate::memory::{budget, held};
use crate::support::{FILES, Outcome, PATIENCE, Place, registry};

/// Uploads in flight, each with a download.
const STREAMS: u64 = 16;

/// Images at a source, by repository and tag, and a relay to a real destination.
struct World {
    source: Registry,
    destination: DockerRegistry,
    relay: Relay,
    images: BTreeMap<String, BTreeMap<String, String>>,
}

impl World {
    fn start(destination: real::DockerRegistryBuilder) -> Self {
        let destination = destination.start().expect("install it with scripts/test");
        Self {
            source: registry(),
            relay: Relay::start(destination.host()).unwrap(),
            destination,
            images: BTreeMap::new(),
        }
    }

    fn push(&mut self, repository: &str, tag: &str, image: &Image) {
        let digest = self.source.push(repository, Some(tag), image);
        let tags = self.images.entry(repository.to_owned()).or_default();
        tags.insert(tag.to_owned(), digest);
    }

    /// Returns a directory with the files that copy everything to `prefix` at the destination.
    fn place(&self, prefix: &str) -> Place {
        let (from, to) = (self.source.host(), self.relay.host());
        let rule = |name: &String| format!("{from}/{name}: {to}/{prefix}/{name}\n");
        let rules: String = self.images.keys().map(rule).collect();
        let auth = format!("{from}: {{insecure: true}}\n{to}: {{insecure: true}}\n");
        Place::new()
            .file("images.yaml", &rules)
            .file("auth.yaml", &auth)
    }

    fn begin(&self, prefix: &str) -> (Child, Place) {
        let place = self.place(prefix);
        let child = place.command(&FILES).spawn().unwrap();
        (child, place)
    }

    fn run(&self, prefix: &str, arguments: &[&str]) -> Outcome {
        self.place(prefix).run(&[&FILES, arguments].concat())
    }

    /// Waits until the relay stops, and checks the memory of the program.
    #[track_caller]
    fn until_stopped(&self, child: &Child) {
        self.relay.wait_stopped(PATIENCE).unwrap();
        let held = held(child);
        assert!(held <= budget(STREAMS), "{held} KiB");
    }

    /// Walks all tags below `prefix`, and asserts that they are complete and equal to the source. Returns the number of
    /// tags.
    #[track_caller]
    fn verify(&self, prefix: &str) -> usize {
        let client = self.destination.client().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let mut count = 0;
        for (name, expected) in &self.images {
            let repository = format!("{prefix}/{name}");
            let walk = verify_over_http(&client, &repository);
            for (tag, digest) in runtime.block_on(walk).unwrap() {
                assert_eq!(Some(&digest), expected.get(&tag), "{prefix}/{name}:{tag}");
                count += 1;
            }
        }
        count
    }

    fn count(&self) -> usize {
        self.images.values().map(BTreeMap::len).sum()
    }
}
