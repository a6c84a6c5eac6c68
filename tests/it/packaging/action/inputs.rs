//! Inputs become flags and files.

use std::collections::BTreeSet;

use super::{Job, ROOT, action};
use crate::support::Place;

/// Program that writes its arguments, one a line, the files among them, and a report without images.
const RECORDER: &str = r#"#!/bin/sh
printf '%s\n' "$@" > arguments.txt
stat -c %a "$RUNNER_TEMP"/image-syncer-files.*/* > modes.txt 2>/dev/null || :
cat "$RUNNER_TEMP"/image-syncer-files.*/* > texts.txt 2>/dev/null || :
exit 0
"#;

/// Returns the arguments of the program for these inputs, without those of the report.
#[track_caller]
fn arguments(inputs: &[(&str, &str)]) -> Vec<String> {
    let job = Job::with_program(Place::new(), RECORDER);
    job.run("Run", inputs).exits(0);
    let text = job.place.read("arguments.txt");
    let mut words: Vec<String> = text.lines().map(str::to_owned).collect();
    let report = words.split_off(words.len() - 2);
    assert_eq!(report[0], "--report");
    assert!(
        report[1].ends_with("/temp/image-syncer-report.json"),
        "{report:?}"
    );
    words
}

#[test]
fn inputs_reach_the_steps_and_the_scripts_read_them() {
    let action = action();
    let name = regex::Regex::new(r"INPUT_[A-Z_]+").unwrap();
    let mut reached = BTreeSet::new();
    for (step, script) in [("Install", "install"), ("Run", "run")] {
        let steps = action["runs"]["steps"].as_array().unwrap();
        let step = steps.iter().find(|it| it["name"] == step).unwrap();
        let variables = step["env"].as_object().unwrap();
        let given: BTreeSet<&str> = variables.keys().map(String::as_str).collect();
        let text = std::fs::read_to_string(format!("{ROOT}/contrib/action/{script}")).unwrap();
        let code = text.lines().filter(|line| !line.starts_with('#'));
        let code: Vec<&str> = code.collect();
        let code = code.join("\n");
        let read: BTreeSet<&str> = name.find_iter(&code).map(|it| it.as_str()).collect();
        assert_eq!(read, given, "{script}");
        for (variable, value) in variables {
            let input = variable.strip_prefix("INPUT_").unwrap().to_lowercase();
            assert_eq!(*value, format!("${{{{ inputs.{input} }}}}"));
            reached.insert(input);
        }
    }
    let inputs = action["inputs"].as_object().unwrap();
    let declared: BTreeSet<String> = inputs.keys().cloned().collect();
    assert_eq!(reached, declared);
    // None is required, and each is described and documented.
    let document = std::fs::read_to_string(format!("{ROOT}/docs/github-action.md")).unwrap();
    for (name, input) in inputs {
        assert!(input["description"].is_string(), "{name}");
        assert_eq!(input.get("required"), None, "{name}");
        assert!(
            document.contains(&format!("`{name}`")),
            "{name} is not documented"
        );
    }
    for name in action["outputs"].as_object().unwrap().keys() {
        assert!(
            document.contains(&format!("`{name}`")),
            "{name} is not documented"
        );
    }
}

#[test]
fn inputs_become_flags() {
    testkit::needs!("jq");
    for (inputs, expected) in [
        (&[("config", "sync.yaml")][..], "--config sync.yaml"),
        (&[("config", "sync.yaml\n")], "--config sync.yaml"),
        (
            &[("images", "i.yaml"), ("auth", "a.yaml")],
            "--images i.yaml --auth a.yaml",
        ),
        (
            &[("images_file", "i.yaml"), ("auth_file", "./a.yaml")],
            "--images i.yaml --auth ./a.yaml",
        ),
        (
            &[("images", "i.yaml"), ("images_file", "i.yaml")],
            "--images i.yaml",
        ),
        (
            &[
                ("images_file", "i"),
                ("os", "linux"),
                ("arch", "amd64,arm64"),
                ("proc", "6"),
                ("retries", "2"),
            ],
            "--images i --os linux --arch amd64,arm64 --proc 6 --retries 2",
        ),
        (
            &[("config", "c"), ("rule", "base *\nteam\n")],
            "--config c --rule base * --rule team",
        ),
        (
            &[("config", "c"), ("args", "--verify\n  --log-level debug")],
            "--verify --log-level debug --config c",
        ),
        (
            &[("config", "c"), ("args", "plan --exit-code")],
            "plan --exit-code --config c",
        ),
        (
            &[("args", "--immutable 'v* x' --immutable \"$(id)\"")],
            "--immutable v* x --immutable $(id)",
        ),
    ] {
        assert_eq!(arguments(inputs).join(" "), expected);
    }
    // A pattern with a blank is one argument.
    assert_eq!(arguments(&[("args", "--immutable 'v* x'")])[1], "v* x");
    let words = arguments(&[("config", "c"), ("rule", "base *")]);
    assert_eq!(words[3], "base *");
}

