//! Events of runs, and the tries of their messages over simulated time.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use image_syncer_registry::transport::MessageAnswer;
use image_syncer_registry::{Error, ErrorKind};
use image_syncer_sync::config::NotifyKind;
use image_syncer_sync::{Event, Failure, RuleId, Side};
use jiff::Timestamp;
use serde_json::Value;
use url::Url;

use super::{MemoryQueue, noon, notifier, notifier_with, receiver, run};
use crate::metrics::Metrics;
use crate::service::clock::Clock;
use crate::service::history::History;
use crate::service::notify::Notifier;
use crate::service::notify::delivery::Post;
use crate::service::observer::RunObserver as _;
use crate::service::run::{RunPurpose, RunState};

const URL: &str = "https://chat.example/services/T0KEN";

/// Answers of a receiver.
enum Answer {
    Status(u16),
    RetryAfter(u16, &'static str),
    Broken,
    Never,
}

/// A receiver without a network, which remembers the seconds and the bodies of all requests.
struct Receiver {
    clock: Clock,
    answers: Mutex<VecDeque<Answer>>,
    requests: Mutex<Vec<(i64, Value)>>,
}

impl Receiver {
    fn new(clock: Clock, answers: Vec<Answer>) -> Self {
        Self {
            clock,
            answers: Mutex::new(answers.into()),
            requests: Mutex::default(),
        }
    }

    fn seconds(&self) -> Vec<i64> {
        let requests = self.requests.lock().unwrap();
        requests.iter().map(|(second, _)| *second).collect()
    }

    /// Returns the names of the events.
    fn events(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        let names = requests
            .iter()
            .map(|(_, body)| body["type"].as_str().unwrap().to_owned());
        names
            .map(|name| name.replace("image-syncer.", ""))
            .collect()
    }
}

impl Post for Receiver {
    fn post<'a>(
        &'a self,
        url: &'a Url,
        _: HeaderMap,
        body: Bytes,
    ) -> BoxFuture<'a, Result<MessageAnswer, Error>> {
        assert_eq!(url.as_str(), URL);
        let second = self.clock.now().as_second() - noon().as_second();
        let body = serde_json::from_slice(&body).unwrap();
        self.requests.lock().unwrap().push((second, body));
        let answer = self.answers.lock().unwrap().pop_front();
        let (status, retry_after) = match answer.unwrap_or(Answer::Status(204)) {
            Answer::Status(status) => (status, None),
            Answer::RetryAfter(status, delay) => (status, Some(delay)),
            Answer::Broken => {
                let error =
                    Error::new(ErrorKind::Broken, "send a message", "chat.example", "reset");
                return std::future::ready(Err(error)).boxed();
            }
            Answer::Never => return std::future::pending().boxed(),
        };
        let mut headers = HeaderMap::new();
        headers.extend(retry_after.map(|delay| {
            (
                axum::http::header::RETRY_AFTER,
                HeaderValue::from_static(delay),
            )
        }));
        let status = StatusCode::from_u16(status).unwrap();
        std::future::ready(Ok(MessageAnswer {
            status,
            headers,
            body: Bytes::new(),
        }))
        .boxed()
    }
}

/// Drives a notifier for some time.
async fn drive(notifier: &Notifier, receiver: &Receiver, seconds: u64) {
    let driven = tokio::time::timeout(Duration::from_secs(seconds), notifier.drive(receiver));
    assert!(driven.await.is_err());
}

/// Drives a failing rule with these answers. Returns the seconds of the requests, the reasons for giving up, and the
/// lines.
async fn tries(answers: Vec<Answer>) -> (Vec<i64>, Vec<String>, Vec<String>) {
    let clock = Clock::following_tokio(noon());
    let queue = MemoryQueue::new(clock);
    let config = vec![receiver(NotifyKind::CloudEvents, URL, &[])];
    let (notifier, lines) = notifier(config, Arc::new(queue.clone()), clock);
    let receiver = Receiver::new(clock, answers);
    notifier.changed(&run("app", RunState::Failed));
    drive(&notifier, &receiver, 86_400).await;
    let state = queue.state.lock().unwrap();
    assert!(state.waiting.is_empty());
    let lines = lines.lock().unwrap().clone();
    assert!(
        !lines.iter().any(|line| line.contains("T0KEN")),
        "{lines:?}"
    );
    (receiver.seconds(), state.failed.clone(), lines)
}

