//! The queue of a run: number of images in flight, cancellation, and the end.

mod searches;
mod source_progress;
mod stop;

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::Repository;
use crate::copy::{Copier, Pairs, SharedState};
use crate::discover::{CoveredTags, Discovered, Image};
use crate::event::{Event, LISTED, Listener};
use crate::expand::{ExpandedRule, Expander};
use crate::failure::Failure;
use crate::lock::lock;
use crate::rule::RuleSet;
use crate::settings::{Intent, RunSettings};
use crate::shard::SelectedRepositories;
use crate::store::Stores;
use crate::tag_divider::TagDivider;
use crate::transfer::Progress;

use searches::Searches;
use source_progress::SourceProgress;
pub use stop::Stop;

/// Maximum number of rules whose images are searched at a time.
pub(crate) const RULES: usize = 8;

/// Maximum number of images that wait to be copied. Discovery waits while the queue is full.
const QUEUE: usize = 16;

/// One run.
pub struct Engine {
    /// True if images are not copied, but only reported.
    lists_only: bool,
    tag_divider: Option<Arc<dyn TagDivider>>,
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
        let lists_only = settings.intent == Intent::List;
        let tag_divider = settings.tag_divider.clone().filter(|_| !lists_only);
        let copier = Copier::new(shared, settings, Arc::clone(&listener));
        Self {
            lists_only,
            tag_divider,
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
    pub async fn run(&self, rules: impl Into<RuleSet>, stop: impl Into<Stop>) {
        let stop = stop.into();
        let rules = rules.into().with_distinct_ids();
        let (found, images) = mpsc::channel(QUEUE);
        let sources = SourceProgress::new(self.copier.source_tags());
        let work = async {
            tokio::join!(
                self.discover(rules.clone(), found, &sources, &stop.cancel),
                self.copy(images, &sources, &stop)
            );
            self.copier.drained().await;
            self.finish_endpoints(&rules, stop.cancel.is_cancelled())
                .await;
        };
        tokio::select! {
            () = work => {}
            never = stop.enforce_deadline() => match never {},
        }
    }

    /// Completes the endpoints that are files. A failure is one of the rules that write to the endpoint, since their
    /// images were reported before.
    async fn finish_endpoints(&self, rules: &RuleSet, stopped: bool) {
        for unfinished in self.stores.finish(stopped).await {
            let failure = Failure::from(unfinished.error);
            for rule in rules.writing_to(&unfinished.endpoint) {
                self.listener.event(&Event::RuleFailed {
                    rule,
                    failure: failure.clone(),
                });
            }
        }
    }

    /// Searches the images of all rules, some rules at a time: first of those that name their repositories, then of those
    /// that patterns expand to.
    async fn discover(
        &self,
        rules: RuleSet,
        found: mpsc::Sender<Discovered>,
        sources: &SourceProgress,
        cancel: &CancellationToken,
    ) {
        let RuleSet {
            rules,
            patterns,
            part,
        } = rules;
        let patterns_follow = !patterns.is_empty();
        let patterns = (patterns, &part);
        let mut expander = Expander::start(&self.stores, &self.listener, &rules, patterns, cancel);
        let mut searches = Searches::new(self, (&rules, patterns_follow), found, sources, cancel);
        let mut selected = SelectedRepositories::new(&part);
        let own = rules.iter().map(|rule| {
            let own = part.narrow(rule);
            if let Some(selected) = &mut selected {
                selected.add(&rule.source.repository, own.is_some());
            }
            let covered = own.as_ref().map(|rule| searches.add_named(rule));
            own.zip(covered)
        });
        let own: Vec<_> = own.collect();
        self.report_selected(selected.as_ref());
        for rule in own {
            match rule {
                Some((rule, covered)) => searches.start(rule, covered, None).await,
                None => searches.pass_over(),
            }
        }
        while let Some(expanded) = expander.next().await {
            let (ExpandedRule::Own(rule, _) | ExpandedRule::Elsewhere(rule)) = &expanded;
            if let Some(selected) = &mut selected {
                let is_own = matches!(expanded, ExpandedRule::Own(..));
                selected.add(&rule.source.repository, is_own);
            }
            match expanded {
                ExpandedRule::Own(rule, progress) => {
                    let covered = searches.add_part(&rule);
                    searches.start(rule, covered, Some(progress)).await;
                }
                ExpandedRule::Elsewhere(rule) => searches.pass_over_part(&rule),
            }
        }
        if patterns_follow {
            self.report_selected(selected.as_ref());
        }
        searches.finish().await;
    }

    fn report_selected(&self, selected: Option<&SelectedRepositories>) {
        if let Some(selected) = selected {
            let counts = selected.counts();
            self.listener.event(&Event::ShardSelected(counts));
        }
    }

    /// Copies images as they arrive, some at a time. Images that arrive after `stop` are reported and not started.
    async fn copy(
        &self,
        mut found: mpsc::Receiver<Discovered>,
        sources: &SourceProgress,
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
                    Some(Discovered::Image(image)) if self.lists_only => {
                        Pairs::new(&image, &self.listener).skip_rest(LISTED);
                    }
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
    let ended = {
        // Dropped before the rest is reported.
        let copy = pin!(AssertUnwindSafe(copy).catch_unwind());
        abandon.run_until_cancelled(copy).await
    };
    let rest = match ended {
        Some(Ok(())) => Failure::internal("an image ended without an outcome"),
        Some(Err(panic)) => Failure::panicked(&*panic),
        None => Failure::interrupted(),
    };
    pairs.finish_rest(&rest);
}

#[cfg(test)]
mod tests;
