//! Time of shared runs in a simulation: the division of repositories and the claims are those of the program, the copies
//! take as long as their bytes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use image_syncer_registry::Tag;
use image_syncer_sync::Repository;
use image_syncer_sync::report::Report;
use image_syncer_sync::rule::Rule;
use image_syncer_sync::session::TagDivider;
use image_syncer_sync::settings::Intent;

use crate::lock::lock;
use crate::share::backlog::COPYING;
use crate::share::divider::UnitDivider;
use crate::share::worker::{CLAIMED, UNITS};
use crate::share::{
    ClaimedUnit, LocalShare, NewUnit, Share, ShareError, UnitCost, UnitEnd, UnitSpec, unit_rules,
};

/// Transfers of a worker at a time.
const SLOTS: usize = 4;
/// Time of a claim.
const CLAIM: u64 = 10;
/// Time of a list of tags.
const LIST: u64 = 60;
/// Time of an image besides its bytes.
const LATENCY: u64 = 20;
/// Tags of a page.
const PAGE: usize = 100;

/// Times of the images of each repository, in milliseconds.
type Repositories = Vec<Vec<u64>>;

/// Queue of units, the heaviest first.
#[derive(Default)]
struct Queue(Mutex<BTreeSet<(Reverse<i64>, usize)>>, Mutex<Vec<NewUnit>>);

impl Queue {
    fn push(&self, units: Vec<NewUnit>) {
        let mut all = lock(&self.1);
        for unit in units {
            lock(&self.0).insert((Reverse(unit.weight), all.len()));
            all.push(unit);
        }
    }

    /// Claims units as `claim.sql` does.
    fn claim(&self, free: usize, workers: usize) -> Vec<UnitSpec> {
        let (mut queue, all) = (lock(&self.0), lock(&self.1));
        let is_whole = |id: usize| !matches!(all[id].spec, UnitSpec::Part { .. });
        let first = queue.iter().take(free * workers);
        let whole = first.filter(|(_, id)| is_whole(*id)).count();
        let limit = free.min(whole / workers).max(1);
        let claimed: Vec<_> = queue.iter().take(limit).copied().collect();
        let specs = claimed.into_iter().map(|unit| {
            queue.remove(&unit);
            all[unit.1].spec.clone()
        });
        specs.collect()
    }
}

impl Share for Queue {
    fn claim(&self, _: usize) -> BoxFuture<'_, Result<Option<Vec<ClaimedUnit>>, ShareError>> {
        ready(Ok(None)).boxed()
    }
    fn add<'a>(
        &'a self,
        _: &'a ClaimedUnit,
        units: Vec<NewUnit>,
    ) -> BoxFuture<'a, Result<bool, ShareError>> {
        self.push(units);
        ready(Ok(true)).boxed()
    }
    fn parts<'a>(
        &'a self,
        _: &'a ClaimedUnit,
    ) -> BoxFuture<'a, Result<HashSet<String>, ShareError>> {
        ready(Ok(HashSet::new())).boxed()
    }
    fn costs<'a>(
        &'a self,
        _: &'a ClaimedUnit,
        _: Vec<String>,
    ) -> BoxFuture<'a, HashMap<String, UnitCost>> {
        ready(HashMap::new()).boxed()
    }
    fn end<'a>(
        &'a self,
        _: &'a ClaimedUnit,
        _: UnitEnd,
    ) -> BoxFuture<'a, Result<bool, ShareError>> {
        ready(Ok(true)).boxed()
    }
}

/// Something that happens to a worker.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Claim,
    /// The next page of a repository arrives.
    Page(Listed),
    /// An image of a unit ends.
    Image(usize),
}

/// A repository that a unit lists.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Listed {
    unit: usize,
    repository: usize,
    page: usize,
}

#[derive(Default)]
struct WorkerState {
    /// Number of images that have not ended, by unit, and one for a list that has not.
    units: BTreeMap<usize, usize>,
    waiting: VecDeque<(usize, u64)>,
    copying: usize,
    /// True from the begin of a claim to the next event without units.
    claims: bool,
}

