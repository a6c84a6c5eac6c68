//! Hooks and notifications of a real process: a real registry that calls a hook, and a receiver of messages.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use axum::http::Method;
use serde_json::{Value, json};
use testkit::raw::{Client, Login, Payload, RawResponse, push_over_http};
use testkit::real::DockerRegistry;
use testkit::{Action, Fault, Gate, Image, Kind, Layer};

use crate::support::{PATIENCE, Place, Service, World, assert_arrived, image, index, registry};

/// A native file with a rule from `source` to `destination` without a schedule, and with the hook `kind`.
fn rules(source: &str, destination: &str, kind: &str, notify: &str) -> String {
    format!(
        "version: 1
registries:
  {source}: {{tls: {{plain-http: true}}}}
  {destination}: {{tls: {{plain-http: true}}}}
rules:
- {{name: team, from: {source}/team/**, to: \"{destination}/{{repository}}\", schedule: never}}
service:
  url: https://mirror.example
  hooks: {{{kind}: {{secret: hunter22}}}}
{notify}"
    )
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(future)
}

fn push(registry: &DockerRegistry, repository: &str, tag: &str, image: &Image) {
    let client = registry.client().unwrap().login(Login::Nobody);
    block_on(push_over_http(&client, repository, Some(tag), image)).unwrap();
}

/// Calls a hook.
fn call(url: &str, path: &str, body: &Value) -> RawResponse {
    let url = format!("{url}{path}");
    let client = Client::new(url.clone());
    let headers = [("authorization", "Bearer hunter22")];
    let body = Payload::Bytes(body.to_string().into());
    block_on(client.send(Method::POST, &url, &headers, body)).unwrap()
}

/// Returns the requests to a registry by method and status, from the metrics.
fn requests(service: &str, registry: &str) -> Vec<String> {
    let url = format!("{service}/metrics");
    let metrics = block_on(Client::new(url.clone()).get(&url)).unwrap();
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    let prefix = format!("image_syncer_registry_requests_total{{registry=\"{registry}\",");
    let lines = text.lines().filter_map(|line| line.strip_prefix(&prefix));
    let mut lines: Vec<String> = lines.map(|line| line.replace(['"', '}'], "")).collect();
    lines.sort();
    lines
}

#[test]
#[allow(
    clippy::print_stdout,
    reason = "the time depends on the machine, so it is shown only"
)]
fn a_push_at_a_real_registry_arrives_without_a_poll() {
    testkit::needs!("docker-registry");
    let mut source = DockerRegistry::builder().start().unwrap();
    let destination = registry();
    let host = source.host();
    let text = rules(&host, &destination.host(), "distribution", "");
    let place = Place::new().file("rules.yaml", &text);
    let mut service = Service::start(&place, &["--config", "rules.yaml"]);
    let url = service.url();
    source.notify(&format!("{url}/hooks/distribution"), "Bearer hunter22");
    source.restart().unwrap();
    // Nothing is requested before a push.
    assert_eq!(requests(&url, &host), [""; 0]);
    let image = Image::single([Layer::synthetic(1 << 20, 1)]);
    let pushed = Instant::now();
    push(&source, "team/app", "v1", &image);
    service.until("hook distribution: run ");
    service.until("of team succeeded: 1 copied");
    println!("arrived {} ms after the push", pushed.elapsed().as_millis());
    assert_arrived(&destination, "team/app", "v1", &image);
    // The registry has no referrers API.
    let expected = [
        "method=GET,status=2xx 4",
        "method=GET,status=4xx 1",
        "method=HEAD,status=2xx 1",
    ];
    // Under load, the registry reports the push before it shows the tag, which is looked at again then.
    let sent = requests(&url, &host);
    let is_shown_late = sent
        .iter()
        .any(|line| line.starts_with("method=HEAD,status=4xx"));
    assert!(is_shown_late || sent == expected, "{sent:?}");
    let mut kinds: Vec<Kind> = destination.requests().iter().map(|it| it.kind).collect();
    kinds.sort();
    let expected = [
        Kind::ManifestHead,
        Kind::ManifestPut,
        Kind::Mount,
        Kind::Mount,
        Kind::UploadPut,
        Kind::UploadPut,
    ];
    assert_eq!(kinds, expected);
    // An image of several platforms: its parts are pushed first, without a tag.
    push(&source, "team/multi", "v2", &index("multi"));
    service.until("of team succeeded: 1 copied");
    assert_arrived(&destination, "team/multi", "v2", &index("multi"));
    let outcome = service.stop().exits(0);
    assert_eq!(outcome.stderr.matches("started (hook)").count(), 2);
    // Blobs cause events of their own, and nothing else.
    assert!(
        outcome
            .stderr
            .contains("ignored: no event is the push of a manifest")
    );
}

/// Number of rules, each of which starts a run at once.
const RULES: usize = 20;

/// A registry of this kind reports a push before it shows the tag.
#[test]
fn pushes_of_new_and_moved_tags_at_a_real_registry_all_arrive() {
    testkit::needs!("docker-registry");
    let mut source = DockerRegistry::builder().start().unwrap();
    let destination = registry();
    let host = source.host();
    let text = rules(&host, &destination.host(), "distribution", "");
    // Each rule starts a run at once.
    let (head, tail) = text.split_once("rules:\n").unwrap();
    let (_, service) = tail.split_once('\n').unwrap();
    let all: Vec<String> = (0..RULES)
        .map(|number| {
            let (from, to) = (format!("{host}/team/app{number}"), destination.host());
            format!("- {{name: rule{number}, from: {from}, to: \"{to}/{{repository}}\"}}\n")
        })
        .collect();
    let text = format!("{head}rules:\n{}{service}", all.concat());
    let place = Place::new().file("rules.yaml", &text);
    let mut service = Service::start(&place, &["--config", "rules.yaml"]);
    let url = service.url();
    source.notify(&format!("{url}/hooks/distribution"), "Bearer hunter22");
    source.restart().unwrap();
    for round in 0..2 {
        for number in 0..RULES {
            let image = image(&format!("{round}-{number}"));
            let repository = format!("team/app{number}");
            push(&source, &repository, "v1", &image);
            service.until(&format!("of rule{number} succeeded: 1 copied"));
            assert_arrived(&destination, &repository, "v1", &image);
        }
    }
    let stderr = service.stop().exits(0).stderr;
    assert_eq!(
        stderr.matches("started (hook)").count(),
        2 * RULES,
        "{stderr}"
    );
    assert_eq!(stderr.matches("reported the push").count(), 0, "{stderr}");
}

#[test]
fn a_run_of_a_hook_that_a_kill_interrupted_is_repeated_with_its_tags() {
    let world = World::new("").with("team/app", "v1", &image("app")).with(
        "team/app",
        "v2",
        &image("other"),
    );
    let hosts = (world.source.host(), world.destination.host());
    let text = rules(&hosts.0, &hosts.1, "generic", "");
    std::fs::write(world.place.path("rules.yaml"), text).unwrap();
    let gate = Gate::new();
    let held = Fault::on(Kind::ManifestPut).times(1);
    world.destination.fault(held, Action::Hold(gate.clone()));
    let mut service = Service::start(&world.place, &["--config", "rules.yaml"]);
    let url = service.url();
    let body = json!({"registry": hosts.0, "repository": "team/app", "tags": ["v1"]});
    assert_eq!(call(&url, "/hooks/generic", &body).status, 202);
    gate.wait(1, PATIENCE).unwrap();
    service.signal("-KILL");
    service.wait();
    gate.open();
    let mut service = Service::start(&world.place, &["--config", "rules.yaml"]);
    let url = service.url();
    service.until("of team started (hook)");
    service.until("of team succeeded: 1 ");
    assert_arrived(&world.destination, "team/app", "v1", &image("app"));
    let runs = block_on(Client::new(url.clone()).get(&format!("{url}/api/v1/runs"))).unwrap();
    let runs = runs.json();
    let runs: Vec<(&Value, &Value, &Value)> = runs["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| (&run["state"], &run["cause"], &run["scope"]["tags"]))
        .collect();
    let (hook, tags) = (json!("hook"), json!(["v1"]));
    assert_eq!(
        runs,
        [
            (&json!("succeeded"), &hook, &tags),
            (&json!("interrupted"), &hook, &tags)
        ]
    );
    service.stop().exits(0);
    // Nothing is left to repeat.
    let mut service = Service::start(&world.place, &["--config", "rules.yaml"]);
    service.until("1 rule, none with a schedule");
    let stderr = service.stop().exits(0).stderr;
    assert_eq!(stderr.matches("started").count(), 0, "{stderr}");
}

#[test]
fn a_foreign_host_and_a_wrong_secret_start_nothing() {
    let world = World::new("").with("team/app", "v1", &image("app"));
    let text = rules(
        &world.source.host(),
        &world.destination.host(),
        "generic",
        "",
    );
    std::fs::write(world.place.path("rules.yaml"), text).unwrap();
    let mut service = Service::start(&world.place, &["--config", "rules.yaml"]);
    let url = service.url();
    let body = json!({"registry": "evil.example", "repository": "team/app"});
    let answer = call(&url, "/hooks/generic", &body);
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.json(),
        json!({"ignored": "no rule copies from evil.example"})
    );
    assert_eq!(call(&url, "/hooks/harbor", &body).status, 404);
    let other = Client::new(url.clone());
    let path = format!("{url}/hooks/generic/hunter23");
    let refused = block_on(other.send(Method::POST, &path, &[], Payload::empty())).unwrap();
    assert_eq!(refused.status, 403);
    let outcome = service.stop().exits(0);
    assert_eq!(outcome.stderr.matches("started").count(), 0);
    assert!(!outcome.stderr.contains("hunter2"), "{}", outcome.stderr);
    assert_eq!(
        world.source.requests().len() + world.destination.requests().len(),
        0
    );
}

/// Accepts one message, and returns its head and its body.
fn message(listener: &TcpListener) -> (String, Value) {
    let (mut stream, _) = listener.accept().unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut text = Vec::new();
    let end = |text: &[u8]| text.windows(4).position(|it| it == b"\r\n\r\n");
    while end(&text).is_none() {
        read(&mut stream, &mut text);
    }
    let at = end(&text).unwrap();
    let head = String::from_utf8(text[..at].to_vec())
        .unwrap()
        .to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.unwrap().parse().unwrap();
    while text.len() < at + 4 + length {
        read(&mut stream, &mut text);
    }
    stream
        .write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        .unwrap();
    (head, serde_json::from_slice(&text[at + 4..]).unwrap())
}

fn read(stream: &mut TcpStream, text: &mut Vec<u8>) {
    let mut buffer = [0; 4096];
    let number = stream.read(&mut buffer).unwrap();
    assert!(number > 0, "the message ended early");
    text.extend(&buffer[..number]);
}

/// Returns the time since which the rule fails, from the API. The page counts the rule accordingly.
fn failing_since(url: &str) -> Value {
    let get = |path: &str| {
        let url = format!("{url}{path}");
        block_on(Client::new(url.clone()).get(&url)).unwrap()
    };
    let since = get("/api/v1/rules/team").json()["failing_since"].clone();
    let page = get("/rules");
    let page = String::from_utf8(page.body.to_vec()).unwrap();
    let number = u8::from(!since.is_null());
    assert!(page.contains(&format!("Failing <b>{number}</b>")), "{page}");
    since
}

#[test]
fn a_receiver_is_told_that_a_rule_fails_and_has_recovered() {
    let world = World::new("").with("team/app", "v1", &image("app"));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let receiver = format!("http://{}/services/T0KEN", listener.local_addr().unwrap());
    let notify = format!("  notify: [{{kind: cloudevents, url: \"{receiver}\", secret: s}}]\n");
    let hosts = (world.source.host(), world.destination.host());
    let text = rules(&hosts.0, &hosts.1, "generic", &notify);
    std::fs::write(world.place.path("rules.yaml"), text).unwrap();
    let arguments = [
        "--config",
        "rules.yaml",
        "--allow-private",
        "127.0.0.1",
        "-vv",
    ];
    let mut service = Service::start(&world.place, &arguments);
    let url = service.url();
    let denied = Fault::on(Kind::ManifestPut).times(1);
    world
        .destination
        .fault(denied, Action::error(403, "DENIED", "no"));
    let push = json!({"registry": hosts.0, "repository": "team/app", "tags": ["v1"]});
    let answer = call(&url, "/hooks/generic", &push);
    assert_eq!(answer.status, 202);
    let run = answer.json()["runs"][0].as_str().unwrap().to_owned();
    let (head, failing) = message(&listener);
    assert!(head.starts_with("post /services/t0ken http/1.1"), "{head}");
    assert!(
        head.contains("x-image-syncer-signature-256: sha256="),
        "{head}"
    );
    assert_eq!(failing["type"], "image-syncer.rule.failing");
    assert_eq!(failing["data"]["run"]["id"], json!(run));
    assert_eq!(
        failing["data"]["link"],
        format!("https://mirror.example/runs/{run}")
    );
    let hint = failing["data"]["run"]["hint"].as_str().unwrap();
    assert!(hint.contains("push"), "{hint}");
    let since = failing_since(&url);
    assert_eq!(since, failing["time"], "{failing}");
    // The second push is gathered for some seconds.
    let answer = call(&url, "/hooks/generic", &push).json();
    assert_eq!(answer, json!({"runs": [], "gathered": ["team"]}));
    let (_, recovered) = message(&listener);
    assert_eq!(recovered["type"], "image-syncer.rule.recovered");
    assert_eq!(failing_since(&url), Value::Null);
    let outcome = service.stop().exits(0);
    assert!(!outcome.stderr.contains("T0KEN"), "{}", outcome.stderr);
    assert_arrived(&world.destination, "team/app", "v1", &image("app"));
}
