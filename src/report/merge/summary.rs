//! Merge of the totals.

use serde_json::{Map, Value, json};

use crate::report::merge::rules::state;
use crate::report::merge::{ShardReport, numbers};

/// Adds the totals of all reports. What all shards report about one of `rules`, or as one of `repeated` warnings, counts
/// once.
pub(super) fn merge(reports: &[ShardReport], rules: &[Value], repeated: u64) -> Map<String, Value> {
    let mut sum = Map::new();
    for report in reports {
        if let Some(Value::Object(summary)) = report.fields.get("summary") {
            numbers::add_fields(&mut sum, summary);
        }
    }
    let rules: Vec<_> = rules.iter().filter_map(Value::as_object).collect();
    let count = |wanted: &str| rules.iter().filter(|rule| state(rule) == wanted).count();
    sum.insert("rules".to_owned(), json!(rules.len() - count("elsewhere")));
    sum.insert("failed_rules".to_owned(), json!(count("failed")));
    sum.insert("interrupted_rules".to_owned(), json!(count("interrupted")));
    let warnings = numbers::whole(&sum, "warnings").saturating_sub(repeated);
    sum.insert("warnings".to_owned(), json!(warnings));
    if let Some(Value::Object(classes)) = sum.get_mut("failures_by_class") {
        count_rules_once(classes, reports, &rules);
    }
    sum
}

/// Counts the failures of rules once in `classes`, however many shards have them.
fn count_rules_once(
    classes: &mut Map<String, Value>,
    reports: &[ShardReport],
    rules: &[&Map<String, Value>],
) {
    for report in reports {
        let rules = report.fields.get("rules").and_then(Value::as_array);
        for class in rules
            .into_iter()
            .flatten()
            .filter_map(Value::as_object)
            .filter_map(class)
        {
            let number = numbers::whole(classes, class).saturating_sub(1);
            classes.insert(class.to_owned(), json!(number));
        }
    }
    for class in rules.iter().copied().filter_map(class) {
        let number = numbers::whole(classes, class) + 1;
        classes.insert(class.to_owned(), json!(number));
    }
    classes.retain(|_, number| number.as_u64() != Some(0));
}

/// Returns the class of the failure of a failed rule.
fn class(rule: &Map<String, Value>) -> Option<&str> {
    let failure = rule.get("failure").filter(|_| state(rule) == "failed");
    failure?.get("class")?.as_str()
}
