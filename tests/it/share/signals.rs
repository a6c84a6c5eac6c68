//! Signals to one of several processes.

use std::net::TcpListener;

use testkit::{Action, Fault, Gate, Kind};

use super::support::{IMAGES, Shared, until, wait_for_renewals, wait_for_workers};
use crate::support::PATIENCE;
use crate::support::postgres::Postgres;

/// Number of requests after which a signal is sent; a run has more.
const REQUESTS: u64 = 100;

#[test]
fn an_interrupt_of_the_process_that_began_the_run_cancels_it_for_all() {
    if !Postgres::is_installed() {
        return;
    }
    let server = Postgres::start();
    let shared = Shared::new(&server);
    // One repository is not listed before the signal.
    let held = Fault::on(Kind::Tags).repository("team/app-20").always();
    let gate = Gate::new();
    shared.source.fault(held, Action::Hold(gate.clone()));
    let workers = [shared.worker(), shared.worker()];
    wait_for_workers(&server, 2);
    let mut run = shared.begin(&[]);
    assert!(shared.wait_for_requests(REQUESTS, &mut run));
    gate.wait(1, PATIENCE).unwrap();
    run.signal("-INT");
    run.outcome().exits(130).says("SIGINT");
    let state = "SELECT state, cancel FROM image_syncer.runs";
    until(|| server.sql(state) == "cancelled|t");
    let running = "SELECT count(*) FROM image_syncer.units WHERE state = 'running'";
    assert_eq!(server.sql(running), "0");
    let report = shared.report();
    assert_eq!(report["exit_code"], 130);
    assert!(report["summary"]["copied"].as_u64().unwrap() < IMAGES as u64);
    // No worker goes on.
    gate.open();
    wait_for_renewals(&server);
    let sent = shared.destination.totals().requests;
    wait_for_renewals(&server);
    assert_eq!(shared.destination.totals().requests, sent);
    for worker in workers {
        worker.terminate().exits(0);
    }
    assert_eq!(shared.destination.problems(), [""; 0]);
}

#[test]
fn a_worker_that_is_terminated_before_it_has_a_server_ends_in_order() {
    if !Postgres::is_installed() {
        return;
    }
    let mut shared = Shared::empty(&Postgres::start());
    // It accepts a connection, and answers nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    shared.set_url(&format!("postgres://syncer@127.0.0.1:{port}/syncer"));
    let worker = shared.worker();
    let connection = silent.accept().unwrap();
    worker
        .terminate()
        .exits(0)
        .says("SIGTERM: the worker ends before it reached the server");
    drop(connection);
}

#[test]
fn a_worker_that_is_terminated_returns_its_units() {
    if !Postgres::is_installed() {
        return;
    }
    let server = Postgres::start();
    let shared = Shared::new(&server);
    let worker = shared.worker();
    wait_for_workers(&server, 1);
    let mut run = shared.begin(&[]);
    assert!(shared.wait_for_requests(REQUESTS, &mut run));
    worker
        .terminate()
        .exits(0)
        .says("SIGTERM: no further image starts; running images may go on for ")
        .says("other workers do the rest")
        .says("the worker ends: ");
    run.outcome().exits(0);
    shared.has_all();
    shared.reports_all();
    let lost = "SELECT sum(losses), min(state), max(state) FROM image_syncer.units";
    assert_eq!(server.sql(lost), "0|done|done");
    let twice: Vec<_> = shared.uploads().into_iter().filter(|it| it.1 > 1).collect();
    assert_eq!(twice, []);
}
