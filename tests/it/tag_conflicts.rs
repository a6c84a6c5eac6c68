//! Different images for one tag: the first rule keeps it, and the other image fails in every command.

use serde_json::Value;
use testkit::Registry;

use crate::support::report::assert_valid;
use crate::support::{Place, image, insecure, registry};

struct World {
    source: Registry,
    destination: Registry,
    place: Place,
}

/// `team-a/app:v1` and `team-b/app:v1` differ, `v2` is the same in both; each rule has its tags from a list.
fn world() -> World {
    let (source, destination) = (registry(), registry());
    for team in ["team-a", "team-b"] {
        let app = format!("{team}/app");
        source.push(&app, Some("v1"), &image(team));
        source.push(&app, Some("v2"), &image("both"));
    }
    let from = source.host();
    let rules = format!("{from}/team-a/app: ''\n{from}/team-b/app:/^v/: ''\n");
    let place = Place::new()
        .file("images.yaml", &rules)
        .file("auth.yaml", &insecure(&[&source, &destination]));
    World {
        source,
        destination,
        place,
    }
}

impl World {
    /// Runs `command` with the files; the message of the conflict must be in its output, once.
    fn run(&self, command: &[&str], flags: &[&str]) -> crate::support::Outcome {
        let to = self.destination.host();
        let files = ["--images", "images.yaml", "--auth", "auth.yaml"];
        let defaults = ["--registry", &to, "--namespace", "mirror"];
        let arguments = [command, &files, &defaults, flags].concat();
        self.place.run(&arguments)
    }

    fn message(&self) -> String {
        let (from, to) = (self.source.host(), self.destination.host());
        format!(
            "cannot write {from}/team-b/app:v1 (rule {from}/team-b/app:/^v/ (images.yaml:2)) to {to}/mirror/app:v1: rule \
             {from}/team-a/app (images.yaml:1) writes another image to this tag, {from}/team-a/app:v1"
        )
    }
}

#[test]
fn the_first_rule_keeps_the_tag_and_every_run_fails() {
    let world = world();
    world
        .run(&["plan"], &[])
        .exits(1)
        .says(&world.message())
        .says("failed: 1 in the rules");
    for _ in 0..2 {
        world
            .run(&[], &[])
            .exits(1)
            .says(&world.message())
            .says("4 images: ")
            .says("1 failed");
        let kept = world.destination.state().digest("mirror/app", "v1");
        assert_eq!(kept.as_deref(), Some(image("team-a").digest()));
    }
    let is_push = |method: &str, path: &str| method == "PUT" && path.ends_with("/manifests/v1");
    let pushes = |request: &testkit::Request| is_push(request.method.as_str(), &request.path);
    assert_eq!(world.destination.count(pushes), 1);
    world
        .run(&["check"], &[])
        .exits(1)
        .says(&world.message())
        .says("4 images: 0 new, 0 changed, 3 unchanged, 0 skipped, 1 failed");
}

#[test]
fn the_documents_name_the_cause() {
    let world = world();
    for command in ["plan", "check"] {
        let outcome = world.run(&[command], &["--output", "json"]).exits(1);
        let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
        assert_valid(&document);
        let images = document["images"].as_array().unwrap();
        let failed: Vec<&Value> = images
            .iter()
            .filter(|image| image["outcome"] == "failed")
            .collect();
        assert_eq!(failed.len(), 1, "{command}");
        let failure = &failed[0]["failure"];
        assert_eq!(
            (&failure["cause"], &failure["class"]),
            (&"tag-conflict".into(), &"rules".into())
        );
        assert_eq!(failure["reason"], world.message());
        assert_eq!(document["summary"]["failures_by_class"]["rules"], 1);
    }
}
