#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::*;

const CALLS: WindowBounds = WindowBounds {
    start: 64,
    most: 256,
};
const MS: Duration = Duration::from_millis(1);

/// A server that handles this many requests at a time, and a client that always has more to send.
struct Sim {
    window: ConcurrencyWindow,
    now: Instant,
    service: Duration,
    /// Time at which each worker of the server is free.
    workers: BinaryHeap<Reverse<Instant>>,
    /// Answers in order of arrival: time, order of the request, start, and epoch.
    flying: BinaryHeap<Reverse<(Instant, u64, Instant, u64)>>,
    asked: u64,
}

impl Sim {
    fn new(bounds: WindowBounds, workers: usize, service: Duration) -> Self {
        let now = Instant::now();
        Self {
            window: ConcurrencyWindow::new(bounds),
            now,
            service,
            workers: std::iter::repeat_n(Reverse(now), workers).collect(),
            flying: BinaryHeap::new(),
            asked: 0,
        }
    }
    fn ask(&mut self, extra: Duration) {
        let Reverse(free) = self.workers.pop().unwrap();
        let done = free.max(self.now) + self.service;
        self.workers.push(Reverse(done));
        let flight = (done + extra, self.asked, self.now, self.window.epoch());
        self.flying.push(Reverse(flight));
        self.asked += 1;
    }
    /// Answers this many requests; `extra` returns additional latency by the number of a request.
    fn run(&mut self, answers: usize, extra: impl Fn(u64) -> Duration) {
        for _ in 0..answers {
            while self.flying.len() < self.window.size() {
                self.ask(extra(self.asked));
            }
            let full = self.flying.len() >= self.window.size();
            let Reverse((at, _, since, epoch)) = self.flying.pop().unwrap();
            self.now = at;
            self.window.record_answer(&MeasuredResponse {
                epoch,
                at,
                full,
                roomy: true,
                latency: Some(at - since),
            });
        }
    }
}

/// A good answer of the present epoch without any other information.
fn good(window: &ConcurrencyWindow, full: bool, roomy: bool) -> MeasuredResponse {
    MeasuredResponse {
        epoch: window.epoch(),
        at: Instant::now(),
        full,
        roomy,
        latency: None,
    }
}

#[test]
fn the_window_of_a_fast_server_grows_to_its_maximum() {
    let mut sim = Sim::new(CALLS, 10_000, 20 * MS);
    sim.run(64, |_| MS);
    assert_eq!(sim.window.size(), 128);
    sim.run(128, |_| MS);
    assert_eq!(sim.window.size(), 256);
    sim.run(10_000, |_| MS);
    assert_eq!(sim.window.size(), 256);
}

#[test]
fn the_window_settles_where_the_server_is_busy_and_its_queue_short() {
    for workers in [10, 30, 100] {
        let mut sim = Sim::new(CALLS, workers, 40 * MS);
        // Minutes of it: the best latency expires and is measured again many times.
        for _ in 0..100 {
            sim.run(1_000, |_| Duration::ZERO);
            if sim.window.probing.is_none() {
                let size = sim.window.size();
                assert!(
                    (workers..=workers * 5 / 2).contains(&size),
                    "{workers} workers: {size}"
                );
            }
        }
        assert!(sim.now.duration_since(Instant::now()) > BELIEVED);
    }
}

#[test]
fn a_longer_route_does_not_narrow_the_window_permanently() {
    let mut sim = Sim::new(CALLS, 10_000, 20 * MS);
    sim.run(1_000, |_| Duration::ZERO);
    assert_eq!(sim.window.size(), 256);
    sim.run(2_000, |_| 100 * MS);
    assert!(sim.window.size() < 256);
    sim.run(60_000, |_| 100 * MS);
    assert_eq!(sim.window.size(), 256);
}

#[test]
fn answers_that_hang_are_no_sign_of_load() {
    let mut sim = Sim::new(CALLS, 10_000, 20 * MS);
    // Every hundredth takes five seconds more.
    let hangs = |number: u64| {
        if number % 100 == 99 {
            5_000 * MS
        } else {
            Duration::ZERO
        }
    };
    for _ in 0..100 {
        sim.run(200, hangs);
        assert!(sim.window.size() >= 64);
    }
    assert_eq!(sim.window.size(), 256);
}

#[test]
fn a_series_of_refusals_narrows_once_per_round_and_the_window_recovers_quickly() {
    let mut window = ConcurrencyWindow::new(CALLS);
    let mut sizes = Vec::new();
    for _ in 0..8 {
        // All requests of a round are refused.
        let (epoch, round) = (window.epoch(), window.size());
        for _ in 0..round {
            sizes.extend(window.overloaded(epoch));
        }
    }
    assert_eq!(sizes, [32, 16, 8, 4, 2, 1]);
    // Doubles up to where the series began, then grows by one per round.
    let mut rounds = Vec::new();
    for _ in 0..8 {
        for _ in 0..window.size() {
            window.record_answer(&good(&window, true, true));
        }
        rounds.push(window.size());
    }
    assert_eq!(rounds, [2, 4, 8, 16, 32, 32, 33, 34]);
}

#[test]
fn answers_from_before_a_refusal_neither_widen_nor_narrow() {
    let mut window = ConcurrencyWindow::new(CALLS);
    let before = window.epoch();
    assert_eq!(window.overloaded(before), Some(32));
    let old = MeasuredResponse {
        epoch: before,
        ..good(&window, true, true)
    };
    for _ in 0..100 {
        window.record_answer(&old);
        assert_eq!(window.overloaded(before), None);
        assert_eq!(window.broke(before), None);
    }
    assert_eq!(window.size(), 32);
}

#[test]
fn a_window_that_is_not_used_does_not_grow() {
    let mut window = ConcurrencyWindow::new(CALLS);
    for _ in 0..1_000 {
        window.record_answer(&good(&window, false, true));
    }
    assert_eq!(window.size(), 64);
}

#[test]
fn above_its_start_a_window_grows_only_if_more_requests_cost_little() {
    let mut window = ConcurrencyWindow::new(CALLS);
    window.overloaded(window.epoch());
    for _ in 0..10_000 {
        window.record_answer(&good(&window, true, false));
    }
    assert_eq!(window.size(), 64);
    window.record_answer(&good(&window, true, true));
    for _ in 0..100_000 {
        window.record_answer(&good(&window, true, true));
    }
    assert_eq!(window.size(), 256);
}

#[test]
fn two_broken_connections_narrow_the_window_if_others_are_answered() {
    let mut window = ConcurrencyWindow::new(CALLS);
    // A host that answers nobody.
    for _ in 0..10 {
        assert_eq!(window.broke(window.epoch()), None);
    }
    window.record_answer(&good(&window, true, false));
    assert_eq!(window.broke(window.epoch()), Some(32));
    window.record_answer(&good(&window, true, false));
    assert_eq!(window.broke(window.epoch()), None);
    assert_eq!(window.broke(window.epoch()), Some(16));
}

#[test]
fn a_fixed_window_of_one_stays() {
    let mut window = ConcurrencyWindow::new(WindowBounds::at_most(1));
    for _ in 0..100 {
        window.record_answer(&good(&window, true, true));
        assert_eq!(window.overloaded(window.epoch()), None);
    }
    assert_eq!(window.size(), 1);
    assert_eq!(ConcurrencyWindow::new(WindowBounds::at_most(0)).size(), 1);
}
