//! Registries that limit requests in several ways, and the number of requests that they refuse.
//!
//! Each registry is also requested at a host that is not its own, whose refusals teach nothing: so a run without pacing
//! is the reference.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderValue, Method, StatusCode};
use image_syncer_registry::Error;
use image_syncer_registry::transport::{
    Attempts, ResponseBody, RetryPolicy, Transport, TransportOptions,
};
use tokio::time::Instant;

use super::fake::{Fake, answer};
use super::{call, secure};

const MS: Duration = Duration::from_millis(1);
/// Time from a request to its answer.
const LATENCY: Duration = Duration::from_millis(20);

/// The seconds of a refusal's `Retry-After`.
struct Refusal(Option<u64>);

/// A decision on each request.
trait Limit: Send + 'static {
    /// True if its refusals declare a pull quota.
    const IS_QUOTA: bool = false;
    fn refuse(&mut self, now: Instant, in_flight: usize) -> Option<Refusal>;
}

/// A bucket of `most` permits, which gets `most` in each `period`.
struct Bucket {
    most: f64,
    period: Duration,
    permits: f64,
    at: Instant,
    retry_after: Option<u64>,
}

impl Bucket {
    fn per_second(most: u32, retry_after: Option<u64>) -> Self {
        Self {
            most: most.into(),
            period: Duration::from_secs(1),
            permits: most.into(),
            at: Instant::now(),
            retry_after,
        }
    }
}

impl Limit for Bucket {
    fn refuse(&mut self, now: Instant, _: usize) -> Option<Refusal> {
        let share = (now - self.at).as_secs_f64() / self.period.as_secs_f64();
        self.permits = (self.permits + share * self.most).min(self.most);
        self.at = now;
        if self.permits < 1.0 {
            return Some(Refusal(self.retry_after));
        }
        self.permits -= 1.0;
        None
    }
}

/// A number of requests in each minute of the clock.
struct PerMinute {
    most: u32,
    start: Instant,
    minute: u64,
    count: u32,
}

impl Limit for PerMinute {
    fn refuse(&mut self, now: Instant, _: usize) -> Option<Refusal> {
        let seconds = (now - self.start).as_secs();
        if seconds / 60 != self.minute {
            self.minute = seconds / 60;
            self.count = 0;
        }
        self.count += 1;
        (self.count > self.most).then_some(Refusal(Some(60 - seconds % 60)))
    }
}

/// A number of requests in flight.
struct InFlight(usize, Option<u64>);

impl Limit for InFlight {
    fn refuse(&mut self, _: Instant, in_flight: usize) -> Option<Refusal> {
        (in_flight > self.0).then_some(Refusal(self.1))
    }
}

/// Requests that are refused by mistake, by their numbers.
struct Mistakes(u32, std::ops::Range<u32>);

impl Limit for Mistakes {
    fn refuse(&mut self, _: Instant, _: usize) -> Option<Refusal> {
        self.0 += 1;
        self.1.contains(&self.0).then_some(Refusal(None))
    }
}

/// A limit that is declared as a pull quota.
struct Quota(Bucket);

impl Limit for Quota {
    const IS_QUOTA: bool = true;
    fn refuse(&mut self, now: Instant, in_flight: usize) -> Option<Refusal> {
        self.0.refuse(now, in_flight)
    }
}

impl Refusal {
    fn response(self, is_quota: bool) -> http::Response<ResponseBody> {
        let mut response = answer(429, "");
        let headers = response.headers_mut();
        if let Some(seconds) = self.0 {
            headers.insert("retry-after", seconds.into());
        }
        if is_quota {
            let (limit, left) = ("100;w=21600", "0;w=21600");
            headers.insert("ratelimit-limit", HeaderValue::from_static(limit));
            headers.insert("ratelimit-remaining", HeaderValue::from_static(left));
        }
        response
    }
}

fn transport<L: Limit>(limit: L) -> Arc<Transport> {
    let state = Arc::new(Mutex::new((limit, 0)));
    let fake = Fake::new(move |_, _| {
        let state = state.clone();
        Box::pin(async move {
            let refused = {
                let (limit, in_flight) = &mut *state.lock().unwrap();
                *in_flight += 1;
                limit.refuse(Instant::now(), *in_flight)
            };
            tokio::time::sleep(LATENCY).await;
            state.lock().unwrap().1 -= 1;
            Ok(match refused {
                None => answer(200, ""),
                Some(refusal) => refusal.response(L::IS_QUOTA),
            })
        })
    });
    fake.transport(TransportOptions::default())
}

