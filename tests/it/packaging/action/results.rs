//! Outputs, annotations and the page of a run.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use serde_json::json;

use super::{Job, ROOT, run_with_path};
use crate::support::{Outcome, Place, between, image, registry, report, signal};

#[test]
fn a_run_has_outputs_annotations_and_a_page() {
    testkit::needs!("jq");
    let (source, destination) = (registry(), registry());
    for tag in ["v1", "v2", "v3"] {
        source.push("a", Some(tag), &image(tag));
    }
    destination.push("a", Some("v3"), &image("v3"));
    source
        .state()
        .tag("a", "lost", image("never pushed").digest());
    let job = Job::new(between(&source, &destination, "SRC/a: DST/a\n"));
    // As users of the other action write it.
    let files = [
        ("images_file", "./images.yaml"),
        ("auth_file", "./auth.yaml"),
        ("proc", "6"),
        ("retries", "0"),
    ];
    let outcome = job.run("Run", &files).exits(1);
    let path = job
        .place
        .path("temp/image-syncer-report.json")
        .display()
        .to_string();
    let expected = [
        "exit-code=1".to_owned(),
        format!("report={path}"),
        "copied=2".to_owned(),
        "unchanged=1".to_owned(),
        "failed=1".to_owned(),
    ];
    assert_eq!(job.outputs(), expected);
    let document = report::report(&job.place, "temp/image-syncer-report.json");
    let failed = document["images"]
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["outcome"] == "failed");
    let reason = failed.unwrap()["failure"]["reason"].as_str().unwrap();
    let title = format!(
        "::error title=cannot copy to {}/a%3Alost::",
        destination.host().replace(':', "%3A")
    );
    let errors: Vec<&str> = outcome
        .stdout
        .lines()
        .filter(|it| it.starts_with("::error"))
        .collect();
    assert_eq!(errors.len(), 1, "{}", outcome.stdout);
    assert!(
        errors[0].starts_with(&format!("{title}{}", reason.replace('%', "%25"))),
        "{errors:?}"
    );
    let page = job.place.read("page.md");
    assert!(
        page.starts_with("### image-syncer sync: 2 copied, 1 unchanged, 1 failed\n\n"),
        "{page}"
    );
    assert!(
        page.contains("<details open><summary>Failed: 1</summary>"),
        "{page}"
    );
    assert!(page.contains("<summary>Copied: 2</summary>"), "{page}");
    let row = format!(
        "| <code>{}/a:v1</code> | <code>{}</code> |",
        destination.host(),
        image("v1").digest()
    );
    assert!(page.contains(&row), "{row}\n{page}");
    // The next run has its own numbers, and no page if none is wanted.
    source.state().untag("a", "lost");
    std::fs::remove_file(job.place.path("outputs")).unwrap();
    std::fs::remove_file(job.place.path("page.md")).unwrap();
    job.run("Run", &[&files[..], &[("summary", "false")]].concat())
        .exits(0);
    assert_eq!(job.outputs()[2..], ["copied=0", "unchanged=3", "failed=0"]);
    assert!(!job.place.path("page.md").exists());
}

#[test]
fn a_plan_has_a_page_of_what_it_would_copy() {
    testkit::needs!("jq");
    let (source, destination) = (registry(), registry());
    source.push("a", Some("v1"), &image("v1"));
    let job = Job::new(between(&source, &destination, "SRC/a: DST/a\n"));
    let files = [
        ("images", "images.yaml"),
        ("auth", "auth.yaml"),
        ("args", "plan --exit-code"),
    ];
    job.run("Run", &files).exits(3);
    let page = job.place.read("page.md");
    assert!(
        page.starts_with("### image-syncer plan: 0 copied, 1 planned, 0 failed\n"),
        "{page}"
    );
    let row = format!(
        "| <code>{}/a:v1</code> | new | <code>{}</code> |",
        destination.host(),
        image("v1").digest()
    );
    assert!(page.contains(&row), "{page}");
    assert_eq!(job.outputs()[0], "exit-code=3");
}

