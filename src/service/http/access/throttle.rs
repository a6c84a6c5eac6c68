//! Limit of attempts with unknown tokens.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Mutex;
use std::time::Duration;

use axum::http::StatusCode;
use tokio::time::Instant;

use crate::lock::lock;
use crate::service::http::problem::Problem;

/// Attempts that an address may make at once.
const BURST: u32 = 30;
/// Time after which it may make one more.
const INTERVAL: Duration = Duration::from_secs(1);
/// Maximum number of addresses. The one that waits for the shortest time is forgotten for a further one.
const MOST: usize = 4_096;

/// Failed attempts by address. Networks of 64 bits count as an address.
#[derive(Default)]
pub(super) struct Throttle(Mutex<HashMap<IpAddr, Instant>>);

impl Throttle {
    /// Refuses an attempt of an address that has failed too often.
    pub(super) fn permit(&self, peer: IpAddr) -> Result<(), Problem> {
        let now = Instant::now();
        let failures = lock(&self.0);
        let free = failures.get(&network(peer)).copied().unwrap_or(now);
        let wait = free.saturating_duration_since(now);
        if wait <= INTERVAL * (BURST - 1) {
            return Ok(());
        }
        let detail = "too many attempts with unknown tokens came from this address";
        Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).after(1))
    }

    /// Counts a failed attempt.
    pub(super) fn add(&self, peer: IpAddr) {
        let now = Instant::now();
        let peer = network(peer);
        let mut failures = lock(&self.0);
        if failures.len() >= MOST && !failures.contains_key(&peer) {
            failures.retain(|_, free| *free > now);
            let first = failures.iter().min_by_key(|(_, free)| **free);
            if let Some(first) = first.map(|(peer, _)| *peer)
                && failures.len() >= MOST
            {
                failures.remove(&first);
            }
        }
        let free = failures.entry(peer).or_insert(now);
        *free = (*free).max(now) + INTERVAL;
    }
}

fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let bits = address.to_bits() >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from_bits(bits))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_address_that_fails_too_often_waits() {
        let throttle = Throttle::default();
        let peer = |text: &str| text.parse::<IpAddr>().unwrap();
        for _ in 0..BURST {
            assert!(throttle.permit(peer("2001:db8::1")).is_ok());
            throttle.add(peer("2001:db8::1"));
        }
        assert!(throttle.permit(peer("2001:db8::2")).is_err());
        assert!(throttle.permit(peer("2001:db8:0:1::1")).is_ok());
        assert!(throttle.permit(peer("192.0.2.1")).is_ok());
        tokio::time::advance(INTERVAL).await;
        assert!(throttle.permit(peer("2001:db8::1")).is_ok());
        throttle.add(peer("2001:db8::1"));
        assert!(throttle.permit(peer("2001:db8::1")).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_addresses_is_bounded() {
        let throttle = Throttle::default();
        for number in 0..=u32::try_from(MOST).unwrap() {
            throttle.add(IpAddr::from(number.to_be_bytes()));
        }
        assert_eq!(lock(&throttle.0).len(), MOST);
        tokio::time::advance(INTERVAL).await;
        throttle.add(IpAddr::from([9, 9, 9, 9]));
        assert_eq!(lock(&throttle.0).len(), 1);
    }
}
