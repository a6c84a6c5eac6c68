//! An image and one of its destinations: begun once, ended once, whatever happens in between.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use registry::{Repository, Target};
use tokio::time::Instant;
use tracing::Span;

use crate::discover::{Image, Place};
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
        let pair = |place: &Place| Pair {
            name: ImageName {
                rule: Arc::clone(&image.rule),
                source: written(&image.source, Some(&image.target)),
                destination: written(&place.repository, name_of(image, place).as_ref()),
            },
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

/// What the image is called at the place: its tag, or the digest that decides what is fetched; nothing where it gets
/// no tag and its digest is not known beforehand.
fn name_of(image: &Image, place: &Place) -> Option<Target> {
    match (&place.tag, &image.target) {
        (Some(tag), _) => Some(Target::Tag(tag.clone())),
        (None, Target::Digest(digest)) => Some(Target::Digest(digest.clone())),
        (None, Target::Tag(_)) => None,
    }
}

/// The full reference of what `target` names in `repository`.
pub(super) fn written(repository: &Repository, target: Option<&Target>) -> String {
    match target {
        Some(Target::Tag(tag)) => format!("{repository}:{tag}"),
        Some(Target::Digest(digest)) => format!("{repository}@{digest}"),
        None => repository.to_string(),
    }
}
