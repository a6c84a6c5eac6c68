//! The queue: how many images at a time, cancellation, drain. Nothing else.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::event::Listener;
use crate::rule::{PlatformFilter, Rule};
use crate::store::Stores;

/// What a run is asked for.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which platforms.
    pub platforms: Arc<PlatformFilter>,
    /// Push manifests even where the destination has the same digest.
    pub force: bool,
    /// At most this many blob downloads at a time; `None` for no bound but the hosts' own.
    pub transfers: Option<usize>,
    /// At most this many images at a time.
    pub images: usize,
}

/// A run.
pub struct Engine {
    #[allow(dead_code)]
    stores: Arc<dyn Stores>,
    #[allow(dead_code)]
    settings: Settings,
    #[allow(dead_code)]
    listener: Arc<dyn Listener>,
}

impl Engine {
    /// A run over `stores` that tells `listener` everything.
    pub fn new(stores: Arc<dyn Stores>, settings: Settings, listener: Arc<dyn Listener>) -> Self {
        Self {
            stores,
            settings,
            listener,
        }
    }
    /// Carries out `rules` until all is done or `cancel` is cancelled; then what has not ended is reported as
    /// interrupted. Returns when nothing is under way any more.
    pub async fn run(&self, _rules: Vec<Arc<Rule>>, _cancel: CancellationToken) {
        todo!()
    }
}
