#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use serde_json::{Value, json};

use super::*;

fn shard(index: u32, fields: Value) -> ShardReport {
    let Value::Object(fields) = fields else {
        unreachable!("an object")
    };
    ShardReport {
        path: format!("shard-{index}.json").into(),
        shard: ShardIdentity {
            index,
            count: 3,
            config: "sha256:0".to_owned(),
        },
        fields,
    }
}

fn merged(reports: Vec<ShardReport>) -> Map<String, Value> {
    reports_of(reports).closing_fields()
}

fn reports_of(reports: Vec<ShardReport>) -> ShardReports {
    ShardReports {
        missing: checks::missing(&reports),
        warnings: Vec::new(),
        reports,
    }
}

fn rule(state: &str, found: u64, repositories: u64) -> Value {
    json!({"name": "teams", "file": "a.yaml", "line": 3, "state": state, "found": found,
        "repositories": {"found": repositories, "failed": 0, "interrupted": 0}, "copied": found})
}

#[test]
fn totals_are_added_and_numbers_of_registries_with_them() {
    let fields = |requests: u64, seconds: f64| {
        json!({
            "summary": {"images": 2, "volume": {"bytes": 5}, "failures_by_class": {}},
            "hosts": [
                {"host": "b.example", "requests": 1},
                {"host": "a.example", "requests": requests, "rate_limit_seconds": seconds},
                {"requests": 50},
            ],
            "complete": true,
            "started": "2026-01-01T00:00:00.5Z",
            "finished": format!("2026-01-01T00:00:0{requests}Z"),
        })
    };
    let fields = merged(vec![
        shard(0, fields(2, 0.1)),
        shard(1, fields(3, 0.2)),
        shard(2, fields(4, 0.0)),
    ]);
    assert_eq!(fields["summary"]["images"], 6);
    assert_eq!(fields["summary"]["volume"]["bytes"], 15);
    assert_eq!(
        fields["hosts"],
        json!([
            {"host": "a.example", "requests": 9, "rate_limit_seconds": 0.3},
            {"host": "b.example", "requests": 3},
            {"requests": 150},
        ])
    );
    assert_eq!(fields["elapsed_seconds"], 3.5);
    assert_eq!(
        (&fields["complete"], fields.get("missing_shards")),
        (&json!(true), None)
    );
}

#[test]
fn the_worst_state_of_a_rule_counts_and_its_line_is_kept() {
    let failed = json!({"name": "teams", "line": 3, "state": "failed", "failure": {"class": "source"}, "copied": 1});
    let elsewhere = json!({"name": "teams", "line": 3, "state": "elsewhere", "copied": 0});
    let reports = |others: [Value; 3]| {
        let summary = json!({"failures_by_class": {"source": 1}, "warnings": 1});
        let report = |(index, rule): (u32, Value)| {
            shard(
                index,
                json!({"rules": [rule], "summary": summary, "warnings": ["old file"]}),
            )
        };
        merged((0..).zip(others).map(report).collect())
    };
    let fields = reports([elsewhere.clone(), failed.clone(), failed.clone()]);
    let rule = &fields["rules"][0];
    assert_eq!(
        (&rule["state"], &rule["line"], &rule["copied"]),
        (&json!("failed"), &json!(3), &json!(2))
    );
    let summary = &fields["summary"];
    assert_eq!(
        (&summary["rules"], &summary["failed_rules"]),
        (&json!(1), &json!(1))
    );
    // Two of three failures are that of the rule.
    assert_eq!(summary["failures_by_class"], json!({"source": 2}));
    assert_eq!(
        (&summary["warnings"], &fields["warnings"]),
        (&json!(1), &json!(["old file"]))
    );
    let fields = reports([elsewhere.clone(), elsewhere.clone(), elsewhere]);
    assert_eq!(fields["rules"][0]["state"], "elsewhere");
    assert_eq!(fields["summary"]["rules"], 0);
}

#[test]
fn a_pattern_without_an_image_in_any_shard_is_empty() {
    let empty = |rules: [Value; 3]| {
        let reports = (0..)
            .zip(rules)
            .map(|(index, rule)| shard(index, json!({"rules": [rule]})));
        let fields = merged(reports.collect());
        fields["rules"][0].get("empty").cloned()
    };
    let rules = |last| [rule("listed", 0, 2), rule("listed", 0, 0), last];
    let expected = Some(json!("none of its 3 repositories has an image to copy"));
    assert_eq!(empty(rules(rule("listed", 0, 1))), expected);
    assert_eq!(empty(rules(rule("listed", 4, 1))), None);
    assert_eq!(empty(rules(rule("interrupted", 0, 1))), None);
    let one = [
        rule("listed", 0, 1),
        rule("listed", 0, 0),
        rule("listed", 0, 0),
    ];
    assert_eq!(
        empty(one),
        Some(json!("its only repository has no image to copy"))
    );
}

#[test]
fn the_worst_exit_code_wins() {
    let code = |codes: &[u64]| {
        let reports = (0..)
            .zip(codes)
            .map(|(index, code)| shard(index, json!({"exit_code": code})));
        reports_of(reports.collect()).exit_code()
    };
    assert_eq!(code(&[0, 0, 0]), 0);
    assert_eq!(code(&[0, 3, 0]), 3);
    assert_eq!(code(&[3, 1, 0]), 1);
    assert_eq!(code(&[130, 1, 3]), 130);
    // Images of missing shards are unknown.
    assert_eq!(code(&[0, 0]), 1);
    assert_eq!(code(&[0, 130]), 130);
}
