//! Every file of rules or credentials in the documents passes `validate`, and the native files the schema as well. Every
//! classic file means the same after its conversion.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::fences::{self, Fence};
use crate::schema;
use crate::support::{Outcome, Place};

/// A service account, which `validate` reads.
const ACCOUNT: &str =
    r#"{"client_email":"a@b.example","private_key":"-","token_uri":"https://b.example/token"}"#;

/// Default destination of all files.
const DEFAULTS: [&str; 4] = ["--registry", "r.example", "--namespace", "mirror"];

/// Name of the native files.
const NATIVE: &str = "sync.yaml";

/// A classic file of a document, in a directory with everything that it needs.
struct ClassicExample {
    fence: Fence,
    place: Place,
    /// Flags that name its files.
    files: Vec<String>,
}

fn classic_examples() -> Vec<ClassicExample> {
    let fences = fences::in_languages(&["yaml", "json"]);
    let examples = fences.into_iter().filter_map(|fence| {
        let name = fence.file_name().filter(|name| is_ours(name))?.to_owned();
        let place = with_variables(&fence)
            .file(&name, &fence.text)
            .file("any-images.yaml", "r.example/a:v1: r2.example/a\n");
        let files: &[&str] = if name.contains("auth") {
            &["--auth", &name, "--images", "any-images.yaml"]
        } else if name.contains("config") {
            &["--config", &name]
        } else {
            &["--images", &name]
        };
        let files = files.iter().map(|flag| (*flag).to_owned()).collect();
        Some(ClassicExample {
            fence,
            place,
            files,
        })
    });
    examples.collect()
}

impl ClassicExample {
    /// Runs a command on the files.
    fn run(&self, command: &str) -> Outcome {
        let files: Vec<&str> = self.files.iter().map(String::as_str).collect();
        let outcome = self
            .place
            .run(&[&[command], &files[..], &DEFAULTS].concat());
        assert_eq!(outcome.code, 0, "{}: {}", self.fence.place, outcome.stderr);
        outcome
    }
}

#[test]
fn of_rules_and_credentials() {
    let examples = classic_examples();
    for example in &examples {
        let outcome = example.run("validate");
        // No rule uses the entries of a file that is shown alone.
        let unused = |line: &str| line.contains(": no rule uses the entries for ");
        let others = outcome.stderr.lines().filter(|line| !unused(line));
        let place = &example.fence.place;
        assert_eq!(others.collect::<Vec<_>>(), [""; 0], "{place}");
    }
    let number = examples.len();
    assert!(number >= 8, "only {number} files were found");
}

/// Returns the meaning of files without the places in them and without the totals.
fn meaning(validated: &str) -> Vec<&str> {
    let lines = validated.lines().map(|line| {
        let place = line.find("  (").unwrap_or(line.len());
        &line[..place]
    });
    let mut lines: Vec<&str> = lines.collect();
    lines.pop();
    lines
}

#[test]
fn classic_ones_mean_the_same_after_their_conversion() {
    for example in classic_examples() {
        let classic = example.run("validate").stdout;
        let native = example.run("convert").stdout;
        let place = example.place.file(NATIVE, &native);
        let converted = place.run(&["validate", "--config", NATIVE]);
        let at = &example.fence.place;
        assert_eq!(converted.code, 0, "{at}: {}\n{native}", converted.stderr);
        assert_eq!(meaning(&converted.stdout), meaning(&classic), "{at}");
    }
}

/// Returns the native files of the documents.
fn native_examples() -> Vec<Fence> {
    let fences = fences::in_languages(&["yaml"]).into_iter();
    let examples: Vec<Fence> = fences
        .filter(|fence| fence.file_name() == Some(NATIVE))
        .collect();
    assert!(examples.len() >= 12, "only {} files", examples.len());
    examples
}

#[test]
fn native_ones_are_valid() {
    let validator = schema::validator();
    for fence in native_examples() {
        // Secrets and certificates are in the directory of the test.
        let text = fence.text.replace("/run/secrets/", "secrets-");
        let place = with_variables(&fence)
            .file(NATIVE, &text)
            .file("secrets-mirror", "secret\n");
        let private = Permissions::from_mode(0o600);
        std::fs::set_permissions(place.path("secrets-mirror"), private).unwrap();
        std::fs::create_dir(place.path("certs")).unwrap();
        let authority = testkit::Tls::new().ca_pem();
        let place = place.file("certs/example-ca.pem", &authority);
        let outcome = place.run(&["validate", "--config", NATIVE]);
        assert_eq!(outcome.code, 0, "{}: {}", fence.place, outcome.stderr);
        assert_eq!(outcome.stderr, "", "{}", fence.place);
        let errors: Vec<String> = validator
            .iter_errors(&schema::parsed(&fence.text))
            .map(|error| error.to_string())
            .collect();
        assert_eq!(errors, [""; 0], "{}", fence.place);
    }
}

/// Returns true for a file that the program reads.
fn is_ours(name: &str) -> bool {
    let ours = ["images", "auth", "config"];
    !name.contains('/') && ours.iter().any(|word| name.contains(word))
}

/// Returns a directory and an environment with the variables that a file names.
fn with_variables(fence: &Fence) -> Place {
    let variable = regex::Regex::new(r"(?:\$\{?|env: )([A-Z][A-Z0-9_]+)\}?").unwrap();
    let mut place = Place::new();
    for found in variable.captures_iter(&fence.text) {
        let value = if found[1].contains("SERVICE_ACCOUNT") {
            STANDARD.encode(ACCOUNT)
        } else if &found[1] == "MIRROR" {
            "mirror.example".to_owned()
        } else {
            "value".to_owned()
        };
        place = place.variable(&found[1], &value);
    }
    place
}