#[tokio::test(start_paused = true)]
async fn five_tries_in_ten_minutes() {
    let five = || (0..5).map(|_| Answer::Status(503)).collect::<Vec<_>>();
    let why = "the answer was 503 Service Unavailable";
    let (seconds, failed, lines) = tries(five()).await;
    assert_eq!(seconds, [0, 15, 60, 180, 600]);
    assert_eq!(failed, [why]);
    assert_eq!(lines.len(), 5);
    let to = "notification rule.failing to cloudevents-1 (chat.example)";
    assert_eq!(lines[0], format!("{to} is tried again in 15 s: {why}"));
    assert_eq!(lines[4], format!("{to} was given up at try 5: {why}"));
    let answers = five()
        .into_iter()
        .take(4)
        .chain([Answer::Status(200)])
        .collect();
    let (seconds, failed, _) = tries(answers).await;
    assert_eq!((seconds.len(), failed.len()), (5, 0));
}

#[tokio::test(start_paused = true)]
async fn only_what_may_pass_is_tried_again() {
    for (answers, seconds, failed) in [
        (vec![Answer::Status(200)], &[0][..], 0),
        (vec![Answer::Status(404)], &[0], 1),
        (vec![Answer::Status(302)], &[0], 1),
        (vec![Answer::Status(408)], &[0, 15], 0),
        (vec![Answer::Broken], &[0, 15], 0),
        (vec![Answer::Never], &[0, 35], 0),
        (vec![Answer::RetryAfter(429, "100")], &[0, 100], 0),
        (vec![Answer::RetryAfter(429, "3")], &[0, 3], 0),
        (
            vec![Answer::RetryAfter(429, "3"), Answer::RetryAfter(429, "3")],
            &[0, 3, 48],
            0,
        ),
        (vec![Answer::RetryAfter(503, "3")], &[0, 15], 0),
        (vec![Answer::RetryAfter(503, "86400")], &[0, 600], 0),
    ] {
        let (found, given_up, _) = tries(answers).await;
        assert_eq!((&*found, given_up.len()), (seconds, failed));
    }
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_limits_messages_gets_all_of_them_slowly() {
    let clock = Clock::following_tokio(noon());
    let queue = MemoryQueue::new(clock);
    let config = vec![receiver(NotifyKind::CloudEvents, URL, &[])];
    let (notifier, _) = notifier(config, Arc::new(queue.clone()), clock);
    let rules = 100;
    for rule in 0..rules {
        notifier.changed(&run(&format!("rule {rule}"), RunState::Failed));
    }
    // It accepts one message in two seconds.
    let limited = || [Answer::Status(200), Answer::RetryAfter(429, "2")];
    let receiver = Receiver::new(clock, (0..200).flat_map(|_| limited()).collect());
    drive(&notifier, &receiver, 3_600).await;
    let state = queue.state.lock().unwrap();
    assert_eq!((state.waiting.len(), state.failed.len()), (0, 0));
    let seconds = receiver.seconds();
    assert_eq!(seconds.len(), 2 * rules - 1);
    let last = *seconds.last().unwrap();
    assert!((198..300).contains(&last), "{last}");
}

#[tokio::test(start_paused = true)]
async fn a_restart_goes_on_with_the_tries() {
    let clock = Clock::following_tokio(noon());
    let queue = MemoryQueue::new(clock);
    let config = || vec![receiver(NotifyKind::CloudEvents, URL, &[])];
    let (first, _) = notifier(config(), Arc::new(queue.clone()), clock);
    let refusing = Receiver::new(clock, vec![Answer::Status(500), Answer::Status(500)]);
    first.changed(&run("app", RunState::Failed));
    drive(&first, &refusing, 20).await;
    assert_eq!(refusing.seconds(), [0, 15]);
    drop(first);
    let (second, _) = notifier(config(), Arc::new(queue.clone()), clock);
    drive(&second, &refusing, 100).await;
    assert_eq!(refusing.seconds(), [0, 15, 60]);
    assert!(queue.state.lock().unwrap().waiting.is_empty());
    // A receiver that the files have no more.
    second.changed(&run("b", RunState::Failed));
    let (third, _) = notifier(
        vec![receiver(NotifyKind::Slack, URL, &[])],
        Arc::new(queue.clone()),
        clock,
    );
    drive(&third, &refusing, 100).await;
    let why = ["the files have no such receiver any more"];
    assert_eq!(queue.state.lock().unwrap().failed, why);
    assert_eq!(refusing.seconds().len(), 3);
}

#[tokio::test]
async fn the_history_keeps_the_queue() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.sqlite3");
    let open = || History::open(&path, |error| panic!("{error}")).unwrap();
    let config = || vec![receiver(NotifyKind::CloudEvents, URL, &[])];
    let history = open();
    let (notifier_of_first, _) = notifier(config(), Arc::new(history.clone()), Clock::default());
    notifier_of_first.changed(&run("app", RunState::Failed));
    history.close(Duration::from_secs(10)).unwrap();
    drop((notifier_of_first, history));
    let history = open();
    let (second, _) = notifier(config(), Arc::new(history.clone()), Clock::default());
    let receiver = Arc::new(Receiver::new(Clock::default(), Vec::new()));
    let delivered = async {
        while history.waiting_deliveries().await.unwrap().number > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = second.drive(&*receiver) => unreachable!(),
        () = delivered => {}
    }
    assert_eq!(receiver.events(), ["rule.failing"]);
    history.close(Duration::from_secs(10)).unwrap();
}

