//! Every image has one reported outcome, and the exit code reflects it.

use testkit::{Action, Fault, Kind};

use crate::support::{FILES, Place, between, image, insecure, registry};

#[test]
fn one_missing_image_of_a_hundred_fails_alone() {
    let (source, destination) = (registry(), registry());
    let (from, to) = (source.host(), destination.host());
    let mut rules = Vec::new();
    for app in (0..100).map(|number| format!("app{number}")) {
        if app != "app42" {
            source.push(&app, Some("v1"), &image(&app));
        }
        rules.push(format!("{from}/{app}:v1: {to}/mirror/{app}\n"));
    }
    let place = between(&source, &destination, &rules.concat());
    let outcome = place
        .run(&FILES)
        .exits(1)
        .says("100 images: 99 copied, 0 unchanged, 0 skipped, 1 failed");
    // The line says which image, at which host, with which status, and why.
    let failed = outcome.lines("failed");
    assert_eq!(failed.len(), 1, "{failed:?}");
    let name = format!("{from}/app42:v1 → {to}/mirror/app42:v1");
    let line = format!("{name}: cannot find app42:v1 at {from}: ");
    assert!(
        failed[0].contains(&line) && failed[0].contains("404"),
        "{failed:?}"
    );
    // The end of the summary says what to do, and repeats no reason.
    let list = outcome.stderr.split("\nfailed: 1 at the source\n").nth(1);
    let lines: Vec<&str> = list.unwrap().lines().collect();
    assert_eq!(
        lines,
        [
            format!("  not-found at {from}: 1 failure").as_str(),
            &format!("    {name} (images.yaml:43)"),
            "    hint: check the name, and that the image still exists at the source",
        ]
    );
    for number in (0..100).filter(|number| *number != 42) {
        let repository = format!("mirror/app{number}");
        destination.verify_complete(&repository, "v1").unwrap();
    }
}

#[test]
fn an_expression_without_a_match_is_reported_and_fails_nothing() {
    let (source, destination) = (registry(), registry());
    source.push("a", Some("v1"), &image("a"));
    let rules = "SRC/a:/^v2/: DST/a\n";
    let place = between(&source, &destination, rules);
    let outcome = place
        .run(&FILES)
        .exits(0)
        .says("matches nothing")
        .says("0 images");
    assert_eq!(outcome.lines("warning").len(), 1);
}

#[test]
fn a_missing_repository_fails_only_its_rule() {
    let (source, destination) = (registry(), registry());
    source.push("a", Some("v1"), &image("a"));
    let (from, to) = (source.host(), destination.host());
    let place = between(
        &source,
        &destination,
        &format!("{from}/nowhere: {to}/x\n{from}/a: {to}/a\n"),
    );
    place
        .run(&FILES)
        .exits(1)
        .says("1 image: 1 copied")
        .says("1 source could not be listed")
        .says(&format!("\n    {from}/nowhere (images.yaml:1)\n"));
    destination.verify_complete("a", "v1").unwrap();
}

#[test]
fn a_host_that_refuses_connections_is_named() {
    let source = registry();
    source.push("a", Some("v1"), &image("a"));
    // A port that was free a moment ago.
    let nobody = registry().host();
    let auth = format!("{}{nobody}:\n  insecure: true\n", insecure(&[&source]));
    let place = Place::new()
        .file(
            "images.yaml",
            &format!("{}/a:v1: {nobody}/a\n", source.host()),
        )
        .file("auth.yaml", &auth);
    place
        .run(&[&FILES[..], &["--retries", "0"]].concat())
        .exits(1)
        .says(&nobody)
        .says("hint: check host and port, and that the registry is running");
}

#[test]
fn a_registry_that_fails_temporarily_is_retried() {
    let (source, destination) = (registry(), registry());
    source.push("a", Some("v1"), &image("a"));
    let fault = source.fault(Fault::on(Kind::ManifestGet).times(2), Action::status(503));
    let place = between(&source, &destination, "SRC/a:v1: DST/a\n");
    place
        .run(&FILES)
        .exits(0)
        .says("1 copied")
        .says("retry in")
        .says(", 2 retries");
    assert_eq!(fault.hits(), 2);
}

