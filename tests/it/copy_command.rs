//! `image-syncer copy`: images without files.

use crate::support::{Place, assert_arrived, image, index, registry};

#[test]
fn one_image_to_many_destinations() {
    let (source, one, two) = (registry(), registry(), registry());
    source.push("a", Some("v1"), &index("a"));
    let (from, to) = (
        format!("{}/a:v1", source.host()),
        format!("{}/b", one.host()),
    );
    let renamed = format!("{}/c:other", two.host());
    let hosts = format!("{},{}", source.host(), one.host());
    let two_host = two.host();
    let arguments = [
        "copy",
        &from,
        &to,
        &renamed,
        "--insecure",
        &hosts,
        "--insecure",
        &two_host,
    ];
    Place::new()
        .run(&arguments)
        .exits(0)
        .says("\n1 image to 2 destinations, 2 copies: 2 copied, ");
    assert_arrived(&one, "b", "v1", &index("a"));
    assert_arrived(&two, "c", "other", &index("a"));
}

#[test]
fn all_tags_copies_every_tag() {
    let registry = registry();
    registry.push("a", Some("v1"), &image("1"));
    registry.push("a", Some("v2"), &image("2"));
    let (from, to, host) = (
        format!("{}/a", registry.host()),
        format!("{}/b", registry.host()),
        registry.host(),
    );
    Place::new()
        .run(&["copy", "--all-tags", &from, &to, "--insecure", &host])
        .exits(0)
        .says("2 copied");
    assert_eq!(registry.state().tags("b"), ["v1", "v2"]);
}

#[test]
pub(crate) fn several_sources_go_below_one_destination() {
    let registry = registry();
    registry.push("team/a", Some("v1"), &image("a"));
    registry.push("other/b", Some("v2"), &index("b"));
    let host = registry.host();
    let [a, b] = ["team/a:v1", "other/b:v2"].map(|name| format!("{host}/{name}"));
    let (below, layout) = (format!("{host}/mirror/"), "oci:store");
    let place = Place::new();
    let to = [
        "copy",
        &a,
        &b,
        "--to",
        &below,
        "--to",
        layout,
        "--insecure",
        &host,
    ];
    place.run(&to).exits(0).says("4 copied");
    assert_arrived(&registry, "mirror/team/a", "v1", &image("a"));
    assert_arrived(&registry, "mirror/other/b", "v2", &index("b"));
    // The names in the layout are those of the sources.
    let [from_a, from_b] = [&a, &b].map(|name| format!("oci:store#{name}"));
    let back = format!("{host}/back/");
    let again = ["copy", &from_a, "--to", &back, &from_b, "--insecure", &host];
    place.run(&again).exits(0).says("2 copied");
    assert_arrived(&registry, "back/team/a", "v1", &image("a"));
    assert_arrived(&registry, "back/other/b", "v2", &index("b"));
    let all = format!("{host}/all/");
    place.run(&["copy", "oci:store", &all]).exits(2).says(&format!(
        "oci:store names no image. Write, for example, oci:store#{host}/other/b:v2 or oci:store#{host}/team/a:v1; or 'oci:store#*' for all."
    ));
    let one = format!("{host}/all");
    place.run(&["copy", "oci:store#*", &one]).exits(2).says(&format!(
        "oci:store#* matches 2 repositories, and {one} is one. Write {one}/ to keep their paths below it."
    ));
    let glob = ["copy", "oci:store#*", "--to", &all, "--insecure", &host];
    place.run(&glob).exits(0).says("2 copied");
    assert_arrived(&registry, "all/team/a", "v1", &image("a"));
    assert_arrived(&registry, "all/other/b", "v2", &index("b"));
}

#[test]
fn two_sources_cannot_get_one_tag() {
    let to = [
        "copy",
        "r.example/a:v1",
        "r.example/b:v1",
        "--to",
        "d.example/c",
    ];
    Place::new().run(&to).exits(2).says(
        "d.example/c:v1 gets two images, r.example/a:v1 and r.example/b:v1. Give one of them another tag or repository.",
    );
}

#[test]
fn flags_of_a_sync_apply_to_copy() {
    let registry = testkit::Registry::builder()
        .auth(testkit::Auth::basic("u", "p"))
        .start_on_thread();
    registry.push("a", Some("v1"), &index("a"));
    let (from, to, host) = (
        format!("{}/a:v1", registry.host()),
        format!("{}/b", registry.host()),
        registry.host(),
    );
    let auth = format!("{host}: {{username: u, password: p}}\n");
    let place = Place::new().file("auth.yaml", &auth);
    let flags = [
        "--auth",
        "auth.yaml",
        "--insecure",
        &host,
        "--arch",
        "arm64",
        "--proc",
        "1",
        "--retries",
        "0",
        "--force",
        "--log",
        "log",
        "--output-success-images",
        "out",
    ];
    place
        .run(&[&["copy", &from, &to], &flags[..]].concat())
        .exits(0);
    // The new index and its one child.
    assert_eq!(registry.state().manifests("b").len(), 2);
    assert!(place.read("log").contains("1 image: 1 copied"));
    assert!(place.read("out").contains(&format!("{to}:v1")));
}

#[test]
fn an_empty_destination_is_the_default() {
    let registry = registry();
    registry.push("team/a", Some("v1"), &image("1"));
    let (from, host) = (format!("{}/team/a:v1", registry.host()), registry.host());
    let flags = [
        "--registry",
        &host,
        "--namespace",
        "mirror",
        "--insecure",
        &host,
    ];
    Place::new()
        .run(&[&["copy", &from, ""], &flags[..]].concat())
        .exits(0);
    assert_arrived(&registry, "mirror/a", "v1", &image("1"));
    Place::new()
        .run(&["copy", &from, ""])
        .exits(2)
        .says("--registry");
}

#[test]
fn an_insecure_host_keeps_the_credentials_of_docker_login() {
    let registry = testkit::Registry::builder()
        .auth(testkit::Auth::basic("u", "p"))
        .start_on_thread();
    registry.push("a", Some("v1"), &image("1"));
    let host = registry.host();
    // u:p in base64.
    let config = format!("{{\"auths\": {{\"{host}\": {{\"auth\": \"dTpw\"}}}}}}");
    let place = Place::new().file("config.json", &config);
    let directory = place.path("").display().to_string();
    place
        .variable("DOCKER_CONFIG", &directory)
        .run(&[
            "copy",
            &format!("{host}/a:v1"),
            &format!("{host}/b"),
            "--insecure",
            &host,
        ])
        .exits(0);
    assert_arrived(&registry, "b", "v1", &image("1"));
}
