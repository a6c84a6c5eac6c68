//! The queue of messages, which outlives the process.

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, TryFutureExt as _};
use jiff::Timestamp;

use crate::service::history::{Delivery, History, WaitingDeliveries};

/// The queue of messages. Changes do not block; they are visible to the queries that follow.
pub(crate) trait DeliveryQueue: Send + Sync {
    /// Adds a message, to be tried at once.
    fn add(&self, receiver: &str, body: String);
    /// Returns the messages to be tried at `now`, those that wait longest first.
    fn due(&self, now: Timestamp, limit: usize) -> BoxFuture<'_, Result<Vec<Delivery>, String>>;
    /// Returns the number of messages that wait, and the time of the next try.
    fn waiting(&self) -> BoxFuture<'_, Result<WaitingDeliveries, String>>;
    /// Removes a message that arrived.
    fn finish(&self, id: i64);
    /// Records a try that failed, and the time of the next one.
    fn retry(&self, id: i64, next: Timestamp, error: String);
    /// Sets the time of the next try, without one that failed.
    fn postpone(&self, id: i64, next: Timestamp);
    /// Removes a message after its last try.
    fn fail(&self, id: i64, error: String);
}

impl DeliveryQueue for History {
    fn add(&self, receiver: &str, body: String) {
        self.add_delivery(receiver, body);
    }

    fn due(&self, now: Timestamp, limit: usize) -> BoxFuture<'_, Result<Vec<Delivery>, String>> {
        let due = self.due_deliveries(now, limit);
        due.map_err(|error| error.to_string()).boxed()
    }

    fn waiting(&self) -> BoxFuture<'_, Result<WaitingDeliveries, String>> {
        let waiting = self.waiting_deliveries();
        waiting.map_err(|error| error.to_string()).boxed()
    }

    fn finish(&self, id: i64) {
        self.finish_delivery(id);
    }

    fn retry(&self, id: i64, next: Timestamp, error: String) {
        self.retry_delivery(id, next, error);
    }

    fn postpone(&self, id: i64, next: Timestamp) {
        self.postpone_delivery(id, next);
    }

    fn fail(&self, id: i64, error: String) {
        self.fail_delivery(id, error);
    }
}