#[test]
fn retries_limit_the_tries() {
    let (source, destination) = (registry(), registry());
    source.push("a", Some("v1"), &image("a"));
    let fault = source.fault(Fault::on(Kind::ManifestGet), Action::status(503));
    let place = between(&source, &destination, "SRC/a:v1: DST/a\n");
    place
        .run(&[&FILES[..], &["-r1"]].concat())
        .exits(1)
        .says("after 2 tries")
        .says("503");
    assert_eq!(fault.hits(), 2);
}

#[test]
fn a_missing_login_gets_a_hint() {
    let source = testkit::Registry::builder()
        .auth(testkit::Auth::basic("u", "p"))
        .start_on_thread();
    let destination = registry();
    source.push("a", Some("v1"), &image("a"));
    let place = between(&source, &destination, "SRC/a:v1: DST/a\n");
    place
        .run(&FILES)
        .exits(1)
        .says("401")
        .says(&format!("docker login {}", source.host()));
}

#[test]
fn an_unverified_certificate_is_refused_with_a_remedy() {
    let source = testkit::Registry::builder()
        .tls(testkit::Tls::new())
        .start_on_thread();
    source.push("a", Some("v1"), &image("a"));
    let destination = registry();
    let place = Place::new()
        .file(
            "images.yaml",
            &format!("{}/a:v1: {}/a\n", source.host(), destination.host()),
        )
        .file("auth.yaml", &insecure(&[&destination]));
    place
        .run(&[&FILES[..], &["-r", "0"]].concat())
        .exits(1)
        .says("certificate")
        .says("insecure: true");
    assert_eq!(source.requests().len(), 0);
}

#[test]
fn a_failed_list_of_referrers_fails_the_image_and_a_denied_one_is_reported() {
    let start = || {
        let zot = testkit::Profile::zot();
        testkit::Registry::builder().profile(zot).start_on_thread()
    };
    for (status, code, says) in [
        (500, 1, "cannot list the referrers of a@"),
        (403, 0, "the registry denies to list referrers"),
    ] {
        let (source, destination) = (start(), start());
        source.push("a", Some("v1"), &image("a"));
        source.fault(Fault::on(Kind::Referrers), Action::status(status));
        let rule = "SRC/a:v1: DST/a\n";
        let place = between(&source, &destination, rule);
        let files = ["--images", "images.yaml", "--auth", "auth.yaml"];
        place
            .run(&[&files[..], &["--retries", "0"]].concat())
            .exits(code)
            .says(says);
        assert_eq!(destination.state().digest("a", "v1").is_some(), code == 0);
    }
}

#[test]
fn identical_failures_are_grouped_and_counted() {
    let (source, destination) = (registry(), registry());
    for number in 0..40 {
        source.push("a", Some(&format!("v{number}")), &image("a"));
    }
    let refused = Action::error(403, "DENIED", "no");
    destination.fault(Fault::on(Kind::ManifestPut), refused);
    let place = between(&source, &destination, "SRC/a: DST/a\n");
    let flags = ["--retries", "0", "--report", "report.json"];
    let outcome = place.run(&[&FILES[..], &flags].concat()).exits(1);
    assert_eq!(outcome.lines("failed").len(), 1, "{}", outcome.stderr);
    let host = destination.host();
    outcome.says_once(&format!(
        "further failures like this (no-login at {host}) are counted in the summary. -v prints each."
    ));
    outcome.says_once("hint: ");
    outcome
        .says(&format!("\n  no-login at {host}: 40 failures\n"))
        .says("\n    and 37 more\n")
        .says("all failures are listed in report.json (--report)");
    let report: serde_json::Value = serde_json::from_str(&place.read("report.json")).unwrap();
    let images = report["images"].as_array().unwrap();
    let failed = images.iter().filter(|image| image["outcome"] == "failed");
    assert_eq!(failed.count(), 40);
    // `-v` and the log list each of them.
    let log = ["--retries", "0", "--log", "log.txt"];
    place.run(&[&FILES[..], &log].concat()).exits(1);
    let logged = place.read("log.txt");
    let lines = logged.lines().filter(|line| line.contains("failed  "));
    assert!(lines.count() >= 40, "{logged}");
    let verbose = ["--retries", "0", "-v"];
    let outcome = place.run(&[&FILES[..], &verbose].concat()).exits(1);
    assert_eq!(outcome.lines("failed").len(), 40);
}