/// Returns the lines of the metrics about notifications that are not zero.
fn counted(metrics: &Metrics) -> Vec<String> {
    let text = metrics.encode();
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("image_syncer_notifications_"));
    let lines = lines.filter(|line| !line.ends_with("} 0"));
    lines.map(str::to_owned).collect()
}

#[tokio::test(start_paused = true)]
async fn each_try_is_counted_and_so_are_messages_that_wait() {
    let clock = Clock::following_tokio(noon());
    let queue = MemoryQueue::new(clock);
    let config = vec![receiver(NotifyKind::CloudEvents, URL, &[])];
    let metrics = Metrics::default();
    let shared = Arc::new(queue.clone());
    let (notifier, _) = notifier_with(config, shared.clone(), clock, metrics.clone());
    notifier.changed(&run("app", RunState::Failed));
    notifier.changed(&run("tools", RunState::Failed));
    // The first message fails twice and arrives; the second one is refused.
    let answers = [500, 404, 500].map(Answer::Status).into();
    let receiver = Receiver::new(clock, answers);
    drive(&notifier, &receiver, 1).await;
    assert_eq!(
        counted(&metrics),
        [
            "total{receiver=\"cloudevents-1\",outcome=\"retried\"} 1",
            "total{receiver=\"cloudevents-1\",outcome=\"failed\"} 1",
            "waiting 1",
        ]
    );
    drive(&notifier, &receiver, 3_600).await;
    assert_eq!(
        counted(&metrics),
        [
            "total{receiver=\"cloudevents-1\",outcome=\"delivered\"} 1",
            "total{receiver=\"cloudevents-1\",outcome=\"retried\"} 2",
            "total{receiver=\"cloudevents-1\",outcome=\"failed\"} 1",
            "waiting 0",
        ]
    );
    // A message to a receiver that the files do not have any more.
    notifier.changed(&run("app", RunState::Succeeded));
    let config = vec![super::receiver(NotifyKind::Slack, URL, &[])];
    let metrics = Metrics::default();
    let (next, _) = notifier_with(config, shared, clock, metrics.clone());
    drive(&next, &receiver, 1).await;
    let other = "total{receiver=\"other\",outcome=\"failed\"} 1".to_owned();
    assert!(counted(&metrics).contains(&other));
}

