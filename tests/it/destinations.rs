//! The empty destination, and variables in destinations.

use crate::support::{FILES, Place, assert_arrived, image, insecure, registry};

fn place(images: &str) -> (testkit::Registry, testkit::Registry, Place) {
    let (source, destination) = (registry(), registry());
    source.push("team/sub/app", Some("v1"), &image("a"));
    let place = Place::new()
        .file("images.yaml", &images.replace("SRC", &source.host()))
        .file("auth.yaml", &insecure(&[&source, &destination]));
    (source, destination, place)
}

#[test]
fn flags_set_the_empty_destination() {
    let (_source, destination, place) = place("SRC/team/sub/app:v1: \"\"\n");
    let host = destination.host();
    let flags = ["--registry", &host, "--namespace", "mirror"];
    place.run(&[&FILES[..], &flags].concat()).exits(0);
    assert_arrived(&destination, "mirror/app", "v1", &image("a"));
}

#[test]
fn variables_set_the_empty_destination_and_flags_override_them() {
    let (_source, destination, place) = place("SRC/team/sub/app:v1: \"\"\n");
    let place = place
        .variable("DEFAULT_REGISTRY", &destination.host())
        .variable("DEFAULT_NAMESPACE", "not-this");
    let flags = ["--namespace", "this"];
    place.run(&[&FILES[..], &flags].concat()).exits(0);
    assert_arrived(&destination, "this/app", "v1", &image("a"));
    assert_eq!(destination.state().repositories(), ["this/app"]);
}

#[test]
fn variables_in_destinations_are_read() {
    let (_source, destination, place) = place("SRC/team/sub/app:v1: ${HOST}/$TEAM/app\n");
    let place = place
        .variable("HOST", &destination.host())
        .variable("TEAM", "blue");
    place.run(&FILES).exits(0);
    assert_arrived(&destination, "blue/app", "v1", &image("a"));
}
