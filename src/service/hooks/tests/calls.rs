//! Calls of hooks: secrets, rules and runs.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, HeaderValue};
use image_syncer_registry::auth::Keychain;
use image_syncer_registry::transport::{Transport, TransportOptions};
use image_syncer_sync::Session;
use image_syncer_sync::config::{Config, ConfigFiles, Defaults, HookConfig, Input, SecretPlace};
use image_syncer_sync::rule::OptionOverrides;
use image_syncer_sync::session::SessionOptions;
use image_syncer_sync::settings::Listing;
use serde_json::{Value, json};
use strum::IntoEnumIterator as _;

use crate::metrics::Metrics;
use crate::service::clock::Clock;
use crate::service::hooks::{HookKind, Hooks, routes};
use crate::service::observer::{RunObserver, RunObservers};
use crate::service::rule_book::RuleBook;
use crate::service::run::{Cause, Run, RunState};
use crate::service::runs::{RunLimits, Runs};
use crate::service::secret::tests::hmac_sha256;

const RULES: &str = r#"
version: 1
rules:
  - {name: app, from: r.example/team/app, to: "b.example/{repository}", referrers: none}
  - {name: releases, from: "r.example/team/app:/^v/", to: "c.example/{repository}", referrers: none}
  - {name: team, from: "r.example/team/**", to: "d.example/{repository}", referrers: all}
  - {name: hub, from: docker.io/library/nginx, to: "b.example/{repository}"}
  - {name: second, from: b.example/team/app, to: "e.example/{repository}"}
"#;

/// Hooks of every kind over rules whose runs wait, since nothing drives them.
struct Setup {
    hooks: Hooks,
    runs: Runs,
    lines: Arc<Mutex<Vec<String>>>,
    metrics: Metrics,
    _directory: tempfile::TempDir,
    secret: std::path::PathBuf,
}

fn setup() -> Setup {
    let transport = Arc::new(Transport::new(TransportOptions::default()).unwrap());
    let registries = image_syncer_registry::Options::new(transport, Arc::new(Keychain::default()));
    let session = Session::new(registries, SessionOptions::default());
    setup_with(session, RunObservers::default())
}

/// Returns hooks whose runs use `session`.
fn setup_with(session: Session, observers: RunObservers) -> Setup {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rules.yaml");
    std::fs::write(&path, RULES).unwrap();
    let files = ConfigFiles {
        config: vec![Input::File(path)],
        ..ConfigFiles::default()
    };
    let none = OptionOverrides::default();
    let config = Config::read(&files, &Defaults::default(), &|_| None, &none).unwrap();
    let limits = RunLimits {
        clock: Clock::default(),
        runs: 4,
        grace: Duration::ZERO,
        listing: Listing::default(),
    };
    let rules = Arc::new(RuleBook::new(&config));
    let runs = Runs::new(session, rules, limits, observers, None);
    let secret = directory.path().join("secret");
    std::fs::write(&secret, "hunter22\n").unwrap();
    let kinds = HookKind::iter().filter(|kind| *kind != HookKind::Acr);
    let configs: Vec<HookConfig> = kinds
        .map(|kind| HookConfig {
            kind: kind.to_string(),
            secret: SecretPlace::File(secret.clone()),
        })
        .collect();
    let metrics = Metrics::default();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let written = Arc::clone(&lines);
    let report = Arc::new(move |_, text: &str| written.lock().unwrap().push(text.to_owned()));
    let hooks = Hooks::new(runs.clone(), &configs, &|_| None, metrics.clone(), report).unwrap();
    Setup {
        hooks,
        runs,
        lines,
        metrics,
        _directory: directory,
        secret,
    }
}

