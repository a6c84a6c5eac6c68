//! The `OpenAPI` document against a running service.

use std::collections::BTreeSet;

use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use utoipa::OpenApi as _;

use crate::service::http::api::openapi::FILE;
use crate::service::http::api::openapi::derived::Document;
use crate::service::http::routes;
use crate::service::http::tests::support::{Answer, Setting, TestService};

const READER: &str = "Authorization: Bearer reader-token";
const WRITER: &str = "Authorization: Bearer writer-token";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded";

/// An operation of the document.
struct Operation {
    line: String,
    path: String,
    value: Value,
}

impl Operation {
    fn all() -> Vec<Self> {
        let document = serde_json::to_value(Document::openapi()).unwrap();
        let mut all = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, value) in item.as_object().unwrap() {
                all.push(Self {
                    line: format!("{} {path}", method.to_uppercase()),
                    path: path.clone(),
                    value: value.clone(),
                });
            }
        }
        all
    }

    /// Returns the scope that it needs; `None` for everybody.
    fn scope(&self) -> Option<&str> {
        let ways = self.value["security"].as_array().unwrap();
        ways.iter().find_map(|way| way["token"][0].as_str())
    }

    /// Returns the request line for a rule and a run.
    fn request(&self, run: &str) -> String {
        self.line
            .replace("{name}", "b%2Fc%3A%2A")
            .replace("{id}", run)
    }

    /// Returns true if the document has this status, or the default for errors.
    fn has(&self, answer: &Answer) -> bool {
        let responses = self.value["responses"].as_object().unwrap();
        responses.contains_key(&answer.status.to_string())
            || (answer.status >= 400 && responses.contains_key("default"))
    }
}

/// Sends a request. Of a stream of events, only the head is read.
async fn send(service: &TestService, line: &str, headers: &[&str]) -> Answer {
    if line.ends_with("/events") && headers.iter().any(|header| header.starts_with("Auth")) {
        let text = format!(
            "{line} HTTP/1.1\r\nHost: localhost\r\n{}\r\n\r\n",
            headers[0]
        );
        let mut stream = service.open(text.as_bytes()).await;
        let mut head = [0; 1024];
        let length = stream.read(&mut head).await.unwrap();
        return Answer::parse(&head[..length]).unwrap();
    }
    let is_login = line.ends_with(" /login");
    let (form, body) = if is_login {
        (&[FORM][..], "token=reader-token")
    } else {
        (&[][..], "")
    };
    service.send(line, &[headers, form].concat(), body).await
}

#[test]
fn the_file_is_derived_from_the_routes() {
    let mut derived = serde_json::to_string_pretty(&Document::openapi()).unwrap();
    derived.push('\n');
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
        std::fs::write(file, &derived).unwrap();
        return;
    }
    assert!(
        derived == FILE,
        "docs/openapi.json is old: UPDATE_DOCS=1 cargo test --lib the_file_is_derived"
    );
}

#[tokio::test]
async fn every_operation_answers_as_the_document_says() {
    let service = Setting::default().with_tokens().start().await;
    let sync = "POST /api/v1/rules/a/sync?wait=60s";
    let run = service.send(sync, &[WRITER], "").await.json();
    let run = run["id"].as_str().unwrap();
    for operation in Operation::all() {
        let line = operation.request(run);
        let answer = send(&service, &line, &[WRITER]).await;
        if operation.path.starts_with("/hooks/") {
            // None is configured.
            answer.problem(404);
            continue;
        }
        assert!(operation.has(&answer), "{line}: {answer:?}");
        let is_refused = line.ends_with("/cancel") || line.ends_with("/reload");
        assert_eq!(answer.status < 300, !is_refused, "{line}: {answer:?}");
        let without = send(&service, &line, &[]).await;
        match operation.scope() {
            None => assert!(without.status < 300, "{line}: {without:?}"),
            Some(_) => _ = without.problem(401),
        }
        let reading = send(&service, &line, &[READER]).await;
        if operation.scope() == Some("sync") {
            reading.problem(403);
        } else {
            assert!(reading.status < 300, "{line}: {reading:?}");
        }
        if operation.path.contains("{id}") {
            let unknown = operation.request("00000000000");
            send(&service, &unknown, &[WRITER]).await.problem(404);
        }
        if operation.path.contains("{name}") {
            let unknown = operation.line.replace("{name}", "unknown");
            send(&service, &unknown, &[WRITER]).await.problem(404);
        }
    }
}

