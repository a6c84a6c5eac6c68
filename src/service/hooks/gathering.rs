//! Gathering of pushes. The first push after a quiet time starts a run at once. Further ones of the same rule, in the
//! next 5 s, wait for the end of that time and become the next run. So one push arrives without delay, and a burst
//! causes two runs.
//!
//! A manifest without a tag is never the first: it may be a part of an image whose tag follows. If the tag does follow,
//! its run includes the manifest; otherwise the whole repository is copied after 5 s.
//!
//! A run has one repository, so pushes to several repositories of a rule are one run each, one after another: the next
//! one is requested when the one before is over.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::Report;
use super::matching::{Change, Rest};
use crate::lock::lock;
use crate::service::run::{Cause, RunId, RunPurpose, Scope};
use crate::service::runs::{RequestError, RunRequest, Runs};
use crate::ui::LineLabel;

/// Time for which pushes are gathered.
const GATHERED: Duration = Duration::from_secs(5);
/// Maximum number of repositories of a rule that wait. More are a run of the whole rule.
const MAX_REPOSITORIES: usize = 32;
/// Maximum number of tags of a repository that wait. More are a run of the whole repository.
const MAX_TAGS: usize = 1_000;

/// Requests runs for pushes.
#[derive(Clone)]
pub(super) struct Gatherer(Arc<Shared>);

struct Shared {
    runs: Runs,
    report: Report,
    rules: Mutex<HashMap<Arc<str>, Gathered>>,
}

/// Pushes of a rule.
#[derive(Default)]
struct Gathered {
    /// Time of the last request.
    last: Option<Instant>,
    /// The run of that request, unless it is known to be over.
    last_run: Option<RunId>,
    /// Pushes that wait, and the time when they become a request.
    waiting: VecDeque<Change>,
    due: Option<Instant>,
    /// True if the repositories that wait became too many.
    is_everything: bool,
    /// True while a task waits for `due`.
    has_task: bool,
}

impl Gatherer {
    pub(super) fn new(runs: Runs, report: Report) -> Self {
        Self(Arc::new(Shared {
            runs,
            report,
            rules: Mutex::default(),
        }))
    }

    /// Adds pushes of `rule`. Returns the run that starts at once, if one does; the others wait.
    ///
    /// # Errors
    /// The run cannot be requested.
    pub(super) fn add(
        &self,
        rule: &Arc<str>,
        changes: Vec<Change>,
    ) -> Result<Option<RunId>, RequestError> {
        let (scope, needs_task) = {
            let mut rules = lock(&self.0.rules);
            let gathered = rules.entry(Arc::clone(rule)).or_default();
            let last_run = gathered.last_run;
            let is_over = |run| self.0.runs.wait(run).now_or_never().is_some();
            gathered.last_run = last_run.filter(|run| !is_over(*run));
            let scope = gathered.add(Instant::now(), changes);
            let needs_task = !gathered.has_task && gathered.due.is_some();
            gathered.has_task |= needs_task;
            (scope, needs_task)
        };
        let run = scope.map(|scope| self.request(rule, scope)).transpose();
        if needs_task {
            let (gatherer, rule) = (self.clone(), Arc::clone(rule));
            tokio::spawn(async move { gatherer.request_waiting(&rule).await });
        }
        run
    }

    fn request(&self, rule: &Arc<str>, scope: Scope) -> Result<RunId, RequestError> {
        let accepted = self.0.runs.request(RunRequest {
            rule: Arc::clone(rule),
            cause: Cause::Hook,
            purpose: RunPurpose::Sync,
            scope,
        })?;
        if let Some(gathered) = lock(&self.0.rules).get_mut(rule) {
            gathered.last_run = Some(accepted.id);
        }
        Ok(accepted.id)
    }

    /// Requests runs for the pushes of a rule that wait, until none is left.
    async fn request_waiting(&self, rule: &Arc<str>) {
        while let Some((due, last_run)) = self.due(rule) {
            tokio::time::sleep_until(due).await;
            // Another repository would be merged with a run that waits, and extend it to the whole rule.
            if let Some(run) = last_run {
                self.0.runs.wait(run).await;
            }
            let next = |gathered: &mut Gathered| gathered.next(Instant::now());
            let scope = lock(&self.0.rules).get_mut(rule).and_then(next);
            match scope.map(|scope| self.request(rule, scope)) {
                None | Some(Ok(_)) => {}
                Some(Err(RequestError::Stopping)) => return,
                Some(Err(why)) => {
                    let text = format!("cannot start a run of {rule} after a hook: {why}");
                    (self.0.report)(LineLabel::Warning, &text);
                }
            }
        }
    }

