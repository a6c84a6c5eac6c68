//! Schedules, reload, signals and kills of a real process.

use testkit::{Action, Auth, Fault, Gate, Kind, Registry};

use crate::support::{PATIENCE, Service, World, image, registry};

/// A native file with a rule from the source to the destination.
fn rules(world: &World, name: &str, schedule: &str) -> String {
    format!(
        "version: 1
registries:
  {source}: {{tls: {{plain-http: true}}}}
  {destination}: {{tls: {{plain-http: true}}}}
rules:
- name: {name}
  from: {source}/a
  to: {destination}/a
  schedule: {schedule}
",
        source = world.source.host(),
        destination = world.destination.host(),
    )
}

fn world() -> World {
    World::new("").with("a", "v1", &image("a"))
}

fn write(world: &World, text: &str) {
    std::fs::write(world.place.path("rules.yaml"), text).unwrap();
}

fn serve(world: &World) -> Service {
    Service::start(&world.place, &["--config", "rules.yaml"])
}

/// Returns the status of `/readyz`.
fn ready(url: &str) -> u16 {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = testkit::raw::Client::new(url.to_owned());
    let answer = runtime.block_on(client.get(&format!("{url}/readyz")));
    answer.unwrap().status
}

#[test]
fn a_rule_runs_by_its_schedule() {
    let world = world();
    write(&world, &rules(&world, "often", "{every: 1s, jitter: 0s}"));
    let mut service = serve(&world);
    for _ in 0..2 {
        service.until("of often started (schedule)");
        service.until("of often succeeded:");
    }
    world.arrived("a", "v1", &image("a"));
    service.stop().exits(0);
    world.has_no_problems();
}

#[test]
fn a_changed_file_is_read_again_and_one_with_mistakes_changes_nothing() {
    let world = world();
    write(&world, &rules(&world, "first", "never"));
    let mut service = serve(&world);
    service.until("1 rule, none with a schedule");
    write(&world, "version: 1\nrules: []\nrulez: 1\n");
    service.signal("-HUP");
    service.until("the files were not read again, and the old rules stay in force");
    service.until("rulez");
    write(&world, &rules(&world, "second", "{every: 1s, jitter: 0s}"));
    // Noticed without a signal.
    service.until("the files were read again: 1 rule");
    service.until("of second succeeded:");
    let other = rules(&world, "second", "never") + "service: {runs: 2}\n";
    write(&world, &other);
    service.signal("-HUP");
    service.until("the key `service` has changed. Restart the service to put it into force.");
    service.stop().exits(0);
}

#[test]
fn a_killed_run_is_interrupted_and_caught_up_once() {
    let world = world();
    // Not due for a long time after the first run.
    write(&world, &rules(&world, "daily", "{every: 24h, jitter: 0s}"));
    let gate = Gate::new();
    let fault = Fault::on(Kind::ManifestPut).repository("a");
    world.destination.fault(fault, Action::Hold(gate.clone()));
    let mut service = serve(&world);
    service.until("of daily started (schedule)");
    gate.wait(1, PATIENCE).unwrap();
    service.signal("-KILL");
    service.wait();
    gate.open();
    let mut service = serve(&world);
    service.until("of daily started (schedule)");
    service.until("of daily succeeded:");
    world.arrived("a", "v1", &image("a"));
    let listed = world.place.run(&["history", "--state", "state"]).exits(0);
    let of_daily = listed.stdout.lines().filter(|line| line.contains("daily"));
    let states: Vec<&str> = of_daily
        .map(|line| {
            if line.contains("interrupted") {
                "interrupted"
            } else {
                "succeeded"
            }
        })
        .collect();
    assert_eq!(states, ["succeeded", "interrupted"], "{}", listed.stdout);
    let lines = service.stop().exits(0).stderr;
    assert_eq!(lines.matches("started (schedule)").count(), 1, "{lines}");
}

