//! Mistakes are refused before any request, with exit code 2 and a sentence that says what to write.

use testkit::Registry;

use crate::support::{Place, insecure, registry};

/// Runs the program with `images` and `auth`, and asserts that the registry gets no request.
#[track_caller]
fn refused(images: &str, auth: &str, arguments: &[&str], sentences: &[&str]) {
    let registry = registry();
    let fill = |text: &str| text.replace("HOST", &registry.host());
    let place = Place::new()
        .file("images.yaml", &fill(images))
        .file("auth.yaml", &(insecure(&[&registry]) + &fill(auth)));
    let all = [
        &["--images", "images.yaml", "--auth", "auth.yaml"],
        arguments,
    ]
    .concat();
    let outcome = place.run(&all).exits(2);
    assert_eq!(outcome.stdout, "");
    for sentence in sentences {
        assert!(
            outcome.stderr.contains(sentence),
            "no {sentence:?} in:\n{}",
            outcome.stderr
        );
    }
    nothing_was_asked(&registry);
}

#[track_caller]
fn nothing_was_asked(registry: &Registry) {
    assert_eq!(registry.connections(), 0);
}

#[track_caller]
pub(crate) fn usage(arguments: &[&str], sentence: &str) {
    let outcome = Place::new().run(arguments).exits(2);
    assert_eq!(outcome.stdout, "");
    assert!(
        outcome.stderr.contains(sentence),
        "no {sentence:?} in:\n{}",
        outcome.stderr
    );
}

#[test]
fn nothing_to_copy() {
    usage(&[], "no image is named. Use --images FILE");
    usage(&["--auth", "a.yaml"], "--auth alone names no image");
}

#[test]
fn both_forms_of_files() {
    usage(
        &["--config", "c.yaml", "--auth", "a.yaml"],
        "--config cannot be used with --auth or --images",
    );
    usage(
        &["--config", "c.yaml", "--images", "i.yaml"],
        "--config cannot be used with --auth or --images",
    );
}

#[test]
fn mistakes_of_flags_files_and_outputs_are_shown_together() {
    let flags = [
        "--retries",
        "many",
        "--log-format=xml",
        "--arch",
        "x86_64",
        "--report",
        "no/such/report.json",
        "--max-rate",
        "fast",
        "-v",
        "-q",
    ];
    let sentences = [
        "error: --retries many: not a whole number. Write a number from 0 to 4294967295.",
        "--log-format xml: there is no such value. Write text or json.",
        "--verbose cannot be used with --quiet. Leave one of them out.",
        "images.yaml:1:1: ",
        "auth.yaml:",
        "--arch x86_64: ",
        "--max-rate fast: ",
        "--report no/such/report.json: cannot write the file: ",
    ];
    let auth = "  insecur: true\n";
    refused("HOST/A: HOST/b\n", auth, &flags, &sentences);
}

#[test]
fn a_missing_file() {
    usage(&["--images", "nowhere.yaml"], "nowhere.yaml");
}

#[test]
fn a_file_of_unknown_kind() {
    let place = Place::new().file("images.toml", "");
    place
        .run(&["--images", "images.toml"])
        .exits(2)
        .says("images.toml")
        .says(".yaml");
}

#[test]
fn a_typing_error_in_a_key_is_shown_with_its_line() {
    refused(
        "HOST/a: HOST/b\n",
        "r.example:\n  usrname: u\n",
        &[],
        &["auth.yaml:4", "usrname", "username"],
    );
}

#[test]
fn a_duplicate_source() {
    refused(
        "HOST/a:v1: HOST/b\nHOST/a:v1: HOST/c\n",
        "",
        &[],
        &[
            "images.yaml:2",
            "duplicate source with another destination than in line 1",
        ],
    );
}

#[test]
fn an_unset_variable() {
    refused(
        "HOST/a: r.example/b\n",
        "r.example:\n  username: u\n  password: ${NOT_SET}\n",
        &[],
        &["auth.yaml:5", "NOT_SET"],
    );
}

#[test]
fn a_digest_that_is_too_short() {
    refused(
        "HOST/a@sha256:0123: HOST/b\n",
        "",
        &[],
        &["images.yaml:1", "sha256:0123"],
    );
}

#[test]
fn all_mistakes_of_a_file_are_shown_together() {
    refused(
        "HOST/a@sha256:0123: HOST/b\nHOST/UPPER: HOST/c\n",
        "r.example:\n  usrname: u\n",
        &[],
        &["images.yaml:1", "images.yaml:2", "auth.yaml:4"],
    );
}

