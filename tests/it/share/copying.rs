//! Processes that nothing disturbs.

use std::collections::BTreeMap;

use testkit::Kind;

use super::support::{REPOSITORIES, Shared, images, wait_for_workers};
use crate::support::postgres::Postgres;

#[test]
fn three_processes_divide_forty_repositories_and_nothing_is_done_twice() {
    if !Postgres::is_installed() {
        return;
    }
    let server = Postgres::start();
    let shared = Shared::new(&server);
    let workers = [shared.idle_worker(), shared.idle_worker()];
    wait_for_workers(&server, 2);
    let run = shared.begin(&[]).outcome().exits(0);
    assert_eq!(run.stdout, "");
    shared.has_all();
    shared.reports_all();
    let mut lists = BTreeMap::new();
    for request in shared.source.requests() {
        if request.kind == Kind::Tags {
            *lists.entry(request.repository.unwrap()).or_insert(0) += 1;
        }
    }
    let expected = images().into_keys().map(|(name, _)| (name, 1));
    assert_eq!(lists, expected.collect());
    assert_eq!(shared.source.count(|it| it.kind == Kind::Catalog), 1);
    let twice: Vec<_> = shared.uploads().into_iter().filter(|it| it.1 > 1).collect();
    assert_eq!(twice, []);
    // All of them worked.
    let owners = "SELECT count(DISTINCT owner) FROM image_syncer.units WHERE kind = 'repository'";
    assert_eq!(server.sql(owners), "3");
    let units = "SELECT count(*), min(attempt), max(attempt), min(state), max(state) \
                 FROM image_syncer.units WHERE kind = 'repository'";
    assert_eq!(server.sql(units), format!("{REPOSITORIES}|1|1|done|done"));
    // The report has the requests and bytes of all of them.
    let report = shared.report();
    for registry in [&shared.source, &shared.destination] {
        let hosts = report["hosts"].as_array().unwrap();
        let mut hosts = hosts.iter().filter(|it| it["host"] == registry.host());
        let requests = hosts.next().unwrap()["requests"].as_u64();
        assert_eq!(requests, Some(registry.requests().len() as u64));
    }
    let sent = report["summary"]["sent_bytes"].as_u64();
    assert_eq!(sent, Some(shared.destination.bytes_received()));
    for worker in workers {
        worker.outcome().exits(0).says("the worker ends: ");
    }
}
