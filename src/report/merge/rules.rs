//! Merge of the results of rules.

use serde_json::{Map, Value, json};

use crate::report::merge::numbers;

/// Merges the rules of all reports. All have the same rules in the same order.
pub(super) fn merge(lists: &[&[Value]]) -> Vec<Value> {
    let number = lists
        .iter()
        .map(|list| list.len())
        .max()
        .unwrap_or_default();
    let merged = (0..number).map(|at| {
        let rules = lists.iter().filter_map(|list| list.get(at)?.as_object());
        Value::Object(merge_rule(rules.collect()))
    });
    merged.collect()
}

/// Returns the state of a rule in a report.
pub(super) fn state(rule: &Map<String, Value>) -> &str {
    rule.get("state")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn rank(rule: &Map<String, Value>) -> u8 {
    match state(rule) {
        "elsewhere" => 0,
        "listed" => 1,
        "interrupted" => 2,
        _ => 3,
    }
}

/// Merges one rule: the worst state with its failure, and the sums of all numbers. The line of a rule is no number to
/// add.
fn merge_rule(mut rules: Vec<&Map<String, Value>>) -> Map<String, Value> {
    // Stable: of equal states, the first shard is described.
    rules.sort_by_key(|rule| std::cmp::Reverse(rank(rule)));
    let mut rules = rules.into_iter();
    let Some(mut merged) = rules.next().cloned() else {
        return Map::new();
    };
    let line = merged.get("line").cloned();
    for mut rule in rules.cloned() {
        // Those of a better state say nothing about the whole rule.
        rule.remove("empty");
        rule.remove("failure");
        numbers::add_fields(&mut merged, &rule);
    }
    if let Some(line) = line {
        merged.insert("line".to_owned(), line);
    }
    if let Some(reason) = nothing_found(&merged) {
        merged.insert("empty".to_owned(), json!(reason));
    }
    in_order(merged)
}

/// Returns the reason of a pattern without any image in the repositories of all shards. No shard can tell.
fn nothing_found(rule: &Map<String, Value>) -> Option<String> {
    let repositories = rule.get("repositories")?.as_object()?;
    let count = |name| numbers::whole(repositories, name);
    let is_known = state(rule) == "listed" && rule.get("empty").is_none();
    let failed = count("failed") + count("interrupted");
    let is_nothing = is_known && failed == 0 && numbers::whole(rule, "found") == 0;
    match count("found") {
        0 => None,
        _ if !is_nothing => None,
        1 => Some("its only repository has no image to copy".to_owned()),
        many => Some(format!(
            "none of its {many} repositories has an image to copy"
        )),
    }
}

/// Returns the fields in the order of a report of one process.
fn in_order(mut rule: Map<String, Value>) -> Map<String, Value> {
    let names = [
        "name",
        "file",
        "line",
        "state",
        "found",
        "empty",
        "failure",
        "repositories",
    ];
    let first: Vec<_> = names
        .iter()
        .filter_map(|name| rule.shift_remove_entry(*name))
        .collect();
    first.into_iter().chain(rule).collect()
}