#[tokio::test(start_paused = true)]
async fn receivers_get_the_events_that_they_chose() {
    let clock = Clock::following_tokio(noon());
    for (on, expected) in [
        (&[][..], &["rule.failing", "rule.recovered"][..]),
        (
            &["run.failed", "rule.recovered"],
            &["run.failed", "run.failed", "rule.recovered"],
        ),
        (
            &["run.succeeded", "run.cancelled"],
            &["run.cancelled", "run.succeeded"],
        ),
        (
            &["config.failed", "config.recovered"],
            &["config.failed", "config.recovered"],
        ),
    ] {
        let queue = Arc::new(MemoryQueue::new(clock));
        let config = vec![receiver(NotifyKind::CloudEvents, URL, on)];
        let (notifier, _) = notifier(config, queue, clock);
        for state in [
            RunState::Running,
            RunState::Failed,
            RunState::Cancelled,
            RunState::Interrupted,
        ] {
            notifier.changed(&run("app", state));
        }
        // A comparison says nothing about copies.
        let mut check = run("app", RunState::Succeeded);
        check.purpose = RunPurpose::Check;
        notifier.changed(&check);
        notifier.changed(&run("app", RunState::Failed));
        notifier.changed(&run("app", RunState::Succeeded));
        for mistakes in [
            Err("a.yaml:1: x"),
            Err("a.yaml:2: y"),
            Ok(&Arc::default()),
            Ok(&Arc::default()),
        ] {
            notifier.reloaded(mistakes);
        }
        let receiver = Receiver::new(clock, Vec::new());
        drive(&notifier, &receiver, 10).await;
        assert_eq!(receiver.events(), expected, "{on:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_health_of_rules_is_restored() {
    let clock = Clock::following_tokio(noon());
    let queue = Arc::new(MemoryQueue::new(clock));
    let config = vec![receiver(NotifyKind::CloudEvents, URL, &[])];
    let (notifier, _) = notifier(config, queue, clock);
    let earlier = |rule: &str, state, minutes: i64| {
        let mut run = run(rule, state);
        let time = Timestamp::from_second(noon().as_second() - 60 * minutes).unwrap();
        run.id = crate::service::run::RunId::after(time, None);
        run
    };
    notifier.0.health.restore(&[
        earlier("failing", RunState::Interrupted, 1),
        earlier("failing", RunState::Failed, 2),
        earlier("failing", RunState::Succeeded, 3),
        earlier("good", RunState::Succeeded, 1),
        earlier("good", RunState::Failed, 2),
    ]);
    for rule in ["failing", "good", "new"] {
        notifier.changed(&run(rule, RunState::Failed));
    }
    let receiver = Receiver::new(clock, Vec::new());
    drive(&notifier, &receiver, 10).await;
    let requests = receiver.requests.lock().unwrap();
    let rules: Vec<&str> = requests
        .iter()
        .map(|(_, body)| body["subject"].as_str().unwrap())
        .collect();
    assert_eq!(rules, ["good", "new"]);
}

#[tokio::test(start_paused = true)]
async fn the_hint_is_that_of_the_first_failure() {
    let clock = Clock::following_tokio(noon());
    let queue = Arc::new(MemoryQueue::new(clock));
    let config = vec![receiver(NotifyKind::CloudEvents, URL, &[])];
    let (notifier, _) = notifier(config, queue, clock);
    let failed = run("app", RunState::Failed);
    for kind in [ErrorKind::Unauthorized, ErrorKind::NotFound] {
        let error = Error::new(kind, "list tags", "r.example", "no");
        let failure = Failure::registry(Side::Source, &error);
        let rule = RuleId::new("app", None);
        notifier.event(failed.id, &Event::RuleFailed { rule, failure });
    }
    notifier.changed(&failed);
    let receiver = Receiver::new(clock, Vec::new());
    drive(&notifier, &receiver, 10).await;
    let requests = receiver.requests.lock().unwrap();
    let hint = requests[0].1["data"]["run"]["hint"].as_str().unwrap();
    assert!(
        hint.starts_with("check the username and password for r.example"),
        "{hint}"
    );
}
