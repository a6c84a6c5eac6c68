//! Several observers as one.

use std::sync::Arc;
use std::time::Duration;

use image_syncer_registry::transport::{ByteCounters, Lane, Observer, PauseReason, RequestRecord};

/// Forwards every call to each of them, in order.
pub(crate) struct Observers(pub(crate) Vec<Arc<dyn Observer>>);

impl Observer for Observers {
    fn request(&self, record: &RequestRecord<'_>) {
        for observer in &self.0 {
            observer.request(record);
        }
    }

    fn retry(&self, registry: &str, error: &str, tries: u32, delay: Duration) {
        for observer in &self.0 {
            observer.retry(registry, error, tries, delay);
        }
    }

    fn pause(&self, host: &str, delay: Duration, why: PauseReason) {
        for observer in &self.0 {
            observer.pause(host, delay, why);
        }
    }

    fn narrowed(&self, host: &str, lane: Lane, size: usize) {
        for observer in &self.0 {
            observer.narrowed(host, lane, size);
        }
    }

    fn byte_counters(&self, registry: &str) -> Option<Arc<ByteCounters>> {
        let mut observers = self.0.iter();
        observers.find_map(|observer| observer.byte_counters(registry))
    }

    fn warning(&self, host: &str, text: &str) {
        for observer in &self.0 {
            observer.warning(host, text);
        }
    }
}
