//! An image and one of its destinations: begun once, ended once, whatever happens in between.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;
use tracing::Span;

use crate::discover::{Image, ImageDestination};
use crate::event::{Event, ImageName, Listener, Outcome};
use crate::failure::Failure;
use crate::span;

/// The pairs of one image, in the order of its places.
pub(crate) struct Pairs(Vec<Pair>);

/// An image and one of its destinations.
pub(crate) struct Pair {
    name: ImageName,
    listener: Arc<dyn Listener>,
    started: OnceLock<Instant>,
    finished: AtomicBool,
}

impl Pairs {
    /// The pairs of `image`, whose beginning and end `listener` will hear.
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
    /// On behalf of all of them.
    pub(crate) fn span(&self) -> Span {
        let first = self.0.first();
        first.map_or_else(Span::none, |pair| span::image(&pair.name))
    }
    /// Begins them all.
    pub(crate) fn start(&self) -> &[Pair] {
        for pair in &self.0 {
            pair.started.get_or_init(Instant::now);
            pair.listener.event(&Event::ImageStarted(pair.name.clone()));
        }
        &self.0
    }
    /// Ends those that have not ended yet.
    pub(crate) fn finish_rest(&self, failure: &Failure) {
        for pair in &self.0 {
            pair.finish(Outcome::Failed(failure.clone()));
        }
    }
}

impl Pair {
    /// Source and destination.
    pub(crate) fn name(&self) -> &ImageName {
        &self.name
    }
    /// On behalf of this one, within those of its image.
    pub(crate) fn span(&self) -> Span {
        span::destination(&self.name)
    }
    /// Ends it, if it has not ended yet.
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
