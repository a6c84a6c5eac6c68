//! Many units, and a pooler before the server.

use std::time::Duration;

use futures_util::future::join_all;

use super::queue::{DIGEST, claim, claim_one, new_run, open, state, unit, worker};
use super::server::Pooler;
use super::*;
use crate::share::UnitEnd;
use crate::share::postgres::{PostgresShare, ShareOptions, SharedRunState};

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_units_are_added_and_claimed() {
    if !Postgres::is_installed() {
        return;
    }
    let server = Postgres::start();
    let share = worker(&server).await;
    let run = share.open_with(new_run(), &[unit(0, 0)]).await.unwrap().run;
    let units = share.for_run(run);
    let listing = claim_one(&units).await;
    let found = (1..=100_000).map(|number| unit(number, i64::try_from(number).unwrap()));
    assert!(units.add(&listing, found.collect()).await.unwrap());
    assert_eq!(units_by_state(&server), "queued|100000\nrunning|1");
    for round in 0..20 {
        let claimed = claim(&units, 16).await;
        let ids: Vec<i64> = claimed.iter().map(|unit| unit.id).collect();
        // The number of a unit is one more than its weight.
        assert!(ids.contains(&(100_001 - round * 16)), "{ids:?}");
        assert_eq!(ids.len(), 16);
        let ends = claimed.iter().map(|unit| units.end(unit, UnitEnd::Done));
        assert!(join_all(ends).await.into_iter().all(Result::unwrap));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_in_transaction_mode_suffices() {
    if !Postgres::is_installed() || !Pooler::is_installed() {
        return;
    }
    let server = Postgres::start();
    let pooler = Pooler::start(&server);
    let connect = || async {
        let options = ShareOptions {
            url: pooler.url(),
            timeout: Duration::from_secs(30),
            digest: DIGEST.to_owned(),
        };
        let lease = Duration::from_secs(60);
        PostgresShare::with_lease(options, lease, Arc::new(|_: &str| {}))
            .await
            .unwrap()
    };
    let workers = join_all((0..3).map(|_| connect())).await;
    let run = open(&workers[0], 30).await;
    let work = workers.iter().map(|worker| {
        let units = worker.for_run(run);
        async move {
            while let Some(claimed) = units.claim(4).await.unwrap() {
                for unit in claimed {
                    assert!(units.end(&unit, UnitEnd::Done).await.unwrap());
                }
            }
        }
    });
    join_all(work).await;
    assert_eq!(state(&workers[1], run).await, SharedRunState::Done);
    let numbers = "SELECT count(DISTINCT seq), max(attempt) FROM image_syncer.units";
    assert_eq!(server.sql(numbers), "30|1");
    for worker in workers {
        worker.leave().await.unwrap();
    }
    let left = "SELECT count(*) FROM image_syncer.workers WHERE has_left";
    assert_eq!(server.sql(left), "3");
}
