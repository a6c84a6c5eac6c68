//! Forms of flags in scripts for the Go tool: those of pflag.

use std::time::Duration;

use serde_json::json;
use testkit::{Action, Fault, Image, Kind, Layer, Registry};

use crate::support::{FILES, Place, assert_arrived, between, image, index, insecure, registry};

/// Returns the files of a sync of `a:v1` that has run.
fn unchanged() -> (Registry, Registry, Place) {
    let (source, destination) = (registry(), registry());
    source.push("a", Some("v1"), &image("a"));
    let place = between(&source, &destination, "SRC/a:v1: DST/a\n");
    place.run(&FILES).exits(0).says("1 copied");
    (source, destination, place)
}

#[test]
fn values_follow_a_blank_an_equals_sign_or_the_short_flag_itself() {
    let (_source, _destination, place) = unchanged();
    for form in [
        "-p 5",
        "-p5",
        "-p=5",
        "-p 0",
        "-p -1",
        "--proc 5",
        "--proc=5",
        "--proc=0",
        "--proc=-1",
        "-r 3",
        "-r3",
        "--retries=0",
        "-r -1",
        "--output-images-format= --log-level=",
        "--proc= --retries=",
        "-p5 -r3",
        // The last value counts.
        "--proc 1 --proc 2",
        "--os linux --os windows --arch=amd64",
    ] {
        let arguments: Vec<&str> = form.split(' ').collect();
        place
            .run(&[&FILES[..], &arguments].concat())
            .exits(0)
            .says("1 unchanged");
    }
}

#[test]
fn force_is_a_switch_and_accepts_a_value_after_an_equals_sign() {
    let (_source, _destination, place) = unchanged();
    for (form, ended) in [
        ("--force", "1 copied, 0 unchanged"),
        ("--force=true", "1 copied, 0 unchanged"),
        ("--force=T", "1 copied, 0 unchanged"),
        ("--force=1", "1 copied, 0 unchanged"),
        ("--force=false", "0 copied, 1 unchanged"),
        ("--force=F", "0 copied, 1 unchanged"),
        ("--force=0", "0 copied, 1 unchanged"),
    ] {
        place
            .run(&[&FILES[..], &[form]].concat())
            .exits(0)
            .says(ended);
    }
}

#[test]
fn an_empty_value_means_that_the_flag_is_not_given() {
    let (source, destination, place) = unchanged();
    let empty = [
        "-v",
        "--config=",
        "--log",
        "",
        "--records=",
        "--output-success-images=",
        "--registry=",
        "--namespace=",
        "--arch=",
        "--os",
        "",
    ];
    let outcome = place.run(&[&FILES[..], &empty].concat()).exits(0);
    assert_eq!(outcome.lines("unchanged").len(), 1, "{}", outcome.stderr);
    outcome.does_not_say("warning");
    // Neither flags nor variables give defaults.
    let place = Place::new()
        .variable("DEFAULT_REGISTRY", "")
        .variable("DEFAULT_NAMESPACE", "")
        .file("images.yaml", &format!("{}/a:v1: ''\n", source.host()))
        .file("auth.yaml", &insecure(&[&source, &destination]));
    place
        .run(&FILES)
        .exits(2)
        .says("needs a default registry and namespace");
}

#[test]
pub(crate) fn proc_limits_the_blobs_in_flight() {
    let (source, destination) = (registry(), registry());
    for tag in ["v1", "v2", "v3"] {
        let layers = [1, 2].map(|n| Layer::tar(&format!("{tag} {n}"), 1_000));
        source.push("a", Some(tag), &Image::single(layers));
    }
    // Without the limit, uploads would start while others wait for their answers.
    destination.set_latency(Duration::from_millis(20));
    let place = between(&source, &destination, "SRC/a: DST/a\n");
    place
        .run(&[&FILES[..], &["-p1"]].concat())
        .exits(0)
        .says("3 copied");
    // Each upload is opened (with a mount from the repository itself) and closed before the next.
    let uploads: Vec<Kind> = destination
        .requests()
        .iter()
        .map(|request| request.kind)
        .filter(|kind| kind.takes_blob() || *kind == Kind::Mount)
        .collect();
    assert_eq!(uploads, [[Kind::Mount, Kind::UploadPut]; 9].concat());
}

