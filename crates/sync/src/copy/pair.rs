//! Pairs of an image and a destination: each starts once and ends once, even after a panic.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;
use tracing::Span;

use crate::discover::{Image, ImageDestination};
use crate::event::{Event, ImageName, Listener, Outcome};
use crate::failure::Failure;
use crate::span;

/// Pairs of one image, in the order of its destinations.
pub(crate) struct Pairs(Vec<Pair>);

/// An image and one of its destinations.
pub(crate) struct Pair {
    name: ImageName,
    listener: Arc<dyn Listener>,
    started: OnceLock<Instant>,
    finished: AtomicBool,
}

impl Pairs {
    /// Returns the pairs of `image`. Their events go to `listener`.
    pub(crate) fn new(image: &Image, listener: &Arc<dyn Listener>) -> Self {
        let pair = |place: &ImageDestination| Pair {
            name: ImageName::new(
                &image.rule,
                &image.target,
                &place.repository,
                place.tag.as_ref(),
            ),
            listener: Arc::clone(listener),
            started: OnceLock::new(),
            finished: AtomicBool::new(false),
        };
        Self(image.places.iter().map(pair).collect())
    }
    /// Returns the span of the first pair, for the whole image.
    pub(crate) fn span(&self) -> Span {
        let first = self.0.first();
        first.map_or_else(Span::none, |pair| span::image(&pair.name))
    }
    /// Starts all pairs.
    pub(crate) fn start(&self) -> &[Pair] {
        for pair in &self.0 {
            pair.started.get_or_init(Instant::now);
            pair.listener.event(&Event::ImageStarted(pair.name.clone()));
        }
        &self.0
    }
    /// Ends with `failure` the pairs that have not ended.
    pub(crate) fn finish_rest(&self, failure: &Failure) {
        for pair in &self.0 {
            pair.finish(Outcome::Failed(failure.clone()));
        }
    }
}

impl Pair {
    /// Returns the names at source and destination.
    pub(crate) fn name(&self) -> &ImageName {
        &self.name
    }
    /// Returns the span of this pair, within that of its image.
    pub(crate) fn span(&self) -> Span {
        span::destination(&self.name)
    }
    /// Ends the pair, unless it has ended.
    pub(crate) fn finish(&self, outcome: Outcome) {
        if self.finished.swap(true, Ordering::AcqRel) {
            return;
        }
        self.listener.event(&Event::ImageFinished {
            image: self.name.clone(),
            outcome,
            elapsed: self.started.get().map_or(Duration::ZERO, Instant::elapsed),
        });
    }
}
