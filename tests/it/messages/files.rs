//! The command line, configuration files, and output files.

use super::Case;
use super::trial::{Message, normalised, source};
use crate::support::{Place, insecure, registry};

pub(super) const CASES: &[Case] = &[
    ("nothing-to-copy", nothing_to_copy),
    ("unknown-key", unknown_key),
    ("colon-missing", colon_missing),
    ("not-yaml", not_yaml),
    ("source-twice", source_twice),
    ("variable-not-set", variable_not_set),
    ("bad-reference", bad_reference),
    ("bad-reference", tags_and_renames),
    ("bad-expression", bad_expression),
    ("no-default-destination", no_default_destination),
    ("unknown-suffix", unknown_suffix),
    ("file-missing", file_missing),
    ("platform", platform),
    ("output-not-writable", output_not_writable),
    ("log-not-writable", log_not_writable),
    ("records-not-usable", records_not_usable),
    ("records-not-usable", records_not_writable),
];

/// Returns the warning of a good run about a records file with this name and content.
fn warns(records: &str, text: &str) -> Message {
    warns_of(&["--records", records], text)
}

/// Returns the warning of a good run with these arguments and this content of `records.sqlite3`.
fn warns_of(arguments: &[&str], text: &str) -> Message {
    let (source, destination) = (source(), registry());
    let (from, to) = (source.host(), destination.host());
    let place = Place::new()
        .file(
            "images.yaml",
            &format!("{from}/team/app:v1: {to}/mirror/app\n"),
        )
        .file("auth.yaml", &insecure(&[&source, &destination]))
        .file("records.sqlite3", text);
    let files = ["--images", "images.yaml", "--auth", "auth.yaml"];
    let outcome = place.run(&[&files[..], arguments].concat()).exits(0);
    let warnings = outcome.lines("warning");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let words: Vec<&str> = warnings[0].splitn(2, "warning").collect();
    Message {
        text: format!("warning: {}", words[1].trim_start()),
        cause: None,
    }
}

/// Returns the message of a run that refuses these files.
fn refuses(images: &str, auth: &str, arguments: &[&str]) -> Message {
    let place = Place::new()
        .file("images.yaml", images)
        .file("auth.yaml", auth);
    let files = ["--images", "images.yaml", "--auth", "auth.yaml"];
    said(&place, &[&files, arguments].concat())
}

fn said(place: &Place, arguments: &[&str]) -> Message {
    let outcome = place.run(arguments).exits(2);
    assert_eq!(outcome.stdout, "");
    Message {
        text: normalised(outcome.stderr.trim_end(), &[]),
        cause: None,
    }
}

const RULE: &str = "docker.io/library/alpine:3.20: registry.example.com/mirror/alpine\n";

fn nothing_to_copy() -> Message {
    said(&Place::new(), &["--auth", "auth.yaml"])
}

fn unknown_key() -> Message {
    let auth = "registry.example.com:\n  usrname: syncer\n  password: secret\n";
    refuses(RULE, auth, &[])
}

fn colon_missing() -> Message {
    let other = "quay.io/coreos/etcd:v3.5.9 registry.example.com/mirror/etcd\n";
    refuses(&format!("{RULE}{other}"), "", &[])
}

fn not_yaml() -> Message {
    let auth = "registry.example.com:\n  username: syncer\n  password: !secret\n";
    refuses(RULE, auth, &[])
}

fn source_twice() -> Message {
    let other = RULE.replace("mirror", "other");
    refuses(&format!("{RULE}{other}"), "", &[])
}

fn variable_not_set() -> Message {
    let auth = "registry.example.com:\n  username: syncer\n  password: ${REGISTRY_PASSWORD}\n";
    refuses(RULE, auth, &[])
}

fn bad_reference() -> Message {
    let images = "https://quay.io/coreos/etcd:v3.5.9: registry.example.com/mirror/etcd\n";
    refuses(images, "", &[])
}

fn tags_and_renames() -> Message {
    let images = "quay.io/coreos/etcd:v3.5.8,v3.5.9: registry.example.com/mirror/etcd:stable\n";
    refuses(images, "", &[])
}

fn bad_expression() -> Message {
    let images = "quay.io/coreos/etcd:/v3.(?!5)/: registry.example.com/mirror/etcd\n";
    refuses(images, "", &[])
}

fn no_default_destination() -> Message {
    refuses("quay.io/coreos/etcd:v3.5.9: \"\"\n", "", &[])
}

fn unknown_suffix() -> Message {
    let place = Place::new().file("images.toml", "");
    said(&place, &["--images", "images.toml"])
}

fn file_missing() -> Message {
    said(&Place::new(), &["--images", "images.yaml"])
}

fn platform() -> Message {
    refuses(RULE, "", &["--arch", "linux/amd64"])
}

fn output_not_writable() -> Message {
    refuses(
        RULE,
        "",
        &["--output-success-images", "nowhere/copied.yaml"],
    )
}

fn log_not_writable() -> Message {
    warns_of(&["--log", "nowhere/sync.log"], "")
}

fn records_not_usable() -> Message {
    warns("records.sqlite3", "this is no database")
}

fn records_not_writable() -> Message {
    warns("nowhere/records.sqlite3", "")
}
