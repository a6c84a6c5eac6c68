//! Limits that several processes share: here, several transports.

mod pool;

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use image_syncer_registry::transport::{
    Attempts, Call, Lane, LimitUnit, PerRegistry, ResponseBody, RetryPolicy, Transport,
    TransportOptions,
};
use image_syncer_registry::{Error, ErrorKind};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::fake::{Fake, answer, at_once};
use super::{Notes, call, secure};
use pool::{Mode, Pool};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);
/// Shared rate of requests a second.
const RATE: usize = 100;
/// Ten seconds of the rate, within 10 %.
const TEN_SECONDS: RangeInclusive<usize> = 9 * RATE..=11 * RATE;

fn limited(pool: &Arc<Pool>) -> TransportOptions {
    TransportOptions::default()
        .with_max_requests(PerRegistry::default().with_each(100.0))
        .with_shared_limits(pool.clone())
}

/// Processes that request as much as they may.
struct Crowd {
    pool: Arc<Pool>,
    transports: Vec<Arc<Transport>>,
    /// Requests of each process.
    counts: Arc<Vec<AtomicUsize>>,
    tasks: JoinSet<()>,
}

impl Crowd {
    /// Starts `busy` processes with `tasks` loops each.
    fn start(pool: Arc<Pool>, busy: usize, tasks: usize) -> Self {
        let fake = Fake::new(|_, _| {
            Box::pin(async {
                sleep(20 * MS).await;
                Ok(answer(200, ""))
            })
        });
        let transports = (0..busy).map(|_| fake.transport(limited(&pool)));
        let mut crowd = Self {
            transports: transports.collect(),
            counts: Arc::new((0..busy).map(|_| AtomicUsize::new(0)).collect()),
            tasks: JoinSet::new(),
            pool,
        };
        for (index, transport) in crowd.transports.iter().enumerate() {
            for _ in 0..tasks {
                let (transport, counts) = (transport.clone(), crowd.counts.clone());
                crowd.tasks.spawn(async move {
                    loop {
                        transport.send(to("a.example")).await.unwrap();
                        counts[index].fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        }
        crowd
    }
    /// Waits for `time`. Returns the requests of each process.
    async fn run(&self, time: Duration) -> Vec<usize> {
        sleep(time).await;
        let count = |count: &AtomicUsize| count.swap(0, Ordering::Relaxed);
        self.counts.iter().map(count).collect()
    }
    /// Waits for ten seconds. Returns the requests of all processes.
    async fn ten_seconds(&self) -> usize {
        self.run(10 * SECOND).await.iter().sum()
    }
}

fn to(host: &str) -> Call {
    call(&secure(host), Method::GET, &format!("https://{host}/v2/"))
}

#[tokio::test(start_paused = true)]
async fn eight_processes_share_a_rate_evenly() {
    let crowd = Crowd::start(Pool::new(8), 8, 16);
    let counts = crowd.run(10 * SECOND).await;
    let sum: usize = counts.iter().sum();
    assert!(TEN_SECONDS.contains(&sum), "{counts:?}");
    let fair = sum / 8;
    let is_fair = |count: &usize| (fair * 8 / 10..=fair * 12 / 10).contains(count);
    assert!(counts.iter().all(is_fair), "{counts:?}");
    // Each process draws about once a second.
    let draws = crowd.pool.take_draws();
    assert!(draws.len() <= 100, "{}", draws.len());
    assert!(draws.iter().all(|draw| draw.amount <= 25));
    // Any other second is like the first ones.
    assert!(TEN_SECONDS.contains(&crowd.ten_seconds().await));
    for counts in [crowd.run(SECOND).await, crowd.run(SECOND).await] {
        assert!(counts.iter().sum::<usize>() <= RATE * 5 / 4, "{counts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_alone_has_the_whole_rate() {
    let crowd = Crowd::start(Pool::new(8), 1, 64);
    let count = crowd.ten_seconds().await;
    assert!(TEN_SECONDS.contains(&count), "{count}");
    let draws = crowd.pool.take_draws();
    assert!(draws.len() <= 50, "{}", draws.len());
}

#[tokio::test(start_paused = true)]
async fn hundred_processes_wait_a_second_at_most() {
    let crowd = Crowd::start(Pool::new(100), 100, 4);
    let count = crowd.ten_seconds().await;
    assert!(TEN_SECONDS.contains(&count), "{count}");
    let start = Instant::now();
    let counts = crowd.run(10 * SECOND).await;
    assert_eq!(start.elapsed(), 10 * SECOND);
    assert!(
        counts.iter().all(|count| (7..=13).contains(count)),
        "{counts:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn each_process_has_its_share_while_the_limits_are_away() {
    let pool = Pool::new(8);
    pool.set_mode(Mode::Away);
    let crowd = Crowd::start(pool, 4, 16);
    let count = crowd.ten_seconds().await;
    // Half of the processes.
    assert!((450..=550).contains(&count), "{count}");
    crowd.pool.set_mode(Mode::Up);
    // They notice within a second.
    let count = crowd.ten_seconds().await;
    assert!(TEN_SECONDS.contains(&count), "{count}");
    for mode in [Mode::Silent, Mode::Away] {
        crowd.pool.set_mode(mode);
        let count = crowd.ten_seconds().await;
        assert!((400..=600).contains(&count), "{count}");
    }
}

#[tokio::test(start_paused = true)]
async fn grants_without_tokens_and_delay_do_not_spin() {
    let pool = Pool::new(1);
    pool.set_mode(Mode::Empty);
    let crowd = Crowd::start(pool, 1, 1);
    assert_eq!(crowd.run(SECOND).await, [0]);
    assert!((50..=101).contains(&crowd.pool.take_draws().len()));
}

#[tokio::test(start_paused = true)]
async fn requests_start_in_their_order() {
    let order = Arc::new(Mutex::new(Vec::new()));
    let seen = order.clone();
    let fake = Fake::new(move |request, _| {
        seen.lock().unwrap().push(request.uri().path().to_owned());
        at_once(Ok(answer(200, "")))
    });
    let transport = fake.transport(limited(&Pool::new(1)));
    let calls = (0..60).map(|number| {
        let url = format!("https://a.example/{number}");
        transport.send(call(&secure("a.example"), Method::GET, &url))
    });
    futures_util::future::try_join_all(calls).await.unwrap();
    let expected: Vec<_> = (0..60).map(|number| format!("/{number}")).collect();
    assert_eq!(*order.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn dropped_requests_and_registries_without_limits_draw_nothing() {
    let fake = Fake::new(|_, _| at_once(Ok(answer(200, ""))));
    let pool = Pool::new(1);
    let registry = secure("a.example").registry;
    let options =
        limited(&pool).with_max_requests(PerRegistry::default().with_registry(registry, 100.0));
    let transport = fake.transport(options);
    transport.send(to("b.example")).await.unwrap();
    assert_eq!(pool.take_draws(), []);
    let dropped = (0..30).map(|_| transport.send(to("a.example")));
    let dropped = futures_util::future::join_all(dropped);
    tokio::time::timeout(MS, dropped).await.unwrap_err();
    transport.send(to("a.example")).await.unwrap();
    // The first draw was for all of them. Its tokens are enough for the one that waits.
    let draws = pool.take_draws();
    let amounts: Vec<_> = draws.iter().map(|draw| (draw.unit, draw.amount)).collect();
    assert_eq!(amounts, [(LimitUnit::Requests, 25)]);
    // They expire.
    sleep(251 * MS).await;
    transport.send(to("a.example")).await.unwrap();
    assert_eq!(pool.take_draws()[0].amount, 1);
}

#[tokio::test(start_paused = true)]
async fn bytes_share_a_rate_and_count_after_the_body_was_dropped() {
    let pool = Pool::new(4);
    let rate = 1 << 20;
    let transports: Vec<_> = (0..4)
        .map(|_| {
            let fake = Fake::new(|_, _| {
                let body = Bytes::from(vec![0; 16 << 10]);
                at_once(Ok(http::Response::new(ResponseBody::from(body))))
            });
            let options = TransportOptions::default()
                .with_max_rate(PerRegistry::default().with_each(rate))
                .with_shared_limits(pool.clone());
            fake.transport(options)
        })
        .collect();
    let start = Instant::now();
    // Each body has a single chunk, after which nobody waits for the bucket.
    let reads = transports.iter().flat_map(|transport| {
        (0..160).map(|_| async {
            let call = Call {
                lane: Lane::Downloads,
                ..to("a.example")
            };
            let mut body = transport.send(call).await.unwrap().body;
            while body.chunk().await.unwrap().is_some() {}
        })
    });
    futures_util::future::join_all(reads).await;
    // The last bodies do not wait for their own bytes, which are paid for all the same.
    let mut draws = Vec::new();
    while pool.is_drawn_from(SECOND, &mut draws).await {}
    let drawn: u64 = draws.iter().map(|draw| draw.amount).sum();
    let sum = 4 * 160 * (16 << 10);
    assert!((sum..sum + rate).contains(&drawn), "{drawn}");
    assert!(draws.iter().all(|draw| draw.unit == LimitUnit::Bytes));
    let least = Duration::from_secs(sum / rate);
    assert!(start.elapsed() >= least * 9 / 10, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_at_one_process_pauses_all() {
    let pool = Pool::new(8);
    let fake = Fake::new(|_, number| {
        let status = if number == 0 { 429 } else { 200 };
        let mut answer = answer(status, "");
        answer.headers_mut().insert("retry-after", 30.into());
        at_once(Ok(answer))
    });
    let processes: Vec<_> = (0..8)
        .map(|_| {
            let notes = Arc::new(Notes::default());
            (
                fake.transport(limited(&pool).with_observer(notes.clone())),
                notes,
            )
        })
        .collect();
    let start = Instant::now();
    let refused = processes[3].0.send(to("a.example")).await.unwrap();
    let error = Error::from_response("fetch a thing", "a.example", refused).await;
    let endpoint = secure("a.example");
    let mut attempts = Attempts::new(&processes[3].0, &endpoint, RetryPolicy::default());
    let sends = processes.iter().map(|(transport, _)| async {
        sleep(SECOND).await;
        transport.send(to("a.example")).await.unwrap();
        start.elapsed()
    });
    let (retried, times) =
        tokio::join!(attempts.after(error), futures_util::future::join_all(sends));
    assert_eq!(retried.unwrap(), 2);
    let bounds = 30 * SECOND..31 * SECOND;
    assert!(times.iter().all(|time| bounds.contains(time)), "{times:?}");
    assert_eq!(pool.pauses(), 1);
    for (_, notes) in &processes {
        let notes = notes.take();
        let pauses = notes.iter().filter(|note| *note == "a.example paused");
        assert_eq!(pauses.count(), 1, "{notes:?}");
    }
    drop(attempts);
    let mut processes = processes;
    processes.truncate(1);
    let alive = [true, false, false, false, false, false, false, false];
    assert_eq!(pool.reaches_all(&endpoint.registry), alive);
}

#[tokio::test(start_paused = true)]
async fn waits_end_with_the_run() {
    let pool = Pool::new(1);
    let fake = Fake::new(|_, _| at_once(Ok(answer(200, ""))));
    let options = limited(&pool).with_max_requests(PerRegistry::default().with_each(1.0));
    let transport = fake.transport(options);
    let start = Instant::now();
    let sends = (0..6).map(|_| {
        let transport = transport.clone();
        async move {
            let outcome = transport.send(to("a.example")).await;
            let kind = outcome.map_err(|error| error.kind()).err();
            (kind, start.elapsed().as_millis())
        }
    });
    let ends = async {
        sleep(1500 * MS).await;
        transport.set_shutdown_deadline(2 * SECOND);
    };
    let (ended, ()) = tokio::join!(futures_util::future::join_all(sends), ends);
    let cancelled = Some(ErrorKind::Cancelled);
    assert_eq!(
        ended,
        [
            (None, 5),
            (None, 1005),
            (None, 2005),
            (None, 3005),
            (cancelled, 1500),
            (cancelled, 1500)
        ]
    );
    // A wait of unknown length ends with the run.
    pool.set_mode(Mode::Empty);
    let error = transport.send(to("b.example")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert_eq!(start.elapsed(), 3500 * MS);
}
