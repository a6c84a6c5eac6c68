//! The table of docs/monitoring.md names every metric, with its labels.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use image_syncer_registry::transport::Observer as _;

use super::*;

const HEAD: &str = "| Metric | Type | Labels | Meaning |\n|---|---|---|---|\n";

/// Returns metrics with a value for each label of each metric.
fn complete() -> Metrics {
    let metrics = Metrics::default();
    set_rules(&metrics, &["tools"]);
    for (number, state) in [(1, RunState::Succeeded), (2, RunState::Failed)] {
        let run = run(number, "tools");
        metrics.changed(&run);
        metrics.event(run.id, &finished("b.example/x:v1", copied()));
        metrics.changed(&ended(&run, state, 1));
    }
    {
        let mut state = metrics.state();
        state.rule("tools").planned = Some(PlannedRun {
            start: at(STARTED),
            interval: Some(SignedDuration::from_hours(1)),
        });
        let registry = state.registry("b.example");
        registry.count_request("GET", Some(200), Duration::from_secs(1));
        registry.limits.calls = Some(64);
        registry.limits.pulls_remaining = Some(57);
    }
    metrics.pause("b.example", Duration::from_secs(1), PauseReason::Overload);
    metrics.count_hook("harbor", "accepted");
    metrics.add_receivers(["slack-1"].into_iter());
    metrics.set_waiting_notifications(1);
    metrics.reloaded(Err("mistakes"));
    metrics
}

/// Returns the table of all metrics, from their own description.
fn table() -> String {
    let text = complete().encode();
    let mut rows: BTreeMap<&str, (String, &str, &str)> = BTreeMap::new();
    let mut order: Vec<&str> = Vec::new();
    let mut help = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, text)) = line
            .strip_prefix("# HELP ")
            .and_then(|it| it.split_once(' '))
        {
            help.insert(name, text);
        } else if let Some((name, kind)) = line
            .strip_prefix("# TYPE ")
            .and_then(|it| it.split_once(' '))
        {
            order.push(name);
            rows.insert(name, (String::new(), kind, help[name]));
        } else if !line.starts_with('#') {
            let name = *order.last().unwrap();
            let labels = line.split_once('{').map_or("", |(_, rest)| rest);
            let labels = labels.split_once('}').map_or("", |(labels, _)| labels);
            let labels = labels.split(',').filter_map(|label| label.split_once('='));
            let labels = labels
                .map(|(label, _)| label)
                .filter(|label| *label != "le");
            rows.get_mut(name).unwrap().0 = labels
                .map(|label| format!("`{label}`"))
                .collect::<Vec<_>>()
                .join(", ");
        }
    }
    let mut table = HEAD.to_owned();
    for name in order {
        let (labels, kind, help) = &rows[name];
        let suffix = match *kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        let kind = if *kind == "info" { "gauge" } else { kind };
        writeln!(table, "| `{name}{suffix}` | {kind} | {labels} | {help} |").unwrap();
    }
    table
}

#[test]
fn the_table_is_that_of_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/monitoring.md");
    let document = std::fs::read_to_string(path).unwrap();
    let begin = document.find(HEAD).unwrap();
    let length = document[begin..].find("\n\n").unwrap() + 1;
    let written = &document[begin..begin + length];
    assert_eq!(written, table());
}
