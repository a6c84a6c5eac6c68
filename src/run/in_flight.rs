//! Tracks images in flight, so that a dropped run still reports an outcome for each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use image_syncer_sync::{Event, Failure, ImageId, Listener, Outcome};

use crate::lock::lock;

/// Forwards every event, and tracks images that have begun and not ended.
pub(super) struct InFlightTracker {
    to: Arc<dyn Listener>,
    begun: Mutex<HashMap<ImageId, Instant>>,
    /// True if events are no longer forwarded. Locked for reading while one is.
    over: RwLock<bool>,
}

impl InFlightTracker {
    /// Creates a tracker that forwards events to `to`.
    pub(super) fn new(to: Arc<dyn Listener>) -> Self {
        Self {
            to,
            begun: Mutex::default(),
            over: RwLock::default(),
        }
    }

    /// Reports the images in flight as interrupted, and forwards nothing after that.
    pub(super) fn interrupt(&self) {
        *self.over.write().unwrap_or_else(PoisonError::into_inner) = true;
        let begun = std::mem::take(&mut *self.lock());
        for (image, since) in begun {
            self.to.event(&Event::ImageFinished {
                image,
                outcome: Outcome::Failed(Failure::interrupted()),
                elapsed: since.elapsed(),
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ImageId, Instant>> {
        lock(&self.begun)
    }
}

impl Listener for InFlightTracker {
    fn event(&self, event: &Event) {
        let over = self.over.read().unwrap_or_else(PoisonError::into_inner);
        if *over {
            return;
        }
        match event {
            Event::ImageStarted { image } => {
                self.lock().insert(image.clone(), Instant::now());
            }
            Event::ImageFinished { image, .. } => {
                self.lock().remove(image);
            }
            _ => {}
        }
        self.to.event(event);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use image_syncer_sync::report::Report;
    use image_syncer_sync::rule::{Rule, RuleError};

    use super::*;

    #[test]
    fn what_has_begun_and_not_ended_was_interrupted_and_is_told_once() {
        let none = |_: &_| Err(RuleError("no default".to_owned()));
        let rule = Rule::parse("a.example/x", &["b.example/y"], &none).unwrap();
        let report = Arc::new(Report::new());
        let underway = InFlightTracker::new(report.clone());
        let image = |tag: &str| ImageId {
            rule: rule.id,
            source: format!("a.example/x:{tag}").into(),
            destination: format!("b.example/y:{tag}").into(),
        };
        let finished = |tag| Event::ImageFinished {
            image: image(tag),
            outcome: Outcome::Skipped { why: String::new() },
            elapsed: Duration::ZERO,
        };
        for tag in ["v1", "v2", "v3"] {
            underway.event(&Event::ImageStarted { image: image(tag) });
        }
        underway.event(&finished("v1"));
        underway.interrupt();
        underway.event(&finished("v2"));
        underway.interrupt();
        let summary = report.summary();
        assert_eq!((summary.skipped, summary.interrupted), (1, 2));
    }
}
