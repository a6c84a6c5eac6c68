//! The queue of a run: number of images in flight, cancellation, and the end.

mod stop;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::copy::{Copier, Pairs};
use crate::discover::{DestinationTagIndex, Discoverer, Image};
use crate::event::{Event, Listener};
use crate::failure::Failure;
use crate::rule::Rule;
use crate::settings::Settings;
use crate::span;
use crate::store::Stores;
use crate::transfer::Progress;

pub use stop::Stop;

/// Maximum number of rules whose images are searched at a time.
const RULES: usize = 8;

/// Maximum number of images that wait to be copied. Discovery waits while the queue is full.
const QUEUE: usize = 16;

/// A run over stores.
pub struct Engine {
    stores: Arc<dyn Stores>,
    copier: Arc<Copier>,
    settings: Settings,
    listener: Arc<dyn Listener>,
}

impl Engine {
    /// Returns a run over `stores` that reports all events to `listener`.
    pub fn new(stores: Arc<dyn Stores>, settings: Settings, listener: Arc<dyn Listener>) -> Self {
        let copier = Copier::new(Arc::clone(&stores), settings.clone(), Arc::clone(&listener));
        Self {
            copier: Arc::new(copier),
            stores,
            settings,
            listener,
        }
    }

    /// Returns the counters of the transfers, for a display to sample.
    pub fn progress(&self) -> &Arc<Progress> {
        self.copier.progress()
    }

    /// Runs `rules` to their end, or until `stop`. Images that have not ended then are reported as interrupted. Returns
    /// when nothing is in flight.
    pub async fn run(&self, rules: Vec<Arc<Rule>>, stop: impl Into<Stop>) {
        let stop = stop.into();
        let (found, images) = mpsc::channel(QUEUE);
        let work = async {
            tokio::join!(
                self.discover(rules, found, &stop.cancel),
                self.copy(images, &stop)
            );
            self.copier.drained().await;
        };
        tokio::select! {
            () = work => {}
            never = stop.enforce_deadline() => match never {},
        }
    }

    /// Searches the images of all rules, some rules at a time.
    async fn discover(
        &self,
        rules: Vec<Arc<Rule>>,
        found: mpsc::Sender<Image>,
        cancel: &CancellationToken,
    ) {
        let inventory = Arc::clone(self.copier.inventory());
        let census = DestinationTagIndex::new(&self.stores, inventory, &self.settings, &rules);
        let census = Arc::new(census);
        let source_tags = Arc::clone(self.copier.source_tags());
        source_tags.expect(&rules, cancel);
        let listener = Arc::clone(&self.listener);
        let referrers = self.settings.referrers.clone();
        let discoverer = Discoverer::new(
            listener,
            Arc::clone(&census),
            source_tags,
            referrers,
            &rules,
        );
        let discoverer = Arc::new(discoverer);
        let slots = Arc::new(Semaphore::new(RULES));
        let mut running = JoinSet::new();
        for (rank, rule) in rules.into_iter().enumerate() {
            let slot = Arc::clone(&slots).acquire_owned().await;
            while running.try_join_next().is_some() {}
            let (discoverer, found) = (Arc::clone(&discoverer), found.clone());
            let (listener, cancel) = (Arc::clone(&self.listener), cancel.clone());
            let span = span::rule(&rule);
            let search = async move {
                let search = discoverer.discover(rank, &rule, &found, &cancel, slot);
                if let Err(panic) = AssertUnwindSafe(search).catch_unwind().await {
                    let failure = Failure::panicked(&*panic);
                    listener.event(&Event::RuleFailed { rule, failure });
                }
            };
            running.spawn(search.instrument(span));
        }
        drop(found);
        while running.join_next().await.is_some() {}
        census.wait_for_lists().await;
    }

    /// Copies images as they arrive, some at a time. Images that arrive after `stop` are reported and not started.
    async fn copy(&self, mut found: mpsc::Receiver<Image>, stop: &Stop) {
        let mut running = JoinSet::new();
        let images = self.settings.images.max(1);
        loop {
            let stopped = stop.cancel.is_cancelled();
            tokio::select! {
                biased;
                // Waiting images are reported now, not when the others have ended.
                () = stop.cancel.cancelled(), if !stopped => {}
                image = found.recv(), if stopped || running.len() < images => match image {
                    Some(image) if stopped => {
                        Pairs::new(&image, &self.listener).finish_rest(&Failure::interrupted());
                    }
                    Some(image) => {
                        running.spawn(copy_one(
                            Arc::clone(&self.copier),
                            Arc::clone(&self.listener),
                            image,
                            stop.abandon.clone(),
                        ));
                    }
                    None => break,
                },
                Some(_) = running.join_next() => {}
            }
        }
        while running.join_next().await.is_some() {}
    }
}

/// Copies `image`, and ensures that each of its pairs ends with an outcome.
async fn copy_one(
    copier: Arc<Copier>,
    listener: Arc<dyn Listener>,
    image: Image,
    abandon: CancellationToken,
) {
    let pairs = Pairs::new(&image, &listener);
    let copy = copier
        .copy(&image, &pairs, &abandon)
        .instrument(pairs.span());
    let copy = AssertUnwindSafe(copy).catch_unwind();
    let rest = match abandon.run_until_cancelled(copy).await {
        Some(Ok(())) => Failure::internal("an image ended without an outcome"),
        Some(Err(panic)) => Failure::panicked(&*panic),
        None => Failure::interrupted(),
    };
    pairs.finish_rest(&rest);
}

#[cfg(test)]
mod tests;
