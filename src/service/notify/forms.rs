//! Messages in the forms of their receivers, and the receivers' answers.

use aws_lc_rs::hmac;
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use image_syncer_registry::auth::Secret;
use image_syncer_sync::config::NotifyKind;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::service::notify::event::Notification;
use crate::service::notify::text::Text;

/// Header of the signature: `sha256=` and the HMAC-SHA256 of the body in hexadecimal digits, as GitHub signs.
const SIGNATURE: HeaderName = HeaderName::from_static("x-image-syncer-signature-256");
/// Maximum length of a text in a section of Slack, in characters.
const SLACK_TEXT: usize = 3_000;

/// A message, ready to be sent.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Message {
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

/// Meaning of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The message arrived.
    Delivered,
    /// Another try may succeed.
    Retry(String),
    /// The receiver gets too many messages for now.
    Limited(String),
    /// Another try fails as well.
    Refused(String),
}

/// Renders an event for a receiver, at the time `now`.
pub(super) fn message(
    kind: NotifyKind,
    notification: &Notification,
    mut url: Url,
    secret: Option<&Secret>,
    now: Timestamp,
) -> Message {
    let mut content_type = "application/json; charset=utf-8";
    let text = || Text::new(notification).plain(notification.link.as_deref());
    let mut body = match kind {
        NotifyKind::CloudEvents => {
            content_type = "application/cloudevents+json; charset=utf-8";
            cloud_event(notification)
        }
        NotifyKind::Slack => slack(notification),
        NotifyKind::Feishu => {
            // Tags in a text may mention people.
            let text = text().replace('<', "＜");
            plain(("msg_type", "text"), "content", "text", text)
        }
        NotifyKind::DingTalk => plain(("msgtype", "text"), "text", "content", text()),
    };
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    match (kind, secret) {
        (_, None) => {}
        (NotifyKind::Feishu, Some(secret)) => {
            let seconds = now.as_second().to_string();
            body.insert("sign", feishu_signature(&seconds, secret));
            body.insert("timestamp", seconds);
        }
        (NotifyKind::DingTalk, Some(secret)) => {
            let milliseconds = now.as_millisecond().to_string();
            let signature = dingtalk_signature(&milliseconds, secret);
            url.query_pairs_mut()
                .append_pair("timestamp", &milliseconds)
                .append_pair("sign", &signature);
        }
        (NotifyKind::CloudEvents | NotifyKind::Slack, Some(secret)) => {
            let signature = hmac_sha256(secret.reveal(), body.text().as_bytes());
            let signature = format!("sha256={}", hexadecimal(&signature));
            headers.extend(HeaderValue::from_str(&signature).map(|it| (SIGNATURE, it)));
        }
    }
    Message {
        url,
        headers,
        body: body.text(),
    }
}

/// A JSON object.
#[derive(Default)]
struct Document(serde_json::Map<String, Value>);

impl Document {
    fn insert(&mut self, key: &str, value: impl Into<Value>) {
        self.0.insert(key.to_owned(), value.into());
    }

    fn text(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }
}

/// Returns an event of `CloudEvents` 1.0 in structured JSON.
fn cloud_event(notification: &Notification) -> Document {
    let mut event = Document::default();
    event.insert("specversion", "1.0");
    event.insert("id", &*notification.id);
    event.insert("source", "/image-syncer");
    event.insert("type", format!("image-syncer.{}", notification.event));
    event.insert("time", notification.time.to_string());
    let mut data = Document::default();
    if let Some(run) = &notification.run {
        event.insert("subject", &*run.rule);
        data.insert("run", json!(run));
    }
    if let Some(mistakes) = &notification.mistakes {
        data.insert("mistakes", &**mistakes);
    }
    if let Some(link) = &notification.link {
        data.insert("link", &**link);
    }
    data.insert("text", Text::new(notification).plain(None));
    event.insert("datacontenttype", "application/json");
    event.insert("data", data.0);
    event
}

