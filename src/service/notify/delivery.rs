//! Delivery of messages: the tries and their times.

use std::collections::HashMap;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::http::header::RETRY_AFTER;
use futures_util::future::{BoxFuture, join_all};
use image_syncer_registry::transport::{MessageAnswer, Transport};
use image_syncer_registry::{Cause, Error};
use jiff::{SignedDuration, Timestamp};
use url::Url;

use super::forms::{self, Message, Verdict};
use super::{Notifier, Receiver};
use crate::lock::lock;
use crate::service::history::Delivery;
use crate::service::notify::event::Notification;
use crate::service::secret::SharedSecret;
use crate::ui::LineLabel;

/// Delays between the five tries: ten minutes together.
const DELAYS: [Duration; 4] = [
    Duration::from_secs(15),
    Duration::from_secs(45),
    Duration::from_secs(120),
    Duration::from_secs(420),
];
/// Maximum time for one try.
const TRY: Duration = Duration::from_secs(20);
/// Maximum number of messages at a time.
const AT_ONCE: usize = 16;
/// Time to wait after the queue could not be read.
const QUEUE_FAILED: Duration = Duration::from_secs(60);

/// Sends messages.
pub(crate) trait Post: Send + Sync {
    /// Sends a message once.
    fn post<'a>(
        &'a self,
        url: &'a Url,
        headers: HeaderMap,
        body: Bytes,
    ) -> BoxFuture<'a, Result<MessageAnswer, Error>>;
}

impl Post for Transport {
    fn post<'a>(
        &'a self,
        url: &'a Url,
        headers: HeaderMap,
        body: Bytes,
    ) -> BoxFuture<'a, Result<MessageAnswer, Error>> {
        Box::pin(Transport::post(self, url, headers, body))
    }
}

impl Notifier {
    /// Sends the messages of the queue, until the future is dropped.
    pub(crate) async fn drive(&self, post: &dyn Post) {
        let shared = &*self.0;
        loop {
            let added = shared.added.notified();
            let wait = match self.send_due(post).await {
                Ok((true, _)) => continue,
                Ok((false, next)) => next.map(|next| {
                    let wait = Duration::try_from(next.duration_since(shared.clock.now()));
                    wait.unwrap_or_default()
                }),
                Err(why) => Some(self.queue_failed(&why)),
            };
            // A queue that is not in order must not make this loop busy.
            let wait = wait.map(|wait| wait.max(Duration::from_millis(100)));
            tokio::select! {
                () = added => {}
                () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => {}
            }
        }
    }

    fn queue_failed(&self, why: &str) -> Duration {
        let text = format!("the queue of notifications cannot be read: {why}");
        (self.0.report)(LineLabel::Warning, &text);
        QUEUE_FAILED
    }

    /// Sends messages that are due. Returns true if there were any, and the time of the next try of those that wait.
    async fn send_due(&self, post: &dyn Post) -> Result<(bool, Option<Timestamp>), String> {
        let shared = &*self.0;
        let due = shared.queue.due(shared.clock.now(), AT_ONCE).await?;
        let mut by_receiver: HashMap<&str, Vec<&Delivery>> = HashMap::new();
        for message in &due {
            by_receiver
                .entry(&message.receiver)
                .or_default()
                .push(message);
        }
        let receivers = by_receiver.into_iter();
        let sent = receivers.map(|(name, messages)| self.send_all(name, messages, post));
        join_all(sent).await;
        let waiting = shared.queue.waiting().await?;
        shared.metrics.set_waiting_notifications(waiting.number);
        Ok((!due.is_empty(), waiting.next))
    }

    /// Sends messages to one receiver, in their order, until a try fails.
    async fn send_all(&self, name: &str, messages: Vec<&Delivery>, post: &dyn Post) {
        let mut receivers = self.0.receivers.iter();
        let Some(receiver) = receivers.find(|receiver| receiver.name == name) else {
            for message in messages {
                let why = "the files have no such receiver any more".to_owned();
                self.give_up(message, why);
            }
            return;
        };
        for message in messages {
            let resumed = *lock(&receiver.resumed);
            if resumed > Some(self.0.clock.now()) {
                self.0
                    .queue
                    .postpone(message.id, resumed.unwrap_or_default());
            } else if !self.try_message(receiver, message, post).await {
                return;
            }
        }
    }

