//! The workflow of a release, and its scripts.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::docs::shell;
use crate::support::{Outcome, Place};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Runners of GitHub, and the architecture and system of each.
const RUNNERS: [(&str, &str); 7] = [
    ("ubuntu-latest", "x86_64-linux"),
    ("ubuntu-22.04", "x86_64-linux"),
    ("ubuntu-22.04-arm", "aarch64-linux"),
    ("ubuntu-24.04", "x86_64-linux"),
    ("ubuntu-24.04-arm", "aarch64-linux"),
    ("macos-15-intel", "x86_64-darwin"),
    ("macos-15", "aarch64-darwin"),
];

/// Scope of permissions that is newer than the linter at hand.
const NEW_SCOPE: &str = "unknown permission scope \"attestations\"";

fn read(path: &str) -> String {
    std::fs::read_to_string(format!("{ROOT}/{path}")).unwrap()
}

fn release() -> Value {
    serde_saphyr::from_str(&read(".github/workflows/release.yml")).unwrap()
}

/// Packs the program of this build as a release does, and returns the archive.
///
/// The archive has a script that starts the program, which is large without optimisations.
#[track_caller]
pub(super) fn packed(place: &Place, target: &str, output: &Path) -> PathBuf {
    let program = env!("CARGO_BIN_EXE_image-syncer");
    let binary = place.path("binary");
    std::fs::write(&binary, format!("#!/bin/sh\nexec {program} \"$@\"\n")).unwrap();
    std::fs::set_permissions(&binary, Permissions::from_mode(0o755)).unwrap();
    let mut archive = Command::new(format!("{ROOT}/scripts/archive"));
    archive
        .arg(&binary)
        .arg(target)
        .arg(output)
        .env("SOURCE_DATE_EPOCH", "1700000000");
    let name = output.join(format!("image-syncer-{target}.tar.gz"));
    let packed = Outcome::of(archive.output().unwrap()).exits(0);
    assert_eq!(packed.stdout, format!("{}\n", name.display()));
    name
}

#[test]
fn an_archive_has_completions_and_pages_and_is_reproducible() {
    testkit::needs!("tar", "gzip");
    let place = Place::new();
    let [first, second] = ["first", "second"].map(|name| {
        let archive = packed(&place, "x86_64-unknown-linux-gnu", &place.path(name));
        std::fs::read(archive).unwrap()
    });
    assert!(first == second, "two archives differ");
    let mut list = Command::new("tar");
    list.args(["-tf", "first/image-syncer-x86_64-unknown-linux-gnu.tar.gz"]);
    let list = Outcome::of(list.current_dir(place.path(".")).output().unwrap())
        .exits(0)
        .stdout;
    let top = "image-syncer-x86_64-unknown-linux-gnu/";
    let names: BTreeSet<&str> = list
        .lines()
        .map(|line| line.strip_prefix(top).unwrap())
        .collect();
    for name in [
        "image-syncer",
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "completions/image-syncer.bash",
        "completions/_image-syncer",
        "completions/image-syncer.fish",
        "completions/image-syncer.ps1",
    ] {
        assert!(names.contains(name), "no {name}: {names:?}");
    }
    // The pages of all commands.
    std::fs::create_dir(place.path("man")).unwrap();
    place.run(&["man", "--out", "man"]).exits(0);
    for page in std::fs::read_dir(place.path("man")).unwrap() {
        let name = format!("man/man1/{}", page.unwrap().file_name().display());
        assert!(names.contains(name.as_str()), "no {name}: {names:?}");
    }
}

