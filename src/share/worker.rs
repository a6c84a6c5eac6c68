//! Worker: claims units, carries them out as runs of its session, and ends them.

use std::sync::Arc;

use image_syncer_sync::engine::Stop;
use image_syncer_sync::rule::RuleSet;
use image_syncer_sync::session::{RunHandle, RunOptions};
use image_syncer_sync::settings::Listing;
use image_syncer_sync::store::PushedTags;
use image_syncer_sync::transfer::Progress;
use image_syncer_sync::{Event, Session};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};

use crate::share::backlog::Backlog;
use crate::share::divider::UnitDivider;
use crate::share::unit_rules;
use crate::share::{ClaimedUnit, NewUnit, Share, ShareError, UnitEnd, UnitSpec};

/// Maximum number of units that a worker carries out at a time. The images in flight have a limit of their own.
pub(super) const UNITS: usize = 16;

/// Maximum number of units that a worker claims at a time, so that several workers take turns.
pub(super) const CLAIMED: usize = 4;

/// Maximum number of units that are added at a time.
const ADDED: usize = 1_000;

/// A worker. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Worker {
    /// Units to carry out.
    pub(crate) share: Arc<dyn Share>,
    /// Connections and facts.
    pub(crate) session: Session,
    /// Rules of the files.
    pub(crate) rules: RuleSet,
    /// Use of lists with digests.
    pub(crate) listing: Listing,
    /// Signals that stop the worker.
    pub(crate) stop: Stop,
    /// Counters of the transfers of all units.
    pub(crate) progress: Arc<Progress>,
}

impl Worker {
    /// Carries out units until none will follow, or until its signals. Nothing is in flight then.
    ///
    /// # Errors
    /// The share failed. Units in progress were carried out to their end.
    ///
    /// # Panics
    /// If a unit panics.
    pub(crate) async fn work(&self) -> Result<(), ShareError> {
        let backlog = Arc::new(Backlog::default());
        let mut running = JoinSet::new();
        let mut claims = true;
        let mut claiming = None;
        let mut failure = None;
        loop {
            claims &= !self.stop.cancel.is_cancelled();
            let free = free_places(running.len(), &backlog);
            if !claims {
                claiming = None;
            } else if claiming.is_none() && free > 0 {
                claiming = Some(self.share.claim(free));
            }
            let is_claiming = claiming.is_some();
            let claimed = async {
                match claiming.as_mut() {
                    Some(claiming) => claiming.await,
                    None => Ok(None),
                }
            };
            tokio::select! {
                biased;
                () = self.stop.cancel.cancelled(), if claims => {}
                Some(ended) = running.join_next() => {
                    if let Err(error) = ended.unwrap_or_else(rethrown) {
                        failure.get_or_insert(error);
                    }
                }
                claimed = claimed, if is_claiming => {
                    claiming = None;
                    match claimed {
                        Ok(Some(units)) => {
                            for unit in units {
                                let (worker, backlog) = (self.clone(), Arc::clone(&backlog));
                                running.spawn(async move { worker.carry_out(unit, &backlog).await });
                            }
                        }
                        Ok(None) => claims = false,
                        Err(error) => {
                            claims = false;
                            failure.get_or_insert(error);
                        }
                    }
                }
                () = backlog.changed(), if claims && !is_claiming => {}
                else => break,
            }
        }
        failure.map_or(Ok(()), Err)
    }

    /// Carries out one unit, and ends it. Work that this worker stopped has to be done by another one.
    async fn carry_out(&self, unit: ClaimedUnit, backlog: &Arc<Backlog>) -> Result<(), ShareError> {
        let rules = unit_rules::of_run(&self.rules, &unit.work);
        let rules = rules.and_then(|run| unit_rules::of_unit(&run, &unit.spec));
        let (end, failure) = match rules {
            Err(reason) => (UnitEnd::Failed(reason), None),
            Ok(rules) => match self.perform(&unit, rules, backlog).await {
                Err(error) => (UnitEnd::Returned, Some(error)),
                Ok(()) if self.stop.cancel.is_cancelled() => (UnitEnd::Returned, None),
                Ok(()) => (UnitEnd::Done, None),
            },
        };
        let ended = self.share.end(&unit, end).await.map(drop);
        failure.map_or(ended, Err)
    }

