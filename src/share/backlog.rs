//! Images that a worker has in hand, so that it claims no more than it can copy soon.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use image_syncer_sync::{Event, Listener, Outcome};
use tokio::sync::Notify;

use crate::lock::lock;
use crate::share::{ClaimedUnit, UnitSpec};

/// Number of images that keep all transfers of a worker busy.
pub(super) const COPYING: usize = 32;

/// Number of images that keep a worker busy if they are unchanged, so that each needs a few requests alone.
const COMPARING: usize = 256;

/// Number of images without a copy after which none is expected.
const UNCHANGED: usize = 16;

/// Images of all units that a worker carries out, as far as they are known.
pub(super) struct Backlog {
    images: AtomicUsize,
    /// Number of images without a copy until none is expected.
    expects_copies: AtomicUsize,
    changed: Notify,
}

/// Counts the images of a unit, and passes its events on.
pub(super) struct BacklogListener {
    backlog: Arc<Backlog>,
    counts: Mutex<ImageCounts>,
    next: Arc<dyn Listener>,
}

/// Images of a unit.
#[derive(Default)]
struct ImageCounts {
    /// Number that is known in advance.
    expected: usize,
    started: usize,
    finished: usize,
}

impl ImageCounts {
    fn left(&self) -> usize {
        self.expected
            .max(self.started)
            .saturating_sub(self.finished)
    }
}

impl Default for Backlog {
    fn default() -> Self {
        Self {
            images: AtomicUsize::default(),
            expects_copies: AtomicUsize::new(UNCHANGED),
            changed: Notify::default(),
        }
    }
}

impl Backlog {
    /// Returns true if the worker needs no further units: other workers can have them.
    pub(super) fn suffices(&self) -> bool {
        let limit = match self.expects_copies.load(Ordering::SeqCst) {
            0 => COMPARING,
            _ => COPYING,
        };
        self.images.load(Ordering::SeqCst) >= limit
    }

    /// Waits until an image or a unit ends.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Returns the listener of a unit, which counts its images until it is dropped.
    pub(super) fn listen(self: &Arc<Self>, unit: &ClaimedUnit) -> Arc<BacklogListener> {
        let listener = BacklogListener {
            backlog: Arc::clone(self),
            counts: Mutex::default(),
            next: Arc::clone(&unit.listener),
        };
        if let UnitSpec::Part { tags, .. } = &unit.spec {
            listener.count(|counts| counts.expected = tags.len());
        }
        Arc::new(listener)
    }
}

impl BacklogListener {
    fn finished(&self, outcome: &Outcome) {
        let expects = &self.backlog.expects_copies;
        if matches!(outcome, Outcome::Copied(_)) {
            expects.store(UNCHANGED, Ordering::SeqCst);
        } else {
            let less = |left: usize| left.checked_sub(1);
            let _ = expects.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
        }
        self.count(|counts| counts.finished += 1);
    }

    fn count(&self, change: impl FnOnce(&mut ImageCounts)) {
        let mut counts = lock(&self.counts);
        let before = counts.left();
        change(&mut counts);
        let after = counts.left();
        let images = &self.backlog.images;
        if after >= before {
            images.fetch_add(after - before, Ordering::SeqCst);
        } else {
            images.fetch_sub(before - after, Ordering::SeqCst);
            self.backlog.changed.notify_one();
        }
    }
}

impl Listener for BacklogListener {
    fn event(&self, event: &Event) {
        match event {
            Event::RuleListed { images, .. } => {
                let images = usize::try_from(*images).unwrap_or(usize::MAX);
                self.count(|counts| counts.expected = counts.expected.max(images));
            }
            Event::ImageStarted { .. } => self.count(|counts| counts.started += 1),
            Event::ImageFinished { outcome, .. } => self.finished(outcome),
            _ => {}
        }
        self.next.event(event);
    }
}

impl Drop for BacklogListener {
    fn drop(&mut self) {
        self.count(|counts| *counts = ImageCounts::default());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use futures_util::FutureExt as _;
    use image_syncer_registry::Digest;
    use image_syncer_sync::ImageId;
    use image_syncer_sync::event::Copied;
    use image_syncer_sync::report::Report;
    use image_syncer_sync::rule::Rule;
    use image_syncer_sync::settings::Intent;

    use super::*;
    use crate::share::unit::RulePosition;
    use crate::share::{LocalShare, Share as _};

    fn whole() -> ClaimedUnit {
        let share = LocalShare::new(Intent::Copy, Arc::new(Report::new()));
        let mut units = share.claim(1).now_or_never().unwrap().unwrap().unwrap();
        units.pop().unwrap()
    }

    fn rule() -> Rule {
        let none = |_: &_| unreachable!();
        Rule::parse("s.example/app", &["d.example/app"], &none).unwrap()
    }

    fn image() -> ImageId {
        ImageId {
            rule: rule().id,
            source: "s.example/app:v1".into(),
            destination: "d.example/app:v1".into(),
        }
    }

    fn skipped() -> Outcome {
        Outcome::Skipped { why: String::new() }
    }

    fn finished(outcome: Outcome) -> Event {
        Event::ImageFinished {
            image: image(),
            outcome,
            elapsed: std::time::Duration::ZERO,
        }
    }

    fn listed(images: u64) -> Event {
        let rule = rule().id;
        Event::RuleListed { rule, images }
    }

    #[test]
    fn images_are_counted_from_their_part_to_their_end() {
        let part = ClaimedUnit {
            spec: UnitSpec::Part {
                rule: RulePosition::Rule(0),
                repository: "s.example/app".to_owned(),
                tags: vec!["v1".to_owned(), "v2".to_owned()],
            },
            ..whole()
        };
        let backlog = Arc::new(Backlog::default());
        let images = || backlog.images.load(Ordering::SeqCst);
        let (part, whole) = (backlog.listen(&part), backlog.listen(&whole()));
        assert_eq!(images(), 2);
        let started = Event::ImageStarted { image: image() };
        part.event(&started);
        whole.event(&started);
        assert_eq!(images(), 3);
        assert!(backlog.changed().now_or_never().is_none());
        part.event(&finished(skipped()));
        assert!(backlog.changed().now_or_never().is_some());
        assert_eq!(images(), 2);
        whole.event(&listed(7));
        assert_eq!(images(), 8);
        drop(whole);
        assert_eq!(images(), 1);
        drop(part);
        assert_eq!(images(), 0);
    }

    #[test]
    fn a_worker_that_copies_needs_fewer_images_than_one_that_compares() {
        let backlog = Arc::new(Backlog::default());
        let unit = backlog.listen(&whole());
        let finished = |outcome: Outcome| unit.event(&finished(outcome));
        let copied = || Outcome::Copied(Copied::without_transfer(Digest::sha256(b"")));
        let suffices = |images: u64| {
            unit.count(|counts| *counts = ImageCounts::default());
            unit.event(&listed(images));
            backlog.suffices()
        };
        // Before anything is known.
        assert!(!suffices(31) && suffices(32));
        (0..16).for_each(|_| finished(skipped()));
        assert!(!suffices(255) && suffices(256));
        finished(copied());
        (0..15).for_each(|_| finished(skipped()));
        assert!(!suffices(31) && suffices(32));
    }
}
