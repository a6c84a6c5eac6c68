//! `--stall-timeout` and `--commit-timeout`. Tests assert the limit that ended a request, never a duration.

use testkit::{Action, Fault, Kind, Registry};

use crate::support::{FILES, Outcome, Place, assert_arrived, between, image, registry};

/// Copies `a` between registries, one of them with this fault.
fn copy(source: &Registry, destination: &Registry, arguments: &[&str]) -> Outcome {
    between(source, destination, "SRC/a:v1: DST/a\n").run(&[&FILES, arguments].concat())
}

#[test]
fn a_stalled_download_is_resumed() {
    let (source, destination) = (registry(), registry());
    source.push("a", Some("v1"), &image("a"));
    let stall = source.fault(
        Fault::on(Kind::BlobGet).times(1),
        Action::StallResponse { after: 10 },
    );
    copy(&source, &destination, &["--stall-timeout", "1"])
        .exits(0)
        .says("no byte came for 1 s");
    assert_eq!(stall.hits(), 1);
    assert_arrived(&destination, "a", "v1", &image("a"));
}

#[test]
fn a_missing_answer_fails_after_the_last_try() {
    let (source, destination) = (registry(), registry());
    source.push("a", Some("v1"), &image("a"));
    source.fault(Fault::on(Kind::ManifestHead), Action::StallBeforeAnswer);
    copy(
        &source,
        &destination,
        &["--stall-timeout=1", "--retries", "0"],
    )
    .exits(1)
    .says("no answer came for 1 s");
}

#[test]
fn the_last_answers_of_an_upload_and_a_push_have_a_separate_limit() {
    for kind in [Kind::UploadPut, Kind::ManifestPut] {
        let (source, destination) = (registry(), registry());
        source.push("a", Some("v1"), &image("a"));
        destination.fault(Fault::on(kind), Action::StallBeforeAnswer);
        copy(
            &source,
            &destination,
            &["--commit-timeout", "1", "--retries", "0"],
        )
        .exits(1)
        .says("no answer came for 1 s");
        assert_eq!(destination.state().tags("a"), [""; 0]);
    }
}

#[test]
fn invalid_limits_are_refused() {
    for flag in ["--stall-timeout", "--commit-timeout"] {
        for value in ["0", "-1", "86401", "1m"] {
            Place::new()
                .run(&[&format!("{flag}={value}")])
                .exits(2)
                .says(flag);
        }
    }
    Place::new().run(&["--grace=-1"]).exits(2).says("--grace");
}