impl Setup {
    /// Calls a hook. Returns the status and the answer.
    async fn call(
        &self,
        kind: &str,
        token: Option<&str>,
        headers: &[(&'static str, &str)],
        body: &str,
    ) -> (u16, Value) {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap()))
            .collect();
        let body = Body::from(body.to_owned());
        let response = routes::respond(&self.hooks, kind, token, &headers, body).await;
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    /// Reports a push by the hook `generic`, with its secret.
    async fn push(&self, registry: &str, repository: &str, tags: &[&str]) -> (u16, Value) {
        let body = json!({"registry": registry, "repository": repository, "tags": tags});
        self.call("generic", Some("hunter22"), &[], &body.to_string())
            .await
    }

    /// Returns the runs that wait: rule, repository and tags.
    fn waiting(&self) -> Vec<String> {
        let runs = self.runs.unfinished();
        assert!(runs.iter().all(|run| run.cause == Cause::Hook));
        let texts = runs.iter().map(|run| {
            let repository = run.scope.repository.as_deref().unwrap_or("*");
            format!("{} {repository}:{}", run.rule, run.scope.tags.join(","))
        });
        texts.collect()
    }
}

#[tokio::test]
async fn every_way_to_send_the_secret_is_accepted_and_no_other() {
    let setup = setup();
    let body = r#"{"repository": "r.example/other"}"#;
    let ok = json!({"ignored": "no rule copies r.example/other"});
    for (token, headers) in [
        (Some("hunter22"), &[][..]),
        (None, &[("authorization", "hunter22")]),
        (None, &[("authorization", "Bearer hunter22")]),
        (None, &[("authorization", "bearer  hunter22")]),
        // ci:hunter22
        (None, &[("authorization", "Basic Y2k6aHVudGVyMjI=")]),
        // openssl dgst -sha256 -hmac hunter22
        (None, &[("x-hub-signature-256", "sha256=SIGNATURE")]),
    ] {
        let signed = hmac_sha256(b"hunter22", body.as_bytes());
        let headers: Vec<(&str, String)> = headers
            .iter()
            .map(|(name, value)| (*name, value.replace("SIGNATURE", &signed)))
            .collect();
        let headers: Vec<(&'static str, &str)> = headers
            .iter()
            .map(|(name, value)| (*name, &**value))
            .collect();
        let answer = setup.call("generic", token, &headers, body).await;
        assert_eq!(answer, (200, ok.clone()), "{token:?} {headers:?}");
    }
    for (token, headers, status) in [
        (None, &[][..], 401),
        (Some("hunter2"), &[], 403),
        (Some(""), &[], 403),
        (None, &[("authorization", "Bearer hunter222")], 403),
        (None, &[("authorization", "Digest hunter22")], 403),
        // hunter22:ci
        (None, &[("authorization", "Basic aHVudGVyMjI6Y2k=")], 403),
        (None, &[("x-hub-signature-256", "sha256=00")], 403),
        (None, &[("x-hub-signature-256", "sha256=")], 403),
        (None, &[("x-hub-signature-256", "hunter22")], 403),
        (None, &[("cookie", "hunter22")], 401),
    ] {
        let (found, problem) = setup.call("generic", token, headers, body).await;
        assert_eq!(found, status, "{token:?} {headers:?} {problem}");
        assert_eq!(problem["status"], status);
        assert!(!problem.to_string().contains("hunter"), "{problem}");
    }
    // A signature of another body.
    let other = format!("sha256={}", hmac_sha256(b"hunter22", b"{}"));
    let (status, _) = setup
        .call("ghcr", None, &[("x-hub-signature-256", &other)], body)
        .await;
    assert_eq!(status, 403);
    assert_eq!(setup.waiting(), [""; 0]);
}

#[tokio::test]
async fn a_secret_that_changes_in_its_file_is_used_at_once() {
    let setup = setup();
    let body = r#"{"repository": "r.example/other"}"#;
    std::fs::write(&setup.secret, "another\n").unwrap();
    assert_eq!(
        setup.call("generic", Some("hunter22"), &[], body).await.0,
        403
    );
    assert_eq!(
        setup.call("generic", Some("another"), &[], body).await.0,
        200
    );
    let missing = HookConfig {
        kind: "quay".to_owned(),
        secret: SecretPlace::Variable("QUAY".to_owned()),
    };
    let report = Arc::new(|_, _: &str| {});
    let error = Hooks::new(
        setup.runs.clone(),
        &[missing],
        &|_| None,
        Metrics::default(),
        report,
    );
    let why = "the secret of the hook `quay` cannot be used: the variable QUAY is not set. Correct `service.hooks`.";
    assert_eq!(error.err().unwrap(), why);
}

#[tokio::test]
async fn unusable_calls_are_refused_with_a_reason() {
    let setup = setup();
    for kind in ["acr", "nothing", "..", "Generic"] {
        let (status, problem) = setup.call(kind, Some("hunter22"), &[], "{}").await;
        assert_eq!(status, 404, "{kind}");
        assert_eq!(
            problem["detail"],
            "there is no hook of this kind. Add it to `service.hooks`."
        );
    }
    let largest = format!(
        "{{\"repository\": \"r.example/other\"}}{}",
        " ".repeat((1 << 20) - 33)
    );
    assert_eq!(largest.len(), 1 << 20);
    assert_eq!(
        setup
            .call("generic", Some("hunter22"), &[], &largest)
            .await
            .0,
        200
    );
    let (status, problem) = setup
        .call("generic", Some("hunter22"), &[], &format!("{largest} "))
        .await;
    assert_eq!(
        (status, &problem["title"]),
        (413, &json!("Payload Too Large"))
    );
    // The body of a caller without the secret is not read.
    assert_eq!(
        setup
            .call("generic", None, &[], &format!("{largest} "))
            .await
            .0,
        401
    );
    let (status, problem) = setup.call("generic", Some("hunter22"), &[], "{]").await;
    let why = "the body is not JSON of this kind of hook: invalid syntax at line 1, column 2";
    assert_eq!((status, &problem["detail"]), (400, &json!(why)));
    setup.runs.close();
    let (status, problem) = setup.push("r.example", "team/app", &["v1"]).await;
    let why = "the service is stopping, so no run starts any more";
    assert_eq!((status, &problem["detail"]), (503, &json!(why)));
    let metrics = setup.metrics.encode();
    let hooks = metrics
        .lines()
        .filter(|line| line.starts_with("image_syncer_hooks_total{"));
    let hooks: Vec<&str> = hooks.collect();
    let expected = [
        "image_syncer_hooks_total{kind=\"generic\",result=\"denied\"} 1",
        "image_syncer_hooks_total{kind=\"generic\",result=\"ignored\"} 1",
        "image_syncer_hooks_total{kind=\"generic\",result=\"invalid\"} 2",
        "image_syncer_hooks_total{kind=\"generic\",result=\"stopping\"} 1",
    ];
    assert_eq!(hooks, expected);
}

#[tokio::test]
async fn foreign_hosts_and_tags_that_no_rule_copies_are_ignored() {
    let setup = setup();
    for (registry, repository, tags, why) in [
        (
            "evil.example",
            "team/app",
            &["v1"][..],
            "no rule copies from evil.example",
        ),
        (
            "169.254.169.254",
            "latest/meta-data",
            &[],
            "no rule copies from 169.254.169.254",
        ),
        // A destination that is no source.
        (
            "c.example",
            "team/app",
            &["v1"],
            "no rule copies from c.example",
        ),
        (
            "r.example",
            "other/app",
            &["v1"],
            "no rule copies r.example/other/app:v1",
        ),
        (
            "docker.io",
            "redis",
            &[],
            "no rule copies docker.io/library/redis",
        ),
    ] {
        let answer = setup.push(registry, repository, tags).await;
        assert_eq!(answer, (200, json!({"ignored": why})));
    }
    assert_eq!(setup.waiting(), [""; 0]);
}

#[tokio::test]
async fn a_push_starts_the_rules_that_copy_it() {
    let setup = setup();
    let (status, answer) = setup.push("r.example", "team/app", &["v1", "latest"]).await;
    assert_eq!((status, answer["runs"].as_array().unwrap().len()), (202, 3));
    assert_eq!(answer.get("gathered"), None);
    let runs = [
        "app r.example/team/app:latest,v1",
        // The tag latest does not begin with v.
        "releases r.example/team/app:v1",
        "team r.example/team/app:latest,v1",
    ];
    assert_eq!(setup.waiting(), runs);
    let lines = setup.lines.lock().unwrap().join("\n");
    let ids = setup
        .runs
        .unfinished()
        .into_iter()
        .map(|run| format!("run {}", run.id));
    let ids = ids.collect::<Vec<_>>().join(", ");
    assert_eq!(lines, format!("hook generic: {ids}"));
    // A destination of one rule that is a source of another.
    setup.push("b.example", "team/app", &[]).await;
    assert_eq!(setup.waiting()[3..], ["second b.example/team/app:"]);
    // Names of Docker Hub.
    setup.push("index.docker.io", "nginx", &["1"]).await;
    assert_eq!(setup.waiting()[4..], ["hub docker.io/library/nginx:1"]);
}

#[tokio::test]
async fn signatures_are_copied_with_their_image() {
    let setup = setup();
    let tag = format!("sha256-{}.sig", "a".repeat(64));
    let (status, answer) = setup.push("r.example", "team/app", &[&tag]).await;
    // A rule without referrers copies it as any tag; one with referrers copies it with its image, a little later.
    assert_eq!((status, &answer["gathered"]), (202, &json!(["team"])));
    assert_eq!(setup.waiting(), [format!("app r.example/team/app:{tag}")]);
}

#[tokio::test(start_paused = true)]
async fn pushes_of_five_seconds_are_one_run() {
    let setup = setup();
    let first = setup.push("r.example", "team/one", &["v1"]).await;
    assert_eq!(first.1["runs"].as_array().unwrap().len(), 1);
    let run = setup.runs.unfinished()[0].id;
    assert!(setup.runs.cancel(run));
    for tag in ["v2", "v3"] {
        let (status, answer) = setup.push("r.example", "team/one", &[tag]).await;
        assert_eq!(
            (status, answer),
            (202, json!({"runs": [], "gathered": ["team"]}))
        );
    }
    tokio::time::sleep(Duration::from_millis(4_990)).await;
    assert_eq!(setup.waiting(), [""; 0]);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(setup.waiting(), ["team r.example/team/one:v2,v3"]);
}

/// Remembers the parts of the rules that runs copied, in the order of their starts.
#[derive(Default)]
struct Started(Mutex<Vec<String>>);

impl RunObserver for Started {
    fn changed(&self, run: &Run) {
        if run.state == RunState::Running {
            let repository = run.scope.repository.as_deref().unwrap_or("*");
            let text = format!("{repository}:{}", run.scope.tags.join(","));
            self.0.lock().unwrap().push(text);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn pushes_to_several_repositories_are_a_run_each() {
    let started = Arc::new(Started::default());
    let observer: Arc<dyn RunObserver> = Arc::<Started>::clone(&started);
    let setup = setup_with(
        crate::service::testing::session(),
        RunObservers::new([observer]),
    );
    // All pushes come before the first run starts, with which the others must not be merged.
    for (repository, tag) in [("one", "1"), ("two", "1"), ("two", "2"), ("three", "1")] {
        let repository = format!("team/{repository}");
        let (status, _) = setup.push("r.example", &repository, &[tag]).await;
        assert_eq!(status, 202);
        // Longer than pushes are gathered.
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
    let driven = tokio::time::timeout(Duration::from_secs(60), setup.runs.drive());
    assert!(driven.await.is_err());
    let parts = [
        "r.example/team/one:1",
        "r.example/team/two:1,2",
        "r.example/team/three:1",
    ];
    assert_eq!(*started.0.lock().unwrap(), parts);
}
