//! Limits and pauses of several workers. Each has its own connections, as a process has.

use std::time::Duration;

use futures_util::future::join_all;
use image_syncer_registry::auth::{Credential, Keychain, KeychainEntry};
use image_syncer_registry::transport::{
    Draw, LimitUnit, Observer, PauseReason, PerRegistry, SharedLimits, Transport, TransportOptions,
};
use image_syncer_registry::{Options, Registries, Registry};
use tokio::time::{Instant, sleep, timeout_at};

use super::server::StopMode;
use super::*;
use crate::share::postgres::budgets::Budgets;

const SECOND: Duration = Duration::from_secs(1);

struct Worker {
    budgets: Arc<Budgets>,
    /// Keeps the connections.
    _database: Database,
}

/// A pause that was reported.
type Seen = (String, Duration, PauseReason);

#[derive(Default)]
struct Pauses(Mutex<Vec<Seen>>);

impl Pauses {
    fn seen(&self) -> Vec<Seen> {
        self.0.lock().unwrap().clone()
    }
}

impl Observer for Pauses {
    fn pause(&self, host: &str, delay: Duration, why: PauseReason) {
        self.0.lock().unwrap().push((host.to_owned(), delay, why));
    }
}

async fn worker(server: &Postgres) -> Worker {
    let database = database(&server.url()).await.unwrap();
    Worker {
        budgets: Budgets::start(&database),
        _database: database,
    }
}

async fn workers(server: &Postgres, count: usize) -> Vec<Worker> {
    join_all((0..count).map(|_| worker(server))).await
}

fn transport(worker: &Worker) -> (Transport, Arc<Pauses>) {
    let pauses = Arc::new(Pauses::default());
    let options = TransportOptions::default()
        .with_shared_limits(worker.budgets.clone())
        .with_observer(pauses.clone());
    (Transport::new(options).unwrap(), pauses)
}

fn registry() -> Registry {
    Registry::parse("registry.example:5000").unwrap()
}

/// Returns a draw of a quarter of a second, at 200 a second.
fn draw(unit: LimitUnit) -> Draw {
    Draw {
        registry: registry(),
        unit,
        rate: 200.0,
        kept: Duration::from_millis(100),
        amount: 50,
    }
}