/// Simulation of one run.
struct Simulation {
    repositories: Repositories,
    queue: Arc<Queue>,
    share: Arc<dyn Share>,
    workers: Vec<WorkerState>,
    /// Dividers of the repositories that are listed, by unit.
    dividers: HashMap<usize, (Arc<dyn TagDivider>, Rule)>,
    steps: BinaryHeap<Reverse<(u64, usize, usize, Step)>>,
    now: u64,
    count: usize,
}

impl Simulation {
    /// Returns the time of a run with this number of workers, in milliseconds.
    fn run(repositories: Repositories, workers: usize) -> u64 {
        let queue = Arc::new(Queue::default());
        let units = (0..repositories.len()).map(|number| {
            let repository = Repository::parse(&format!("s.example/team/{number}")).unwrap();
            unit_rules::repository_unit(0, &repository)
        });
        queue.push(units.collect());
        let mut simulation = Self {
            repositories,
            share: queue.clone(),
            queue,
            workers: (0..workers).map(|_| WorkerState::default()).collect(),
            dividers: HashMap::new(),
            steps: BinaryHeap::new(),
            now: 0,
            count: 0,
        };
        loop {
            for worker in 0..workers {
                simulation.work(worker);
            }
            let Some(Reverse((now, _, worker, step))) = simulation.steps.pop() else {
                return simulation.now;
            };
            simulation.now = now;
            simulation.happen(worker, step);
        }
    }

    fn after(&mut self, time: u64, worker: usize, step: Step) {
        self.count += 1;
        self.steps
            .push(Reverse((self.now + time, self.count, worker, step)));
    }

    /// Starts images and claims.
    fn work(&mut self, worker: usize) {
        while self.workers[worker].copying < SLOTS {
            let Some((unit, time)) = self.workers[worker].waiting.pop_front() else {
                break;
            };
            self.workers[worker].copying += 1;
            self.after(LATENCY + time, worker, Step::Image(unit));
        }
        let state = &self.workers[worker];
        let suffices = state.waiting.len() + state.copying >= COPYING;
        let is_full = state.units.len() >= UNITS || !state.units.is_empty() && suffices;
        let is_empty = lock(&self.queue.0).is_empty();
        if !state.claims && !is_full && !is_empty {
            self.workers[worker].claims = true;
            self.after(CLAIM, worker, Step::Claim);
        }
    }

    fn happen(&mut self, worker: usize, step: Step) {
        match step {
            Step::Claim => {
                self.workers[worker].claims = false;
                let free = UNITS - self.workers[worker].units.len();
                for spec in self.queue.claim(free.min(CLAIMED), self.workers.len()) {
                    self.begin(worker, spec);
                }
            }
            Step::Page(listed) => self.list(worker, listed),
            Step::Image(unit) => {
                self.workers[worker].copying -= 1;
                self.end(worker, unit);
            }
        }
    }

    fn begin(&mut self, worker: usize, spec: UnitSpec) {
        self.count += 1;
        let unit = self.count;
        match &spec {
            UnitSpec::Repository { repository, .. } => {
                let listed = Listed {
                    unit,
                    repository: number_of(repository),
                    page: 0,
                };
                let none = |_: &_| unreachable!();
                let rule = Rule::parse(repository, &["d.example/app"], &none).unwrap();
                let share = LocalShare::new(Intent::Copy, Arc::new(Report::new()));
                let claimed = share.claim(1).now_or_never().unwrap().unwrap().unwrap();
                let claimed = ClaimedUnit {
                    spec,
                    ..claimed[0].clone()
                };
                let divider = UnitDivider::for_unit(&self.share, &claimed).unwrap();
                self.dividers.insert(unit, (divider, rule));
                self.workers[worker].units.insert(unit, 1);
                self.after(LIST, worker, Step::Page(listed));
            }
            UnitSpec::Part {
                repository, tags, ..
            } => {
                let times = &self.repositories[number_of(repository)];
                let images = tags.iter().map(|tag| (unit, times[number_of(tag)]));
                let state = &mut self.workers[worker];
                state.units.insert(unit, tags.len());
                state.waiting.extend(images);
            }
            other => unreachable!("{other:?}"),
        }
    }