#[test]
fn a_run_keeps_its_exit_code_without_jq() {
    let script =
        "#!/bin/sh\nwhile [ \"$1\" != --report ]; do shift; done\necho '{}' > \"$2\"\nexit 1\n";
    let job = Job::with_program(Place::new(), script);
    std::fs::write(job.place.path("bin/jq"), "#!/bin/sh\nexit 127\n").unwrap();
    std::fs::set_permissions(job.place.path("bin/jq"), Permissions::from_mode(0o755)).unwrap();
    let outcome = job.run("Run", &[("config", "c")]).exits(1);
    let warning =
        "::warning title=image-syncer::the report cannot be summarised: jq failed or is missing\n";
    assert!(outcome.stdout.ends_with(warning), "{}", outcome.stdout);
    assert_eq!(job.outputs()[0], "exit-code=1");
}

#[test]
fn texts_of_registries_are_neither_commands_nor_markup() {
    testkit::needs!("jq");
    let reason = "denied\n::set-output name=x::y <script> | `a` *b* [c](d) 50%";
    let document = json!({
        "version": 1, "command": "sync", "complete": false, "exit_code": 1, "elapsed_seconds": 1.25,
        "summary": {"copied": 0, "unchanged": 0, "skipped": 0, "failed": 1, "interrupted": 0, "sent_bytes": 1536},
        "rules": [], "warnings": ["100% of\nit"],
        "images": [{"outcome": "failed", "destination": "r.example.com/a:b",
            "failure": {"reason": reason, "hint": "Log in."}}],
    });
    let place = Place::new().file("report.json", &document.to_string());
    let printed = |form: &str| {
        let mut summary = Command::new(format!("{ROOT}/contrib/action/summary"));
        let output = summary
            .args([form, "report.json"])
            .current_dir(place.path("."))
            .output();
        Outcome::of(output.unwrap()).exits(0).stdout
    };
    assert_eq!(printed("outputs"), "copied=0\nunchanged=0\nfailed=1\n");
    let annotations = printed("annotations");
    assert_eq!(
        annotations,
        "::error title=cannot copy to r.example.com/a%3Ab::denied%0A::set-output name=x::y <script> | `a` *b* \
         [c](d) 50%25 Log in.\n::warning title=image-syncer::100%25 of%0Ait\n"
    );
    let page = printed("page");
    assert!(
        page.contains("1.5 KiB sent in 1.3 s; exit code 1. **The run was interrupted.**\n"),
        "{page}"
    );
    let row = "| <code>r.example.com/a:b</code> | denied ::set-output name=x::y &lt;script&gt; &#124; &#96;a&#96; \
               &#42;b&#42; &#91;c&#93;(d) 50% Log in. |\n";
    assert!(page.contains(row), "{page}");
}

#[test]
fn a_page_has_a_bounded_length() {
    testkit::needs!("jq");
    let image =
        json!({"outcome": "copied", "destination": "r.example.com/a:b", "digest": "sha256:0"});
    let failed = json!({"outcome": "failed", "destination": "r.example.com/a:b",
        "failure": {"reason": "x".repeat(10_000)}});
    let mut images = vec![image; 1000];
    images.extend(vec![failed; 1000]);
    let document = json!({
        "command": "sync", "complete": true, "exit_code": 1, "elapsed_seconds": 1, "rules": [], "warnings": [],
        "summary": {"copied": 1000, "unchanged": 0, "failed": 1000, "sent_bytes": 0}, "images": images,
    });
    let place = Place::new().file("report.json", &document.to_string());
    let page = place.shell(&format!("{ROOT}/contrib/action/summary page report.json"));
    let page = run_with_path(page).exits(0).stdout;
    assert!(page.contains("800 more are in the report."), "{page:.500}");
    assert!(page.contains("900 more are in the report."), "{page:.500}");
    // GitHub refuses a page of more than 1 MiB.
    assert!(page.len() < 200_000, "{}", page.len());
}

#[test]
fn a_cancelled_workflow_lets_running_images_end() {
    let script = "#!/bin/sh\ntrap 'echo stopping; exit 130' TERM\necho > ready\nwhile :; do sleep 0.05; done\n";
    let job = Job::with_program(Place::new(), script);
    let mut step = job.step("Run", &[("config", "c")]);
    let child = step
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = std::time::Instant::now();
    while !job.place.path("ready").exists() {
        assert!(start.elapsed() < crate::support::PATIENCE);
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    signal(&child, "-INT");
    let outcome = Outcome::of(child.wait_with_output().unwrap()).exits(130);
    assert!(outcome.stdout.contains("stopping\n"), "{}", outcome.stdout);
    assert_eq!(job.outputs(), ["exit-code=130"]);
}
