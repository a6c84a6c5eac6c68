//! Every file of rules or credentials in the documents passes `validate`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::fences::{self, Fence};
use crate::support::Place;

/// A service account, which `validate` reads.
const ACCOUNT: &str =
    r#"{"client_email":"a@b.example","private_key":"-","token_uri":"https://b.example/token"}"#;

#[test]
fn of_rules_and_credentials() {
    let mut number = 0;
    for fence in fences::in_languages(&["yaml", "json"]) {
        let Some(name) = fence.file_name().filter(|name| is_ours(name)) else {
            continue;
        };
        let place = with_variables(&fence)
            .file(name, &fence.text)
            .file("any-images.yaml", "r.example/a:v1: r2.example/a\n");
        let files: &[&str] = if name.contains("auth") {
            &["--auth", name, "--images", "any-images.yaml"]
        } else if name.contains("config") {
            &["--config", name]
        } else {
            &["--images", name]
        };
        let defaults = ["--registry", "r.example", "--namespace", "mirror"];
        let outcome = place.run(&[&["validate"], files, &defaults].concat());
        assert_eq!(outcome.code, 0, "{}: {}", fence.place, outcome.stderr);
        // No rule uses the entries of a file that is shown alone.
        let unused = |line: &str| line.contains(": no rule uses the entries for ");
        let others = outcome.stderr.lines().filter(|line| !unused(line));
        assert_eq!(others.collect::<Vec<_>>(), [""; 0], "{}", fence.place);
        number += 1;
    }
    assert!(number >= 8, "only {number} files were found");
}

/// Returns true for a file that the program reads.
fn is_ours(name: &str) -> bool {
    let ours = ["images", "auth", "config"];
    !name.contains('/') && ours.iter().any(|word| name.contains(word))
}

/// Returns a directory and an environment with the variables that a file names.
fn with_variables(fence: &Fence) -> Place {
    let variable = regex::Regex::new(r"\$\{?([A-Z][A-Z0-9_]+)\}?").unwrap();
    let mut place = Place::new();
    for found in variable.captures_iter(&fence.text) {
        let value = if found[1].contains("SERVICE_ACCOUNT") {
            STANDARD.encode(ACCOUNT)
        } else {
            "value".to_owned()
        };
        place = place.variable(&found[1], &value);
    }
    place
}
