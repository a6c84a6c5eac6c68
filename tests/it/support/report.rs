//! Reports, validated against their schema.

use serde_json::Value;

use super::Place;

/// Reads a report that the program wrote, and validates it against docs/report.schema.json.
#[track_caller]
pub(crate) fn report(place: &Place, name: &str) -> Value {
    let document = serde_json::from_str(&place.read(name)).unwrap();
    assert_valid(&document);
    document
}

/// Asserts that a report is valid.
#[track_caller]
pub(crate) fn assert_valid(document: &Value) {
    let schema = include_str!("../../../docs/report.schema.json");
    let schema = serde_json::from_str(schema).unwrap();
    let validator = jsonschema::draft202012::options()
        .should_validate_formats(true)
        .build(&schema)
        .unwrap();
    let mistakes: Vec<String> = validator
        .iter_errors(document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(mistakes.is_empty(), "{mistakes:#?}\n{document:#}");
}

/// Returns the images of a report with this outcome, as sorted `source → destination`.
pub(crate) fn images(report: &Value, outcome: &str) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let images = report["images"].as_array().unwrap().iter();
    let mut images: Vec<String> = images
        .filter(|image| image["outcome"] == outcome)
        .map(|image| {
            format!(
                "{} → {}",
                text(&image["source"]),
                text(&image["destination"])
            )
        })
        .collect();
    images.sort();
    images
}
