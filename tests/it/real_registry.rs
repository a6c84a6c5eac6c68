//! From and to Debian's `docker-registry` (distribution 2.8), judged by `skopeo`.

use std::fmt::Write as _;

use testkit::{Image, Layer};

use crate::support::real::{Access, Pair};
use crate::support::{image, index};

/// Copies images of every shape by rules of every form, compares everything, and runs again without changes.
fn everything_arrives(access: Access, tls: bool) {
    let pair = Pair::start(access, tls);
    let docker = Image::docker()
        .layer(Layer::tar("docker", 4_000))
        .pretty()
        .build();
    let pinned = image("pinned");
    pair.push("single", "v1", &image("single"));
    pair.push("docker", "v1", &docker);
    pair.push("multi/platform", "v1", &index("multi"));
    pair.push("charts/app", "1.0.0", &Image::helm_chart("app", "1.0.0"));
    pair.push("pinned", "v1", &pinned);
    for tag in ["v1.0", "v1.1", "v2.0"] {
        pair.push("many", tag, &index(tag));
    }
    let rules = format!(
        "SRC/single:v1: [DST/single, 'DST/renamed:stable']\n\
         SRC/docker:v1: DST/docker\n\
         SRC/multi/platform: DST/multi/platform\n\
         SRC/charts/app:1.0.0: \"\"\n\
         SRC/pinned@{0}: DST/pinned:by-digest\n\
         SRC/pinned:v1@{0}: DST/pinned\n\
         SRC/many:/^v1\\./: DST/many\n\
         SRC/many:v2.0,v1.0: DST/swapped:a,b\n",
        pinned.digest()
    );
    let defaults = [
        "--registry",
        &pair.destination.host(),
        "--namespace",
        "helm",
    ]
    .map(str::to_owned);
    let defaults: Vec<&str> = defaults.iter().map(String::as_str).collect();
    pair.run(&rules, &defaults).exits(0).says(
        "10 images to up to 2 destinations, 11 copies: 11 copied, 0 unchanged, 0 skipped, 0 failed",
    );
    for (source, destination) in [
        ("single:v1", "single:v1"),
        ("single:v1", "renamed:stable"),
        ("docker:v1", "docker:v1"),
        ("multi/platform:v1", "multi/platform:v1"),
        ("charts/app:1.0.0", "helm/app:1.0.0"),
        ("pinned:v1", "pinned:by-digest"),
        ("pinned:v1", "pinned:v1"),
        ("many:v1.0", "many:v1.0"),
        ("many:v1.1", "many:v1.1"),
        ("many:v2.0", "swapped:a"),
        ("many:v1.0", "swapped:b"),
    ] {
        pair.assert_equal(source, destination);
    }
    pair.run(&rules, &defaults).exits(0).says(
        "10 images to up to 2 destinations, 11 copies: 0 copied, 11 unchanged, 0 skipped, 0 failed",
    );
}

#[test]
fn anonymous_over_http() {
    testkit::needs!("docker-registry", "skopeo");
    everything_arrives(Access::Anonymous, false);
}

#[test]
fn passwords_over_http() {
    testkit::needs!("docker-registry", "skopeo");
    everything_arrives(Access::Htpasswd, false);
}

#[test]
fn tokens_over_http() {
    testkit::needs!("docker-registry", "skopeo");
    everything_arrives(Access::Token, false);
}

#[test]
fn anonymous_over_tls() {
    testkit::needs!("docker-registry", "skopeo");
    everything_arrives(Access::Anonymous, true);
}

#[test]
fn passwords_over_tls() {
    testkit::needs!("docker-registry", "skopeo");
    everything_arrives(Access::Htpasswd, true);
}

#[test]
fn tokens_over_tls() {
    testkit::needs!("docker-registry", "skopeo");
    everything_arrives(Access::Token, true);
}

#[test]
fn a_shared_layer_is_sent_once_and_mounted_in_other_repositories() {
    testkit::needs!("docker-registry", "skopeo");
    let pair = Pair::start(Access::Token, false);
    let image = Image::single([Layer::synthetic(4 << 20, 1), Layer::synthetic(4 << 20, 2)]);
    let mut rules = String::new();
    for number in 0..6 {
        pair.push(&format!("n{number}"), "v1", &image);
        writeln!(rules, "SRC/n{number}: DST/n{number}").unwrap();
    }
    pair.run(&rules, &[])
        .exits(0)
        .says("8.0 MiB sent, 40.0 MiB mounted, 0 B already there");
    for number in 0..6 {
        pair.assert_equal(&format!("n{number}:v1"), &format!("n{number}:v1"));
    }
    pair.run("SRC/n0:v1: SRC/near\n", &[])
        .exits(0)
        .says("0 B sent, 8.0 MiB mounted, 0 B already there");
}

#[test]
fn a_stopped_registry_fails_the_run_and_the_next_run_completes_it() {
    testkit::needs!("docker-registry", "skopeo");
    let mut pair = Pair::start(Access::Anonymous, false);
    pair.push("a", "v1", &index("a"));
    pair.destination.stop();
    pair.run("SRC/a: DST/a\n", &["--retries", "0"])
        .exits(1)
        .says("1 failed");
    pair.destination.restart().unwrap();
    pair.run("SRC/a: DST/a\n", &[]).exits(0).says("1 copied");
    pair.assert_equal("a:v1", "a:v1");
}
