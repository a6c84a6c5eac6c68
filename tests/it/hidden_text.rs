//! Characters that change how a terminal shows a text are escaped in every output.

use serde_json::Value;
use testkit::{Action, Fault, Image, Kind, Layer, Platform};

use crate::support::{between, image, registry};

/// An architecture with a control sequence of one byte (C1), a deletion and a change of direction.
const HOSTILE: &str = "amd\u{9b}31m\u{7f}\u{202e}64";

/// Returns true for a character that a terminal does not show as it is.
fn is_hidden(character: char) -> bool {
    let is_control = character.is_control() && character != '\n';
    is_control
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[track_caller]
fn assert_shown(name: &str, text: &str) {
    assert!(!text.is_empty(), "{name} is empty");
    let hidden = text.chars().find(|character| is_hidden(*character));
    assert_eq!(hidden, None, "{name}: {text}");
}

#[test]
fn every_output_escapes_hidden_characters() {
    let (source, destination) = (registry(), registry());
    let child = Image::oci()
        .platform(Platform::linux(HOSTILE))
        .layer(Layer::tar("base", 3_000))
        .build();
    source.push("app", Some("v1"), &Image::index([child]));
    source.push("app", Some("v2"), &image("2"));
    source.push("app", Some("v3"), &image("3"));
    // The message comes from the registry.
    let message = format!("no {HOSTILE} here");
    let refused = Action::error(400, "MANIFEST_INVALID", &message);
    destination.fault(Fault::on(Kind::ManifestPut).reference("v2"), refused);
    source.fault(
        Fault::on(Kind::Tags).repository("gone"),
        Action::error(400, "UNSUPPORTED", &message),
    );
    let rules = format!(
        "{0}/app: {1}/app\n\"{0}/gone:/^(v|\u{202e}\u{200f})/\": {1}/gone\n",
        source.host(),
        destination.host()
    );
    let place = between(&source, &destination, &rules);
    let files = ["--images", "images.yaml", "--auth", "auth.yaml"];
    let run = |command: &[&str], flags: &[&str]| place.run(&[command, &files, flags].concat());
    for (command, flags) in [
        ("plan", &[][..]),
        ("plan", &["--output", "json"][..]),
        ("check", &["-v"][..]),
        ("check", &["--output", "json"][..]),
    ] {
        let outcome = run(&[command], flags).exits(1);
        let name = format!("{command} {flags:?}");
        assert_shown(&name, &outcome.stdout);
        assert_shown(&name, &outcome.stderr);
        if command == "plan" && !flags.is_empty() {
            let plan: Value = serde_json::from_str(&outcome.stdout).unwrap();
            assert!(
                plan["images"].to_string().contains(HOSTILE),
                "the platform is lost"
            );
        }
    }
    let validated = place.run(&["validate", "--images", "images.yaml"]).exits(0);
    assert_shown("validate", &validated.stdout);
    let outputs = [
        ("--report", "report.json"),
        ("--log", "log.json"),
        ("--failed-images", "failed.yaml"),
        ("--output-success-images", "there.yaml"),
    ];
    let mut flags = vec!["--log-format", "json", "--log-level", "debug"];
    flags.extend(outputs.iter().flat_map(|(flag, name)| [*flag, *name]));
    let outcome = run(&[], &flags).exits(1);
    assert_shown("stderr", &outcome.stderr);
    for (_, name) in outputs {
        assert_shown(name, &place.read(name));
    }
    run(&[], &["--failed-images", "failed.json"]).exits(1);
    assert_shown("failed.json", &place.read("failed.json"));
    // The escaped text still has the same meaning.
    assert!(place.read("failed.yaml").contains("\\u202e\\u200f"));
    source.clear_faults();
    source.push("gone", Some("v7"), &image("7"));
    place
        .run(&["--images", "failed.yaml", "--auth", "auth.yaml"])
        .says("gone:v7");
}