    /// Returns when pushes of a rule become a request, and the run before it; without any push, the task ends.
    fn due(&self, rule: &Arc<str>) -> Option<(Instant, Option<RunId>)> {
        let mut rules = lock(&self.0.rules);
        let gathered = rules.get_mut(rule)?;
        gathered.has_task = gathered.due.is_some();
        Some((gathered.due?, gathered.last_run))
    }
}

impl Gathered {
    /// Adds pushes. Returns the part of the rule whose run starts at once, if it is quiet.
    fn add(&mut self, now: Instant, changes: Vec<Change>) -> Option<Scope> {
        let quiet_from = self.last.map(|last| last + GATHERED);
        let is_quiet = self.last_run.is_none()
            && self.waiting.iter().all(Change::may_wait)
            && quiet_from.is_none_or(|quiet_from| now >= quiet_from);
        let mut changes = changes.into_iter().collect::<VecDeque<_>>();
        let mut first = None;
        if is_quiet && let Some(position) = changes.iter().position(|it| !it.may_wait()) {
            first = changes.remove(position);
        }
        if let Some(first) = &first {
            self.last = Some(now);
            // Manifests without a tag that came before it belong to it.
            self.waiting.retain(|it| it.repository != first.repository);
        }
        for change in changes {
            self.wait(change);
        }
        if self.waiting.is_empty() {
            self.due = None;
        } else if self.due.is_none() || first.is_some() {
            let quiet_from = self.last.map(|last| last + GATHERED);
            let due = quiet_from.filter(|quiet_from| *quiet_from > now);
            self.due = Some(due.unwrap_or(now + GATHERED));
        }
        first.map(Change::into_scope)
    }

    /// Adds a push to those that wait.
    fn wait(&mut self, change: Change) {
        if self.is_everything {
            return;
        }
        let mut waiting = self.waiting.iter_mut();
        if let Some(same) = waiting.find(|it| it.repository == change.repository) {
            same.merge(change);
        } else if self.waiting.len() < MAX_REPOSITORIES {
            self.waiting.push_back(change);
        } else {
            self.is_everything = true;
        }
    }

    /// Takes the next run of those that wait, if it is time.
    fn next(&mut self, now: Instant) -> Option<Scope> {
        if self.due.is_none_or(|due| due > now) {
            return None;
        }
        let first = self.waiting.pop_front()?;
        self.last = Some(now);
        if std::mem::take(&mut self.is_everything) {
            self.waiting.clear();
            self.due = None;
            return Some(Scope::default());
        }
        self.due = (!self.waiting.is_empty()).then_some(now);
        Some(first.into_scope())
    }
}

impl Change {
    /// Returns true if a tag may follow that includes it.
    fn may_wait(&self) -> bool {
        self.tags.is_empty() && self.rest == Rest::Digests
    }

    /// Adds a later push to the same repository.
    fn merge(&mut self, later: Self) {
        if self.rest == Rest::Digests && !later.tags.is_empty() && later.rest == Rest::Nothing {
            self.rest = Rest::Nothing;
        }
        self.rest = self.rest.max(later.rest);
        self.tags.extend(later.tags);
        if self.tags.len() > MAX_TAGS {
            self.tags = BTreeMap::new();
            self.rest = Rest::Anything;
        }
    }

