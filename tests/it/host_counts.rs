//! Requests, retries and tries in reports and summaries: each try of a host is a request, each but the first a retry.

use testkit::{Auth, Registry};

use crate::support::{Outcome, Place, image, registry, report::report};

const FLAGS: [&str; 8] = [
    "--images",
    "images.yaml",
    "--auth",
    "auth.yaml",
    "--retries",
    "2",
    "--report",
    "report.json",
];

/// Returns the files of a copy of twelve images from `from` to `to`, both insecure hosts.
fn twelve(from: &str, to: &str, login: &str) -> Place {
    let rules = (0..12).map(|number| format!("{from}/app{number}:v1: {to}/app{number}\n"));
    let auth = format!("{from}: {{insecure: true}}\n{to}: {{insecure: true{login}}}\n");
    Place::new()
        .file("images.yaml", &rules.collect::<String>())
        .file("auth.yaml", &auth)
}

/// Copies twelve images from `from` to `to`.
fn copy_twelve(from: &str, to: &str, login: &str) -> (Place, Outcome) {
    let place = twelve(from, to, login);
    let outcome = place.run(&FLAGS);
    (place, outcome)
}

/// A source with the images of [`copy_twelve`].
fn source() -> Registry {
    let source = registry();
    for number in 0..12 {
        source.push(&format!("app{number}"), Some("v1"), &image("a"));
    }
    source
}

/// Requests and retries of a host in the report.
fn counts(place: &Place, host: &str) -> (u64, u64) {
    let report = report(place, "report.json");
    let hosts = report["hosts"].as_array().unwrap();
    let found = hosts.iter().find(|found| found["host"] == host).unwrap();
    let count = |name: &str| found[name].as_u64().unwrap();
    (count("requests"), count("retries"))
}

/// Tries of each failure in the report.
fn tries(place: &Place) -> Vec<u64> {
    let report = report(place, "report.json");
    let images = report["images"].as_array().unwrap().iter();
    let tries = images.map(|image| image["failure"]["tries"].as_u64().unwrap());
    tries.collect()
}

#[test]
fn a_dead_destination_of_twelve_images_is_three_requests_and_two_retries() {
    let source = source();
    // A port that was free a moment ago.
    let nobody = registry().host();
    let (place, outcome) = copy_twelve(&source.host(), &nobody, "");
    outcome
        .exits(1)
        .says(&format!("  {nobody}: 3 requests, 2 retries\n"))
        .says("connection refused, after 3 tries");
    assert_eq!(counts(&place, &nobody), (3, 2));
    assert_eq!(tries(&place), [3; 12]);
}

#[test]
fn a_dead_proxy_of_twelve_images_is_three_requests_and_two_retries() {
    let source = source();
    let (proxy, host) = (registry().host(), "destination.example");
    // Loopback addresses need no proxy, so only the destination is affected.
    let place = twelve(&source.host(), host, "")
        .variable("HTTPS_PROXY", &format!("http://{proxy}"))
        .variable("HTTP_PROXY", &format!("http://{proxy}"));
    place
        .run(&FLAGS)
        .exits(1)
        .says(&format!("  {host}: 3 requests, 2 retries\n"))
        .says("12 images: 0 copied, 0 unchanged, 0 skipped, 12 failed")
        .says(&format!("  proxy-refused at {host}: 12 failures\n"))
        .says(&format!("connection refused (through the proxy {proxy})"))
        .says(", after 3 tries")
        .says("hint: check that HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names the right proxy");
    assert_eq!(counts(&place, host), (3, 2));
    assert_eq!(tries(&place), [3; 12]);
}

#[test]
fn a_refused_login_of_twelve_images_is_retried_by_none() {
    let source = source();
    for auth in [Auth::basic("u", "right"), Auth::bearer("u", "right")] {
        let destination = Registry::builder().auth(auth).start_on_thread();
        let host = destination.host();
        let login = ", username: u, password: wrong";
        let (place, outcome) = copy_twelve(&source.host(), &host, login);
        outcome.exits(1);
        let (requests, retries) = counts(&place, &host);
        assert_eq!(retries, 0);
        let counted = destination.requests().len() + destination.token_requests().len();
        assert_eq!(requests, counted as u64);
        assert!(requests <= 3, "{requests}");
        assert_eq!(tries(&place), [1; 12]);
    }
}
