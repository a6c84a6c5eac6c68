//! Selection of the requests that a fault affects.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::Action;
use crate::lock::lock;
use crate::log::{Kind, Request};

type Test = Arc<dyn Fn(&Request) -> bool + Send + Sync>;

/// A selection of requests: a matcher, and which of the matching requests are affected.
///
/// Without [`nth`](Fault::nth), [`times`](Fault::times), [`after`](Fault::after) or
/// [`probability`](Fault::probability), all of them are.
#[derive(Clone)]
pub struct Fault {
    kinds: Option<Vec<Kind>>,
    repository: Option<String>,
    reference: Option<String>,
    test: Option<Test>,
    first: u64,
    count: u64,
    chance: Option<(f64, u64)>,
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fault")
            .field("kinds", &self.kinds)
            .field("repository", &self.repository)
            .field("reference", &self.reference)
            .finish_non_exhaustive()
    }
}

/// The kinds of requests that match: one [`Kind`] or several.
pub trait Matches {
    /// The kinds.
    fn kinds(self) -> Vec<Kind>;
}

impl Matches for Kind {
    fn kinds(self) -> Vec<Kind> {
        vec![self]
    }
}

impl<const N: usize> Matches for [Kind; N] {
    fn kinds(self) -> Vec<Kind> {
        self.to_vec()
    }
}

impl Fault {
    /// Matches requests of this kind, or of these kinds.
    pub fn on(kinds: impl Matches) -> Self {
        Self {
            kinds: Some(kinds.kinds()),
            ..Self::on_any()
        }
    }

    /// Matches all requests.
    pub fn on_any() -> Self {
        Self {
            kinds: None,
            repository: None,
            reference: None,
            test: None,
            first: 1,
            count: u64::MAX,
            chance: None,
        }
    }

    /// Limits the fault to this repository.
    pub fn repository(mut self, name: impl Into<String>) -> Self {
        self.repository = Some(name.into());
        self
    }

    /// Limits the fault to this tag or digest. (The closing PUT of an upload matches by its `digest` parameter.)
    pub fn reference(mut self, reference: impl Into<String>) -> Self {
        self.reference = Some(reference.into());
        self
    }

    /// Limits the fault to requests for which `test` returns true.
    pub fn matching(mut self, test: impl Fn(&Request) -> bool + Send + Sync + 'static) -> Self {
        self.test = Some(Arc::new(test));
        self
    }

    /// Affects only the n-th matching request, from 1.
    pub fn nth(mut self, n: u64) -> Self {
        self.first = n;
        self.count = 1;
        self
    }

    /// Affects the first `k` matching requests.
    pub fn times(mut self, k: u64) -> Self {
        self.count = k;
        self
    }

    /// Skips the first `n` matching requests.
    pub fn after(mut self, n: u64) -> Self {
        self.first = n + 1;
        self
    }

    /// Affects every matching request, which is the default.
    pub fn always(mut self) -> Self {
        self.first = 1;
        self.count = u64::MAX;
        self
    }

    /// Affects each matching request with probability `p`, by a generator that starts from `seed`: the same seed
    /// selects the same requests, counted in order of arrival.
    pub fn probability(mut self, p: f64, seed: u64) -> Self {
        self.chance = Some((p, seed));
        self
    }

    fn matches(&self, request: &Request) -> bool {
        self.kinds
            .as_ref()
            .is_none_or(|kinds| kinds.contains(&request.kind))
            && (self.repository.is_none() || self.repository == request.repository)
            && self.reference.as_deref().is_none_or(|reference| {
                request.reference.as_deref() == Some(reference)
                    || request.parameter("digest").as_deref() == Some(reference)
            })
            && self.test.as_ref().is_none_or(|test| test(request))
    }

    /// Returns true if the `n`-th match (from 1) is affected.
    fn strikes(&self, n: u64) -> bool {
        let in_turn = n >= self.first && n - self.first < self.count;
        in_turn && self.chance.is_none_or(|(p, seed)| draw(seed, n) < p)
    }
}

/// Returns a number in [0, 1) that is determined by `seed` and `n`.
fn draw(seed: u64, n: u64) -> f64 {
    let mut z = seed.wrapping_add(n.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    f64::from(u32::try_from((z ^ (z >> 31)) >> 32).unwrap_or(0)) / (f64::from(u32::MAX) + 1.0)
}

/// An installed fault.
#[derive(Clone, Debug)]
pub struct Handle {
    armed: Arc<Armed>,
}

impl Handle {
    /// Number of requests that it affected so far.
    pub fn hits(&self) -> u64 {
        self.armed.hits.load(Ordering::SeqCst)
    }

    /// Number of requests that matched so far, affected or not.
    pub fn matched(&self) -> u64 {
        self.armed.matched.load(Ordering::SeqCst)
    }
}

#[derive(Debug)]
struct Armed {
    fault: Fault,
    action: Action,
    matched: AtomicU64,
    hits: AtomicU64,
}

/// The faults of a registry.
#[derive(Default)]
pub(crate) struct Plan {
    armed: Mutex<Vec<Arc<Armed>>>,
}

impl Plan {
    pub(crate) fn arm(&self, fault: Fault, action: Action) -> Handle {
        let armed = Arc::new(Armed {
            fault,
            action,
            matched: AtomicU64::new(0),
            hits: AtomicU64::new(0),
        });
        self.lock().push(Arc::clone(&armed));
        Handle { armed }
    }

    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    /// Returns the action for a request, if a fault fires. Counting and deciding are one step, so that concurrent
    /// requests do not both count as the n-th.
    pub(crate) fn fire(&self, request: &Request) -> Option<Action> {
        let mut fired = None;
        for armed in self.lock().iter().filter(|a| a.fault.matches(request)) {
            let n = armed.matched.fetch_add(1, Ordering::SeqCst) + 1;
            if fired.is_none() && armed.fault.strikes(n) {
                armed.hits.fetch_add(1, Ordering::SeqCst);
                fired = Some(armed.action.clone());
            }
        }
        fired
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Armed>>> {
        lock(&self.armed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns() {
        let struck = |fault: Fault| (1..=6).filter(|&n| fault.strikes(n)).collect::<Vec<_>>();
        assert_eq!(struck(Fault::on_any()), [1, 2, 3, 4, 5, 6]);
        assert_eq!(struck(Fault::on_any().nth(3)), [3]);
        assert_eq!(struck(Fault::on_any().times(2)), [1, 2]);
        assert_eq!(struck(Fault::on_any().after(4)), [5, 6]);
        assert_eq!(struck(Fault::on_any().after(1).times(2)), [2, 3]);
        assert_eq!(struck(Fault::on_any().nth(3).always()), [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn chance_follows_from_the_seed() {
        let struck = |p, seed| {
            let fault = Fault::on_any().probability(p, seed);
            (1..=10_000).filter(|&n| fault.strikes(n)).count()
        };
        assert_eq!(struck(0.0, 1), 0);
        assert_eq!(struck(1.0, 1), 10_000);
        assert_eq!(struck(0.1, 1), struck(0.1, 1));
        assert!((900..1100).contains(&struck(0.1, 1)), "{}", struck(0.1, 1));
    }
}