    fn list(&mut self, worker: usize, listed: Listed) {
        let unit = listed.unit;
        let times = &self.repositories[listed.repository];
        let (from, to) = (
            listed.page * PAGE,
            times.len().min((listed.page + 1) * PAGE),
        );
        let tags = (from..to).map(|tag| Tag::parse(&format!("v{tag}")).unwrap());
        let tags: Vec<Tag> = tags.collect();
        let (divider, rule) = &self.dividers[&unit];
        let others = divider.divide(rule, &tags).now_or_never().unwrap();
        let state = &mut self.workers[worker];
        for (tag, time) in tags.iter().zip(&times[from..to]) {
            if !others.contains(tag) {
                *state.units.entry(unit).or_default() += 1;
                state.waiting.push_back((unit, *time));
            }
        }
        if to == times.len() {
            self.end(worker, unit);
        } else {
            let page = listed.page + 1;
            self.after(LIST, worker, Step::Page(Listed { page, ..listed }));
        }
    }

    /// Ends an image or the list of a unit.
    fn end(&mut self, worker: usize, unit: usize) {
        let units = &mut self.workers[worker].units;
        let left = units.get_mut(&unit).unwrap();
        *left -= 1;
        if *left == 0 {
            units.remove(&unit);
        }
    }
}

/// Returns the number at the end of a name.
fn number_of(name: &str) -> usize {
    let digits = name.rsplit(|it: char| !it.is_ascii_digit()).next();
    digits.unwrap().parse().unwrap()
}

/// Asserts that runs need at most 1.3 of the time in which all transfers of all workers are busy to the end.
#[track_caller]
fn is_near_the_ideal(repositories: &Repositories, counts: &[usize]) {
    let images = repositories.iter().flatten();
    let total: u64 = images.map(|time| LATENCY + time).sum();
    for workers in counts {
        let time = Simulation::run(repositories.clone(), *workers);
        let ideal = total / (workers * SLOTS) as u64;
        assert!(
            time * 10 <= ideal * 13,
            "{workers} workers: {time} ms instead of {ideal} ms"
        );
    }
}

/// Returns the times of images that differ by a factor of up to seven.
fn uneven(count: usize, least: u64) -> Vec<u64> {
    let factor = |number: usize| (number * number * 7 + number * 3) % 7 + 1;
    (0..count).map(|it| least * factor(it) as u64).collect()
}

#[test]
fn a_repository_with_most_of_the_bytes_is_divided_well() {
    let small = (0..64).map(|_| vec![200; 4]);
    // At the end of the list, at its begin, and in the middle.
    for position in [64, 0, 31] {
        let mut repositories: Repositories = small.clone().collect();
        repositories.insert(position, vec![128; 600]);
        is_near_the_ideal(&repositories, &[1, 2, 4, 8]);
        repositories[position] = uneven(600, 32);
        is_near_the_ideal(&repositories, &[1, 2, 4, 8]);
    }
}

#[test]
fn a_single_repository_is_divided_well() {
    is_near_the_ideal(&vec![vec![500; 1_000]], &[1, 2, 4, 8, 16]);
    is_near_the_ideal(&vec![uneven(1_000, 100)], &[1, 2, 4, 8, 16]);
    is_near_the_ideal(&vec![uneven(200, 500)], &[1, 2, 4]);
}

#[test]
fn small_repositories_are_divided_well() {
    let repositories = (0..10_000).map(|number| uneven(number % 3 + 1, 100));
    is_near_the_ideal(&repositories.collect(), &[1, 2, 4, 8, 16]);
}
