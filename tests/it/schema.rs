//! `image-syncer schema`: the JSON Schema of the native file, and what it says about files.

use jsonschema::Validator;
use serde_json::Value;

use crate::support::Place;

const SCHEMA: &str = include_str!("../../docs/config.schema.json");

/// Returns the validator of the schema in the documents.
pub(crate) fn validator() -> Validator {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

/// Returns a file as the schema sees it.
pub(crate) fn parsed(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

#[test]
fn the_document_is_what_the_command_prints() {
    let outcome = Place::new().run(&["schema"]).exits(0);
    assert_eq!(outcome.stderr, "");
    assert!(
        outcome.stdout == SCHEMA,
        "write it again: cargo run --locked -- schema > docs/config.schema.json"
    );
}

#[test]
fn every_object_of_the_schema_refuses_unknown_keys() {
    fn objects<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
        match value {
            Value::Object(members) => {
                if members.contains_key("properties") && members.get("type").is_some() {
                    found.push(value);
                }
                members.values().for_each(|value| objects(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| objects(value, found)),
            _ => {}
        }
    }
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let mut found = Vec::new();
    objects(&schema, &mut found);
    assert!(found.len() > 10, "only {} objects", found.len());
    for object in found {
        assert_eq!(object["additionalProperties"], false, "{object}");
    }
}

/// A mistake, the message of `validate`, and true if the schema refuses it as well.
const MISTAKES: [(&str, &str, bool); 13] = [
    (
        "rules: [{from: q.io/x, to: r.example/x, platform: linux/amd64}]",
        "unknown key `platform`. Write `platforms`.",
        true,
    ),
    (
        "rules: [{from: q.io/x, to: r.example/x, colour: red}]",
        "unknown key `colour`. The keys of `rule` are `name`, `from`,",
        true,
    ),
    (
        "registries: {r.example: {tsl: {}}}",
        "unknown key `tsl`. Write `tls`.",
        true,
    ),
    (
        "rules: [{from: 'q.io/x:v1', tags: v2, to: r.example/x}]",
        "the tag is given twice: in `from` and in `tags`",
        false,
    ),
    (
        "rules: [{from: q.io/x, to: [{repository}]}]",
        "YAML needs quotes around text with `{ }` inside `[ ]`",
        true,
    ),
    (
        "rules: [{from: q.io/x, tags: {semver: '>=2 <1'}, to: r.example/x}]",
        "the range >=2 <1 is empty: no version satisfies it",
        false,
    ),
    (
        "rules: [{from: q.io/x, tags: {semver: newest}, to: r.example/x}]",
        "which is not a version",
        false,
    ),
    (
        "rules: [{from: q.io/x, tags: /(/, to: r.example/x}]",
        "the expression /(/ cannot be used: unclosed group",
        false,
    ),
    (
        "rules: [{from: 'q.io/[/x', to: r.example/x}]",
        "an opening bracket has no closing one",
        false,
    ),
    (
        "rules: [{from: q.io/x, to: 'r.example/{repo}'}]",
        "unknown name {repo}",
        false,
    ),
    (
        "rules: [{from: q.io/x, to: 'r.example/{repository|flat}'}]",
        "unknown filter flat",
        false,
    ),
    (
        "rules: [{name: a, from: q.io/x, to: r.example/x}, {name: a, from: q.io/y, to: r.example/y}]",
        "the rule name `a` is used in line 2 already",
        false,
    ),
    (
        "rules: [{from: q.io/x, to: r.example/x, conflict: keep}]",
        "`conflict`: there is no such value. Write `overwrite`, `skip` or `fail`.",
        true,
    ),
];

#[test]
fn every_mistake_is_refused() {
    let validator = validator();
    for (text, message, in_schema) in MISTAKES {
        let file = format!("version: 1\n{text}\n");
        let place = Place::new().file("sync.yaml", &file);
        let outcome = place.run(&["validate", "--config", "sync.yaml"]).exits(2);
        assert_eq!(outcome.stdout, "");
        outcome.says(message).says("sync.yaml:2:");
        assert_eq!(!validator.is_valid(&parsed(&file)), in_schema, "{text}");
    }
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let lines = MISTAKES
        .iter()
        .filter(|(text, ..)| text.starts_with("rules: [{from"));
    let rules: Vec<String> = lines
        .clone()
        .enumerate()
        .map(|(number, (text, ..))| {
            let rule = text.strip_prefix("rules: [{").unwrap();
            let rule = rule.strip_suffix("}]").unwrap();
            format!("  - {{name: rule {number}, {rule}}}\n")
        })
        .collect();
    let file = format!("version: 1\nrules:\n{}", rules.concat());
    let place = Place::new().file("sync.yaml", &file);
    let mut outcome = place.run(&["validate", "--config", "sync.yaml"]).exits(2);
    for (number, (_, message, _)) in lines.enumerate() {
        outcome = outcome
            .says(message)
            .says(&format!("sync.yaml:{}:", number + 3));
    }
}

#[test]
fn numbers_are_texts() {
    let file = "version: 1\nrules: [{from: q.io/x, tags: 1.10, to: r.example/x}]\n";
    let place = Place::new().file("sync.yaml", file);
    let outcome = place.run(&["validate", "--config", "sync.yaml"]).exits(0);
    assert!(outcome.stdout.contains("tag 1.10"), "{}", outcome.stdout);
    assert!(validator().is_valid(&parsed(file)));
}

#[test]
fn a_classic_and_a_native_file_exclude_each_other() {
    let place = Place::new()
        .file("both.yaml", "version: 1\nimages: {q.io/x: r.example/x}\n")
        .file("sync.yaml", "version: 1\nrules: []\n");
    place
        .run(&["validate", "--config", "both.yaml"])
        .exits(2)
        .says("both.yaml:");
    place
        .run(&["convert", "--config", "sync.yaml"])
        .exits(2)
        .says("sync.yaml");
}
