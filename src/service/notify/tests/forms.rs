//! The bodies and signatures of messages, and the meaning of answers.

use axum::http::StatusCode;
use image_syncer_registry::auth::Secret;
use image_syncer_sync::config::NotifyKind;
use serde_json::json;
use url::Url;

use super::{noon, run};
use crate::service::notify::event::{EventKind, Notification};
use crate::service::notify::forms::{Message, Verdict, message, verdict};
use crate::service::run::RunState;
use crate::service::secret::tests::hmac_sha256;

const ADDRESS: Option<&str> = Some("https://mirror.example");

fn failing() -> Notification {
    let hint = Some("check @all & @channel");
    Notification::about_run(
        EventKind::RuleFailing,
        &run("app", RunState::Failed),
        hint,
        ADDRESS,
    )
}

/// Renders an event, with or without the secret `secret22`.
fn rendered(kind: NotifyKind, notification: &Notification, signs: bool) -> Message {
    let url = Url::parse("https://chat.example/hook?token=t").unwrap();
    let secret = signs.then(|| Secret::new("secret22"));
    message(kind, notification, url, secret.as_ref(), noon())
}

fn body(message: &Message) -> serde_json::Value {
    serde_json::from_str(&message.body).unwrap()
}

#[test]
fn cloud_events_have_all_facts_and_a_signature() {
    let message = rendered(NotifyKind::CloudEvents, &failing(), true);
    let run = run("app", RunState::Failed);
    let expected = json!({
        "specversion": "1.0",
        "id": format!("{}-rule.failing", run.id),
        "source": "/image-syncer",
        "type": "image-syncer.rule.failing",
        "time": "2026-11-30T12:00:00Z",
        "datacontenttype": "application/json",
        "subject": "app",
        "data": {
            "run": {
                "id": run.id, "rule": "app", "cause": "schedule", "scope": {}, "state": "failed",
                "counts": {
                    "images": 3, "copied": 2, "unchanged": 0, "different": 0, "skipped": 0, "failed": 1,
                    "interrupted": 0, "fetched_bytes": 0, "sent_bytes": 0, "saved_bytes": 0,
                },
                "failure": "r.example/a:v1: cannot push: <denied>",
                "hint": "check @all & @channel",
            },
            "link": format!("https://mirror.example/runs/{}", run.id),
            "text": "image-syncer: rule app is failing\nImages: 2 copied, 1 failed.\n\
                First failure: r.example/a:v1: cannot push: <denied>\nHint: check @all & @channel",
        },
    });
    assert_eq!(body(&message), expected);
    assert_eq!(message.url.as_str(), "https://chat.example/hook?token=t");
    let header = |name: &str| message.headers[name].to_str().unwrap();
    assert_eq!(
        header("content-type"),
        "application/cloudevents+json; charset=utf-8"
    );
    let signature = hmac_sha256(b"secret22", message.body.as_bytes());
    assert_eq!(
        header("x-image-syncer-signature-256"),
        format!("sha256={signature}")
    );
    let unsigned = rendered(NotifyKind::CloudEvents, &failing(), false);
    assert_eq!((unsigned.body, unsigned.headers.len()), (message.body, 1));
}

#[test]
fn slack_gets_escaped_text_and_a_link() {
    let message = rendered(NotifyKind::Slack, &failing(), false);
    let id = run("app", RunState::Failed).id;
    let text = format!(
        "*image-syncer: rule app is failing*\nImages: 2 copied, 1 failed.\n\
         First failure: r.example/a:v1: cannot push: &lt;denied&gt;\n\
         Hint: check @\u{200b}all &amp; @\u{200b}channel\n<https://mirror.example/runs/{id}|Details>"
    );
    let expected = json!({
        "text": text,
        "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": text}}],
    });
    assert_eq!(body(&message), expected);
}