    /// Tries to send a message. Returns false if the receiver may accept it and others later.
    async fn try_message(&self, receiver: &Receiver, queued: &Delivery, post: &dyn Post) -> bool {
        let queue = &self.0.queue;
        let Ok(notification) = serde_json::from_str::<Notification>(&queued.body) else {
            let why = "the queue has an event of another version".to_owned();
            self.give_up(queued, why);
            return true;
        };
        let (verdict, retry_after, host) = self.try_once(receiver, &notification, post).await;
        let delay = DELAYS.get(usize::try_from(queued.tries).unwrap_or(usize::MAX));
        let what = format!(
            "notification {} to {} ({host})",
            notification.event, receiver.name
        );
        let is_limited = matches!(verdict, Verdict::Limited(_));
        if is_limited {
            let pause = self.after(retry_after.unwrap_or(DELAYS[0]));
            *lock(&receiver.resumed) = Some(pause);
        }
        let (why, delay) = match (verdict, delay) {
            (Verdict::Delivered, _) => {
                queue.finish(queued.id);
                self.0
                    .metrics
                    .count_notification(&queued.receiver, "delivered");
                return true;
            }
            (Verdict::Retry(why) | Verdict::Limited(why), Some(delay)) => (why, *delay),
            (Verdict::Retry(why) | Verdict::Limited(why) | Verdict::Refused(why), _) => {
                let tries = queued.tries + 1;
                let text = format!("{what} was given up at try {tries}: {why}");
                (self.0.report)(LineLabel::Failed, &text);
                self.give_up(queued, why);
                return true;
            }
        };
        let delay = match retry_after {
            // The next message would be as much too early.
            Some(asked) if is_limited && queued.tries == 0 => asked,
            asked => delay.max(asked.unwrap_or_default()),
        };
        let text = format!("{what} is tried again in {} s: {why}", delay.as_secs());
        (self.0.report)(LineLabel::Warning, &text);
        queue.retry(queued.id, self.after(delay), why);
        self.0
            .metrics
            .count_notification(&queued.receiver, "retried");
        is_limited
    }

    /// Removes a message that is not tried again.
    fn give_up(&self, message: &Delivery, why: String) {
        self.0.queue.fail(message.id, why);
        self.0
            .metrics
            .count_notification(&message.receiver, "failed");
    }

    /// Returns the time after a delay.
    fn after(&self, delay: Duration) -> Timestamp {
        let now = self.0.clock.now();
        let delay = SignedDuration::try_from(delay);
        let after = delay.map(|delay| now.saturating_add(delay));
        after.ok().and_then(Result::ok).unwrap_or(now)
    }

    /// Sends an event once. Returns what the answer means, the delay that it asks for, and the host.
    async fn try_once(
        &self,
        receiver: &Receiver,
        notification: &Notification,
        post: &dyn Post,
    ) -> (Verdict, Option<Duration>, String) {
        let url = match receiver.url() {
            Ok(url) => url,
            Err(why) => return (Verdict::Refused(why), None, "no host".to_owned()),
        };
        let host = url.host_str().unwrap_or_default().to_owned();
        let secret = receiver.secret.as_ref().map(SharedSecret::current);
        let now = self.0.clock.now();
        let message = forms::message(receiver.kind, notification, url, secret.as_ref(), now);
        let Message { url, headers, body } = message;
        let sending = post.post(&url, headers, Bytes::from(body));
        let (verdict, retry_after) = match tokio::time::timeout(TRY, sending).await {
            Err(_) => {
                let why = format!("no answer within {} s", TRY.as_secs());
                (Verdict::Retry(why), None)
            }
            Ok(Ok(answer)) => {
                let verdict = forms::verdict(receiver.kind, answer.status, &answer.body);
                (verdict, retry_after(&answer.headers))
            }
            Ok(Err(error)) if is_permanent(&error) => (Verdict::Refused(error.to_string()), None),
            Ok(Err(error)) => (Verdict::Retry(error.to_string()), None),
        };
        (verdict, retry_after, host)
    }
}

fn is_permanent(error: &Error) -> bool {
    matches!(
        error.cause(),
        Cause::PrivateAddress | Cause::CertificateRefused
    )
}

/// Returns the delay that an answer asks for, up to the time of all tries.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds).min(DELAYS.iter().sum()))
}
