//! The alerts and the dashboard: they name only metrics and labels that exist.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;
use serde_json::Value;

use crate::support::Place;

/// Labels that Prometheus or the format adds.
const ADDED: [&str; 4] = ["job", "instance", "le", "file"];

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap()
}

/// Returns the labels of each metric, by the table of the document, which a test of the library compares with the code.
fn metrics() -> BTreeMap<String, BTreeSet<String>> {
    let row =
        Regex::new(r"(?m)^\| `([a-z_]+)` \| (counter|gauge|histogram) \| ([^|]*) \|").unwrap();
    let document = read("docs/monitoring.md");
    let mut metrics = BTreeMap::new();
    for row in row.captures_iter(&document) {
        let labels = row[3]
            .split(", ")
            .map(|label| label.trim().trim_matches('`'));
        let labels: BTreeSet<String> = labels
            .filter(|label| !label.is_empty())
            .map(str::to_owned)
            .collect();
        let suffixes: &[&str] = if &row[2] == "histogram" {
            &["_bucket", "_sum", "_count"]
        } else {
            &[""]
        };
        for suffix in suffixes {
            metrics.insert(format!("{}{suffix}", &row[1]), labels.clone());
        }
    }
    assert!(metrics.len() > 20, "{metrics:?}");
    metrics
}

/// Returns an error for each unknown metric or label of an expression.
fn mistakes(expression: &str, metrics: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let name = Regex::new(r"\b((?:image_syncer|process)_[a-z_]+)(?:\{([^}]*)\})?").unwrap();
    let matcher = Regex::new(r"([a-z_]+)\s*(?:=~|!~|!=|=)").unwrap();
    let grouping = Regex::new(r"\b(?:by|without|on|ignoring) \(([^)]*)\)").unwrap();
    let mut mistakes = Vec::new();
    let mut known: BTreeSet<&str> = ADDED.into();
    for found in name.captures_iter(expression) {
        let Some(labels) = metrics.get(&found[1]) else {
            mistakes.push(format!("there is no metric {}", &found[1]));
            continue;
        };
        known.extend(labels.iter().map(String::as_str));
        let matchers = found.get(2).map_or("", |matchers| matchers.as_str());
        for label in matcher.captures_iter(matchers) {
            if !labels.contains(&label[1]) && !ADDED.contains(&&label[1]) {
                mistakes.push(format!("{} has no label {}", &found[1], &label[1]));
            }
        }
    }
    for labels in grouping.captures_iter(expression) {
        for label in labels[1].split(',').map(str::trim) {
            if !known.contains(label) {
                mistakes.push(format!("no metric here has the label {label}"));
            }
        }
    }
    mistakes
}

/// Returns the names between double braces, without those of Prometheus itself.
fn placeholders(text: &str) -> Vec<String> {
    let label = Regex::new(r"\{\{ ?(?:\$labels\.)?([a-z_]+) ?\}\}").unwrap();
    let found = label.captures_iter(text).map(|found| found[1].to_owned());
    found.collect()
}

/// Returns the labels that the metrics of an expression have.
fn labels_in(expression: &str, metrics: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    let named = metrics
        .iter()
        .filter(|(name, _)| expression.contains(&***name));
    let own = named.flat_map(|(_, labels)| labels.clone());
    own.chain(ADDED.map(str::to_owned)).collect()
}

#[track_caller]
fn check(place: &str, expression: &str, text: &str, metrics: &BTreeMap<String, BTreeSet<String>>) {
    assert_eq!(
        mistakes(expression, metrics),
        Vec::<String>::new(),
        "{place}"
    );
    let labels = labels_in(expression, metrics);
    for label in placeholders(text) {
        assert!(
            labels.contains(&label),
            "{place}: no label {label} in {expression}"
        );
    }
}

#[test]
fn unknown_names_are_found() {
    let metrics = metrics();
    let found = |expression: &str| mistakes(expression, &metrics);
    assert!(found("sum by (rule) (image_syncer_runs_total{result=\"failed\"})").is_empty());
    assert_eq!(
        found("image_syncer_runs"),
        ["there is no metric image_syncer_runs"]
    );
    assert_eq!(
        found("image_syncer_runs_total{repository=\"x\"}"),
        ["image_syncer_runs_total has no label repository"]
    );
    assert_eq!(
        found("sum by (tag) (image_syncer_runs_total)"),
        ["no metric here has the label tag"]
    );
}

#[test]
fn alerts_name_metrics_that_exist_and_the_document_names_the_alerts() {
    let alerts: Value = serde_saphyr::from_str(&read("contrib/prometheus/alerts.yaml")).unwrap();
    let (metrics, document) = (metrics(), read("docs/monitoring.md"));
    let rules = alerts["groups"][0]["rules"].as_array().unwrap();
    for rule in rules {
        let name = rule["alert"].as_str().unwrap();
        let text = rule["annotations"].to_string();
        check(name, rule["expr"].as_str().unwrap(), &text, &metrics);
        assert!(document.contains(&format!("| `{name}` |")), "{name}");
    }
    assert_eq!(document.matches("\n| `ImageSyncer").count(), rules.len());
}

#[test]
fn panels_name_metrics_that_exist() {
    let dashboard: Value = serde_json::from_str(&read("contrib/grafana/dashboard.json")).unwrap();
    let metrics = metrics();
    let mut shown = String::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().unwrap();
            check(
                title,
                expression,
                target["legendFormat"].as_str().unwrap(),
                &metrics,
            );
            shown.push_str(expression);
        }
    }
    let query = Regex::new(r"^label_values\((.*), ([a-z_]+)\)$").unwrap();
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        if let Some(text) = variable["definition"].as_str() {
            let parts = query.captures(text).unwrap();
            check(text, &parts[1], &format!("{{{{{}}}}}", &parts[2]), &metrics);
        }
    }
    // Every metric has a panel, except for the start of the process.
    let missing: Vec<&String> = metrics
        .keys()
        .filter(|name| !name.ends_with("_sum") && !name.ends_with("_count"))
        .filter(|name| !shown.contains(&***name))
        .collect();
    assert_eq!(missing, ["process_start_time_seconds"]);
}

#[test]
fn promtool_accepts_the_alerts_and_they_fire_in_time() {
    testkit::needs!("promtool");
    let alerts = path("contrib/prometheus/alerts.yaml");
    let run = |words: &[&str]| {
        let output = Command::new("promtool").args(words).output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    run(&["check", "rules", alerts.to_str().unwrap()]);
    let tests = include_str!("alerts_test.yaml").replace("ALERTS", alerts.to_str().unwrap());
    let place = Place::new().file("tests.yaml", &tests);
    run(&["test", "rules", place.path("tests.yaml").to_str().unwrap()]);
}