#[test]
fn notes_need_equal_versions_and_a_date() {
    let place = Place::new();
    for path in [
        "scripts/release-notes",
        "Cargo.toml",
        "contrib/helm/image-syncer/Chart.yaml",
    ] {
        let copy = place.path(path);
        std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
        std::fs::copy(format!("{ROOT}/{path}"), copy).unwrap();
    }
    std::fs::create_dir(place.path("contrib/kubernetes")).unwrap();
    let manifest = place.path("contrib/kubernetes/job.yaml");
    let version = env!("CARGO_PKG_VERSION");
    let image = |tag: &str| format!("image: ghcr.io/image-syncer/image-syncer:{tag}\n");
    std::fs::write(&manifest, image(version)).unwrap();
    let notes = |changelog: &str, version: &str| {
        std::fs::write(place.path("CHANGELOG.md"), changelog).unwrap();
        let mut notes = Command::new(place.path("scripts/release-notes"));
        Outcome::of(notes.arg(version).output().unwrap())
    };
    let changelog = format!(
        "# Changelog\n\n## [Unreleased]\n\n- later\n\n## [{version}] - 2026-12-01\n\n- this\n\n## [0.0.1] - 2026-01-01\n\n- before\n"
    );
    assert_eq!(notes(&changelog, version).exits(0).stdout, "\n- this\n");
    assert_eq!(
        notes(&changelog, &format!("v{version}")).exits(0).stdout,
        "\n- this\n"
    );
    notes(&changelog, "9.9.9")
        .exits(1)
        .says("Cargo.toml has no line 'version = \"9.9.9\"'");
    let message = format!("CHANGELOG.md has no section '## [{version}] - YYYY-MM-DD'");
    notes(&changelog.replace(" - 2026-12-01", ""), version)
        .exits(1)
        .says(&message);
    notes("## [Unreleased]\n", version).exits(1).says(&message);
    std::fs::write(&manifest, image("0.0.9")).unwrap();
    notes(&changelog, version)
        .exits(1)
        .says("other versions of the image or the action:\n");
}

#[test]
fn linters_find_no_fault() {
    testkit::needs!("actionlint", "shellcheck");
    let mut lint = Command::new("actionlint");
    lint.args([".github/workflows/ci.yml", ".github/workflows/release.yml"]);
    let found = Outcome::of(lint.current_dir(ROOT).output().unwrap()).stdout;
    let is_known = |line: &&str| {
        let runner =
            |(name, _): &(&str, &str)| line.contains(&format!("label \"{name}\" is unknown"));
        !RUNNERS.iter().any(runner) && !line.contains(NEW_SCOPE)
    };
    assert_eq!(found.lines().filter(is_known).collect::<Vec<_>>(), [""; 0]);
    let mut check = Command::new("shellcheck");
    check.args([
        "contrib/action/install",
        "contrib/action/run",
        "contrib/action/summary",
    ]);
    check.args([
        "scripts/archive",
        "scripts/release-notes",
        "scripts/test",
        ".ci/run",
        ".ci/tool",
    ]);
    let found = Outcome::of(check.current_dir(ROOT).output().unwrap());
    assert_eq!((found.code, found.stdout.as_str()), (0, ""));
}

#[test]
fn scripts_in_the_workflow_and_the_action_are_right() {
    testkit::needs!("shellcheck");
    let action: Value = serde_saphyr::from_str(&read("action.yml")).unwrap();
    let mut scripts = Vec::new();
    for document in [release(), action] {
        collect_scripts(&document, &mut scripts);
    }
    assert!(scripts.len() >= 15, "{scripts:#?}");
    let expression = regex::Regex::new(r"\$\{\{.*?\}\}").unwrap();
    let path = regex::Regex::new(r"(?:scripts|contrib)/[a-z/-]+").unwrap();
    for script in &scripts {
        let plain = expression.replace_all(script, "value");
        let place = Place::new().file("script.sh", &format!("#!/bin/bash\n{plain}\n"));
        let mut check = Command::new("shellcheck");
        let found = Outcome::of(check.arg(place.path("script.sh")).output().unwrap());
        assert_eq!((found.code, found.stdout.as_str()), (0, ""), "{script}");
        for found in path.find_iter(script) {
            assert!(
                Path::new(ROOT).join(found.as_str()).exists(),
                "{}",
                found.as_str()
            );
        }
        // Only a copy is a call of the program; others name paths.
        for call in shell::calls(&plain) {
            if call[0] == "image-syncer" && call.get(1).is_some_and(|word| word == "copy") {
                <image_syncer::cli::Cli as clap::Parser>::try_parse_from(call).unwrap();
            }
        }
    }
    // Text of users is never a part of a script.
    for script in scripts.iter().filter(|script| script.contains("${{")) {
        for found in expression.find_iter(script) {
            assert_eq!(found.as_str(), "${{ matrix.target }}", "{script}");
        }
    }
}