#[test]
fn the_first_signal_lets_images_in_flight_end_and_the_second_drops_them() {
    for second in [false, true] {
        let world = world();
        write(&world, &rules(&world, "daily", "{every: 24h, jitter: 0s}"));
        let gate = Gate::new();
        let fault = Fault::on(Kind::ManifestPut).repository("a");
        world.destination.fault(fault, Action::Hold(gate.clone()));
        let mut service = serve(&world);
        let url = service.url();
        gate.wait(1, PATIENCE).unwrap();
        assert_eq!(ready(&url), 200);
        service.signal("-TERM");
        service.until("no further run starts");
        // The line precedes the end of the readiness by a moment.
        let deadline = std::time::Instant::now() + PATIENCE;
        while ready(&url) != 503 {
            assert!(std::time::Instant::now() < deadline);
        }
        if second {
            service.signal("-TERM");
            service.until("running images are dropped");
            service.until("of daily interrupted:");
        } else {
            gate.open();
            service.until("of daily succeeded:");
        }
        let stopped = service.wait();
        gate.open();
        stopped.exits(0);
    }
}

#[test]
fn a_cancellation_is_reported_at_once_and_only_once() {
    let world = world();
    write(&world, &rules(&world, "daily", "{every: 24h, jitter: 0s}"));
    let gate = Gate::new();
    let fault = Fault::on(Kind::ManifestPut).repository("a");
    world.destination.fault(fault, Action::Hold(gate.clone()));
    let mut service = serve(&world);
    let url = service.url();
    let started = service.until("of daily started (schedule)");
    let run = started.split_whitespace().nth(2).unwrap();
    gate.wait(1, PATIENCE).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let path = format!("{url}/api/v1/runs/{run}/cancel");
    let client = testkit::raw::Client::new(url);
    for _ in 0..2 {
        let body = testkit::raw::Payload::empty();
        let sent = client.send(axum::http::Method::POST, &path, &[], body);
        assert_eq!(runtime.block_on(sent).unwrap().status, 202);
    }
    service.until("of daily is cancelled: running images may go on for 25 s");
    gate.open();
    // The only image was in flight.
    service.until("of daily succeeded:");
    let stderr = service.stop().exits(0).stderr;
    assert_eq!(stderr.matches("is cancelled").count(), 1, "{stderr}");
}

#[test]
fn a_corrected_password_file_is_used_at_the_next_run() {
    let source = registry();
    source.push("a", Some("v1"), &image("a"));
    let builder = Registry::builder().auth(Auth::bearer("ada", "right"));
    let world = World::of(source, builder.start_on_thread(), "");
    let login = "login: {username: ada, password: {file: password}}";
    let text = rules(&world, "often", "{every: 1s, jitter: 0s}");
    let host = world.destination.host();
    let text = text.replace(
        &format!("{host}: {{tls: {{plain-http: true}}}}"),
        &format!("{host}: {{tls: {{plain-http: true}}, {login}}}"),
    );
    write(&world, &text);
    let password = world.place.path("password");
    std::fs::write(&password, "wrong\n").unwrap();
    let mut service = serve(&world);
    service.until("of often failed:");
    std::fs::write(&password, "right\n").unwrap();
    service.until("of often succeeded:");
    world.arrived("a", "v1", &image("a"));
    let lines = service.stop().exits(0).stderr;
    assert!(
        !lines.contains("wrong") && !lines.contains("right"),
        "{lines}"
    );
}

#[test]
fn mistakes_are_reported_before_anything_is_opened() {
    let world = world();
    for (text, arguments, message) in [
        (
            "version: 1\nrulez: []\n",
            &["--config", "rules.yaml"][..],
            "rulez",
        ),
        ("", &["--config", "-"], "none can be standard input"),
        (
            "version: 1\nservice: {listen: here}\nrules: []\n",
            &["--config", "rules.yaml"],
            "`here` is not an address with a port",
        ),
    ] {
        write(&world, text);
        let mut service = Service::start(&world.place, arguments);
        service.wait().exits(2).says(message);
        assert!(!world.place.path("state").exists());
    }
}
