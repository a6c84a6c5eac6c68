//! A server that is away for a while, or for good.

use super::support::{Shared, until, wait_for_workers};
use crate::support::postgres::{Postgres, StopMode};

/// Number of requests after which the server stops; a run has more.
const REQUESTS: u64 = 150;

#[test]
fn a_server_that_crashes_and_comes_back_loses_nothing() {
    if !Postgres::is_installed() {
        return;
    }
    let mut server = Postgres::start();
    let shared = Shared::new(&server);
    let logs = ["one.log", "two.log"];
    let workers = logs.map(|log| shared.logged_worker(log));
    wait_for_workers(&server, 2);
    let mut run = shared.begin(&[]);
    assert!(shared.wait_for_requests(REQUESTS, &mut run));
    server.stop(StopMode::Immediate);
    let before = shared.destination.totals().requests;
    // The images of the units in progress go on.
    until(|| shared.destination.totals().requests > before + 20);
    for log in logs {
        shared.wait_for_line(log, "Transfers go on, and this is tried again.");
    }
    server.resume();
    run.outcome().exits(0);
    shared.has_all();
    shared.reports_all();
    for worker in workers {
        worker.terminate().exits(0);
    }
}

#[test]
fn a_server_that_stays_away_ends_the_run_after_the_time_limit() {
    if !Postgres::is_installed() {
        return;
    }
    let mut server = Postgres::start();
    let shared = Shared::new(&server);
    let mut run = shared.begin(&["--share-timeout", "2"]);
    assert!(shared.wait_for_requests(REQUESTS, &mut run));
    server.stop(StopMode::Immediate);
    let outcome = run.outcome().exits(1);
    assert!(
        outcome
            .stderr
            .contains("This was tried for 2 seconds, the time of --share-timeout."),
        "{}",
        outcome.stderr
    );
    let report = shared.report();
    assert_eq!(report["exit_code"], 1);
    assert_eq!(report["complete"], false, "{}", outcome.stderr);
}
