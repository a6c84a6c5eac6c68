//! Workers that stand still for longer than their lease.

use testkit::{Action, Fault, Gate, Image, Kind, Layer};

use super::support::{Process, Shared, rounds, until, wait_for_renewals, wait_for_workers};
use crate::support::PATIENCE;
use crate::support::postgres::Postgres;

const REPOSITORY: &str = "team/app";

fn image(name: &str) -> Image {
    Image::single([Layer::tar(name, 9_000)])
}

#[test]
fn a_worker_that_stood_still_does_not_put_an_older_image_back() {
    if !Postgres::is_installed() {
        return;
    }
    for round in 0..rounds(5, 50) {
        // The server is new, so that the only unit is the one of this round.
        let server = Postgres::start();
        stand_still(&server, round);
    }
}

fn stand_still(server: &Postgres, round: u64) {
    let (old, new) = (
        image(&format!("old-{round}")),
        image(&format!("new-{round}")),
    );
    let shared = Shared::empty(server);
    shared.source.push(REPOSITORY, Some("v1"), &old);
    let gate = Gate::new();
    let fault = Fault::on([Kind::UploadPut, Kind::UploadPost, Kind::UploadPatch]).nth(1);
    shared.destination.fault(fault, Action::Hold(gate.clone()));
    let mut processes = [shared.worker(), shared.begin(&[])];
    gate.wait(1, PATIENCE).unwrap();
    wait_for_workers(server, 2);
    let owner = "SELECT owner FROM image_syncer.units WHERE kind = 'repository'";
    let first = server.sql(owner);
    let holder = usize::from(!is_process(&mut processes[0], &first));
    assert!(is_process(&mut processes[holder], &first), "{first}");
    processes[holder].signal("-STOP");
    shared.source.push(REPOSITORY, Some("v1"), &new);
    let arrived = || shared.destination.state().digest(REPOSITORY, "v1");
    until(|| arrived().as_deref() == Some(new.digest()));
    gate.open();
    processes[holder].signal("-CONT");
    let [worker, run] = processes;
    run.outcome().exits(0);
    // The stopped worker sends everything that it will send.
    wait_for_renewals(server);
    worker.terminate().exits(0);
    assert_eq!(arrived().as_deref(), Some(new.digest()), "round {round}");
    let puts = |it: &testkit::Request| {
        it.kind == Kind::ManifestPut && it.reference.as_deref() == Some("v1")
    };
    assert_eq!(shared.destination.count(puts), 1, "round {round}");
    // The result of the first attempt was refused.
    let attempt = "SELECT attempt, losses, state FROM image_syncer.units WHERE kind = 'repository'";
    assert_eq!(server.sql(attempt), "2|1|done");
    assert_ne!(server.sql(owner), first);
    let report = shared.report();
    assert_eq!(report["summary"]["copied"], 1);
    assert_eq!(report["summary"]["failed"], 0);
    assert_eq!(report["images"].as_array().unwrap().len(), 1);
}

/// Returns true for the process of a worker, whose name is `HOST-PID-START`.
fn is_process(process: &mut Process, owner: &str) -> bool {
    let id = process.id().to_string();
    owner.rsplit('-').nth(1) == Some(id.as_str())
}