    /// Does the work of a unit.
    async fn perform(
        &self,
        unit: &ClaimedUnit,
        rules: RuleSet,
        backlog: &Arc<Backlog>,
    ) -> Result<(), ShareError> {
        match unit.spec {
            UnitSpec::Start => {
                // Readers of the run need not have the files.
                for rule in rules.descriptions() {
                    unit.listener.event(&Event::RuleStarted { rule });
                }
                let units = unit_rules::first_units(&rules);
                self.add(unit, units).await.map(drop)
            }
            UnitSpec::List => self.list(unit, rules).await,
            _ => {
                self.copy(unit, rules, backlog).await;
                Ok(())
            }
        }
    }

    /// Adds units, heavy ones of a former run first. Returns false if the lease of `unit` has ended.
    async fn add(&self, unit: &ClaimedUnit, mut units: Vec<NewUnit>) -> Result<bool, ShareError> {
        let keys = units.iter().map(|unit| unit.key.clone());
        let costs = self.share.costs(unit, keys.collect()).await;
        unit_rules::weigh(&mut units, &costs);
        self.share.add(unit, units).await
    }

    /// Copies the images of `rules`.
    async fn copy(&self, unit: &ClaimedUnit, rules: RuleSet, backlog: &Arc<Backlog>) {
        let stop = self.unit_stop();
        let options = RunOptions::default()
            .with_intent(unit.work.intent)
            .with_listing(self.listing)
            .with_stop(stop)
            .with_progress(Arc::clone(&self.progress))
            .with_pushed(PushedTags::named(&unit.work.pushed))
            .with_lease(unit.lease.clone())
            .with_tag_divider(UnitDivider::for_unit(&self.share, unit));
        let mut handle = self.session.run_with(rules, options, backlog.listen(unit));
        tokio::select! {
            _ = handle.ended() => return,
            () = unit.ended.cancelled() => handle.abandon(),
        }
        RunHandle::wait(handle).await;
    }

    /// Lists the repositories of the patterns in `rules`, and adds a unit for each.
    async fn list(&self, unit: &ClaimedUnit, rules: RuleSet) -> Result<(), ShareError> {
        let (sender, mut found) = mpsc::channel(ADDED);
        let cancel = self.unit_stop().cancel;
        let listing = self.session.list_repositories(
            rules,
            Arc::clone(&unit.listener),
            cancel.clone(),
            sender,
        );
        let adding = async {
            let mut batch = Vec::new();
            while found.recv_many(&mut batch, ADDED).await > 0 {
                let units = batch.drain(..);
                let units = units.map(|it| unit_rules::repository_unit(it.pattern, &it.repository));
                if !self.add(unit, units.collect()).await? {
                    cancel.cancel();
                    break;
                }
            }
            Ok(())
        };
        let ((), added) = tokio::join!(listing, adding);
        added
    }

    /// Returns the signals of a unit, which follow those of the worker.
    fn unit_stop(&self) -> Stop {
        Stop {
            cancel: self.stop.cancel.child_token(),
            abandon: self.stop.abandon.child_token(),
            grace: self.stop.grace,
        }
    }
}

/// Returns the number of units to claim, with this number in progress.
fn free_places(running: usize, backlog: &Backlog) -> usize {
    if running > 0 && backlog.suffices() {
        return 0;
    }
    UNITS.saturating_sub(running).min(CLAIMED)
}

/// Continues the panic of a task. A task that was dropped has no result.
fn rethrown(error: JoinError) -> Result<(), ShareError> {
    match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => Ok(()),
    }
}
