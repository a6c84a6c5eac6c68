//! A listing as JSON.

use serde_json::{Map, Value, json};

use super::gather::{Gathered, RepositoryListing, RuleListing};
use crate::escape;
use crate::ui::plan::by_name;

/// Returns a list with an object for each repository of each rule.
pub(super) fn write(gathered: &Gathered) -> String {
    let records: Vec<Value> = gathered.rules.iter().flat_map(rule).collect();
    let text = serde_json::to_string_pretty(&records).unwrap_or_else(|_| "[]".to_owned());
    format!("{}\n", escape::document(&text))
}

fn rule(listing: &RuleListing) -> Vec<Value> {
    let name = &listing.rule.name;
    let mut records: Vec<Value> = listing
        .repositories
        .iter()
        .map(|(source, repository)| {
            let mut record = Map::new();
            record.insert("rule".to_owned(), json!(name));
            record.insert("repository".to_owned(), json!(source));
            add(&mut record, repository);
            Value::Object(record)
        })
        .collect();
    if let Some(failure) = &listing.failure {
        records.push(json!({"rule": name, "failure": failure}));
    }
    records
}

fn add(record: &mut Map<String, Value>, repository: &RepositoryListing) {
    let mut put = |key: &str, value: Value| record.insert(key.to_owned(), value);
    if let Some(explanation) = &repository.explanation {
        put("explanation", json!(explanation.to_string()));
        put("selection", json!(explanation));
    }
    let mut images: Vec<&String> = repository.images.iter().collect();
    images.sort_by(|one, other| by_name(one, other));
    put("tags", json!(images));
    let destinations = repository.destinations.iter().map(|destination| {
        let names: Vec<&String> = destination.names.values().collect();
        json!({"repository": destination.repository, "tags": names})
    });
    put("destinations", destinations.collect());
    if !repository.skipped.is_empty() {
        let skipped = repository.skipped.iter();
        let skipped = skipped.map(|(image, why)| json!({"tag": image, "reason": why}));
        put("skipped", skipped.collect());
    }
    for (key, reason) in [
        ("empty", &repository.empty),
        ("failure", &repository.failure),
    ] {
        if let Some(reason) = reason {
            put(key, json!(reason));
        }
    }
}
