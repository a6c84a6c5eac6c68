//! The queue: how many images at a time, cancellation, drain. Nothing else.

mod stop;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::config::Settings;
use crate::copy::{Copier, Pairs};
use crate::discover::{DestinationTagIndex, Discoverer, Image};
use crate::event::{Event, Listener};
use crate::failure::Failure;
use crate::rule::Rule;
use crate::span;
use crate::store::Stores;
use crate::transfer::Progress;

pub use stop::Stop;

/// Rules whose images are being looked for at a time.
const RULES: usize = 8;

/// Images that are known and not begun; discovery waits while there are as many.
const QUEUE: usize = 16;

/// A run.
pub struct Engine {
    stores: Arc<dyn Stores>,
    copier: Arc<Copier>,
    settings: Settings,
    listener: Arc<dyn Listener>,
}

impl Engine {
    /// A run over `stores` that tells `listener` everything.
    pub fn new(stores: Arc<dyn Stores>, settings: Settings, listener: Arc<dyn Listener>) -> Self {
        let copier = Copier::new(Arc::clone(&stores), settings.clone(), Arc::clone(&listener));
        Self {
            copier: Arc::new(copier),
            stores,
            settings,
            listener,
        }
    }

    /// Counters of what the transfers have moved so far, for a display to sample.
    pub fn progress(&self) -> &Arc<Progress> {
        self.copier.progress()
    }

    /// Carries out `rules` until all is done, or until it is asked to stop; then what has not ended is reported as
    /// interrupted. Returns when nothing is under way any more.
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

    /// Finds the images of all rules, some rules at a time.
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

    /// Copies images as they come, some at a time; those that come after `cancel` are reported and not begun.
    async fn copy(&self, mut found: mpsc::Receiver<Image>, stop: &Stop) {
        let mut running = JoinSet::new();
        let images = self.settings.images.max(1);
        loop {
            let stopped = stop.cancel.is_cancelled();
            tokio::select! {
                biased;
                // What waits for others to end is reported now, not when they have ended.
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

/// Sees to it that every pair of `image` ends, whatever happens to the copy.
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
