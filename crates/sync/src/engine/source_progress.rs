//! Progress of a run at each of its sources: the end of their searches and images, and the referrer tags that the images
//! cover.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use crate::Repository;
use crate::discover::{CoveredTags, SourceTags};
use crate::lock::lock;

/// Tags covered by the images of a source, once all of them have ended; `None` before.
pub(super) type CoveredReceiver = watch::Receiver<Option<Arc<CoveredTags>>>;

/// Progress at all sources of a run.
pub(super) struct SourceProgress {
    source_tags: Arc<SourceTags>,
    sources: Mutex<HashMap<Repository, SourceState>>,
}

/// Progress at one source.
struct SourceState {
    /// Number of rules that may still send images other than leftover tags.
    searching: usize,
    /// Number of rules that have not ended.
    rules: usize,
    /// Number of images that have not ended. Leftover tags are sent after the end of all others.
    images: usize,
    covered: CoveredTags,
    ended: watch::Sender<Option<Arc<CoveredTags>>>,
}

impl SourceProgress {
    /// Returns the progress of a run before its start.
    pub(super) fn new(source_tags: &Arc<SourceTags>) -> Self {
        Self {
            source_tags: Arc::clone(source_tags),
            sources: Mutex::default(),
        }
    }

    /// Records a rule with this source, before its search. Returns a receiver of the covered tags. Images of rules that
    /// are added after all others of the source have ended cover their tags on their own.
    pub(super) fn add_rule(&self, source: &Repository) -> CoveredReceiver {
        let mut sources = lock(&self.sources);
        let state = match sources.entry(source.clone()) {
            Entry::Vacant(free) => free.insert(SourceState {
                searching: 0,
                rules: 0,
                images: 0,
                covered: CoveredTags::default(),
                ended: watch::channel(None).0,
            }),
            Entry::Occupied(state) => state.into_mut(),
        };
        if state.ended.borrow().is_some() {
            state.ended = watch::channel(None).0;
        }
        state.searching += 1;
        state.rules += 1;
        state.ended.subscribe()
    }

    /// Records the start of an image.
    pub(super) fn image_started(&self, source: &Repository) {
        self.update(source, |state| state.images += 1);
    }

    /// Records the end of an image, which covers these tags.
    pub(super) fn image_ended(&self, source: &Repository, covered: CoveredTags) {
        let source_tags = Arc::clone(&self.source_tags);
        self.update(source, |state| {
            state.images = state.images.saturating_sub(1);
            let keep = |subject| source_tags.may_defer_subject(source, subject);
            state.covered.merge(covered, keep);
        });
    }

    /// Records that a rule has sent all of its images, except leftover tags.
    pub(super) fn search_ended(&self, source: &Repository) {
        self.update(source, |state| {
            state.searching = state.searching.saturating_sub(1);
        });
    }

    /// Records the end of a rule.
    pub(super) fn rule_ended(&self, source: &Repository) {
        self.update(source, |state| state.rules = state.rules.saturating_sub(1));
    }

    fn update(&self, source: &Repository, change: impl FnOnce(&mut SourceState)) {
        let mut sources = lock(&self.sources);
        let Some(state) = sources.get_mut(source) else {
            return;
        };
        change(state);
        if state.images > 0 || state.searching > 0 {
            return;
        }
        if state.ended.borrow().is_none() {
            let covered = std::mem::take(&mut state.covered);
            state.ended.send_replace(Some(Arc::new(covered)));
        }
        if state.rules == 0 {
            self.source_tags.release(source);
            sources.remove(source);
        }
    }
}
