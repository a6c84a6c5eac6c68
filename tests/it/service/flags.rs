//! Flags of `serve` whose effect is not the traffic of its runs.

use testkit::{Action, Fault, Gate, Kind};

use crate::support::{PATIENCE, Service, World, image};

fn world() -> World {
    World::new("SRC/a: DST/b\n").with("a", "v1", &image("a"))
}

/// Serves one run with these flags, and returns the lines and the log. Waits for the line `end`, or without one, as
/// nothing is printed, until the image is being pushed.
fn serve(flags: &[&str], end: &str) -> (String, String) {
    let world = world();
    let gate = Gate::new();
    let fault = Fault::on(Kind::ManifestPut).repository("b");
    world.destination.fault(fault, Action::Hold(gate.clone()));
    let files = [
        "--images",
        "images.yaml",
        "--auth",
        "auth.yaml",
        "--sync-at-start",
    ];
    let mut service = Service::start(&world.place, &[&files, flags].concat());
    gate.wait(1, PATIENCE).unwrap();
    let stopped = if end.is_empty() {
        service.signal("-TERM");
        service.until("SIGTERM");
        gate.open();
        service.wait()
    } else {
        gate.open();
        service.until(end);
        service.stop()
    };
    let lines = stopped.exits(0).stderr;
    let log = std::fs::read_to_string(world.place.path("out.log")).unwrap_or_default();
    (lines, log)
}

#[test]
pub(crate) fn the_log_and_the_lines_follow_their_flags() {
    let (lines, log) = serve(&[], "succeeded:");
    assert!(
        lines.contains("copied       ") && !lines.contains("HTTP"),
        "{lines}"
    );
    assert_eq!(log, "");
    let (lines, _) = serve(&["-vv"], "succeeded:");
    assert!(lines.contains("push manifest b:v1"), "{lines}");
    let (lines, log) = serve(&["-q", "--log", "out.log"], "");
    assert_eq!(lines.lines().count(), 1, "{lines}");
    assert!(lines.contains("SIGTERM"), "{lines}");
    assert!(log.contains("copied") && log.contains("succeeded"), "{log}");
    let (_, log) = serve(&["--log", "out.log", "--log-level", "error"], "");
    assert_eq!(log, "");
    let (lines, _) = serve(&["--log-format", "json"], "succeeded:");
    let objects = lines.lines().map(serde_json::from_str::<serde_json::Value>);
    assert!(objects.into_iter().all(|line| line.is_ok()), "{lines}");
}

#[test]
pub(crate) fn flags_of_the_service_have_an_effect() {
    let world = world();
    let files = ["--images", "images.yaml", "--auth", "auth.yaml"];
    // Port 0 is a free port, and the state is in its own directory.
    let mut service = Service::start(&world.place, &files);
    let url = service.url();
    assert!(
        url.starts_with("http://127.0.0.1:") && !url.ends_with(":0"),
        "{url}"
    );
    let lines = service.stop().exits(0).stderr;
    assert!(!lines.contains("started (start)"), "{lines}");
    for file in ["state/history.sqlite3", "state/records.sqlite3"] {
        assert!(world.place.path(file).exists(), "{file}");
    }
    let mut service = Service::start(&world.place, &[&files[..], &["--sync-at-start"]].concat());
    service.until("started (start)");
    service.stop().exits(0);
    for (flags, status) in [(&[][..], 200), (&["--no-page"][..], 404)] {
        let mut service = Service::start(&world.place, &[&files, flags].concat());
        let url = service.url();
        assert_eq!(get(&url, "/rules"), status, "{flags:?}");
        assert_eq!(get(&url, "/healthz"), 200);
        service.stop().exits(0);
    }
}

#[test]
pub(crate) fn flags_of_the_files_choose_the_rules() {
    let world = World::new("SRC/a: \"\"\nSRC/missing: DST/missing\n").with("a", "v1", &image("a"));
    let defaults = [
        "--registry",
        &world.destination.host(),
        "--namespace",
        "team",
    ];
    let rule = ["--rule", &format!("{}/a", world.source.host())];
    let files = [
        "--images",
        "images.yaml",
        "--auth",
        "auth.yaml",
        "--sync-at-start",
    ];
    let mut service = Service::start(&world.place, &[&files[..], &defaults, &rule].concat());
    service.until("1 rule, none with");
    service.until("succeeded:");
    service.stop().exits(0);
    world.arrived("team/a", "v1", &image("a"));
    // One file with both halves.
    let (images, auth) = (
        world.place.read("images.yaml"),
        world.place.read("auth.yaml"),
    );
    let indented = |text: &str| {
        let lines: Vec<String> = text.lines().map(|line| format!("  {line}\n")).collect();
        lines.concat()
    };
    let both = format!("auth:\n{}images:\n{}", indented(&auth), indented(&images));
    std::fs::write(world.place.path("both.yaml"), both).unwrap();
    let config = ["--config", "both.yaml"];
    let mut service = Service::start(&world.place, &[&config[..], &defaults].concat());
    service.until("2 rules, none with");
    service.stop().exits(0);
}

/// Returns the status of a page.
fn get(url: &str, path: &str) -> u16 {
    use std::io::{Read as _, Write as _};
    let host = url.trim_start_matches("http://");
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}
