//! The queue of a run: number of images in flight, cancellation, and the end.

mod source_progress;
mod stop;

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::Repository;
use crate::copy::{Copier, Pairs, SharedState};
use crate::discover::{
    CoveredTags, DestinationTagIndex, Discovered, Discoverer, Image, RuleSearch,
};
use crate::event::{Event, Listener};
use crate::failure::Failure;
use crate::lock::lock;
use crate::rule::{Rule, with_distinct_ids};
use crate::settings::RunSettings;
use crate::span;
use crate::store::Stores;
use crate::transfer::Progress;

use source_progress::{CoveredReceiver, SourceProgress};
pub use stop::Stop;

/// Maximum number of rules whose images are searched at a time.
pub(crate) const RULES: usize = 8;

/// Maximum number of images that wait to be copied. Discovery waits while the queue is full.
const QUEUE: usize = 16;

/// One run.
pub struct Engine {
    stores: Arc<dyn Stores>,
    copier: Arc<Copier>,
    /// One permit for each image in flight.
    images: Arc<Semaphore>,
    listener: Arc<dyn Listener>,
}

impl Engine {
    /// Returns a run over `stores` on its own that reports all events to `listener`.
    pub fn new(
        stores: Arc<dyn Stores>,
        settings: RunSettings,
        listener: Arc<dyn Listener>,
    ) -> Self {
        let shared = SharedState::new(stores, settings.transfers, settings.images);
        Self::within(&shared, settings, listener)
    }

    /// Returns a run that uses the state that the runs of a session share.
    pub(crate) fn within(
        shared: &SharedState,
        settings: RunSettings,
        listener: Arc<dyn Listener>,
    ) -> Self {
        let copier = Copier::new(shared, settings, Arc::clone(&listener));
        Self {
            copier: Arc::new(copier),
            stores: Arc::clone(&shared.stores),
            images: Arc::clone(&shared.images),
            listener,
        }
    }

    /// Returns the counters of the transfers, for a display to sample.
    pub fn progress(&self) -> &Arc<Progress> {
        self.copier.progress()
    }

    /// Returns the number of locks of images and subjects that are held.
    #[cfg(test)]
    pub(crate) fn locks(&self) -> usize {
        self.copier.locks()
    }

    /// Runs `rules` to their end, or until `stop`. Images that have not ended then are reported as interrupted. Returns
    /// when nothing is in flight.
    pub async fn run(&self, rules: Vec<Arc<Rule>>, stop: impl Into<Stop>) {
        let stop = stop.into();
        let rules = with_distinct_ids(rules);
        let (found, images) = mpsc::channel(QUEUE);
        let source_tags = self.copier.source_tags();
        source_tags.expect(&rules, &stop.cancel);
        let sources = SourceProgress::new(source_tags, &rules);
        let covered = sources.covered();
        let work = async {
            tokio::join!(
                self.discover(rules.clone(), found, covered, &stop.cancel),
                self.copy(images, sources, &stop)
            );
            self.copier.drained().await;
            self.finish_endpoints(&rules).await;
        };
        tokio::select! {
            () = work => {}
            never = stop.enforce_deadline() => match never {},
        }
    }

    /// Completes the endpoints that are files. A failure is one of the rules that write to the endpoint, since their
    /// images were reported before.
    async fn finish_endpoints(&self, rules: &[Arc<Rule>]) {
        for unfinished in self.stores.finish().await {
            let failure = Failure::from(unfinished.error);
            let writes = |rule: &&Arc<Rule>| {
                let mut destinations = rule.destinations.iter();
                destinations.any(|to| *to.repository.endpoint() == unfinished.endpoint)
            };
            for rule in rules.iter().filter(writes) {
                self.listener.event(&Event::RuleFailed {
                    rule: rule.id,
                    failure: failure.clone(),
                });
            }
        }
    }

    /// Searches the images of all rules, some rules at a time.
    async fn discover(
        &self,
        rules: Vec<Arc<Rule>>,
        found: mpsc::Sender<Discovered>,
        covered: HashMap<Repository, CoveredReceiver>,
        cancel: &CancellationToken,
    ) {
        let inventory = Arc::clone(self.copier.inventory());
        let destination_index = DestinationTagIndex::new(&self.stores, inventory, &rules)
            .with_listing(self.copier.listing());
        let destination_index = Arc::new(destination_index);
        let discoverer = Discoverer::new(
            Arc::clone(&self.listener),
            Arc::clone(&destination_index),
            Arc::clone(self.copier.source_tags()),
            &rules,
        );
        let discoverer = Arc::new(discoverer.with_ages(Arc::clone(self.copier.tag_ages())));
        let slots = Arc::new(Semaphore::new(RULES));
        let mut running = JoinSet::new();
        for (rank, rule) in rules.into_iter().enumerate() {
            let slot = Arc::clone(&slots).acquire_owned().await;
            while running.try_join_next().is_some() {}
            let covered = covered.get(&rule.source.repository).cloned();
            let span = span::rule(&rule);
            let search = SearchTask {
                discoverer: Arc::clone(&discoverer),
                listener: Arc::clone(&self.listener),
                rank,
                rule,
                found: found.clone(),
                covered,
                cancel: cancel.clone(),
            };
            running.spawn(search.run(slot).instrument(span));
        }
        drop(found);
        while running.join_next().await.is_some() {}
        destination_index.wait_for_lists().await;
    }