#[test]
fn flags_override_variables() {
    let (source, destination) = (registry(), registry());
    source.push("team/a", Some("v1"), &image("a"));
    let place = Place::new()
        .variable("DEFAULT_REGISTRY", "not-this.example")
        .variable("DEFAULT_NAMESPACE", "not-this")
        .file("images.yaml", &format!("{}/team/a:v1:\n", source.host()))
        .file("auth.yaml", &insecure(&[&source, &destination]));
    let flags = ["--registry", &destination.host(), "--namespace=this/one"];
    place.run(&[&FILES[..], &flags].concat()).exits(0);
    assert_arrived(&destination, "this/one/a", "v1", &image("a"));
}

#[test]
fn an_index_whose_own_push_failed_is_not_among_the_successes() {
    let (source, destination) = (registry(), registry());
    source.push("a", Some("good"), &index("good"));
    source.push("a", Some("bad"), &index("bad"));
    let push = Fault::on(Kind::ManifestPut).reference("bad");
    destination.fault(push, Action::error(403, "DENIED", "no"));
    let (from, to) = (source.host(), destination.host());
    let place = between(&source, &destination, &format!("{from}/a: {to}/b\n"));
    let flags = [
        "--output-success-images=out",
        "--output-images-format",
        "json",
    ];
    place.run(&[&FILES[..], &flags].concat()).exits(1);
    let written: serde_json::Value = serde_json::from_str(&place.read("out")).unwrap();
    let good = json!({format!("{from}/a:good"): [format!("{to}/b:good")]});
    assert_eq!(written, good);
}

#[test]
fn several_files_are_merged_and_one_of_them_may_be_standard_input() {
    let (source, destination) = (registry(), registry());
    for repository in ["a", "b", "c"] {
        source.push(repository, Some("v1"), &image(repository));
    }
    let rule = |name: &str| {
        format!(
            "{}/{name}:v1: {}/{name}\n",
            source.host(),
            destination.host()
        )
    };
    let place = Place::new()
        .file("a.yaml", &rule("a"))
        .file("b.yaml", &rule("b"))
        .file("one.yaml", &insecure(&[&source]))
        .file("two.yaml", &insecure(&[&destination]));
    let files = ["--images", "a.yaml", "--images=b.yaml", "--images", "-"];
    let logins = ["--auth", "one.yaml", "--auth", "two.yaml"];
    let mut command = place.command(&[&files[..], &logins].concat());
    let mut child = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut input, rule("c").as_bytes()).unwrap();
    drop(input);
    let outcome = crate::support::Outcome::of(child.wait_with_output().unwrap());
    outcome.exits(0).says("3 copied");
    for repository in ["a", "b", "c"] {
        assert_arrived(&destination, repository, "v1", &image(repository));
    }
    place
        .run(&["--images", "-", "--auth", "-"])
        .exits(2)
        .says("--auth - and --images -: standard input can be read only once");
}

#[test]
fn a_file_that_a_later_value_replaces_is_reported() {
    let (_source, _destination, place) = unchanged();
    let arguments = [
        "--report", "a.json", "--report", "b.json", "-p", "1", "-p", "2",
    ];
    let outcome = place.run(&[&FILES[..], &arguments].concat()).exits(0);
    let expected =
        "--report a.json is ignored: the flag takes one value, and the last one counts, b.json";
    assert_eq!(outcome.lines("warning").len(), 1, "{}", outcome.stderr);
    outcome.says(expected);
    assert!(!place.path("a.json").exists() && place.path("b.json").exists());
}

#[test]
fn a_log_that_cannot_be_opened_goes_to_stderr() {
    let (_source, _destination, place) = unchanged();
    for log in ["nowhere/x.log", "."] {
        let outcome = place.run(&[&FILES[..], &["--log", log, "-v"]].concat());
        let outcome = outcome.exits(0).says("; the log goes to stderr");
        assert_eq!(outcome.lines("unchanged").len(), 1, "{}", outcome.stderr);
    }
}