/// Makes `count` requests to a registry at `host`, all at once, with retries.
async fn run(limit: impl Limit, host: &str, count: usize) -> (usize, u128) {
    let transport = transport(limit);
    let start = Instant::now();
    let policy = RetryPolicy::default()
        .with_retries(50)
        .with_initial(300 * MS)
        .with_max(300 * MS);
    let tasks = (0..count).map(|_| {
        let transport = transport.clone();
        let host = host.to_owned();
        tokio::spawn(async move {
            let endpoint = secure("a.example");
            let mut attempts = Attempts::new(&transport, &endpoint, policy);
            let mut refused = 0;
            loop {
                let head = call(&endpoint, Method::HEAD, &format!("https://{host}/v2/"));
                let response = transport.send(head).await.unwrap();
                if response.status == StatusCode::OK {
                    return refused;
                }
                refused += 1;
                let error = Error::from_response("fetch a thing", "a.example", response).await;
                attempts.after(error).await.unwrap();
            }
        })
    });
    let refused = futures_util::future::join_all(tasks).await;
    let refused = refused.into_iter().map(Result::unwrap).sum();
    (refused, start.elapsed().as_millis())
}

/// Returns the runs with pacing and without: refused requests, and milliseconds.
async fn runs<L: Limit>(limit: impl Fn() -> L, count: usize) -> [(usize, u128); 2] {
    [
        run(limit(), "a.example", count).await,
        run(limit(), "elsewhere.example", count).await,
    ]
}

#[tokio::test(start_paused = true)]
async fn a_limit_a_second_is_kept_with_few_refusals() {
    // The limit demands 9 s, and 99 s.
    let limit = || Bucket::per_second(50, Some(1));
    assert_eq!(runs(limit, 500).await, [(18, 9_147), (118, 9_980)]);
    assert_eq!(runs(limit, 5_000).await, [(42, 99_685), (649, 101_260)]);
    let without_time = || Bucket::per_second(50, None);
    assert_eq!(runs(without_time, 500).await, [(46, 9_117), (200, 9_300)]);
    // A pause of a second is longer than this bucket can use.
    let small = || Bucket {
        most: 10.0,
        period: 200 * MS,
        ..Bucket::per_second(10, Some(1))
    };
    assert_eq!(runs(small, 500).await, [(94, 28_856), (339, 47_920)]);
}

#[tokio::test(start_paused = true)]
async fn a_limit_a_minute_costs_no_more_time() {
    let clock = || PerMinute {
        most: 300,
        start: Instant::now(),
        minute: 0,
        count: 0,
    };
    assert_eq!(runs(clock, 1_000).await, [(42, 181_044), (54, 180_680)]);
    let bucket = || Bucket {
        period: Duration::from_secs(60),
        ..Bucket::per_second(300, Some(1))
    };
    assert_eq!(runs(bucket, 600).await, [(130, 60_414), (229, 60_080)]);
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_requests_in_flight_is_found_again() {
    assert_eq!(
        runs(|| InFlight(1, Some(1)), 200).await,
        [(185, 75_000), (185, 75_000)]
    );
    assert_eq!(
        runs(|| InFlight(10, Some(1)), 500).await,
        [(85, 12_265), (364, 43_040)]
    );
    assert_eq!(
        runs(|| InFlight(10, None), 500).await,
        [(85, 7_883), (364, 13_640)]
    );
    // A wrong suggestion costs less than half a second.
    assert_eq!(
        runs(|| InFlight(40, Some(1)), 500).await,
        [(44, 2_747), (25, 2_320)]
    );
    assert_eq!(
        runs(|| InFlight(40, None), 2_000).await,
        [(66, 3_304), (30, 3_360)]
    );
}

#[tokio::test(start_paused = true)]
async fn a_pull_quota_teaches_no_rate() {
    let quota = || Quota(Bucket::per_second(50, Some(1)));
    assert_eq!(runs(quota, 500).await, [(118, 9_980), (118, 9_980)]);
}

#[tokio::test(start_paused = true)]
async fn refusals_by_mistake_cost_little() {
    let mistakes = |numbers: std::ops::Range<u32>| move || Mistakes(0, numbers.clone());
    assert_eq!(runs(mistakes(1..2), 2_000).await, [(1, 1_120), (1, 1_120)]);
    assert_eq!(
        runs(mistakes(100..102), 2_000).await,
        [(2, 1_140), (2, 1_140)]
    );
    assert_eq!(
        runs(mistakes(100..110), 2_000).await,
        [(10, 1_259), (10, 1_140)]
    );
    assert_eq!(
        runs(mistakes(1..20), 2_000).await,
        [(19, 1_140), (19, 1_140)]
    );
}
