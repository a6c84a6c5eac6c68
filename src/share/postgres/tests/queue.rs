//! Units: claims, leases, ends.

use std::time::Duration;

use futures_util::future::join_all;
use image_syncer_sync::Event;

use super::*;
use crate::share::postgres::{NewRun, PostgresShare, ShareOptions, SharedRunState};
use crate::share::{ClaimedUnit, NewUnit, RunKey, RunWork, Share, UnitCost, UnitEnd, UnitSpec};

/// Digest of the rules.
pub(super) const DIGEST: &str = "sha256:abc";

/// Connects a worker, with the lines that it prints.
pub(super) async fn worker_with(
    server: &Postgres,
    digest: &str,
    lease: Duration,
) -> (Arc<PostgresShare>, Lines) {
    let lines = Lines::default();
    let printed = Arc::clone(&lines);
    let options = ShareOptions {
        url: server.url(),
        timeout: Duration::from_secs(60),
        digest: digest.to_owned(),
    };
    let report = Arc::new(move |line: &str| printed.lock().unwrap().push(line.to_owned()));
    let share = PostgresShare::with_lease(options, lease, report).await;
    (share.unwrap(), lines)
}

pub(super) async fn worker(server: &Postgres) -> Arc<PostgresShare> {
    worker_with(server, DIGEST, Duration::from_secs(60)).await.0
}

pub(super) fn unit(number: usize, weight: i64) -> NewUnit {
    let repository = format!("a.example/x{number}");
    NewUnit {
        key: format!("repository:0:{repository}"),
        weight,
        spec: UnitSpec::Repository {
            pattern: 0,
            repository,
            image_bytes: None,
        },
    }
}

pub(super) fn new_run() -> NewRun {
    NewRun {
        work: RunWork::default(),
        cause: "test".to_owned(),
        slot: None,
    }
}

pub(super) async fn open(share: &PostgresShare, units: usize) -> RunKey {
    let units: Vec<NewUnit> = (0..units).map(|number| unit(number, 0)).collect();
    let opened = share.open_with(new_run(), &units).await.unwrap();
    assert!(opened.is_new);
    opened.run
}

pub(super) async fn claim(units: &Arc<dyn Share>, free: usize) -> Vec<ClaimedUnit> {
    let claimed = tokio::time::timeout(Duration::from_secs(30), units.claim(free));
    claimed.await.unwrap().unwrap().unwrap_or_default()
}

pub(super) async fn claim_one(units: &Arc<dyn Share>) -> ClaimedUnit {
    let mut claimed = claim(units, 1).await;
    assert_eq!(claimed.len(), 1);
    claimed.pop().unwrap()
}

pub(super) fn warn(unit: &ClaimedUnit, text: &str) {
    let text = text.to_owned();
    unit.listener.event(&Event::Warning { text });
}

/// Ends the lease of all units, for the server alone.
pub(super) fn expire(server: &Postgres) {
    server.sql("UPDATE image_syncer.units SET lease_until = now() - interval '1 s' WHERE state = 'running'");
}

