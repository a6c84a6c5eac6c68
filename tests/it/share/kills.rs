//! SIGKILL of workers at any moment.

use super::support::{Shared, rounds, wait_for_workers};
use crate::support::draw;
use crate::support::postgres::Postgres;

/// Number of requests that the destination receives in a run; less than all of them.
const REQUESTS: u64 = 500;

#[test]
fn a_killed_worker_costs_only_what_it_was_sending() {
    // All following numbers depend on the seed.
    const SEED: u64 = 0x5EED;
    if !Postgres::is_installed() {
        return;
    }
    let server = Postgres::start();
    for round in 0..rounds(8, 200) {
        let shared = Shared::new(&server);
        let mut workers = vec![shared.worker(), shared.worker()];
        wait_for_workers(&server, 2);
        let mut run = shared.begin(&[]);
        let after = draw(SEED, 2 * round) % REQUESTS;
        let victim = usize::from(draw(SEED, 2 * round + 1).is_multiple_of(2));
        let name = format!("round {round}: worker {victim} after {after} requests");
        shared.wait_for_requests(after, &mut run);
        workers.swap_remove(victim).kill();
        workers.push(shared.worker());
        let outcome = run.outcome();
        assert_eq!(outcome.code, 0, "{name}: {}", outcome.stderr);
        shared.has_all();
        shared.reports_all();
        for (digest, uploads) in shared.uploads() {
            assert!(uploads <= 2, "{name}: {digest} was sent {uploads} times");
        }
        for worker in workers {
            worker.terminate().exits(0);
        }
        server.sql("DELETE FROM image_syncer.workers");
    }
}