#[tokio::test]
async fn every_route_is_in_the_document() {
    let service = Setting::default().start().await;
    let routes = routes(&service.state);
    let routes = routes.names().iter();
    let routes: BTreeSet<String> = routes
        .map(|(method, path)| format!("{method} {path}"))
        .collect();
    let documented = Operation::all().into_iter().map(|operation| operation.line);
    assert_eq!(documented.collect::<BTreeSet<String>>(), routes);
    let served = service.get("/api/v1/openapi.json", &[]).await.json();
    assert_eq!(served["openapi"], "3.1.0");
    let schemas = served["components"]["schemas"].as_object().unwrap();
    let text = serde_json::to_string(&served).unwrap();
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name} has no schema");
    }
}

#[tokio::test]
async fn the_answers_have_the_documented_content() {
    let service = Setting::default().start().await;
    let rules = service.get("/api/v1/rules", &[]).await.json();
    assert_eq!(rules["rules"][0]["name"], "a");
    assert_eq!(rules["rules"][0]["schedule"], "every 6h");
    assert!(rules["rules"][0]["next"].is_string());
    assert_eq!(rules["rules"][1]["sources"][0], "fast.example/team/**");
    assert!(rules["rules"][1].get("last").is_none());
    let found = service.get("/api/v1/rules?q=TEAM", &[]).await.json();
    assert_eq!(found["rules"].as_array().unwrap().len(), 1);
    let sync = "POST /api/v1/rules/b%2Fc%3A%2A/sync?wait=60s";
    let mut ids = Vec::new();
    for _ in 0..3 {
        let run = service.send(sync, &[], "").await.json();
        ids.push(run["id"].as_str().unwrap().to_owned());
    }
    let rule = service.get("/api/v1/rules/b%2Fc%3A%2A", &[]).await.json();
    assert_eq!(rule["last"]["id"], *ids[2]);
    let mut paged = Vec::new();
    let mut path = "/api/v1/runs?rule=b%2Fc%3A%2A&state=succeeded&limit=1".to_owned();
    loop {
        let page = service.get(&path, &[]).await.json();
        paged.push(page["runs"][0]["id"].as_str().unwrap().to_owned());
        let Some(next) = page["next"].as_str() else {
            break;
        };
        path = format!("/api/v1/runs?rule=b%2Fc%3A%2A&state=succeeded&limit=1&before={next}");
    }
    paged.reverse();
    assert_eq!(paged, ids);
    let path = format!("/api/v1/runs/{}", ids[0]);
    let report = service.get(&format!("{path}/report"), &[]).await.json();
    assert_eq!(report["run"]["id"], *ids[0]);
    assert_eq!(report["images"], serde_json::json!([]));
    for query in ["limit=0", "limit=1001", "outcome=unchanged", "after=x"] {
        let refused = service.get(&format!("{path}/images?{query}"), &[]).await;
        refused.problem(400);
    }
    let plan = service.send("POST /api/v1/rules/a/plan", &[], "").await;
    assert_eq!(plan.json()["command"], "plan");
    assert_eq!(plan.json()["rules"][0]["name"], "a");
    // Nothing of a plan is in the history.
    let runs = service.get("/api/v1/runs", &[]).await.json();
    assert_eq!(runs["runs"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_plan_ends_with_its_client() {
    let service = Setting::default().start().await;
    let text = "POST /api/v1/rules/slow/plan HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let permits = || service.state.http.plans.available_permits();
    let first = service.open(text.as_bytes()).await;
    let second = service.open(text.as_bytes()).await;
    while permits() > 0 {
        tokio::task::yield_now().await;
    }
    let refused = service.send("POST /api/v1/rules/a/plan", &[], "").await;
    assert!(
        refused
            .problem(503)
            .starts_with("other plans are in progress")
    );
    drop((first, second));
    while permits() < 2 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_run_that_waits_or_is_in_progress_is_cancelled_once() {
    let service = Setting::default().start().await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let run = service.send("POST /api/v1/rules/slow/sync", &[], "").await;
        assert_eq!(run.status, 202);
        ids.push(run.json()["id"].as_str().unwrap().to_owned());
        while !service
            .state
            .runs
            .unfinished()
            .iter()
            .any(|run| run.started.is_some())
        {
            tokio::task::yield_now().await;
        }
    }
    let merged = service.send("POST /api/v1/rules/slow/sync", &[], "").await;
    assert_eq!(merged.json()["id"], *ids[1]);
    assert_eq!(merged.json()["merged"], true);
    for id in ids.iter().rev() {
        let cancel = format!("POST /api/v1/runs/{id}/cancel");
        assert_eq!(service.send(&cancel, &[], "").await.status, 202);
    }
    while !service.state.runs.unfinished().is_empty() {
        tokio::task::yield_now().await;
    }
    for id in ids {
        let run = service.get(&format!("/api/v1/runs/{id}"), &[]).await.json();
        assert_eq!(run["state"], "cancelled");
        let cancel = format!("POST /api/v1/runs/{id}/cancel");
        service.send(&cancel, &[], "").await.problem(409);
    }
}