pub(super) async fn state(share: &PostgresShare, run: RunKey) -> SharedRunState {
    share.run(run).await.unwrap().state
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_units_come_first_and_workers_divide_them_evenly() {
    if !Postgres::is_installed() {
        return;
    }
    let server = Postgres::start();
    let (one, two) = (worker(&server).await, worker(&server).await);
    let units = (0..10).map(|number| unit(number, i64::try_from(number % 5).unwrap()));
    let units: Vec<NewUnit> = units.collect();
    let run = one.open_with(new_run(), &units).await.unwrap().run;
    let (one, two) = (one.for_run(run), two.for_run(run));
    let ids = |units: &[ClaimedUnit]| {
        let mut ids: Vec<i64> = units.iter().map(|it| it.id - 1).collect();
        ids.sort_unstable();
        ids
    };
    let first = claim(&one, 16).await;
    assert_eq!(ids(&first), [2, 3, 4, 8, 9]);
    let second = claim(&two, 1).await;
    assert_eq!(ids(&second), [7]);
    // Half of the four that are left.
    let third = claim(&two, 16).await;
    assert_eq!(ids(&third), [1, 6]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_worker_can_neither_end_nor_add() {
    if !Postgres::is_installed() {
        return;
    }
    let server = Postgres::start();
    let (late, lines) = worker_with(&server, DIGEST, Duration::from_secs(60)).await;
    let next = worker(&server).await;
    let run = open(&late, 1).await;
    let units = late.for_run(run);
    let lost = claim_one(&units).await;
    assert!(lost.lease.as_ref().unwrap().is_held());
    warn(&lost, "of the late worker");
    expire(&server);
    let others = next.for_run(run);
    let taken = claim_one(&others).await;
    assert_eq!((lost.attempt, taken.attempt, taken.id), (1, 2, lost.id));
    assert!(!units.add(&lost, vec![unit(7, 0)]).await.unwrap());
    late.renew().await.unwrap();
    assert!(lost.ended.is_cancelled());
    assert!(!lost.lease.as_ref().unwrap().is_held());
    let line = format!("unit 1 of the run {} was given to another worker", run.0);
    assert!(lines.lock().unwrap()[0].starts_with(&line), "{lines:?}");
    assert!(!units.end(&lost, UnitEnd::Done).await.unwrap());
    warn(&taken, "of the next worker");
    assert!(others.add(&taken, vec![unit(8, 0)]).await.unwrap());
    assert!(others.end(&taken, UnitEnd::Done).await.unwrap());
    let added = claim_one(&others).await;
    assert!(others.end(&added, UnitEnd::Done).await.unwrap());
    assert!(units.claim(1).await.unwrap().is_none());
    let news = next.news(run, 0).await.unwrap();
    assert_eq!(
        (news.units.len(), news.last, news.state),
        (2, 2, SharedRunState::Done)
    );
    let text = "of the next worker".to_owned();
    assert_eq!(news.units[0].result, Ok(vec![Event::Warning { text }]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_was_stored_is_no_error_the_second_time() {
    if !Postgres::is_installed() {
        return;
    }
    let server = Postgres::start();
    let share = worker(&server).await;
    let run = open(&share, 2).await;
    let units = share.for_run(run);
    let unit = claim_one(&units).await;
    let ending = super::super::units::Ending {
        attempt: (&unit).into(),
        owner: share.worker.id.clone(),
        state: "done",
        result: "[]".to_owned(),
        cost: UnitCost::default(),
        usage: None,
        only_if_cancelled: false,
    };
    for _ in 0..2 {
        assert!(ending.try_once(&share.database.work, false).await.unwrap());
    }
    let found = share.run(run).await.unwrap();
    assert_eq!(
        (found.finished, found.units, found.state),
        (1, 2, SharedRunState::Running)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn units_are_added_once_whoever_repeats_it() {
    if !Postgres::is_installed() {
        return;
    }
    let server = Postgres::start();
    let share = worker(&server).await;
    let run = open(&share, 1).await;
    let units = share.for_run(run);
    let listing = claim_one(&units).await;
    let found = || {
        (0..25_000)
            .map(|number| unit(number, 0))
            .collect::<Vec<_>>()
    };
    for _ in 0..2 {
        assert!(units.add(&listing, found()).await.unwrap());
    }
    // The first has the key of the unit that adds it.
    assert_eq!(units_by_state(&server), "queued|24999\nrunning|1");
    assert_eq!(share.run(run).await.unwrap().units, 25_000);
    assert_eq!(
        server.sql("SELECT count(DISTINCT id) FROM image_syncer.units"),
        "25000"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_of_many_units_that_end_at_once_closes_the_run_once() {
    if !Postgres::is_installed() {
        return;
    }
    let server = Postgres::start();
    let workers = join_all((0..8).map(|_| worker(&server))).await;
    let run = open(&workers[0], 40).await;
    server.sql(
        "CREATE TABLE closed (at timestamptz); GRANT ALL ON closed TO syncer;
         CREATE FUNCTION closing() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN INSERT INTO public.closed VALUES (now()); RETURN NEW; END $$;
         CREATE TRIGGER closing BEFORE UPDATE ON image_syncer.runs FOR EACH ROW
         WHEN (OLD.state = 'running' AND NEW.state = 'done') EXECUTE FUNCTION closing();",
    );
    let work = workers.iter().map(|worker| {
        let units = worker.for_run(run);
        async move {
            let mut done = 0;
            while let Some(claimed) = units.claim(5).await.unwrap() {
                let ends = claimed.iter().map(|unit| units.end(unit, UnitEnd::Done));
                for ended in join_all(ends).await {
                    assert!(ended.unwrap());
                    done += 1;
                }
            }
            done
        }
    });
    let done: Vec<usize> = join_all(work).await;
    assert_eq!(done.iter().sum::<usize>(), 40);
    assert_eq!(state(&workers[0], run).await, SharedRunState::Done);
    assert_eq!(server.sql("SELECT count(*) FROM closed"), "1");
    let numbers = "SELECT count(DISTINCT seq), min(seq), max(seq) FROM image_syncer.units";
    assert_eq!(server.sql(numbers), "40|1|40");
}

#[tokio::test(flavor = "multi_thread")]
async fn news_come_in_order_in_pages_and_the_end_of_the_run_with_the_last() {
    if !Postgres::is_installed() {
        return;
    }
    let server = Postgres::start();
    let share = worker(&server).await;
    let run = open(&share, 60).await;
    let units = share.for_run(run);
    let mut order = Vec::new();
    while let Some(claimed) = units.claim(16).await.unwrap() {
        for unit in claimed {
            order.push(unit.spec.clone());
            assert!(units.end(&unit, UnitEnd::Done).await.unwrap());
        }
    }
    let first = share.news(run, 0).await.unwrap();
    assert_eq!((first.units.len(), first.last), (50, 50));
    assert_eq!(first.state, SharedRunState::Running);
    let last = share.news(run, 50).await.unwrap();
    assert_eq!((last.units.len(), last.last), (10, 60));
    assert_eq!(last.state, SharedRunState::Done);
    let finished = first.units.into_iter().chain(last.units);
    assert_eq!(finished.map(|unit| unit.spec).collect::<Vec<_>>(), order);
    let error = share.news(RunKey(1), 0).await.unwrap_err().to_string();
    assert!(error.contains("has no run 1."), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_is_given_back_starts_again_at_once() {
    if !Postgres::is_installed() {
        return;
    }
    let server = Postgres::start();
    let (one, two) = (worker(&server).await, worker(&server).await);
    let run = open(&one, 1).await;
    let units = one.for_run(run);
    let unit = claim_one(&units).await;
    assert!(units.end(&unit, UnitEnd::Returned).await.unwrap());
    let other = two.for_run(run);
    assert_eq!(claim_one(&other).await.attempt, 2);
    assert_eq!(
        server.sql("SELECT losses, state FROM image_syncer.units"),
        "0|running"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_ends_with_its_last_unit_in_progress() {
    if !Postgres::is_installed() {
        return;
    }
    let server = Postgres::start();
    let (one, two) = (worker(&server).await, worker(&server).await);
    let run = open(&one, 3).await;
    let units = one.for_run(run);
    let unit = claim_one(&units).await;
    warn(&unit, "copied before");
    two.cancel(run).await.unwrap();
    // The notification makes the worker look.
    until(|| unit.ended.is_cancelled()).await;
    assert!(unit.lease.as_ref().unwrap().is_held());
    assert_eq!(state(&two, run).await, SharedRunState::Running);
    assert!(units.end(&unit, UnitEnd::Returned).await.unwrap());
    assert_eq!(state(&two, run).await, SharedRunState::Cancelled);
    assert!(units.claim(1).await.unwrap().is_none());
    let news = two.news(run, 0).await.unwrap();
    let text = "copied before".to_owned();
    assert_eq!(news.units[0].result, Ok(vec![Event::Warning { text }]));
    assert_eq!(news.state, SharedRunState::Cancelled);
    assert_eq!(two.unfinished(run).await.unwrap().len(), 3);
    let idle = open(&one, 1).await;
    two.cancel(idle).await.unwrap();
    assert_eq!(state(&two, idle).await, SharedRunState::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_open_the_run_of_a_slot_open_one() {
    if !Postgres::is_installed() {
        return;
    }
    let server = Postgres::start();
    let workers = join_all((0..8).map(|_| worker(&server))).await;
    let run = |slot: &str| NewRun {
        slot: Some(slot.parse().unwrap()),
        ..new_run()
    };
    for slot in ["2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"] {
        let opened = join_all(workers.iter().map(|worker| worker.open_run(run(slot)))).await;
        let opened: Vec<_> = opened.into_iter().map(Result::unwrap).collect();
        assert_eq!(opened.iter().filter(|it| it.is_new).count(), 1);
        assert!(opened.iter().all(|it| it.run == opened[0].run));
    }
    let runs = workers[0].runs(10).await.unwrap();
    assert_eq!(runs.len(), 2);
    assert!(runs[0].run > runs[1].run);
    let units = "SELECT id, kind, key, weight > 0 FROM image_syncer.units";
    assert_eq!(server.sql(units), "1|start|start|t\n1|start|start|t");
}
