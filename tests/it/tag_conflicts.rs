//! Different images for one tag: the first rule keeps it, and the other image fails in every command.

use serde_json::Value;

use crate::support::report::assert_valid;
use crate::support::{Outcome, World, image};

/// Returns a source in which `team-a/app:v1` and `team-b/app:v1` differ, and `v2` is the same in both. Each rule has its
/// tags from a list.
fn world() -> World {
    let world = World::new("SRC/team-a/app: ''\nSRC/team-b/app:/^v/: ''\n");
    ["team-a", "team-b"].into_iter().fold(world, |world, team| {
        let app = format!("{team}/app");
        world
            .with(&app, "v1", &image(team))
            .with(&app, "v2", &image("both"))
    })
}

/// Runs a command with the files and a default destination.
fn run(world: &World, command: &[&str], flags: &[&str]) -> Outcome {
    let to = world.destination.host();
    let defaults = ["--registry", &to, "--namespace", "mirror"];
    world.run_command(command, &[&defaults, flags].concat())
}

fn message(world: &World) -> String {
    world.with_hosts(
        "cannot write SRC/team-b/app:v1 (rule SRC/team-b/app:/^v/ (images.yaml:2)) to DST/mirror/app:v1: rule \
         SRC/team-a/app (images.yaml:1) writes another image to this tag, SRC/team-a/app:v1",
    )
}

#[test]
fn the_first_rule_keeps_the_tag_and_every_run_fails() {
    let world = world();
    run(&world, &["plan"], &[])
        .exits(1)
        .says(&message(&world))
        .says("failed: 1 in the rules");
    for _ in 0..2 {
        run(&world, &[], &[])
            .exits(1)
            .says(&message(&world))
            .says("4 images: ")
            .says("1 failed");
        let kept = world.destination.state().digest("mirror/app", "v1");
        assert_eq!(kept.as_deref(), Some(image("team-a").digest()));
    }
    run(&world, &["check"], &[])
        .exits(1)
        .says(&message(&world))
        .says("4 images: 0 new, 0 changed, 3 unchanged, 0 skipped, 1 failed");
}

#[test]
fn the_documents_name_the_cause() {
    let world = world();
    for command in ["plan", "check"] {
        let outcome = run(&world, &[command], &["--output", "json"]).exits(1);
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
        assert_eq!(failure["reason"], message(&world));
        assert_eq!(document["summary"]["failures_by_class"]["rules"], 1);
    }
}