#[test]
fn feishu_and_dingtalk_get_their_own_signatures() {
    let id = run("app", RunState::Failed).id;
    let text = format!(
        "image-syncer: rule app is failing\nImages: 2 copied, 1 failed.\n\
         First failure: r.example/a:v1: cannot push: <denied>\nHint: check @all & @channel\n\
         https://mirror.example/runs/{id}"
    );
    // python: b64encode(hmac.new(b"1796040000\nsecret22", b"", sha256).digest())
    let expected = json!({
        "msg_type": "text",
        "content": {"text": text.replace('<', "＜")},
        "timestamp": "1796040000",
        "sign": "5M/2kxuPHTlNoTGmmGGQFuJDMA7w1rD95Gjv35/C8uM=",
    });
    let message = rendered(NotifyKind::Feishu, &failing(), true);
    assert_eq!(body(&message), expected);
    // python: b64encode(hmac.new(b"secret22", b"1796040000000\nsecret22", sha256).digest())
    let message = rendered(NotifyKind::DingTalk, &failing(), true);
    assert_eq!(
        body(&message),
        json!({"msgtype": "text", "text": {"content": text}})
    );
    assert_eq!(
        message.url.as_str(),
        "https://chat.example/hook?token=t&timestamp=1796040000000&sign=zqRTqruUVB5Pb9Y%2Fl15zQdB6Fg1m9l6cqufGCylEYlU%3D"
    );
    for kind in [NotifyKind::Feishu, NotifyKind::DingTalk] {
        let message = rendered(kind, &failing(), false);
        assert_eq!(message.url.as_str(), "https://chat.example/hook?token=t");
        assert!(body(&message).get("sign").is_none());
        assert_eq!(message.headers.len(), 1);
    }
}

#[test]
fn every_event_has_a_title() {
    let id = run("app", RunState::Failed).id;
    for (event, title) in [
        (
            EventKind::RuleRecovered,
            "rule app has recovered".to_owned(),
        ),
        (EventKind::RunFailed, format!("run {id} of rule app failed")),
        (
            EventKind::RunSucceeded,
            format!("run {id} of rule app succeeded"),
        ),
        (
            EventKind::RunCancelled,
            format!("run {id} of rule app was cancelled"),
        ),
    ] {
        let run = run("app", RunState::Succeeded);
        let notification = Notification::about_run(event, &run, None, None);
        let body = body(&rendered(NotifyKind::DingTalk, &notification, false));
        let text = format!("image-syncer: {title}\nImages: 2 copied, 1 unchanged.");
        assert_eq!(body["text"]["content"], text);
    }
    let failed =
        Notification::about_files(EventKind::ConfigFailed, Some("a.yaml:3: x"), noon(), None);
    let body = body(&rendered(NotifyKind::CloudEvents, &failed, false));
    assert_eq!(body["id"], "1796040000000-config.failed");
    let text = "image-syncer: the changed files have mistakes, and the old rules stay in force\na.yaml:3: x";
    assert_eq!(
        body["data"],
        json!({"mistakes": "a.yaml:3: x", "text": text})
    );
}

#[test]
fn answers_decide_on_another_try() {
    let status = |code| StatusCode::from_u16(code).unwrap();
    for (code, is_retried) in [
        (500, true),
        (503, true),
        (408, true),
        (400, false),
        (401, false),
        (404, false),
        (410, false),
        (301, false),
        (307, false),
    ] {
        for kind in [NotifyKind::CloudEvents, NotifyKind::Feishu] {
            let verdict = verdict(kind, status(code), b"");
            assert_eq!(matches!(verdict, Verdict::Retry(_)), is_retried, "{code}");
            assert_ne!(verdict, Verdict::Delivered);
        }
    }
    for (kind, body, expected) in [
        (NotifyKind::CloudEvents, r#"{"code":1}"#, Verdict::Delivered),
        (NotifyKind::Slack, "ok", Verdict::Delivered),
        (
            NotifyKind::Feishu,
            r#"{"code":0,"msg":"success"}"#,
            Verdict::Delivered,
        ),
        (
            NotifyKind::Feishu,
            r#"{"StatusCode":0}"#,
            Verdict::Delivered,
        ),
        (
            NotifyKind::Feishu,
            r#"{"code":19021,"msg":"sign match fail or timestamp is not within one hour"}"#,
            Verdict::Refused("the answer has the code 19021".to_owned()),
        ),
        (
            NotifyKind::Feishu,
            r#"{"code":11232,"msg":"frequency limited"}"#,
            Verdict::Limited("the answer has the code 11232".to_owned()),
        ),
        (
            NotifyKind::DingTalk,
            r#"{"errcode":0,"errmsg":"ok"}"#,
            Verdict::Delivered,
        ),
        (
            NotifyKind::DingTalk,
            r#"{"errcode":310000,"errmsg":"sign not match"}"#,
            Verdict::Refused("the answer has the code 310000".to_owned()),
        ),
        (
            NotifyKind::DingTalk,
            r#"{"errcode":-1,"errmsg":"busy"}"#,
            Verdict::Retry("the answer has the code -1".to_owned()),
        ),
        (
            NotifyKind::DingTalk,
            r#"{"errcode":130101,"errmsg":"send too fast"}"#,
            Verdict::Limited("the answer has the code 130101".to_owned()),
        ),
    ] {
        assert_eq!(
            verdict(kind, StatusCode::OK, body.as_bytes()),
            expected,
            "{body}"
        );
    }
}