/// Requests the base of `registry` as often as the limit allows, until `end`. Returns the number of requests.
async fn ping_often(worker: &Worker, registry: &testkit::Registry, end: Instant) -> usize {
    let limit = PerRegistry::default().with_each(100.0);
    let options = TransportOptions::default()
        .with_max_requests(limit)
        .with_shared_limits(worker.budgets.clone());
    let transport = Arc::new(Transport::new(options).unwrap());
    let host = registry.host();
    let login = KeychainEntry::new(&host, Credential::Anonymous, "the test").with_insecure(true);
    let keychain = Arc::new(Keychain::new(vec![login], None).unwrap());
    let registries = Registries::new(Options::new(transport, keychain));
    let client = registries.client(&Registry::parse(&host).unwrap());
    let counts = join_all((0..8).map(|_| async {
        let mut count = 0;
        while let Ok(answer) = timeout_at(end, client.ping()).await {
            answer.unwrap();
            count += 1;
        }
        count
    }));
    counts.await.into_iter().sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_workers_keep_a_rate_as_the_registry_counts_it() {
    if !Postgres::is_installed() {
        return;
    }
    let server = Postgres::start();
    let workers = workers(&server, 8).await;
    server.sql(
        "INSERT INTO image_syncer.workers (id, host, version, digest)
         SELECT 'w' || n, 'h', '1', 'd' FROM generate_series(1, 8) AS n;
         NOTIFY image_syncer, 'pause'",
    );
    let count = |worker: &Worker| worker.budgets.processes();
    until(|| workers.iter().all(|worker| count(worker) == 8)).await;
    let registry = testkit::Registry::start(testkit::Profile::distribution()).await;
    let end = Instant::now() + 5 * SECOND;
    let requests = workers
        .iter()
        .map(|worker| ping_often(worker, &registry, end));
    let counts = join_all(requests).await;
    let sum = registry.requests().len();
    assert!((450..=550).contains(&sum), "{sum}: {counts:?}");
    // Each has its turn.
    assert!(counts.iter().all(|count| *count >= 20), "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_follow_each_other_without_gaps_and_units_are_separate() {
    if !Postgres::is_installed() {
        return;
    }
    let server = Postgres::start();
    let workers = workers(&server, 4).await;
    let first = workers[0].budgets.draw(draw(LimitUnit::Requests)).await;
    assert_eq!(first.unwrap().delay, Duration::ZERO);
    let paid =
        "SELECT extract(epoch FROM paid_until) FROM image_syncer.budgets WHERE unit = 'requests'";
    let before: f64 = server.sql(paid).parse().unwrap();
    let draws = workers.iter().map(async |worker| {
        for _ in 0..10 {
            let grant = worker.budgets.draw(draw(LimitUnit::Requests)).await;
            assert_eq!(grant.unwrap().tokens, 50);
        }
    });
    join_all(draws).await;
    let after: f64 = server.sql(paid).parse().unwrap();
    // Ten seconds for 2,000 tokens. Only the capacity that lay idle before the first of them may be lost.
    assert!((9.99..12.0).contains(&(after - before)), "{before} {after}");
    let bytes = workers[0].budgets.draw(draw(LimitUnit::Bytes)).await;
    assert_eq!(bytes.unwrap().delay, Duration::ZERO);
    // A clock that was wrong for a time.
    server.sql("UPDATE image_syncer.budgets SET paid_until = paid_until + interval '10 days'");
    let grant = workers[0].budgets.draw(draw(LimitUnit::Requests)).await;
    let delay = grant.unwrap().delay;
    assert!(delay <= 900 * SECOND && delay > 899 * SECOND, "{delay:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_reaches_all_workers_and_later_ones() {
    if !Postgres::is_installed() {
        return;
    }
    let server = Postgres::start();
    let workers = workers(&server, 8).await;
    for unit in [LimitUnit::Requests, LimitUnit::Bytes] {
        workers[0].budgets.draw(draw(unit)).await.unwrap();
    }
    let mut transports: Vec<_> = workers.iter().map(transport).collect();
    let (refused, _) = &transports[3];
    let endpoint = refused.endpoint(&registry(), false);
    refused.pause(&endpoint, 60 * SECOND, PauseReason::Overload);
    let late = worker(&server).await;
    transports.push(transport(&late));
    until(|| {
        transports
            .iter()
            .all(|(_, pauses)| !pauses.seen().is_empty())
    })
    .await;
    for (_, pauses) in &transports {
        let seen = pauses.seen();
        let [(host, delay, reason)] = seen.as_slice() else {
            panic!("{seen:?}");
        };
        assert_eq!(host, "registry.example:5000");
        assert_eq!(*reason, PauseReason::Overload);
        assert!(*delay > 30 * SECOND && *delay <= 60 * SECOND, "{delay:?}");
    }
    // A pause that is shorter, or longer by less than the margin, changes nothing.
    let stored = "SELECT paused_until, reason FROM image_syncer.pauses";
    let before = server.sql(stored);
    refused_at(&transports[3].0, 20 * SECOND);
    refused_at(&transports[5].0, 20 * SECOND);
    // Tokens are granted for the time after the pause. Bodies in flight go on.
    let delay = async |unit| {
        let grant = workers[1].budgets.draw(draw(unit)).await;
        grant.unwrap().delay
    };
    assert!(delay(LimitUnit::Requests).await > 30 * SECOND);
    assert!(delay(LimitUnit::Bytes).await < SECOND);
    assert_eq!(server.sql(stored), before);
}

fn refused_at(transport: &Transport, delay: Duration) {
    let endpoint = transport.endpoint(&registry(), false);
    transport.pause(&endpoint, delay, PauseReason::Overload);
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_unavailable_without_the_server_and_come_back_with_it() {
    if !Postgres::is_installed() {
        return;
    }
    let mut server = Postgres::start();
    let workers = workers(&server, 2).await;
    let (transport, _) = transport(&workers[0]);
    let draws = async |index: usize| {
        let grant = workers[index].budgets.draw(draw(LimitUnit::Requests)).await;
        grant.is_ok()
    };
    assert!(draws(0).await && draws(1).await);
    server.stop(StopMode::Immediate);
    assert!(!draws(0).await && !draws(1).await);
    // A pause of this time is stored later.
    refused_at(&transport, 120 * SECOND);
    server.resume();
    until_async(async || draws(0).await && draws(1).await).await;
    let stored =
        "SELECT registry FROM image_syncer.pauses WHERE paused_until > now() + interval '30 s'";
    until(|| server.sql(stored) == "registry.example:5000").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_were_seen_lately_count() {
    if !Postgres::is_installed() {
        return;
    }
    let server = Postgres::start();
    let worker = worker(&server).await;
    assert_eq!(worker.budgets.processes(), 1);
    server.sql(
        "INSERT INTO image_syncer.workers (id, host, version, digest, seen, has_left) VALUES
            ('a', 'h', '1', 'd', now(), false), ('b', 'h', '1', 'e', now(), false),
            ('gone', 'h', '1', 'd', now() - interval '61 s', false), ('left', 'h', '1', 'd', now(), true);
         NOTIFY image_syncer, 'pause'",
    );
    until(|| worker.budgets.processes() == 2).await;
}

/// Waits until `condition` holds.
async fn until_async(condition: impl AsyncFn() -> bool) {
    for _ in 0..600 {
        if condition().await {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("this does not happen");
}
