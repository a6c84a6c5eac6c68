#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use futures_util::poll;
use std::pin::Pin;

use super::*;

type Waiter = Pin<Box<dyn Future<Output = Permit> + Send>>;

fn wait(gate: &Arc<RequestGate>, weight: u64) -> Waiter {
    let gate = Arc::clone(gate);
    Box::pin(async move { gate.acquire(weight).await })
}

fn gate(bounds: WindowBounds) -> Arc<RequestGate> {
    RequestGate::new(Lane::Uploads, bounds)
}

/// Returns a permit if the waiter has one now.
async fn now(waiter: &mut Waiter) -> Option<Permit> {
    match poll!(waiter) {
        std::task::Poll::Ready(permit) => Some(permit),
        std::task::Poll::Pending => None,
    }
}

fn ok() -> ResponseHead {
    ResponseHead {
        status: StatusCode::CREATED,
        version: Version::HTTP_11,
        latency: None,
    }
}

#[tokio::test]
async fn the_largest_goes_first() {
    let gate = gate(WindowBounds::at_most(1));
    let held = gate.acquire(0).await;
    let (mut small, mut large) = (wait(&gate, 1), wait(&gate, 2));
    assert!(now(&mut small).await.is_none());
    assert!(now(&mut large).await.is_none());
    drop(held);
    assert!(now(&mut small).await.is_none());
    let first = now(&mut large).await.unwrap();
    drop(first);
    assert!(now(&mut small).await.is_some());
}

#[tokio::test]
async fn a_dropped_waiter_leaves_the_queue_and_releases_its_permit() {
    let gate = gate(WindowBounds::at_most(1));
    let held = gate.acquire(0).await;
    let (mut first, mut second, mut third) = (wait(&gate, 0), wait(&gate, 0), wait(&gate, 0));
    for waiter in [&mut first, &mut second, &mut third] {
        assert!(now(waiter).await.is_none());
    }
    drop(first);
    // The second receives a permit, and is dropped before it looks.
    drop(held);
    assert!(now(&mut third).await.is_none());
    drop(second);
    let last = now(&mut third).await.unwrap();
    assert_eq!(gate.lock().within, 1);
    drop(last);
    assert_eq!(gate.lock().within, 0);
    assert!(gate.lock().waiting.is_empty());
}

#[tokio::test]
async fn an_immediate_permit_exceeds_the_window_and_delays_others() {
    let gate = gate(WindowBounds::at_most(1));
    let (held, beyond) = (gate.acquire(0).await, gate.acquire_at_once());
    let mut waiting = wait(&gate, 0);
    assert!(now(&mut waiting).await.is_none());
    drop(held);
    assert!(now(&mut waiting).await.is_none());
    drop(beyond);
    assert!(now(&mut waiting).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn quick_bodies_widen_a_full_window_and_slow_ones_do_not() {
    for (takes, after) in [(Duration::from_millis(10), 3), (Duration::from_secs(5), 2)] {
        let gate = gate(WindowBounds { start: 2, most: 4 });
        let (mut one, two) = (gate.acquire(0).await, gate.acquire(0).await);
        let mut waiting = [wait(&gate, 0), wait(&gate, 0), wait(&gate, 0)];
        for waiter in &mut waiting {
            assert!(now(waiter).await.is_none());
        }
        tokio::time::advance(takes).await;
        assert_eq!(one.record_answer(ok()), None);
        drop(one);
        let mut within = vec![two];
        for waiter in &mut waiting {
            within.extend(now(waiter).await);
            if within.len() == after {
                break;
            }
        }
        assert_eq!((within.len(), gate.lock().within), (after, after));
    }
}

#[tokio::test]
async fn a_refusal_narrows_the_window_and_a_missing_answer_does_not() {
    let gate = gate(WindowBounds::at_most(4));
    let mut permits = Vec::new();
    for _ in 0..4 {
        permits.push(gate.acquire(0).await);
    }
    let refused = ResponseHead {
        status: StatusCode::TOO_MANY_REQUESTS,
        ..ok()
    };
    assert_eq!(permits[0].record_answer(refused), Some(2));
    assert_eq!(permits[1].record_answer(refused), None);
    let mut waiting = wait(&gate, 0);
    for left in [3, 2] {
        drop(permits.pop());
        assert!(now(&mut waiting).await.is_none());
        assert_eq!(gate.lock().within, left);
    }
    drop(permits.pop());
    assert!(now(&mut waiting).await.is_some());
    assert_eq!(gate.lock().window.size(), 2);
}
