//! Lists of referrers with several writers: two runs of the program copy different referrers of one image to a registry
//! with fallback tags at the same time.

use std::process::Child;
use std::time::Duration;

use testkit::{Action, Answer, Fault, Gate, Image, Kind};

use crate::support::ends::{End, Which, command, digests, sync};
use crate::support::{Outcome, PATIENCE, Place, image};

const RULES: &str = "SRC/a:v1: DST/a\n";
/// Message of a run whose referrers did not get into the list.
const CONTENDED: &str = "others write the list of its referrers at the same time";

/// Two sources with the same image and different SBOMs, and a destination.
struct Two {
    image: Image,
    referrers: [Image; 2],
    sources: [End; 2],
    places: [Place; 2],
    destination: End,
}

impl Two {
    fn start(destination: Which) -> Self {
        let image = image("shared");
        let referrers =
            ["one", "two"].map(|one| Image::referrer_of(&image, "application/spdx+json", one));
        let sources = [&referrers[0], &referrers[1]].map(|referrer| {
            let source = Which::WithApi.start();
            source.push("a", Some("v1"), &image);
            source.refer("a", image.digest(), &[referrer]);
            source
        });
        let places = [Place::new(), Place::new()];
        Self {
            image,
            referrers,
            sources,
            places,
            destination: destination.start(),
        }
    }

    /// Starts the program for one of the sources.
    fn spawn(&self, number: usize) -> Child {
        let place = &self.places[number];
        let mut command = command(place, &self.sources[number], &self.destination, RULES);
        command.spawn().unwrap()
    }

    /// Runs the program for one of the sources.
    fn run(&self, number: usize) -> Outcome {
        let place = &self.places[number];
        sync(place, &self.sources[number], &self.destination, RULES)
    }

    fn fallback_tag(&self) -> String {
        self.image.digest().replace(':', "-")
    }

    fn listed(&self) -> Vec<String> {
        self.destination.referring("a", self.image.digest())
    }

    fn all(&self) -> Vec<String> {
        digests(&[&self.referrers[0], &self.referrers[1]])
    }
}

fn ended(child: Child) -> Outcome {
    Outcome::of(child.wait_with_output().unwrap()).exits(0)
}

/// Lets both read the list before either writes it, and asserts that the list has both referrers.
fn both_are_listed_after_they_met(two: &Two) {
    let (kit, tag) = (two.destination.kit(), two.fallback_tag());
    let gate = Gate::new();
    let reads = Fault::on(Kind::ManifestGet).reference(&tag).times(2);
    kit.fault(reads, Action::Hold(gate.clone()));
    // With a slow registry, each run sees the other's write.
    let writes = Fault::on(Kind::ManifestPut).reference(&tag).times(2);
    kit.fault(writes, Action::Delay(Duration::from_millis(800)));
    let children = [two.spawn(0), two.spawn(1)];
    gate.wait(2, PATIENCE).unwrap();
    gate.open();
    for child in children {
        ended(child).says("1 copied").does_not_say("warning");
    }
    assert_eq!(two.listed(), two.all());
}

#[test]
fn both_referrers_are_listed_if_the_last_writer_wins() {
    both_are_listed_after_they_met(&Two::start(Which::WithoutApi));
}

#[test]
fn both_referrers_are_listed_with_conditional_writes() {
    let two = Two::start(Which::WithoutApi);
    let kit = two.destination.kit();
    kit.change_profile(|profile| profile.conditional_put = true);
    both_are_listed_after_they_met(&two);
}

#[test]
fn a_run_that_gives_up_says_so_and_the_next_one_completes_the_list() {
    let two = Two::start(Which::WithoutApi);
    ended(two.spawn(0)).says("1 copied");
    // Another client reverts every write.
    let kit = two.destination.kit();
    kit.change_profile(|profile| profile.content_digest = false);
    let writes = Fault::on(Kind::ManifestPut).reference(two.fallback_tag());
    kit.fault(writes, Answer::new(201));
    two.run(1)
        .exits(0)
        .says(CONTENDED)
        .says("Run again to complete the list.");
    assert_eq!(two.listed(), digests(&[&two.referrers[0]]));
    kit.clear_faults();
    two.run(1).exits(0).does_not_say("warning");
    assert_eq!(two.listed(), two.all());
    // Another run changes nothing.
    two.run(1).exits(0).says("1 unchanged");
}

#[test]
fn both_referrers_are_listed_at_docker_registry_after_a_second_run() {
    testkit::needs!("docker-registry");
    let two = Two::start(Which::Real);
    let outcomes = [two.spawn(0), two.spawn(1)].map(ended);
    let contended = outcomes.iter().any(|o| o.stderr.contains(CONTENDED));
    assert!(
        contended || two.listed() == two.all(),
        "{:?}: {outcomes:?}",
        two.listed()
    );
    for number in 0..2 {
        two.run(number).exits(0).does_not_say(CONTENDED);
    }
    assert_eq!(two.listed(), two.all());
}