    /// Copies images as they arrive, some at a time. Images that arrive after `stop` are reported and not started.
    async fn copy(
        &self,
        mut found: mpsc::Receiver<Discovered>,
        mut sources: SourceProgress,
        stop: &Stop,
    ) {
        let mut running = JoinSet::new();
        // An image that waits for a permit. No other message is received meanwhile.
        let mut waiting: Option<Box<Image>> = None;
        loop {
            let stopped = stop.cancel.is_cancelled();
            if stopped && let Some(image) = waiting.take() {
                Pairs::new(&image, &self.listener).finish_rest(&Failure::interrupted());
            }
            tokio::select! {
                biased;
                // Waiting images are reported now, not when the others have ended.
                () = stop.cancel.cancelled(), if !stopped => {}
                permit = Arc::clone(&self.images).acquire_owned(), if waiting.is_some() => {
                    if let Some(image) = waiting.take() {
                        sources.image_started(&image.source);
                        let copying = Copying {
                            copier: Arc::clone(&self.copier),
                            listener: Arc::clone(&self.listener),
                            image: *image,
                            // The semaphore is never closed; if it were, there would be no limit.
                            permit: permit.ok(),
                        };
                        running.spawn(copying.run(stop.abandon.clone()));
                    }
                }
                message = found.recv(), if waiting.is_none() => match message {
                    Some(Discovered::Image(image)) => waiting = Some(image),
                    Some(Discovered::Searched(source)) => sources.search_ended(&source),
                    Some(Discovered::Ended(source)) => sources.rule_ended(&source),
                    None => break,
                },
                Some(ended) = running.join_next() => {
                    // Panics were caught.
                    if let Ok((source, covered, _permit)) = ended {
                        sources.image_ended(&source, covered);
                    }
                }
            }
        }
        while running.join_next().await.is_some() {}
    }
}

/// Search of one rule.
struct SearchTask {
    discoverer: Arc<Discoverer>,
    listener: Arc<dyn Listener>,
    rank: usize,
    rule: Arc<Rule>,
    found: mpsc::Sender<Discovered>,
    covered: Option<CoveredReceiver>,
    cancel: CancellationToken,
}

impl SearchTask {
    /// Sends the images of the rule. Releases `slot` before the wait for leftover tags.
    async fn run(self, slot: impl Send) {
        let source = &self.rule.source.repository;
        let search = self
            .discoverer
            .search(self.rank, &self.rule, &self.found, &self.cancel);
        let search = AssertUnwindSafe(search).catch_unwind().await;
        drop(slot);
        let searched = Discovered::Searched(source.clone());
        // Sending fails only while the run is torn down.
        let _ = self.found.send(searched).await;
        let ended = match search {
            Ok(search) => {
                let finish = AssertUnwindSafe(self.finish(search));
                finish.catch_unwind().await
            }
            Err(panic) => Err(panic),
        };
        if let Err(panic) = ended {
            let failure = Failure::panicked(&*panic);
            let rule = self.rule.id;
            self.listener.event(&Event::RuleFailed { rule, failure });
        }
        let _ = self.found.send(Discovered::Ended(source.clone())).await;
    }

    /// Sends the leftover tags, after the end of all other images of the source.
    async fn finish(&self, mut search: RuleSearch<'_>) {
        if search.has_deferred_tags()
            && let Some(mut covered) = self.covered.clone()
            && let Ok(covered) = covered
                .wait_for(Option::is_some)
                .await
                .map(|tags| tags.clone())
            && let Some(covered) = covered
        {
            search.send_leftovers(&covered).await;
        }
        search.finish();
    }
}

/// Copy of one image.
struct Copying {
    copier: Arc<Copier>,
    listener: Arc<dyn Listener>,
    image: Image,
    permit: Option<OwnedSemaphorePermit>,
}

impl Copying {
    /// Copies the image, and ensures that each of its pairs ends with an outcome. Returns the source, the tags that the
    /// image covers, and its permit.
    async fn run(
        self,
        abandon: CancellationToken,
    ) -> (Repository, CoveredTags, Option<OwnedSemaphorePermit>) {
        let covered = Mutex::default();
        let copied = copy_to_end(
            &self.copier,
            &self.listener,
            &self.image,
            &covered,
            &abandon,
        );
        // Only a listener can still panic.
        let _ = AssertUnwindSafe(copied).catch_unwind().await;
        let covered = std::mem::take(&mut *lock(&covered));
        (self.image.source, covered, self.permit)
    }
}

async fn copy_to_end(
    copier: &Copier,
    listener: &Arc<dyn Listener>,
    image: &Image,
    covered: &Mutex<CoveredTags>,
    abandon: &CancellationToken,
) {
    let pairs = Pairs::new(image, listener);
    let copy = copier
        .copy(image, &pairs, covered, abandon)
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
