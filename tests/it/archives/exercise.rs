//! The exercise of `docs/archives.md`: its files, with other registries, and exactly its commands.

use std::path::Path;

use testkit::{Image, Profile, Registry};

use super::{SBOM, bytes, left_over};
use crate::support::{Outcome, Place, assert_arrived, image, index};

/// Returns the text of the fenced blocks of the exercise in `language`, in their order.
fn blocks(language: &str) -> Vec<String> {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/archives.md");
    let text = std::fs::read_to_string(document).unwrap();
    let (_, exercise) = text.split_once("## Across an air gap\n").unwrap();
    let mark = format!("```{language}\n");
    let begun = exercise.split(&mark).skip(1);
    begun
        .map(|block| block.split("```").next().unwrap().to_owned())
        .collect()
}

/// Returns a directory with a file of the exercise, whose registries are replaced by those of the test.
fn place_with(file: &str, hosts: &[(&str, &Registry)]) -> Place {
    let texts = blocks("yaml");
    let text = texts
        .iter()
        .find(|text| text.starts_with(&format!("# {file}\n")));
    let mut text = text.unwrap().clone();
    let mut registries = String::new();
    for (name, registry) in hosts {
        let host = registry.host();
        assert!(text.contains(name), "{text}");
        text = text.replace(name, &host);
        registries += "  ";
        registries += &host;
        registries += ": {tls: {insecure: true, plain-http: true}}\n";
    }
    let head = format!("version: 1\nregistries:\n{registries}");
    Place::new().file(file, &text.replace("version: 1\n", &head))
}

/// Runs the commands of a block one by one. Each has to succeed.
fn follow(place: &Place, block: &str) -> Vec<Outcome> {
    let folder = Path::new(env!("CARGO_BIN_EXE_image-syncer")).parent();
    let path = format!(
        "{}:{}",
        folder.unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let run = |line: &str| {
        let mut shell = place.shell(line);
        Outcome::of(shell.env("PATH", &path).output().unwrap()).exits(0)
    };
    block.lines().map(run).collect()
}

#[test]
fn images_cross_an_air_gap_as_the_document_shows() {
    let start = || {
        Registry::builder()
            .profile(Profile::strict())
            .start_on_thread()
    };
    let (hub, quay, inside) = (start(), start(), start());
    let (nginx, etcd) = (index("nginx"), image("etcd"));
    let sbom = Image::referrer_of(&nginx, SBOM, "sbom");
    hub.push("library/nginx", Some("1.27"), &nginx);
    hub.push("library/nginx", Some("1.26"), &image("not wanted"));
    hub.push("library/nginx", None, &sbom);
    for tag in ["v3.5.8", "v3.5.9"] {
        quay.push("coreos/etcd", Some(tag), &etcd);
    }
    quay.push("coreos/etcd", Some("v3.4.0"), &image("not wanted"));
    let hosts = [("docker.io", &hub), ("quay.io", &quay)];
    let commands = blocks("sh");
    let [write, load, again] = &commands[..] else {
        panic!("three blocks: {commands:?}");
    };

    let outside = place_with("outside.yaml", &hosts);
    let done = follow(&outside, write);
    assert!(done[0].stderr.contains("3 copied"), "{done:?}");
    assert_eq!(done[1].stdout, "", "all is in the archive");
    assert_eq!(left_over(&outside), [""; 0]);

    // Nothing but the two files crosses the gap.
    let carried = place_with("inside.yaml", &[("registry.inside.example.com", &inside)]);
    for file in ["images.tar", "images.tar.sha256"] {
        std::fs::copy(outside.path(file), carried.path(file)).unwrap();
    }
    let sources = (hub.requests().len(), quay.requests().len());
    let done = follow(&carried, load);
    assert_eq!(done[1].stdout.lines().count(), 3, "{done:?}");
    assert!(done[2].stderr.contains("3 copied"), "{done:?}");
    assert_eq!(done[3].stdout, "", "all is inside");
    assert_eq!((hub.requests().len(), quay.requests().len()), sources);
    assert_arrived(&inside, "mirror/library/nginx", "1.27", &nginx);
    assert_eq!(inside.state().tags("mirror/library/nginx"), ["1.27"]);
    let arrived = inside
        .state()
        .manifest("mirror/library/nginx", sbom.digest());
    assert!(arrived.is_some());
    for tag in ["v3.5.8", "v3.5.9"] {
        assert_arrived(&inside, "mirror/coreos/etcd", tag, &etcd);
    }
    assert_eq!(
        inside.state().tags("mirror/coreos/etcd"),
        ["v3.5.8", "v3.5.9"]
    );

    // A second export, in place and in a new directory.
    let done = follow(&outside, again);
    assert!(done[0].stderr.contains("3 unchanged"), "{done:?}");
    let new = place_with("outside.yaml", &hosts);
    std::fs::copy(
        outside.path("images.tar.sha256"),
        new.path("images.tar.sha256"),
    )
    .unwrap();
    let done = follow(&new, again);
    assert!(done[0].stderr.contains("3 copied"), "{done:?}");
    assert_eq!(bytes(&new, "images.tar"), bytes(&outside, "images.tar"));
    // The check fails if something is missing inside.
    inside.state().untag("mirror/coreos/etcd", "v3.5.9");
    let missing = carried.run(&["check", "--config", "inside.yaml"]).exits(3);
    assert!(missing.stdout.starts_with("new"), "{missing:?}");
}