    fn into_scope(self) -> Scope {
        let tags = match self.rest {
            Rest::Nothing => self.tags.keys().cloned().collect(),
            Rest::Digests | Rest::Anything => Vec::new(),
        };
        let pushed = self.tags.into_iter().map(|(tag, digest)| {
            let digest = digest.map(|digest| digest.as_str().to_owned());
            (format!("{}:{tag}", self.repository), digest)
        });
        let pushed = pushed.collect();
        Scope {
            tags,
            pushed,
            repository: Some(self.repository),
            ..Scope::default()
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn change(repository: &str, tags: &[&str], rest: Rest) -> Change {
        Change {
            repository: repository.to_owned(),
            tags: tags.iter().map(|tag| ((*tag).to_owned(), None)).collect(),
            rest,
        }
    }

    fn tag(repository: &str, tag: &str) -> Vec<Change> {
        vec![change(repository, &[tag], Rest::Nothing)]
    }

    fn digest(repository: &str) -> Vec<Change> {
        vec![change(repository, &[], Rest::Digests)]
    }

    /// Returns a scope as a text.
    fn text(scope: Option<Scope>) -> String {
        let Some(scope) = scope else {
            return "-".to_owned();
        };
        let repository = scope.repository.unwrap_or_else(|| "*".to_owned());
        format!("{repository}:{}", scope.tags.join(","))
    }

    #[test]
    fn the_first_push_starts_at_once_and_the_others_are_one_run() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut gathered = Gathered::default();
        assert_eq!(text(gathered.add(at(0), tag("a/x", "1"))), "a/x:1");
        assert_eq!(gathered.due, None);
        assert_eq!(text(gathered.add(at(10), tag("a/x", "2"))), "-");
        assert_eq!(text(gathered.add(at(4_900), tag("a/x", "3"))), "-");
        assert_eq!(gathered.due, Some(at(5_000)));
        assert_eq!(text(gathered.next(at(5_000))), "a/x:2,3");
        assert_eq!(gathered.due, None);
        // The second run begins the time again.
        assert_eq!(text(gathered.add(at(9_999), tag("a/x", "4"))), "-");
        assert_eq!(gathered.due, Some(at(10_000)));
        assert_eq!(text(gathered.next(at(10_000))), "a/x:4");
        assert_eq!(text(gathered.add(at(15_000), tag("a/x", "5"))), "a/x:5");
    }

    #[test]
    fn manifests_without_a_tag_wait_for_one() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        // Parts of an index, then its tag.
        let mut gathered = Gathered::default();
        assert_eq!(text(gathered.add(at(0), digest("a/x"))), "-");
        assert_eq!(gathered.due, Some(at(5_000)));
        assert_eq!(text(gathered.add(at(100), digest("a/x"))), "-");
        assert_eq!(text(gathered.add(at(200), tag("a/x", "1"))), "a/x:1");
        assert_eq!(gathered.due, None);
        // A referrer follows: it does not belong to a tag.
        assert_eq!(text(gathered.add(at(300), digest("a/x"))), "-");
        assert_eq!(gathered.due, Some(at(5_200)));
        assert_eq!(text(gathered.next(at(5_200))), "a/x:");
        // A whole envelope at once.
        let mut gathered = Gathered::default();
        let both = vec![change("a/x", &["1"], Rest::Digests)];
        assert_eq!(text(gathered.add(at(0), both)), "a/x:");
        // Within the time, a tag includes the parts before it, and none of those after it.
        assert_eq!(text(gathered.add(at(1), digest("a/x"))), "-");
        assert_eq!(text(gathered.add(at(2), tag("a/x", "2"))), "-");
        let mut other = Gathered {
            waiting: gathered.waiting.clone(),
            due: gathered.due,
            ..Gathered::default()
        };
        assert_eq!(text(gathered.next(at(5_000))), "a/x:2");
        other.wait(digest("a/x").remove(0));
        assert_eq!(text(other.next(at(5_000))), "a/x:");
    }

    #[test]
    fn repositories_follow_one_another_until_they_are_too_many() {
        let now = Instant::now();
        let mut gathered = Gathered::default();
        let both = [tag("a/x", "1"), tag("a/y", "1")].concat();
        assert_eq!(text(gathered.add(now, both)), "a/x:1");
        assert_eq!(text(gathered.add(now, tag("a/z", "1"))), "-");
        assert_eq!(text(gathered.next(now)), "-");
        let now = now + GATHERED;
        assert_eq!(text(gathered.next(now)), "a/y:1");
        assert_eq!(gathered.due, Some(now));
        assert_eq!(text(gathered.next(now)), "a/z:1");
        assert_eq!(gathered.due, None);
        for number in 0..=MAX_REPOSITORIES {
            gathered.add(now, tag(&format!("a/{number}"), "1"));
        }
        assert_eq!(gathered.waiting.len(), MAX_REPOSITORIES);
        let now = now + GATHERED;
        assert_eq!(text(gathered.next(now)), "*:");
        assert_eq!((gathered.due, gathered.waiting.len()), (None, 0));
        let tags: Vec<String> = (0..=MAX_TAGS).map(|tag| tag.to_string()).collect();
        gathered.add(now, tag("a/x", "v"));
        for one in tags {
            gathered.add(now, tag("a/x", &one));
        }
        assert_eq!(text(gathered.next(now + GATHERED)), "a/x:");
    }
}
