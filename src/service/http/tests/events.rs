//! Live events.

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::net::TcpStream;

use crate::service::http::tests::support::{Setting, TestService};

async fn open(service: &TestService, query: &str, headers: &str) -> Lines<BufReader<TcpStream>> {
    let text = format!("GET /api/v1/events{query} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
    let stream = service.open(text.as_bytes()).await;
    let mut lines = BufReader::new(stream).lines();
    let status = lines.next_line().await.unwrap().unwrap();
    assert_eq!(status, "HTTP/1.1 200 OK");
    while !lines.next_line().await.unwrap().unwrap().is_empty() {}
    lines
}

/// Returns the next event: its name, its number and its data.
async fn next(lines: &mut Lines<BufReader<TcpStream>>) -> (String, String, serde_json::Value) {
    let (mut name, mut number) = (String::new(), String::new());
    loop {
        let line = lines.next_line().await.unwrap().unwrap();
        if let Some(text) = line.strip_prefix("event: ") {
            name = text.to_owned();
        } else if let Some(text) = line.strip_prefix("id: ") {
            number = text.to_owned();
        } else if let Some(text) = line.strip_prefix("data: ") {
            return (name, number, serde_json::from_str(text).unwrap());
        }
    }
}

#[tokio::test]
async fn a_client_sees_the_states_of_a_run_and_gets_what_it_missed() {
    let service = Setting::default().start().await;
    let mut events = open(&service, "?kinds=run,image", "").await;
    let path = "POST /api/v1/rules/a/sync?wait=60s";
    let ended = service.send(path, &[], "").await;
    assert_eq!(ended.status, 200);
    let run = ended.json();
    assert_eq!(run["state"], "succeeded");
    let location = format!("/api/v1/runs/{}", run["id"].as_str().unwrap());
    assert_eq!(ended.header("location"), Some(&*location));
    for (number, state) in ["queued", "running", "succeeded"].into_iter().enumerate() {
        let (name, id, data) = next(&mut events).await;
        assert_eq!(name, "run");
        assert!(number >= 2 || id == (number + 1).to_string(), "{id}");
        assert_eq!(data["run"]["state"], state);
        assert_eq!(data["run"]["rule"], "a");
    }
    let mut again = open(&service, "?since=1", "").await;
    assert_eq!(next(&mut again).await.1, "2");
    // What a browser sends goes first.
    let mut again = open(&service, "?since=2&kinds=run", "Last-Event-ID: 0\r\n").await;
    assert_eq!(next(&mut again).await.1, "1");
    // The numbers of an earlier process.
    let mut again = open(&service, "?since=900", "").await;
    assert_eq!(next(&mut again).await.0, "missed");
    let refused = service.get("/api/v1/events?kinds=run,nothing", &[]).await;
    refused.problem(400);
}

#[tokio::test]
async fn the_number_of_streams_is_bounded() {
    let service = Setting::default().start().await;
    let mut streams = Vec::new();
    for _ in 0..128 {
        streams.push(open(&service, "", "").await);
    }
    let refused = service.get("/api/v1/events", &[]).await;
    assert!(
        refused
            .problem(503)
            .starts_with("there are too many streams")
    );
    assert_eq!(refused.header("retry-after"), Some("10"));
    assert_eq!(service.get("/healthz", &[]).await.status, 200);
}
