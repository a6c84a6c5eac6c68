//! The JSON Schema against the parser.

use jsonschema::Validator;
use serde_json::Value;

use super::super::{native_reference, native_schema, tables};
use super::*;

fn validator() -> Validator {
    jsonschema::draft202012::new(&native_schema()).unwrap()
}

fn document(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

fn is_read(text: &str) -> bool {
    read_files(&[("file.yaml", text)], &OptionOverrides::default()).is_ok()
}

#[test]
fn every_key_of_the_schema_is_one_of_the_parser() {
    let schema = native_schema();
    let definitions = schema["$defs"].as_object().unwrap();
    let tables = tables::all();
    assert_eq!(definitions.len(), tables.len());
    for table in tables {
        let definition = &definitions[table.name];
        let properties = definition["properties"].as_object().unwrap();
        let known: Vec<&str> = table.keys.iter().map(|key| key.name).collect();
        let found: Vec<&str> = properties.keys().map(String::as_str).collect();
        assert_eq!(found, known, "{}", table.name);
        assert_eq!(definition["additionalProperties"], false, "{}", table.name);
        assert!(properties.values().all(|it| it["description"].is_string()));
    }
}

#[test]
fn the_schema_and_the_parser_accept_the_same() {
    let validator = validator();
    let rule =
        |rest: &str| format!("version: 1\nrules:\n  - {{from: q.io/x, to: r.example/x, {rest}}}\n");
    let file = |rest: &str| format!("version: 1\nrules: []\n{rest}\n");
    let accepted = [
        rule("tags: 1.10"),
        rule("tags: [1.10, v1, true]"),
        rule("tags: {semver: \">=1\", newest: 5}"),
        rule("tags: {newest: {count: \"5\", per: minor}}"),
        rule("platforms: all"),
        rule("platforms: [linux/amd64, linux/arm/v7], sparse: yes"),
        rule("conflict: skip"),
        rule("conflict: {\"v*\": fail, \"*\": overwrite}"),
        rule("referrers: {types: cosign, interval: 12h}"),
        rule("schedule: \"0 3 * * *\", if-empty: fail"),
        rule("attestations: \"${NOPE:-strip}\""),
        file("x-anything: [1, {a: b}]"),
        file("defaults:"),
        file("registries:\n  r.example:\n"),
        file(
            "registries: {r.example: {limits: {requests: 0.5, rate: 200MiB, transfers: \"${NOPE:-8}\"}}}",
        ),
        file("registries: {r.example: {tls: {insecure: On}}}"),
        file("share: postgres://database"),
        EVERYTHING.to_owned(),
    ];
    for text in accepted {
        assert!(is_read(&text), "{text}");
        if let Err(error) = validator.validate(&document(&text)) {
            panic!("{text}: {error} at {}", error.instance_path());
        }
    }
    let refused = [
        rule("tag: v1"),
        rule("tags: []"),
        rule("tags: null"),
        rule("tags: {newest: many}"),
        rule("tags: {newest: {per: minor}}"),
        rule("platforms: {linux: amd64}"),
        rule("conflict: keep"),
        rule("conflict: {}"),
        rule("referrers: {interval: 5}"),
        rule("attestations: remove"),
        rule("sparse: maybe"),
        "version: 1\nrules:\n  - {from: q.io/x}\n".to_owned(),
        "version: 1\nrules:\n  - {from: q.io/x, to: {platforms: all}}\n".to_owned(),
        "version: 2\nrules: []\n".to_owned(),
        "rules: []\n".to_owned(),
        file("foo: bar"),
        file("defaults: {name: x}"),
        file("registries: {r.example: {tsl: {}}}"),
        file("registries: {r.example: {login: anon}}"),
        file("registries: {r.example: {limits: {requests: 0}}}"),
        file("registries: {r.example: {limits: {transfers: 1000}}}"),
        file("registries: {r.example: {limits: {rate: 5}}}"),
        file("service: {hooks: {harbour: {}}}"),
    ];
    for text in refused {
        assert!(!is_read(&text), "{text}");
        assert!(validator.validate(&document(&text)).is_err(), "{text}");
    }
}

#[test]
fn the_reference_has_every_key() {
    let reference = native_reference();
    for table in tables::all() {
        assert!(reference.contains(&format!("### `{}`\n", table.name)));
        for key in table.keys {
            assert!(reference.contains(&format!("| `{}` | ", key.name)));
        }
    }
}
