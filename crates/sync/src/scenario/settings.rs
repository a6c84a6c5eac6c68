//! Settings of runs and options of their rules in one place, as the flags of the program give them.

use std::sync::Arc;

use crate::inventory::BlobFacts;
use crate::inventory::records::Records;
use crate::rule::{ConflictPolicy, CopyOptions, Immutable, Parts, PlatformFilter, Referrers, Rule};
use crate::settings::{Intent, Listing, RunSettings};
use crate::tag_divider::TagDivider;

/// Settings of a run, and options of all rules without their own.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) intent: Intent,
    pub(crate) platforms: Arc<PlatformFilter>,
    pub(crate) parts: Parts,
    pub(crate) force: bool,
    pub(crate) verify: bool,
    pub(crate) immutable: Arc<Immutable>,
    pub(crate) conflict: Arc<ConflictPolicy>,
    pub(crate) referrers: Option<Arc<Referrers>>,
    pub(crate) transfers: Option<usize>,
    pub(crate) images: usize,
    pub(crate) records: Option<Arc<Records>>,
    pub(crate) blob_facts: Option<Arc<dyn BlobFacts>>,
    pub(crate) listing: Listing,
    pub(crate) tag_divider: Option<Arc<dyn TagDivider>>,
}

impl Settings {
    /// Returns the options.
    pub(crate) fn options(&self) -> CopyOptions {
        CopyOptions {
            platforms: Arc::clone(&self.platforms),
            parts: self.parts,
            referrers: self.referrers.clone(),
            immutable: Immutable::clone(&self.immutable),
            conflict: ConflictPolicy::clone(&self.conflict),
            force: self.force,
            verify: self.verify,
        }
    }
    /// Returns `rules`, with the options for those without their own.
    pub(crate) fn complete(&self, rules: &[Arc<Rule>]) -> Vec<Arc<Rule>> {
        let options = Arc::new(self.options());
        let mut rules = rules.to_vec();
        for rule in &mut rules {
            if *rule.options == CopyOptions::default() {
                Arc::make_mut(rule).options = Arc::clone(&options);
            }
        }
        rules
    }
}

impl From<Settings> for RunSettings {
    fn from(settings: Settings) -> Self {
        Self {
            intent: settings.intent,
            transfers: settings.transfers,
            images: settings.images,
            records: settings.records,
            blob_facts: settings.blob_facts,
            listing: settings.listing,
            progress: None,
            tag_divider: settings.tag_divider,
        }
    }
}

pub(crate) fn settings() -> Settings {
    Settings {
        intent: Intent::Copy,
        platforms: Arc::default(),
        parts: Parts::default(),
        force: false,
        verify: false,
        immutable: Arc::default(),
        conflict: Arc::default(),
        referrers: None,
        transfers: None,
        images: 4,
        records: None,
        blob_facts: None,
        listing: Listing::Auto,
        tag_divider: None,
    }
}

pub(crate) fn only(arch: &str) -> Settings {
    let platforms = PlatformFilter::parse(&[], &[arch.to_owned()]).unwrap();
    Settings {
        platforms: Arc::new(platforms),
        ..settings()
    }
}

pub(crate) fn forced() -> Settings {
    Settings {
        force: true,
        ..settings()
    }
}

pub(crate) fn verifying() -> Settings {
    Settings {
        verify: true,
        ..settings()
    }
}

pub(crate) fn one_at_a_time() -> Settings {
    Settings {
        images: 1,
        ..settings()
    }
}

/// Returns settings with referrers, the default of the program.
pub(crate) fn with_referrers() -> Settings {
    Settings {
        referrers: Some(Arc::default()),
        ..settings()
    }
}

pub(crate) fn with_intent(intent: Intent) -> Settings {
    Settings {
        intent,
        ..settings()
    }
}
