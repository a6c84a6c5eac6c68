//! `--immutable`: tags that cost no request after their copy.

use testkit::{Kind, Registry};

use crate::support::{Outcome, Place, image, index, insecure, registry};

struct Two {
    source: Registry,
    destination: Registry,
    place: Place,
}

impl Two {
    /// `a:v1`, `a:v2` and `a:latest`, and a rule that copies them all.
    fn new() -> Self {
        let (source, destination) = (registry(), registry());
        for tag in ["v1", "v2", "latest"] {
            source.push("a", Some(tag), &image(tag));
        }
        let place = Place::new()
            .file(
                "images.yaml",
                &format!("{}/a: {}/a\n", source.host(), destination.host()),
            )
            .file("auth.yaml", &insecure(&[&source, &destination]));
        Self {
            source,
            destination,
            place,
        }
    }

    fn run(&self, flags: &[&str]) -> Outcome {
        // Without requests for referrers.
        self.run_with_referrers(&[&["--no-referrers"], flags].concat())
    }

    fn run_with_referrers(&self, flags: &[&str]) -> Outcome {
        self.source.clear_requests();
        self.destination.clear_requests();
        let files = ["--images", "images.yaml", "--auth", "auth.yaml"];
        self.place.run(&[&files, flags].concat())
    }

    /// Asserts the numbers of lists and manifest HEADs at each end, and that there are no other requests.
    #[track_caller]
    fn asked(&self, lists: usize, heads: usize) {
        for registry in [&self.source, &self.destination] {
            let count = |kind| registry.count(|request| request.kind == kind);
            assert_eq!(
                (count(Kind::Tags), count(Kind::ManifestHead)),
                (lists, heads)
            );
            assert_eq!(registry.requests().len(), lists + heads);
        }
    }
}

#[test]
fn a_copied_immutable_tag_costs_its_share_of_a_list_at_each_end() {
    let two = Two::new();
    two.run(&["--immutable", "*"]).exits(0).says("3 copied");
    two.run(&["--immutable", "*"])
        .exits(0)
        .says("0 copied, 3 unchanged")
        .says("3 immutable tags taken from the records");
    two.asked(1, 0);
    // A tag that no pattern matches costs a HEAD at both ends.
    two.run(&["--immutable", "v1", "--immutable", "/^v2$/"])
        .exits(0)
        .says("3 unchanged")
        .says("2 immutable tags taken from the records");
    two.asked(1, 1);
}

#[test]
fn a_lost_tag_is_copied_again() {
    let two = Two::new();
    two.run(&["--immutable", "v*"]).exits(0);
    two.destination.state().untag("a", "v1");
    two.run(&["--immutable", "v*"])
        .exits(0)
        .says("1 copied, 2 unchanged");
    assert!(two.destination.state().digest("a", "v1").is_some());
}

#[test]
fn without_records_a_warning_says_that_all_tags_are_compared() {
    let two = Two::new();
    two.run(&["--no-records"]).exits(0);
    two.run(&["--no-records", "--immutable", "*"])
        .exits(0)
        .says("--immutable: nothing is remembered between runs")
        .says("3 unchanged");
    two.asked(1, 3);
}

#[test]
fn signatures_of_skipped_immutable_tags_are_no_images() {
    let two = Two::new();
    let multi = index("multi");
    two.source.push("a", Some("v3"), &multi);
    let digests = multi.manifests().iter().chain([multi.root()]);
    for manifest in digests {
        let tag = format!("{}.sig", manifest.digest.replace(':', "-"));
        two.source.push("a", Some(&tag), &image(&tag));
    }
    let flags = ["--immutable", "v*"];
    two.run_with_referrers(&flags)
        .exits(0)
        .says("4 images: 4 copied, 0 unchanged, 0 skipped, 0 failed");
    for _ in 0..2 {
        two.run_with_referrers(&flags)
            .exits(0)
            .says("4 images: 0 copied, 4 unchanged, 0 skipped, 0 failed");
    }
}

#[test]
fn an_invalid_pattern_is_a_mistake_of_the_command_line() {
    let two = Two::new();
    two.run(&["--immutable", "v["])
        .exits(2)
        .says("--immutable v[: it is no glob: unclosed character class; missing ']'; write one such as v*");
    assert_eq!(
        two.source.requests().len() + two.destination.requests().len(),
        0
    );
}
