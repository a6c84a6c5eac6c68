//! Files that are named as an input and an output.

use crate::support::{Outcome, Place};

#[test]
fn inputs_and_records_are_compared_with_outputs_by_every_command() {
    let files = ["--images", "images.yaml", "--auth", "auth.yaml"];
    let copy = [
        "copy",
        "a.example/a:v1",
        "b.example/b",
        "--auth",
        "auth.yaml",
    ];
    for (command, flags) in [
        (&[][..], &files[..]),
        (&["plan"], &files),
        (&["check"], &files),
        (&copy, &[]),
    ] {
        let place = Place::new()
            .file("images.yaml", "a.example/a:v1: b.example/b\n")
            .file("auth.yaml", "{}\n");
        let records = place.path("state/image-syncer/records.sqlite3");
        std::fs::create_dir_all(records.parent().unwrap()).unwrap();
        std::fs::write(&records, "before").unwrap();
        let records = records.display().to_string();
        for (path, other) in [
            ("auth.yaml", "--auth auth.yaml"),
            (&records, "records file "),
        ] {
            let mut run = place.command(&[command, flags, &["--report", path]].concat());
            run.env("XDG_STATE_HOME", place.path("state"));
            let outcome = Outcome::of(run.output().unwrap()).exits(2);
            let both = [
                format!("--report {path}: this is the same file as {other}"),
                format!("{other}{path}: this is the same file as --report {path}"),
            ];
            assert!(
                both.iter().any(|text| outcome.stderr.contains(text)),
                "{command:?} {path}: {}",
                outcome.stderr
            );
        }
        assert_eq!(place.read("auth.yaml"), "{}\n");
        assert_eq!(place.read("state/image-syncer/records.sqlite3"), "before");
    }
}
