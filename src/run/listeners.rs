//! Several listeners as one.

use std::sync::Arc;

use image_syncer_sync::{Event, Listener};

/// Forwards every event to each of them, in order.
pub(crate) struct Listeners(pub(crate) Vec<Arc<dyn Listener>>);

impl Listener for Listeners {
    fn event(&self, event: &Event) {
        for listener in &self.0 {
            listener.event(event);
        }
    }
}
