//! The API of a real process, between registries.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};
use testkit::{Action, Fault, Kind};

use crate::support::{PATIENCE, Service, World, image};

/// A client of a service.
struct Client(String);

impl Client {
    /// Sends a request, and returns the status and the JSON of the answer.
    #[track_caller]
    fn send(&self, line: &str, body: &Value) -> (u16, Value) {
        let address = self.0.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let body = body.to_string();
        let text = format!(
            "{line} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(text.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        // The chunks of a document are its lines with their sizes between them.
        let body = if head.contains("transfer-encoding: chunked") {
            unchunked(body)
        } else {
            body.to_owned()
        };
        let parsed = serde_json::from_str(&body);
        (
            status,
            parsed.unwrap_or_else(|error| panic!("{error}: {answer}")),
        )
    }

    #[track_caller]
    fn get(&self, path: &str) -> Value {
        let (status, answer) = self.send(&format!("GET {path}"), &json!({}));
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }
}

fn unchunked(mut text: &str) -> String {
    let mut body = String::new();
    while let Some((size, rest)) = text.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        body.push_str(&rest[..size]);
        text = rest[size..].trim_start_matches("\r\n");
    }
    body
}

fn world() -> World {
    let world = World::new("").with("a", "v1", &image("a"));
    let world = world.with("a", "v2", &image("b"));
    let rules = format!(
        "version: 1
registries:
  {source}: {{tls: {{plain-http: true}}}}
  {destination}: {{tls: {{plain-http: true}}}}
rules:
- {{name: \"team/a:*\", from: {source}/a, to: {destination}/a}}
",
        source = world.source.host(),
        destination = world.destination.host(),
    );
    std::fs::write(world.place.path("rules.yaml"), rules).unwrap();
    world
}

fn start(world: &World) -> (Service, Client) {
    let mut service = Service::start(&world.place, &["--config", "rules.yaml"]);
    let client = Client(service.url());
    (service, client)
}

const RULE: &str = "/api/v1/rules/team%2Fa%3A%2A";

#[test]
fn a_run_of_some_tags_is_requested_and_described() {
    let world = world();
    let (service, client) = start(&world);
    let sync = format!("POST {RULE}/sync?wait=60s");
    let (status, run) = client.send(&sync, &json!({"tags": ["v1"]}));
    assert_eq!(status, 200, "{run}");
    assert_eq!(run["state"], "succeeded");
    assert_eq!(run["cause"], "api");
    assert_eq!(run["scope"], json!({"tags": ["v1"]}));
    assert_eq!(run["counts"]["copied"], 1);
    world.arrived("a", "v1", &image("a"));
    assert_eq!(world.tags("a"), ["v1"]);
    let path = format!("/api/v1/runs/{}", run["id"].as_str().unwrap());
    assert_eq!(client.get(&path), run);
    let images = client.get(&format!("{path}/images?outcome=copied"));
    assert_eq!(images["images"].as_array().unwrap().len(), 1);
    let copied = &images["images"][0];
    let digest = image("a").digest().to_string();
    assert_eq!(copied["digest"], *digest);
    assert_eq!(copied["source"], format!("{}/a:v1", world.source.host()));
    let report = client.get(&format!("{path}/report"));
    assert_eq!(report["run"], run);
    assert_eq!(report["images"], images["images"]);
    let rule = client.get(RULE);
    assert_eq!(rule["last"], run);
    let registries = client.get("/api/v1/registries");
    let hosts = registries["registries"].as_array().unwrap().iter();
    let mut hosts: Vec<&str> = hosts.map(|row| row["registry"].as_str().unwrap()).collect();
    hosts.sort_unstable();
    let mut expected = [world.source.host(), world.destination.host()];
    expected.sort_unstable();
    assert_eq!(hosts, expected);
    service.stop().exits(0);
    world.has_no_problems();
}

#[test]
fn a_plan_is_the_document_of_the_command_and_writes_nothing() {
    let world = world();
    let (service, client) = start(&world);
    let sync = format!("POST {RULE}/sync?wait=60s");
    client.send(&sync, &json!({"tags": ["v1"]}));
    world.clear_requests();
    let (status, plan) = client.send(&format!("POST {RULE}/plan"), &json!({}));
    assert_eq!(status, 200, "{plan}");
    let outcomes = |plan: &Value| {
        let images = plan["images"].as_array().unwrap().iter();
        let mut outcomes: Vec<(String, String)> = images
            .map(|image| {
                let text = |name: &str| image[name].as_str().unwrap().to_owned();
                (text("destination"), text("outcome"))
            })
            .collect();
        outcomes.sort();
        outcomes
    };
    let destination = world.destination.host();
    assert_eq!(
        outcomes(&plan),
        [("v1", "unchanged"), ("v2", "planned")]
            .map(|(tag, outcome)| (format!("{destination}/a:{tag}"), outcome.to_owned()))
    );
    let kinds = [Kind::ManifestPut, Kind::UploadPost, Kind::Mount];
    assert_eq!(world.pushed(kinds), [0; 3]);
    let command = ["plan", "--config", "rules.yaml", "--output", "json"];
    let printed = world.place.run(&command).exits(0);
    let printed: Value = serde_json::from_str(&printed.stdout).unwrap();
    assert_eq!(outcomes(&plan), outcomes(&printed));
    let names = |document: &Value| {
        let fields = document.as_object().unwrap().keys();
        fields.cloned().collect::<Vec<String>>()
    };
    assert_eq!(names(&plan), names(&printed));
    service.stop().exits(0);
}

#[test]
fn a_failed_run_names_its_images_and_their_remedy() {
    let world = world();
    let fault = Fault::on(Kind::ManifestPut).repository("a");
    world
        .destination
        .fault(fault, Action::error(403, "DENIED", "no"));
    let (service, client) = start(&world);
    let sync = format!("POST {RULE}/sync?wait=60s");
    let (status, run) = client.send(&sync, &json!({"tags": ["v2"]}));
    assert_eq!(status, 200, "{run}");
    assert_eq!(run["state"], "failed");
    assert_eq!(run["counts"]["failed"], 1);
    let path = format!("/api/v1/runs/{}", run["id"].as_str().unwrap());
    let images = client.get(&format!("{path}/images?outcome=failed"));
    let failed = &images["images"][0];
    assert_eq!(failed["failure"]["side"], "destination");
    assert_eq!(failed["failure"]["host"], world.destination.host());
    let report = client.get(&format!("{path}/report"));
    assert_eq!(report["failures"][0]["count"], 1);
    assert_eq!(report["failures"][0]["host"], world.destination.host());
    let listed = client.get("/api/v1/runs?state=failed");
    assert_eq!(listed["runs"], json!([run]));
    service.stop().exits(0);
}

#[test]
fn a_reload_reports_the_mistakes_of_the_files() {
    let world = world();
    let (service, client) = start(&world);
    let (status, outcome) = client.send("POST /api/v1/reload", &json!({}));
    assert_eq!((status, outcome), (200, json!({"rules": 1})));
    std::fs::write(world.place.path("rules.yaml"), "version: 1\nrulez: []\n").unwrap();
    let (status, problem) = client.send("POST /api/v1/reload", &json!({}));
    assert_eq!(status, 422);
    assert!(
        problem["detail"].as_str().unwrap().contains("rulez"),
        "{problem}"
    );
    assert_eq!(client.get("/api/v1/rules")["rules"][0]["name"], "team/a:*");
    service.stop();
}

#[test]
fn an_unknown_token_is_reported_without_the_token() {
    let world = world();
    let path = world.place.path("rules.yaml");
    let rules = std::fs::read_to_string(&path).unwrap();
    let tokens = "service: {tokens: [{name: ops, secret: {file: token}, scope: sync}]}\n";
    std::fs::write(world.place.path("token"), "right-token\n").unwrap();
    std::fs::write(&path, rules + tokens).unwrap();
    let (mut service, client) = start(&world);
    let line = |token: &str| format!("Authorization: Bearer {token}");
    let get = |token: &str| {
        let request = format!("GET /api/v1/rules HTTP/1.1\r\n{}\r\nX: /", line(token));
        client.send(&request, &json!({})).0
    };
    assert_eq!(get("right-token"), 200);
    assert_eq!(get("wrong-token"), 401);
    assert_eq!(get("wrong-token"), 401);
    service.until("a client at 127.0.0.1 sent an unknown token");
    let lines = service.stop().exits(0).stderr;
    assert_eq!(lines.matches("unknown token").count(), 1, "{lines}");
    assert!(!lines.contains("wrong-token"), "{lines}");
}
