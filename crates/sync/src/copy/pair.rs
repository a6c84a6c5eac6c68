//! Pairs of an image and a destination: each starts once and ends once, even after a panic.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;
use tracing::Span;

use crate::discover::{Image, ImageDestination};
use crate::event::{Event, Listener, Outcome};
use crate::failure::Failure;
use crate::id::ImageId;
use crate::rule::Rule;
use crate::span;

/// Pairs of one image, in the order of its destinations.
pub(crate) struct Pairs(Vec<Pair>);

/// An image and one of its destinations.
pub(crate) struct Pair {
    rule: Arc<Rule>,
    id: ImageId,
    listener: Arc<dyn Listener>,
    started: OnceLock<Instant>,
    finished: AtomicBool,
}

/// Rule of an image, and its names at source and destination, for messages.
#[derive(Clone, Copy)]
pub(crate) struct PairName<'a> {
    pub(crate) rule: &'a Arc<Rule>,
    pub(crate) id: &'a ImageId,
}

impl Pairs {
    /// Returns the pairs of `image`. Their events go to `listener`.
    pub(crate) fn new(image: &Image, listener: &Arc<dyn Listener>) -> Self {
        let pair = |place: &ImageDestination| Pair {
            rule: Arc::clone(&image.rule),
            id: ImageId::new(
                image.rule.id,
                &image.source,
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
        first.map_or_else(Span::none, |pair| span::image(&pair.rule, &pair.id))
    }
    /// Starts all pairs.
    pub(crate) fn start(&self) -> &[Pair] {
        for pair in &self.0 {
            pair.started.get_or_init(Instant::now);
            let image = pair.id.clone();
            pair.listener.event(&Event::ImageStarted { image });
        }
        &self.0
    }
    /// Ends as skipped the pairs that have not ended.
    pub(crate) fn skip_rest(&self, why: &str) {
        for pair in &self.0 {
            pair.finish(Outcome::Skipped {
                why: why.to_owned(),
            });
        }
    }
    /// Ends with `failure` the pairs that have not ended.
    pub(crate) fn finish_rest(&self, failure: &Failure) {
        for pair in &self.0 {
            pair.finish(Outcome::Failed(failure.clone()));
        }
    }
}

impl Pair {
    /// Returns the rule and the names at source and destination.
    pub(crate) fn name(&self) -> PairName<'_> {
        PairName {
            rule: &self.rule,
            id: &self.id,
        }
    }
    /// Returns the span of this pair, within that of its image.
    pub(crate) fn span(&self) -> Span {
        span::destination(&self.id)
    }
    /// Ends the pair, unless it has ended.
    pub(crate) fn finish(&self, outcome: Outcome) {
        if self.finished.swap(true, Ordering::AcqRel) {
            return;
        }
        self.listener.event(&Event::ImageFinished {
            image: self.id.clone(),
            outcome,
            elapsed: self.started.get().map_or(Duration::ZERO, Instant::elapsed),
        });
    }
}