#[test]
fn mistakes_of_files_flags_and_outputs_are_told_together() {
    let place = Place::new()
        .file("images.yaml", "r.example/UPPER: s.example/b\n")
        .file("auth.yaml", "r.example:\n  usrname: u\n")
        .variable("RUST_LOG", "image_syncer_registry=loud");
    let arguments = [
        "--images",
        "images.yaml",
        "--auth",
        "auth.yaml",
        "--arch",
        "linux/amd64",
        "--max-rate",
        "much",
        "--max-requests",
        "0",
        "--immutable",
        "v1,v2",
        "--allow-private",
        "http://a.example",
        "--trust-realm",
        "b.example/c",
        "--report",
        "nowhere/report.json",
        "--failed-images",
        ".",
        "--output-success-images",
        "nowhere/copied.yaml",
    ];
    let outcome = place.run(&arguments).exits(2);
    let mistakes: Vec<&str> = outcome.stderr.split("\n\n").collect();
    let expected = [
        "error: auth.yaml:2",
        "images.yaml:1",
        "--arch linux/amd64",
        "--immutable v1,v2",
        "--max-requests 0",
        "--max-rate much",
        "--allow-private: `http://a.example`",
        "--trust-realm: `b.example/c`",
        "RUST_LOG=image_syncer_registry=loud",
        "--report nowhere/report.json",
        "--output-success-images nowhere/copied.yaml",
        "--failed-images",
    ];
    assert_eq!(mistakes.len(), expected.len(), "{}", outcome.stderr);
    for (mistake, expected) in mistakes.iter().zip(expected) {
        assert!(mistake.starts_with(expected), "{mistake}");
    }
}

#[test]
fn outputs_that_were_opened_before_a_mistake_leave_nothing_behind() {
    let place = Place::new().file("images.yaml", "r.example/UPPER: s.example/b\n");
    let outputs = ["--report", "report.json", "--failed-images", "failed.yaml"];
    let arguments = [&["--images", "images.yaml"], &outputs[..]].concat();
    place.run(&arguments).exits(2).says("images.yaml:1");
    let left = std::fs::read_dir(place.path("")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["images.yaml"]);
}

#[test]
fn an_empty_destination_without_defaults() {
    refused("HOST/a: \"\"\n", "", &[], &["images.yaml:1", "--registry"]);
}

#[test]
fn an_invalid_platform() {
    refused(
        "HOST/a: HOST/b\n",
        "",
        &["--arch", "linux/amd64"],
        &["--os linux --arch amd64"],
    );
    refused(
        "HOST/a: HOST/b\n",
        "",
        &["--arch", "x86_64"],
        &["no image has the architecture x86_64. Images call it amd64: write --arch amd64."],
    );
}

#[test]
fn a_registry_without_a_repository() {
    refused(
        "harbor.example.com: registry.example.com\n",
        "",
        &[],
        &[
            "images.yaml:1:1: `harbor.example.com` is not a repository: it is a registry without a repository, write \
             `harbor.example.com/REPOSITORY`",
            "images.yaml:1:21: `registry.example.com` is not a repository: it is a registry without a repository",
        ],
    );
    usage(
        &["copy", "r.example/a:v1", "localhost:6214"],
        "write `localhost:6214/REPOSITORY`",
    );
    usage(
        &["copy", "--all-tags", "r.example", "s.example/a"],
        "write `r.example/REPOSITORY`",
    );
}

#[test]
fn output_that_cannot_be_written() {
    refused(
        "HOST/a: HOST/b\n",
        "",
        &["--output-success-images", "nowhere/at/all.yaml"],
        &["nowhere/at/all.yaml"],
    );
    refused(
        "HOST/a: HOST/b\n",
        "",
        &["--output-success-images", "."],
        &["directory"],
    );
}

#[test]
fn an_invalid_log_filter() {
    let place = Place::new()
        .file("images.yaml", "r.example/a: s.example/b\n")
        .variable("RUST_LOG", "image_syncer_registry=loud");
    place
        .run(&["--images", "images.yaml"])
        .exits(2)
        .says("RUST_LOG=image_syncer_registry=loud");
}

#[test]
fn excerpts_of_a_file_have_no_secrets() {
    let place = Place::new()
        .file("images.yaml", "r.example/a: s.example/b\n")
        .file(
            "auth.yaml",
            "r.example:\n  username: u\n  password: hunter2\n  pasword: hunter3\n",
        );
    place
        .run(&["--images", "images.yaml", "--auth", "auth.yaml"])
        .exits(2)
        .says("pasword")
        .does_not_say("hunter2")
        .does_not_say("hunter3");
}

#[test]
fn a_source_of_copy_needs_a_tag_or_all_tags() {
    usage(&["copy", "r.example/a", "s.example/a"], "add --all-tags");
    usage(
        &["copy", "--all-tags", "r.example/a:v1", "s.example/a"],
        "which has a tag or digest",
    );
}

#[test]
fn a_destination_is_missing() {
    usage(&["copy", "r.example/a:v1"], "<DESTINATION>");
}

#[test]
fn sparse_without_a_filter() {
    let place = Place::new().file("images.yaml", "a.example/a:v1: b.example/a\n");
    let outcome = place.run(&["--images", "images.yaml", "--sparse"]).exits(2);
    outcome
        .says("--sparse has no effect without a filter. Add --os, --arch or --strip-attestations.");
}

#[test]
fn a_file_that_is_named_twice() {
    for (flags, sentence) in [
        (
            ["--report", "out.json", "--log", "./out.json"],
            "--log ./out.json: this is the same file as --report out.json, and one would destroy the other",
        ),
        (
            ["--report", "state", "--records", "state"],
            "--records state: this is the same file as --report state",
        ),
        (
            ["--failed-images", "images.yaml", "--retries", "0"],
            "--failed-images images.yaml: this is the same file as --images images.yaml",
        ),
        (
            ["--report", "auth.yaml", "--retries", "0"],
            "--report auth.yaml: this is the same file as --auth auth.yaml",
        ),
    ] {
        refused("HOST/a: HOST/b\n", "", &flags, &[sentence]);
    }
}
