//! Lost servers, notifications and workers, and what is left of them.

use std::collections::HashSet;
use std::time::Duration;

use super::queue::{DIGEST, claim_one, expire, open, state, unit, worker, worker_with};
use super::server::StopMode;
use super::*;
use crate::share::postgres::{PostgresShare, ShareOptions, SharedRunState};
use crate::share::{ShareError, UnitCost, UnitEnd};

#[tokio::test(flavor = "multi_thread")]
async fn leaving_gives_back_what_is_held_also_by_a_claim_that_nobody_waits_for() {
    if !Postgres::is_installed() {
        return;
    }
    let server = Postgres::start();
    let (one, two) = (worker(&server).await, worker(&server).await);
    let run = open(&two, 4).await;
    let units = one.for_run(run);
    let held = claim_one(&units).await;
    drop(tokio::time::timeout(Duration::from_millis(1), units.claim(1)).await);
    one.leave().await.unwrap();
    assert!(
        units
            .claim(1)
            .await
            .unwrap()
            .is_none_or(|units| units.len() == 1)
    );
    assert!(units.claim(1).await.unwrap().is_none());
    assert!(!units.end(&held, UnitEnd::Done).await.unwrap());
    assert_eq!(units_by_state(&server), "queued|4");
    let workers = "SELECT count(*) FROM image_syncer.workers WHERE NOT has_left";
    assert_eq!(server.sql(workers), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_workers_are_lost_with_is_given_up() {
    if !Postgres::is_installed() {
        return;
    }
    let server = Postgres::start();
    let share = worker(&server).await;
    let run = open(&share, 1).await;
    let units = share.for_run(run);
    for attempt in 1..=5 {
        assert_eq!(claim_one(&units).await.attempt, attempt);
        expire(&server);
    }
    share.tidy(&mut HashSet::new()).await.unwrap();
    let news = share.news(run, 0).await.unwrap();
    assert_eq!(news.state, SharedRunState::Done);
    let reason = format!(
        "5 workers were lost while they worked on this, the last one {}. Look for the reason there, such as too \
         little memory.",
        share.worker.id
    );
    assert_eq!(news.units[0].result, Err(reason.clone()));
    let results = "SELECT source, outcome, detail FROM image_syncer.results";
    assert_eq!(server.sql(results), format!("a.example/x0|failed|{reason}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_workers_is_abandoned_and_others_say_that_they_do_not_join() {
    if !Postgres::is_installed() {
        return;
    }
    let server = Postgres::start();
    let owner = worker(&server).await;
    let run = open(&owner, 1).await;
    let (other, lines) = worker_with(&server, "sha256:other", Duration::from_secs(60)).await;
    let all = other.for_all(other.digest(), Some(Duration::from_millis(50)), None);
    assert!(all.claim(1).await.unwrap().is_none());
    other.tidy(&mut HashSet::new()).await.unwrap();
    assert_eq!(state(&other, run).await, SharedRunState::Running);
    let line = format!(
        "this worker does not join the run {}: its rules are others (sha256:abc, and sha256:other here). Use the same \
         files and flags for all workers of a run.",
        run.0
    );
    assert_eq!(lines.lock().unwrap()[0], line);
    // The digest depends on the version.
    server.sql("UPDATE image_syncer.runs SET program = '9.9.9'");
    other.tidy(&mut HashSet::new()).await.unwrap();
    let line = format!(
        "this worker does not join the run {}: image-syncer 9.9.9 began it, and this is image-syncer {}. Use the same \
         version for all workers of a run.",
        run.0,
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(lines.lock().unwrap().last(), Some(&line));
    owner.leave().await.unwrap();
    server.sql("UPDATE image_syncer.workers SET seen = now() - interval '301 s' WHERE has_left");
    server.sql("UPDATE image_syncer.runs SET requested = now() - interval '301 s'");
    other.tidy(&mut HashSet::new()).await.unwrap();
    let reason = "no worker with the rules of this run was seen for 300 seconds. Start `image-syncer work` with the \
                  same files, or the run again."
        .to_owned();
    assert_eq!(
        state(&other, run).await,
        SharedRunState::Abandoned { reason }
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_goes_on_after_the_server_was_away() {
    if !Postgres::is_installed() {
        return;
    }
    let mut server = Postgres::start();
    let share = worker(&server).await;
    let run = open(&share, 3).await;
    let units = share.for_run(run);
    let unit = claim_one(&units).await;
    server.stop(StopMode::Immediate);
    until(|| share.database.work.is_away()).await;
    let ended = units.end(&unit, UnitEnd::Done);
    let waiting = units.claim(1);
    let back = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        tokio::task::block_in_place(|| server.resume());
    };
    let (ended, claimed, ()) = futures_util::join!(ended, waiting, back);
    assert!(ended.unwrap());
    let claimed = claimed.unwrap().unwrap();
    assert!(units.end(&claimed[0], UnitEnd::Done).await.unwrap());
    let last = claim_one(&units).await;
    assert!(units.end(&last, UnitEnd::Done).await.unwrap());
    assert_eq!(state(&share, run).await, SharedRunState::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stays_away_is_an_error_in_the_end() {
    if !Postgres::is_installed() {
        return;
    }
    let mut server = Postgres::start();
    let options = ShareOptions {
        url: server.url(),
        timeout: Duration::from_secs(1),
        digest: DIGEST.to_owned(),
    };
    let report = Arc::new(|_: &str| {});
    let share = PostgresShare::with_lease(options, Duration::from_secs(2), report);
    let share = share.await.unwrap();
    let run = open(&share, 2).await;
    let units = share.for_run(run);
    let unit = claim_one(&units).await;
    server.stop(StopMode::Immediate);
    until(|| share.database.work.is_away()).await;
    let error = units.end(&unit, UnitEnd::Done).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("connection refused"), "{text}");
    assert!(
        text.ends_with("This was tried for 1 second, the time of --share-timeout."),
        "{text}"
    );
    let error: ShareError = units.claim(1).await.err().unwrap();
    assert!(error.to_string().contains("--share-timeout"));
    until(|| !unit.lease.as_ref().unwrap().is_held()).await;
    // Its lease has ended, but nobody knows whether another worker has the unit.
    assert!(!unit.ended.is_cancelled());
}

#[tokio::test(flavor = "multi_thread")]
async fn units_are_found_without_notifications() {
    if !Postgres::is_installed() {
        return;
    }
    let server = Postgres::start();
    let (one, two) = (worker(&server).await, worker(&server).await);
    let run = open(&two, 1).await;
    let listing = claim_one(&two.for_run(run)).await;
    let units = one.for_run(run);
    let waiting = tokio::spawn(async move { claim_one(&units).await });
    server.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' OR query = 'COMMIT'",
    );
    two.database.work.back().await;
    assert!(
        two.for_run(run)
            .add(&listing, vec![unit(9, 0)])
            .await
            .unwrap()
    );
    assert_eq!(waiting.await.unwrap().id, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn finished_runs_are_deleted_after_their_time() {
    if !Postgres::is_installed() {
        return;
    }
    let server = Postgres::start();
    let share = worker(&server).await;
    for _ in 0..30 {
        let run = open(&share, 1).await;
        share.cancel(run).await.unwrap();
    }
    let open = open(&share, 1).await;
    server.sql("UPDATE image_syncer.runs SET ended = now() - interval '8 days'");
    assert_eq!(share.prune(9).await.unwrap(), 0);
    assert_eq!(share.prune(7).await.unwrap(), 30);
    let left = share.runs(100).await.unwrap();
    assert_eq!(left.iter().map(|run| run.run).collect::<Vec<_>>(), [open]);
    assert_eq!(server.sql("SELECT count(*) FROM image_syncer.units"), "1");
}

/// Makes the server refuse the ends of units with this error.
fn refuse_ends(server: &Postgres, code: &str, message: &str) {
    server.sql(&format!(
        "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN RAISE EXCEPTION '{message}' USING ERRCODE = '{code}'; END $$;
         CREATE TRIGGER refuse BEFORE UPDATE ON image_syncer.units FOR EACH ROW
         WHEN (NEW.state = 'done') EXECUTE FUNCTION refuse();"
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_space_is_waited_for() {
    if !Postgres::is_installed() {
        return;
    }
    let server = Postgres::start();
    let share = worker(&server).await;
    let run = open(&share, 1).await;
    let units = share.for_run(run);
    let unit = claim_one(&units).await;
    refuse_ends(
        &server,
        "53100",
        "could not extend file: No space left on device",
    );
    let ending = super::super::units::Ending {
        attempt: (&unit).into(),
        owner: share.worker.id.clone(),
        state: "done",
        result: "[]".to_owned(),
        cost: UnitCost::default(),
        usage: None,
        only_if_cancelled: false,
    };
    let error = ending
        .try_once(&share.database.work, false)
        .await
        .unwrap_err();
    assert!(error.is_temporary());
    let shown = format!("postgres://syncer@127.0.0.1:{}/syncer", server.port());
    let expected = format!(
        "{shown} failed: could not extend file: No space left on device (53100). Give the server more space; finished \
         runs can be deleted."
    );
    assert_eq!(error.to_string(), expected);
    let ended = units.end(&unit, UnitEnd::Done);
    let freed = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        server.sql("DROP TRIGGER refuse ON image_syncer.units");
    };
    let (ended, ()) = futures_util::join!(ended, freed);
    assert!(ended.unwrap());
    assert_eq!(state(&share, run).await, SharedRunState::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_cannot_be_stored_fails_its_unit_alone() {
    if !Postgres::is_installed() {
        return;
    }
    let server = Postgres::start();
    let share = worker(&server).await;
    let run = open(&share, 1).await;
    let units = share.for_run(run);
    let unit = claim_one(&units).await;
    refuse_ends(
        &server,
        "54000",
        "total size of jsonb array elements exceeds the maximum",
    );
    assert!(units.end(&unit, UnitEnd::Done).await.unwrap());
    let news = share.news(run, 0).await.unwrap();
    assert_eq!(news.state, SharedRunState::Done);
    let reason = news.units[0].result.clone().unwrap_err();
    assert!(
        reason.starts_with("its result cannot be stored: postgres://syncer@"),
        "{reason}"
    );
    assert!(reason.ends_with("exceeds the maximum (54000)."), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_ends_is_not_taken_for_a_lost_one() {
    if !Postgres::is_installed() {
        return;
    }
    let server = Postgres::start();
    let (share, lines) = worker_with(&server, DIGEST, Duration::from_secs(60)).await;
    let run = open(&share, 1).await;
    let units = share.for_run(run);
    let unit = claim_one(&units).await;
    assert!(share.held.ending((&unit).into()).is_some());
    // Its end is stored, and the answer is on its way.
    server.sql("UPDATE image_syncer.units SET state = 'done', seq = 1");
    share.renew().await.unwrap();
    assert_eq!(*lines.lock().unwrap(), Vec::<String>::new());
    assert!(!unit.ended.is_cancelled());
    assert!(units.end(&unit, UnitEnd::Done).await.unwrap());
}