/// Returns a message for incoming webhooks of Slack. Mattermost reads its text alone.
fn slack(notification: &Notification) -> Document {
    let Text { title, lines } = Text::new(notification);
    let mut rest = vec![format!("*{}*", slack_text(&title))];
    rest.extend(lines.iter().map(|line| slack_text(line)));
    let link = notification.link.as_deref();
    rest.extend(link.map(|link| format!("<{}|Details>", slack_text(link))));
    let text = rest.join("\n");
    let section: String = text.chars().take(SLACK_TEXT).collect();
    let mut message = Document::default();
    message.insert("text", text);
    message.insert(
        "blocks",
        json!([{"type": "section", "text": {"type": "mrkdwn", "text": section}}]),
    );
    message
}

/// Returns a message that is a text: `content` in the object called `key`.
fn plain(kind: (&str, &str), key: &str, content: &str, text: String) -> Document {
    let mut inner = Document::default();
    inner.insert(content, text);
    let mut message = Document::default();
    message.insert(kind.0, kind.1);
    message.insert(key, inner.0);
    message
}

/// Escapes a text. Names that Mattermost takes for everybody get a space without width.
fn slack_text(text: &str) -> String {
    let mut text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    for name in ["all", "channel", "here"] {
        text = text.replace(&format!("@{name}"), &format!("@\u{200b}{name}"));
    }
    text
}

/// Signs as Feishu: the key is the time and the secret, and nothing is signed.
fn feishu_signature(seconds: &str, secret: &Secret) -> String {
    let key = format!("{seconds}\n{}", secret.reveal());
    BASE64_STANDARD.encode(hmac_sha256(&key, b""))
}

/// Signs as `DingTalk`: the key is the secret, and the time and the secret are signed.
fn dingtalk_signature(milliseconds: &str, secret: &Secret) -> String {
    let text = format!("{milliseconds}\n{}", secret.reveal());
    BASE64_STANDARD.encode(hmac_sha256(secret.reveal(), text.as_bytes()))
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let digits = digits.filter_map(|digit| char::from_digit(digit.into(), 16));
    digits.collect()
}

fn hmac_sha256(key: &str, text: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    hmac::sign(&key, text).as_ref().to_vec()
}

/// Answer of Feishu (`code`) or `DingTalk` (`errcode`). Both answer mistakes with the status 200.
#[derive(Deserialize)]
struct CodedAnswer {
    code: Option<i64>,
    errcode: Option<i64>,
}

/// Codes for too many messages.
const LIMITED: [i64; 4] = [9_499, 11_232, 90_018, 130_101];
/// Code of a busy system.
const BUSY: i64 = -1;

/// Returns the meaning of an answer.
pub(super) fn verdict(kind: NotifyKind, status: StatusCode, body: &[u8]) -> Verdict {
    let text = format!("the answer was {status}");
    if !status.is_success() {
        let is_passing = status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT;
        return match status.is_redirection() {
            true => Verdict::Refused(format!("{text}, and redirects are not followed")),
            false if status == StatusCode::TOO_MANY_REQUESTS => Verdict::Limited(text),
            false if is_passing => Verdict::Retry(text),
            false => Verdict::Refused(text),
        };
    }
    if !matches!(kind, NotifyKind::Feishu | NotifyKind::DingTalk) {
        return Verdict::Delivered;
    }
    let answer = serde_json::from_slice::<CodedAnswer>(body).ok();
    match answer.and_then(|answer| answer.code.or(answer.errcode)) {
        None | Some(0) => Verdict::Delivered,
        Some(code) if LIMITED.contains(&code) => {
            Verdict::Limited(format!("the answer has the code {code}"))
        }
        Some(BUSY) => Verdict::Retry(format!("the answer has the code {BUSY}")),
        Some(code) => Verdict::Refused(format!("the answer has the code {code}")),
    }
}
