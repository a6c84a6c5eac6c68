#![allow(clippy::unwrap_used, clippy::panic)]

use futures_util::poll;

use super::*;

fn headers(limit: &str, left: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("ratelimit-limit", limit.parse().unwrap());
    headers.insert("ratelimit-remaining", left.parse().unwrap());
    headers.insert("docker-ratelimit-source", "203.0.113.5".parse().unwrap());
    headers
}

/// Headers of a registry with this many pulls left of 100 in 6 h.
fn say(account: &QuotaAccount, left: u64) -> Option<String> {
    let headers = headers("100;w=21600", &format!("{left};w=21600"));
    account.record_answer(StatusCode::OK, &headers, Instant::now())
}

fn account(user: &str) -> Arc<QuotaAccount> {
    Quotas::default().account(&Registry::docker_hub(), user)
}

#[test]
fn only_a_count_with_a_window_is_a_quota() {
    for (value, expected) in [
        ("57;w=21600", Some((57, 21600))),
        (" 57 ; w=60", Some((57, 60))),
        ("57;policy=x;w=60", Some((57, 60))),
        ("57", None),
        ("57;w=0", None),
        ("57;w=99999999999", None),
        ("-1;w=60", None),
        ("many;w=60", None),
        ("", None),
    ] {
        let read = counted(value).map(|(count, window)| (count, window.as_secs()));
        assert_eq!(read, expected, "{value}");
    }
    assert_eq!(read(&headers("0;w=60", "0;w=60")), None);
}

#[tokio::test]
async fn the_fewest_pulls_of_all_accounts_remain() {
    let quotas = Quotas::default();
    let hub = Registry::docker_hub();
    assert_eq!(quotas.remaining(&hub), None);
    say(&quotas.account(&hub, ""), 57);
    say(&quotas.account(&hub, "user"), 190);
    assert_eq!(quotas.remaining(&hub), Some(57));
    let other = Registry::parse("other.example").unwrap();
    assert_eq!(quotas.remaining(&other), None);
}

#[tokio::test(start_paused = true)]
async fn no_more_pulls_are_in_flight_than_are_left() {
    let (account, shutdown) = (account(""), ShutdownDeadline::default());
    say(&account, 2);
    let first = account.admit(&shutdown, |_| ()).await.unwrap();
    let second = account.admit(&shutdown, |_| ()).await.unwrap();
    let mut third = std::pin::pin!(account.admit(&shutdown, |_| ()));
    assert!(poll!(&mut third).is_pending());
    // The answer shows that it was not counted.
    say(&account, 2);
    first.complete();
    let third = third.await.unwrap();
    // The result of this one is unknown.
    drop(second);
    let mut fourth = std::pin::pin!(account.admit(&shutdown, |_| ()));
    assert!(poll!(&mut fourth).is_pending());
    say(&account, 1);
    third.complete();
    fourth.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn answers_out_of_order_do_not_increase_the_quota() {
    let account = account("");
    let before = Instant::now();
    tokio::time::advance(Duration::from_secs(1)).await;
    let left = || account.lock().quota.as_ref().unwrap().left;
    say(&account, 8);
    let late = headers("100;w=21600", "9;w=21600");
    account.record_answer(StatusCode::OK, &late, before);
    assert_eq!(left(), 8);
    tokio::time::advance(Duration::from_secs(1)).await;
    account.record_answer(StatusCode::OK, &late, Instant::now());
    assert_eq!(left(), 9);
    // An error without headers means nothing; a success without them means that there is no limit.
    let none = HeaderMap::new();
    account.record_answer(StatusCode::NOT_FOUND, &none, before);
    assert_eq!(left(), 9);
    account.record_answer(StatusCode::OK, &none, before);
    assert_eq!(account.lock().quota, None);
}

#[tokio::test(start_paused = true)]
async fn without_pulls_one_is_tried_per_interval_for_fifteen_minutes() {
    let (account, shutdown) = (account(""), ShutdownDeadline::default());
    say(&account, 0);
    let (start, told) = (Instant::now(), Mutex::new(Vec::new()));
    let tell = |text: &str| told.lock().unwrap().push(text.to_owned());
    let mut tried = Vec::new();
    let failed = loop {
        match account.admit(&shutdown, tell).await {
            Ok(pull) => {
                tried.push(start.elapsed().as_secs());
                say(&account, 0);
                pull.complete();
            }
            Err(PullRefused::UsedUp(why)) => break why,
            Err(PullRefused::DeadlineExceeded) => panic!("the run goes on"),
        }
    };
    assert_eq!(tried, [216, 432, 648, 864]);
    assert_eq!(start.elapsed().as_secs(), 864);
    assert_eq!(
        *told.lock().unwrap(),
        [
            "none of 100 pulls in 6 h are left for anonymous pulls from 203.0.113.5: one is tried every 216 s, for \
             15 min at most; then what is left fails, until a later run"
        ]
    );
    assert_eq!(
        failed,
        "its pull quota is used up: none of 100 pulls in 6 h are left for anonymous pulls from 203.0.113.5, and this \
         run no longer waits for more; a login has a higher quota (docker login, or --auth)"
    );
    // A HEAD that declares new ones is accepted immediately.
    say(&account, 5);
    account.admit(&shutdown, tell).await.unwrap().complete();
}

#[tokio::test(start_paused = true)]
async fn waiters_learn_of_returned_pulls_and_of_the_end_of_the_run() {
    let (account, shutdown) = (account("ada"), ShutdownDeadline::default());
    say(&account, 0);
    let start = Instant::now();
    let mut waits = std::pin::pin!(account.admit(&shutdown, |_| ()));
    assert!(poll!(&mut waits).is_pending());
    say(&account, 1);
    waits.await.unwrap().complete();
    assert!(start.elapsed().is_zero());
    say(&account, 0);
    let mut waits = std::pin::pin!(account.admit(&shutdown, |_| ()));
    assert!(poll!(&mut waits).is_pending());
    shutdown.end_in(Duration::from_secs(10));
    assert!(matches!(waits.await, Err(PullRefused::DeadlineExceeded)));
    assert!(start.elapsed().is_zero());
}

#[test]
fn few_pulls_are_reported_once() {
    let account = account("ada");
    assert_eq!(say(&account, 11), None);
    assert_eq!(
        say(&account, 10).as_deref(),
        Some("10 of 100 pulls in 6 h are left for ada (203.0.113.5); a larger plan has more")
    );
    assert_eq!(say(&account, 9), None);
}
