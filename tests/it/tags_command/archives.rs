//! Images of archives: plain, compressed, truncated, and on standard input.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;
use testkit::real::DockerRegistry;

use super::real_push;
use crate::support::{Outcome, Place, image, index, registry};

const V1: &str = "quay.io/team/app:v1";
const V2: &str = "quay.io/team/web:v2";

/// Copies two images into the archive `two.tar`. Returns their digests.
fn archive() -> (Place, [String; 2]) {
    let (registry, place) = (registry(), Place::new());
    let images = [index("multi"), image("single")];
    let host = registry.host();
    for (name, image) in [V1, V2].into_iter().zip(&images) {
        registry.push("app", Some(name.rsplit_once(':').unwrap().1), image);
        let source = format!("{host}/app:{}", name.rsplit_once(':').unwrap().1);
        let layout = format!("oci:store#{name}");
        place
            .run(&["copy", &source, &layout, "--insecure", &host])
            .exits(0);
    }
    place
        .run(&["copy", "oci:store#*", "--to", "oci-archive:two.tar"])
        .exits(0);
    (place, images.map(|image| image.digest().to_owned()))
}

/// Returns name and digest of each line.
fn listed(outcome: &Outcome) -> Vec<(&str, &str)> {
    let fields = outcome.stdout.lines().map(|line| {
        let mut fields = line.split('\t');
        (fields.next().unwrap(), fields.next().unwrap())
    });
    fields.collect()
}

/// Runs the program with the bytes of a file on a pipe as its standard input.
fn run_with_stdin(place: &Place, arguments: &[&str], file: &str) -> Outcome {
    let bytes = std::fs::read(place.path(file)).unwrap();
    let mut command = place.command(arguments);
    command.stdin(Stdio::piped());
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || drop(stdin.write_all(&bytes)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    Outcome::of(output)
}

#[test]
fn archives_are_listed_as_layouts_are() {
    let (place, [v1, v2]) = archive();
    let all = [(V1, v1.as_str()), (V2, v2.as_str())];
    for text in [
        "oci-archive:two.tar",
        "docker-archive:two.tar",
        "oci-archive:two.tar#*",
    ] {
        let outcome = place.run(&["tags", text]).exits(0);
        assert_eq!(listed(&outcome), all, "{text}");
    }
    let layout = place.run(&["tags", "oci:store"]).exits(0);
    let archive = place.run(&["tags", "oci-archive:two.tar"]).exits(0);
    assert_eq!(layout.stdout, archive.stdout);
    for (text, expected) in [
        ("oci-archive:two.tar#*:v2", all[1]),
        ("oci-archive:two.tar#quay.io/team/app", all[0]),
        ("oci-archive:two.tar#quay.io/team/web:v2", all[1]),
    ] {
        let outcome = place.run(&["tags", text]).exits(0);
        assert_eq!(listed(&outcome), [expected], "{text}");
    }
    let json = ["tags", "oci-archive:two.tar", "--output", "json"];
    let images: Vec<Value> = serde_json::from_str(&place.run(&json).exits(0).stdout).unwrap();
    assert_eq!(images[0]["source"], format!("oci-archive:two.tar#{V1}"));
    let missing = place.run(&["tags", "oci-archive:none.tar"]).exits(1);
    missing
        .says("error: oci-archive:none.tar: cannot find images at oci-archive:none.tar: there is no such file")
        .does_not_say("hint:");
}

#[test]
pub(crate) fn standard_input_is_unpacked_where_the_flag_says() {
    let (place, [v1, v2]) = archive();
    let outcome = run_with_stdin(&place, &["tags", "oci-archive:-"], "two.tar").exits(0);
    assert_eq!(listed(&outcome), [(V1, v1.as_str()), (V2, v2.as_str())]);
    let elsewhere = ["tags", "docker-archive:-", "--temp", "two.tar"];
    let refused = run_with_stdin(&place, &elsewhere, "two.tar").exits(1);
    assert_eq!(refused.stdout, "");
    refused.says("two.tar");
    std::fs::create_dir(place.path("temp")).unwrap();
    let there = ["tags", "docker-archive:-", "--temp", "temp", "--names"];
    let outcome = run_with_stdin(&place, &there, "two.tar").exits(0);
    assert_eq!(outcome.stdout, format!("{V1}\n{V2}\n"));
    // Nothing is left behind.
    assert_eq!(std::fs::read_dir(place.path("temp")).unwrap().count(), 0);
}

#[test]
pub(crate) fn a_truncated_archive_is_listed_as_far_as_it_goes() {
    let (place, digests) = archive();
    let whole = std::fs::read(place.path("two.tar")).unwrap();
    // In the last of its files.
    let content = whole.iter().rposition(|byte| *byte != 0).unwrap();
    std::fs::write(place.path("cut.tar"), &whole[..content - 10]).unwrap();
    place
        .run(&["tags", "oci-archive:cut.tar"])
        .exits(1)
        .says("it is truncated at byte")
        .says("--partial");
    let outcome = place
        .run(&["tags", "oci-archive:cut.tar", "--partial"])
        .exits(0);
    // The names are in that file, so that the images have their digests alone.
    let mut found: Vec<&str> = listed(&outcome).into_iter().map(|(name, _)| name).collect();
    found.sort_unstable();
    let mut expected = digests.map(|digest| format!("@{digest}"));
    expected.sort();
    assert_eq!(found, expected);
    outcome.says("warning: oci-archive:cut.tar: it is truncated at byte");
}

#[test]
fn archives_of_skopeo_are_listed() {
    testkit::needs!("skopeo", "docker-registry");
    let registry = DockerRegistry::builder().start().unwrap();
    let (place, single) = (Place::new(), image("single"));
    real_push(&registry, "a", "v1", &single);
    let source = format!("docker://{}/a:v1", registry.host());
    for target in [
        "oci-archive:oci.tar:v1",
        "docker-archive:docker.tar:quay.io/team/app:v1",
    ] {
        let mut skopeo = Command::new("skopeo");
        skopeo.current_dir(place.path("")).args([
            "copy",
            "--src-tls-verify=false",
            "--insecure-policy",
            &source,
            target,
        ]);
        let output = skopeo.output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    let outcome = place
        .run(&["tags", "oci-archive:oci.tar", "--output", "json"])
        .exits(0);
    let images: Vec<Value> = serde_json::from_str(&outcome.stdout).unwrap();
    let [one] = &images[..] else {
        panic!("{}", outcome.stdout)
    };
    assert_eq!(one["name"], "v1");
    assert_eq!(one["digest"], single.digest());
    // What the list names can be listed again.
    let source = one["source"].as_str().unwrap();
    assert_eq!(source, "oci-archive:oci.tar#:v1");
    assert_eq!(
        listed(&place.run(&["tags", source]).exits(0)),
        [("v1", single.digest())]
    );
    // A legacy archive has no manifests, so the program makes them.
    let outcome = place.run(&["tags", "docker-archive:docker.tar"]).exits(0);
    let [(name, digest)] = listed(&outcome)[..] else {
        panic!("{}", outcome.stdout)
    };
    assert_eq!(name, "quay.io/team/app:v1");
    assert_ne!(digest, single.digest());
    assert!(
        outcome.stdout.contains("\tlinux/amd64\t"),
        "{}",
        outcome.stdout
    );
}