fn collect_scripts(value: &Value, scripts: &mut Vec<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|it| collect_scripts(it, scripts)),
        Value::Object(members) => {
            if let Some(script) = members.get("run").and_then(Value::as_str) {
                scripts.push(script.to_owned());
            }
            members.values().for_each(|it| collect_scripts(it, scripts));
        }
        _ => {}
    }
}

#[test]
fn each_target_is_built_where_it_runs() {
    let release = release();
    let matrix = &release["jobs"]["build"]["strategy"]["matrix"]["include"];
    let mut targets = BTreeSet::new();
    let list = Command::new("rustc")
        .args(["--print", "target-list"])
        .output()
        .unwrap();
    let list = Outcome::of(list).exits(0).stdout;
    for entry in matrix.as_array().unwrap() {
        let (target, runner) = (
            entry["target"].as_str().unwrap(),
            entry["runner"].as_str().unwrap(),
        );
        assert!(list.lines().any(|line| line == target), "{target}");
        let (_, machine) = RUNNERS.iter().find(|(name, _)| *name == runner).unwrap();
        let (architecture, system) = machine.split_once('-').unwrap();
        assert!(
            target.starts_with(&format!("{architecture}-")),
            "{target} on {runner}"
        );
        assert!(
            target.contains(&format!("-{system}")),
            "{target} on {runner}"
        );
        targets.insert(target.to_owned());
    }
    assert_eq!(targets.len(), 6);
    // The action and the image use archives that exist.
    let install = read("contrib/action/install");
    let named = regex::Regex::new(r"(?:x86_64|aarch64)-[a-z]+-[a-z]+(?:-[a-z]+)?").unwrap();
    let mut number = 0;
    for text in [install, read(".github/workflows/release.yml")] {
        for found in named.find_iter(&text) {
            number += 1;
            assert!(targets.contains(found.as_str()), "{}", found.as_str());
        }
    }
    assert!(number >= 10, "{number}");
    // The names of compilers for musl are those of targets.
    let variables = release["jobs"]["build"]["env"].as_object().unwrap();
    for name in variables.keys() {
        let target = name
            .strip_prefix("CC_")
            .unwrap()
            .replace('_', "-")
            .replace("x86-64", "x86_64");
        assert!(targets.contains(&target), "{name}");
    }
}

#[test]
fn only_a_tag_is_published_with_few_rights() {
    let release = release();
    assert_eq!(release["on"]["push"]["tags"], serde_json::json!(["v*"]));
    assert_eq!(release["on"]["push"].as_object().unwrap().len(), 1);
    assert_eq!(
        release["permissions"],
        serde_json::json!({"contents": "read"})
    );
    for (name, job) in release["jobs"].as_object().unwrap() {
        let may_write = job.get("permissions").is_some();
        assert_eq!(may_write, name == "draft", "{name}");
        assert!(job["timeout-minutes"].is_number(), "{name}");
        for step in job["steps"].as_array().unwrap() {
            let Some(uses) = step.get("uses").and_then(Value::as_str) else {
                continue;
            };
            // Actions of GitHub alone, each with its version.
            let version = uses
                .strip_prefix("actions/")
                .and_then(|it| it.split_once("@v"));
            let version = version.map(|(_, version)| version.parse::<u32>());
            assert!(matches!(version, Some(Ok(_))), "{uses}");
            if uses.starts_with("actions/checkout@") {
                assert_eq!(step["with"]["persist-credentials"], false, "{name}");
            }
        }
    }
    assert_eq!(release["jobs"]["draft"]["if"], "github.ref_type == 'tag'");
    assert_eq!(
        release["jobs"]["draft"]["needs"],
        serde_json::json!(["build", "sbom"])
    );
}
