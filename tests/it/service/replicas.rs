//! Replicas of the service that share their runs over a real `PostgreSQL`.

use testkit::{Action, Fault, Gate, Kind};

use crate::support::postgres::{Postgres, StopMode};
use crate::support::{PATIENCE, Service, World, image};

/// A server, and registries with a rule that runs on request.
struct Scene {
    postgres: Postgres,
    world: World,
}

impl Scene {
    /// Returns the scene with a rule that runs once a day; `None` without the Debian package.
    fn new() -> Option<Self> {
        Self::every("24h")
    }

    fn every(interval: &str) -> Option<Self> {
        if !Postgres::is_installed() {
            return None;
        }
        let mut world = World::new("").with("a", "v1", &image("a"));
        world.place = world.place.variable("IMAGE_SYNCER_TEST_LEASE", "2");
        let postgres = Postgres::start();
        let text = format!(
            "version: 1
registries:
  {source}: {{tls: {{plain-http: true}}}}
  {destination}: {{tls: {{plain-http: true}}}}
rules:
- {{name: all, from: {source}/a, to: {destination}/a, schedule: {{every: {interval}, jitter: 0s}}}}
share: {{url: \"{url}\", timeout: 1s}}
",
            source = world.source.host(),
            destination = world.destination.host(),
            url = postgres.url(),
        );
        std::fs::write(world.place.path("rules.yaml"), text).unwrap();
        Some(Self { postgres, world })
    }

    /// Starts a replica with its own history.
    fn replica(&self, state: &str) -> Service {
        let arguments = ["--config", "rules.yaml", "--state", state, "--grace", "0"];
        let mut replica = Service::start(&self.world.place, &arguments);
        replica.until("shares its runs with all replicas at postgres://syncer@127.0.0.1");
        replica
    }

    /// Returns the lines of a history about the rule.
    fn history(&self, state: &str) -> Vec<String> {
        let listed = self.world.place.run(&["history", "--state", state]);
        let listed = listed.exits(0).stdout;
        let lines = listed.lines().filter(|line| line.contains("all"));
        lines.map(str::to_owned).collect()
    }

    fn pushes(&self) -> usize {
        let is_push = |request: &testkit::Request| request.kind == Kind::ManifestPut;
        self.world.destination.count(is_push)
    }
}

#[test]
fn a_time_of_a_schedule_is_one_run_that_all_replicas_show() {
    let Some(scene) = Scene::new() else { return };
    let (mut first, mut second) = (scene.replica("one"), scene.replica("two"));
    for replica in [&mut first, &mut second] {
        replica.until("of all started (schedule)");
        replica.until("of all succeeded: 1 copied");
    }
    scene.world.arrived("a", "v1", &image("a"));
    for replica in [first, second] {
        let lines = replica.stop().exits(0).stderr;
        assert_eq!(lines.matches("started (schedule)").count(), 1, "{lines}");
        assert!(!lines.contains("s3cret"), "{lines}");
    }
    assert_eq!(scene.pushes(), 1);
    assert_eq!(scene.history("one"), scene.history("two"));
    // A replica that comes later, without a history of its own, has the run as well, and does not repeat it.
    let mut third = scene.replica("three");
    third.until("of all succeeded: 1 copied");
    third.stop().exits(0);
    assert_eq!(scene.history("three").len(), 1);
    assert_eq!(scene.pushes(), 1);
    drop(scene.postgres);
}

#[test]
fn a_run_goes_on_at_the_others_after_a_kill_and_after_an_end() {
    for signal in ["-KILL", "-TERM"] {
        let Some(scene) = Scene::new() else { return };
        let gate = Gate::new();
        let fault = Fault::on(Kind::ManifestPut).repository("a");
        scene
            .world
            .destination
            .fault(fault, Action::Hold(gate.clone()));
        let mut first = scene.replica("one");
        first.until("of all started (schedule)");
        gate.wait(1, PATIENCE).unwrap();
        let mut second = scene.replica("two");
        second.until("of all started (schedule)");
        first.signal(signal);
        first.wait();
        gate.open();
        second.until("of all succeeded:");
        scene.world.arrived("a", "v1", &image("a"));
        // The first one follows the run again, to its end.
        let mut first = scene.replica("one");
        first.until("of all succeeded:");
        first.stop().exits(0);
        second.stop().exits(0);
        for state in ["one", "two"] {
            let history = scene.history(state);
            assert_eq!(history.len(), 1, "{signal} {state}: {history:?}");
            assert!(
                history[0].contains("succeeded"),
                "{signal} {state}: {history:?}"
            );
        }
    }
}

#[test]
fn a_replica_works_again_after_an_outage_beyond_the_time_limit() {
    let Some(mut scene) = Scene::every("1s") else {
        return;
    };
    let mut replica = scene.replica("one");
    replica.until("of all succeeded: 1 copied");
    scene.postgres.stop(StopMode::Immediate);
    replica.until("This was tried for 1 second, the time of --share-timeout.");
    scene.postgres.resume();
    replica.until("is back after");
    scene.world.source.push("a", Some("v2"), &image("b"));
    for _ in 0..2 {
        replica.until("of all started (schedule)");
        replica.until("of all succeeded:");
    }
    scene.world.arrived("a", "v2", &image("b"));
    replica.stop().exits(0);
}

#[test]
fn tables_that_fail_are_reported_once_and_a_run_that_was_deleted_ends() {
    let Some(scene) = Scene::new() else { return };
    let gate = Gate::new();
    let fault = Fault::on(Kind::ManifestPut).repository("a");
    scene
        .world
        .destination
        .fault(fault, Action::Hold(gate.clone()));
    let mut replica = scene.replica("one");
    replica.until("of all started (schedule)");
    gate.wait(1, PATIENCE).unwrap();
    scene.postgres.sql("DELETE FROM image_syncer.runs");
    replica.until("of all interrupted: ");
    scene
        .postgres
        .sql("ALTER TABLE image_syncer.runs RENAME TO gone");
    replica.until("relation \"image_syncer.runs\" does not exist");
    gate.open();
    let lines = replica.stop().exits(0).stderr;
    assert!(lines.contains("has no run "), "{lines}");
    let message = "relation \"image_syncer.runs\" does not exist";
    assert!(lines.matches(message).count() <= 3, "{lines}");
}
