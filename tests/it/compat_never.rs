//! Faults of the Go tool that this program must not have.

use testkit::image::{Format, IndexBuilder};
use testkit::{Action, Fault, Kind};

use crate::support::{FILES, assert_arrived, between, image, index, registry};

#[test]
fn lists_that_are_written_over_many_lines_keep_their_digest() {
    let (source, destination) = (registry(), registry());
    for (tag, format) in [("docker", Format::Docker), ("oci", Format::Oci)] {
        let pretty = IndexBuilder::new(format)
            .children([image("1"), image("2")])
            .pretty()
            .build();
        source.push("a", Some(tag), &pretty);
        let place = between(&source, &destination, &format!("SRC/a:{tag}: DST/a\n"));
        place.run(&FILES).exits(0);
        assert_arrived(&destination, "a", tag, &pretty);
        place.run(&FILES).exits(0).says("1 unchanged");
    }
}

#[test]
fn an_error_at_the_destination_is_not_taken_for_absence() {
    let (source, destination) = (registry(), registry());
    source.push("a", Some("v1"), &index("a"));
    destination.fault(Fault::on(Kind::ManifestHead), Action::status(503));
    let place = between(&source, &destination, "SRC/a:v1: DST/a\n");
    place
        .run(&[&FILES[..], &["--retries", "0"]].concat())
        .exits(1)
        .says("503");
    assert_eq!(destination.state().repositories(), [""; 0]);
}

#[test]
fn connections_are_fewer_than_images() {
    let (source, destination) = (registry(), registry());
    for number in 0..400 {
        source.push(
            "a",
            Some(&format!("v{number}")),
            &image(&number.to_string()),
        );
    }
    let place = between(&source, &destination, "SRC/a: DST/a\n");
    place.run(&FILES).exits(0).says("400 images: 400 copied");
    // 64 for small requests, 16 for blobs, and those that were being opened when another became free.
    for registry in [&source, &destination] {
        let connections = registry.connections();
        assert!(connections <= 200, "{connections} connections");
    }
}
