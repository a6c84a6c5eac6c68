//! Settings of a run and options of its rules in one place, as the flags of the program give them.

use std::sync::Arc;

use image_syncer_sync::inventory::records::Records;
use image_syncer_sync::rule::{CopyOptions, Immutable, Parts, PlatformFilter, Referrers, Rule};
use image_syncer_sync::settings::{Intent, RunSettings};

/// Settings of a run, and options of all of its rules.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) intent: Intent,
    pub(crate) platforms: Arc<PlatformFilter>,
    pub(crate) parts: Parts,
    pub(crate) force: bool,
    pub(crate) verify: bool,
    pub(crate) immutable: Arc<Immutable>,
    pub(crate) referrers: Option<Arc<Referrers>>,
    pub(crate) transfers: Option<usize>,
    pub(crate) images: usize,
    pub(crate) records: Option<Arc<Records>>,
}

impl Settings {
    /// Returns the settings of the run.
    pub(crate) fn run(&self) -> RunSettings {
        let mut run = RunSettings::default();
        run.intent = self.intent;
        run.transfers = self.transfers;
        run.images = self.images;
        run.records.clone_from(&self.records);
        run
    }
    /// Returns `rules` with the options.
    pub(crate) fn complete(&self, mut rules: Vec<Arc<Rule>>) -> Vec<Arc<Rule>> {
        let mut options = CopyOptions::default();
        options.platforms = Arc::clone(&self.platforms);
        options.parts = self.parts;
        options.referrers.clone_from(&self.referrers);
        options.immutable = Immutable::clone(&self.immutable);
        options.force = self.force;
        options.verify = self.verify;
        let options = Arc::new(options);
        for rule in &mut rules {
            Arc::make_mut(rule).options = Arc::clone(&options);
        }
        rules
    }
}