#[test]
fn the_program_understands_the_flags() {
    let inputs = [
        ("images_file", "i"),
        ("auth_file", "a"),
        ("os", "linux"),
        ("arch", "amd64"),
        ("proc", "6"),
        ("retries", "2"),
        ("rule", "base"),
    ];
    let all = std::iter::once("image-syncer".to_owned()).chain(arguments(&inputs));
    <image_syncer::cli::Cli as clap::Parser>::try_parse_from(all).unwrap();
}

#[test]
fn texts_become_private_files_and_no_arguments() {
    let job = Job::with_program(Place::new(), RECORDER);
    let auth = "registry.example.com:\n  username: mirror\n  password: hunter2\n";
    let images = r#"{"registry.example.com/a": "other.example.com/a"}"#;
    let outcome = job
        .run("Run", &[("auth", auth), ("images", images)])
        .exits(0);
    let arguments = job.place.read("arguments.txt");
    assert!(!arguments.contains("hunter2"), "{arguments}");
    assert!(!outcome.stdout.contains("hunter2"), "{}", outcome.stdout);
    assert_eq!(job.place.read("modes.txt"), "600\n600\n");
    assert_eq!(job.place.read("texts.txt"), format!("{auth}{images}\n"));
    let left: Vec<_> = std::fs::read_dir(job.place.path("temp")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn inputs_that_contradict_each_other_are_refused() {
    let job = Job::with_program(Place::new(), RECORDER);
    let outcome = job
        .run("Run", &[("images", "a"), ("images_file", "b")])
        .exits(2);
    let message = "the inputs images and images_file differ: set one of them";
    assert_eq!(
        outcome.stdout,
        format!("::error title=image-syncer::{message}\n")
    );
    let outcome = job.run("Run", &[("args", "--rule 'a")]).exits(2);
    assert!(
        outcome.stdout.contains("has a quote that does not end"),
        "{}",
        outcome.stdout
    );
    assert!(!job.place.path("arguments.txt").exists());
}

#[test]
fn workflows_in_documents_use_inputs_that_exist() {
    testkit::needs!("actionlint");
    let text = std::fs::read_to_string(format!("{ROOT}/docs/github-action.md")).unwrap();
    let action = action();
    let version = format!("image-syncer/image-syncer@v{}", env!("CARGO_PKG_VERSION"));
    let mut number = 0;
    for block in text.split("```yaml\n").skip(1) {
        let block = block.split("```").next().unwrap();
        let workflow: serde_json::Value = serde_saphyr::from_str(block).unwrap();
        for job in workflow["jobs"].as_object().unwrap().values() {
            let steps = job["steps"].as_array().unwrap();
            let ours = |step: &&serde_json::Value| step["uses"] == version.as_str();
            let step = steps.iter().find(ours).unwrap();
            for name in step["with"].as_object().unwrap().keys() {
                assert!(action["inputs"].get(name).is_some(), "{name}");
            }
            number += 1;
        }
        let place = Place::new().file("workflow.yml", block);
        let mut lint = std::process::Command::new("actionlint");
        let lint = lint.arg(place.path("workflow.yml")).output().unwrap();
        crate::support::Outcome::of(lint).exits(0);
    }
    assert_eq!(number, 3);
}
