//! Units of a run in one process: one, with everything.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use image_syncer_sync::Listener;
use image_syncer_sync::settings::Intent;
use tokio_util::sync::CancellationToken;

use crate::lock::lock;
use crate::share::{
    ClaimedUnit, NewUnit, RunKey, RunWork, Share, ShareError, UnitCost, UnitEnd, UnitSpec,
};

/// Shares nothing: its only unit is a whole run, whose events go to the listener of the run at once.
pub(crate) struct LocalShare(Mutex<Option<ClaimedUnit>>);

impl LocalShare {
    /// Returns a run of all rules.
    pub(crate) fn new(intent: Intent, listener: Arc<dyn Listener>) -> Self {
        let work = RunWork {
            intent,
            ..RunWork::default()
        };
        Self(Mutex::new(Some(ClaimedUnit {
            run: RunKey(0),
            id: 0,
            attempt: 1,
            work: Arc::new(work),
            spec: UnitSpec::All,
            lease: None,
            ended: CancellationToken::new(),
            listener,
        })))
    }
}

impl Share for LocalShare {
    fn claim(&self, _free: usize) -> BoxFuture<'_, Result<Option<Vec<ClaimedUnit>>, ShareError>> {
        let unit = lock(&self.0).take();
        ready(Ok(unit.map(|unit| vec![unit]))).boxed()
    }

    fn add<'a>(
        &'a self,
        _unit: &'a ClaimedUnit,
        _units: Vec<NewUnit>,
    ) -> BoxFuture<'a, Result<bool, ShareError>> {
        let error = "this run is not shared; this is a defect of image-syncer, please report it";
        ready(Err(ShareError::new(error))).boxed()
    }

    fn parts<'a>(
        &'a self,
        _unit: &'a ClaimedUnit,
    ) -> BoxFuture<'a, Result<HashSet<String>, ShareError>> {
        ready(Ok(HashSet::new())).boxed()
    }

    fn costs<'a>(
        &'a self,
        _unit: &'a ClaimedUnit,
        _keys: Vec<String>,
    ) -> BoxFuture<'a, HashMap<String, UnitCost>> {
        ready(HashMap::new()).boxed()
    }

    fn end<'a>(
        &'a self,
        _unit: &'a ClaimedUnit,
        _end: UnitEnd,
    ) -> BoxFuture<'a, Result<bool, ShareError>> {
        ready(Ok(true)).boxed()
    }
}
