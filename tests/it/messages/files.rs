//! The command line, files of configuration, and files that are written.

use super::Case;
use super::trial::{Told, normalised, source};
use crate::support::{Place, insecure, registry};

pub(super) const CASES: &[Case] = &[
    ("nothing-to-copy", nothing_to_copy),
    ("unknown-key", unknown_key),
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

/// What a run that goes well says of a records file of this name, which holds this.
fn warns(records: &str, text: &str) -> Told {
    warns_of(&["--records", records], text)
}

/// What a run with these arguments that goes well says, where `records.sqlite3` holds this.
fn warns_of(arguments: &[&str], text: &str) -> Told {
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
    Told {
        message: format!("warning: {}", words[1].trim_start()),
        cause: None,
    }
}

/// What the program says to files with these texts, and refuses to begin.
fn refuses(images: &str, auth: &str, arguments: &[&str]) -> Told {
    let place = Place::new()
        .file("images.yaml", images)
        .file("auth.yaml", auth);
    let files = ["--images", "images.yaml", "--auth", "auth.yaml"];
    said(&place, &[&files, arguments].concat())
}

fn said(place: &Place, arguments: &[&str]) -> Told {
    let outcome = place.run(arguments).exits(2);
    assert_eq!(outcome.stdout, "");
    Told {
        message: normalised(outcome.stderr.trim_end(), &[]),
        cause: None,
    }
}

const RULE: &str = "docker.io/library/alpine:3.20: registry.example.com/mirror/alpine\n";

fn nothing_to_copy() -> Told {
    said(&Place::new(), &["--auth", "auth.yaml"])
}

fn unknown_key() -> Told {
    let auth = "registry.example.com:\n  usrname: syncer\n  password: secret\n";
    refuses(RULE, auth, &[])
}

fn not_yaml() -> Told {
    let auth = "registry.example.com:\n  username: syncer\n  password: !secret\n";
    refuses(RULE, auth, &[])
}

fn source_twice() -> Told {
    let other = RULE.replace("mirror", "other");
    refuses(&format!("{RULE}{other}"), "", &[])
}

fn variable_not_set() -> Told {
    let auth = "registry.example.com:\n  username: syncer\n  password: ${REGISTRY_PASSWORD}\n";
    refuses(RULE, auth, &[])
}

fn bad_reference() -> Told {
    let images = "https://quay.io/coreos/etcd:v3.5.9: registry.example.com/mirror/etcd\n";
    refuses(images, "", &[])
}

fn tags_and_renames() -> Told {
    let images = "quay.io/coreos/etcd:v3.5.8,v3.5.9: registry.example.com/mirror/etcd:stable\n";
    refuses(images, "", &[])
}

fn bad_expression() -> Told {
    let images = "quay.io/coreos/etcd:/v3.(?!5)/: registry.example.com/mirror/etcd\n";
    refuses(images, "", &[])
}

fn no_default_destination() -> Told {
    refuses("quay.io/coreos/etcd:v3.5.9: \"\"\n", "", &[])
}

fn unknown_suffix() -> Told {
    let place = Place::new().file("images.toml", "");
    said(&place, &["--images", "images.toml"])
}

fn file_missing() -> Told {
    said(&Place::new(), &["--images", "images.yaml"])
}

fn platform() -> Told {
    refuses(RULE, "", &["--arch", "linux/amd64"])
}

fn output_not_writable() -> Told {
    refuses(
        RULE,
        "",
        &["--output-success-images", "nowhere/copied.yaml"],
    )
}

fn log_not_writable() -> Told {
    warns_of(&["--log", "nowhere/sync.log"], "")
}

fn records_not_usable() -> Told {
    warns("records.sqlite3", "this is no database")
}

fn records_not_writable() -> Told {
    warns("nowhere/records.sqlite3", "")
}
