//! A lock for each key.

use std::collections::HashMap;
use std::hash::Hash;
use std::ops::Deref;
use std::sync::{Arc, Mutex};

use tokio::sync::OwnedMutexGuard;

use crate::lock::lock;

/// A lock for each key. An entry exists only while a task holds it or waits for it.
pub(crate) struct KeyedLock<K> {
    locks: Mutex<HashMap<K, Arc<tokio::sync::Mutex<()>>>>,
}

/// The lock of a key, released when it is dropped.
pub(crate) struct KeyedLockGuard<T, K>
where
    T: Deref<Target = KeyedLock<K>>,
    K: Eq + Hash,
{
    table: T,
    key: K,
    /// `None` while the task waits.
    guard: Option<OwnedMutexGuard<()>>,
}

impl<K> Default for KeyedLock<K> {
    fn default() -> Self {
        Self {
            locks: Mutex::default(),
        }
    }
}

impl<K: Clone + Eq + Hash> KeyedLock<K> {
    /// Waits until no other task holds the lock of `key`, and takes it.
    pub(crate) async fn lock(&self, key: K) -> KeyedLockGuard<&Self, K> {
        KeyedLockGuard::acquire(self, key).await
    }
    /// Waits like [`KeyedLock::lock`], for a lock that outlives the borrow of the table.
    pub(crate) async fn lock_owned(self: Arc<Self>, key: K) -> KeyedLockGuard<Arc<Self>, K> {
        KeyedLockGuard::acquire(self, key).await
    }
    /// Returns the number of keys with a lock that is held or waited for.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        lock(&self.locks).len()
    }
}

impl<T, K> KeyedLockGuard<T, K>
where
    T: Deref<Target = KeyedLock<K>>,
    K: Clone + Eq + Hash,
{
    async fn acquire(table: T, key: K) -> Self {
        let waiting = Arc::clone(lock(&table.locks).entry(key.clone()).or_default());
        // Made before the wait, so that a cancelled task leaves no entry behind.
        let mut held = Self {
            table,
            key,
            guard: None,
        };
        held.guard = Some(waiting.lock_owned().await);
        held
    }
}

impl<T, K> Drop for KeyedLockGuard<T, K>
where
    T: Deref<Target = KeyedLock<K>>,
    K: Eq + Hash,
{
    fn drop(&mut self) {
        self.guard = None;
        let mut locks = lock(&self.table.locks);
        // Other tasks of the key share the entry; the last one removes it.
        if locks
            .get(&self.key)
            .is_some_and(|entry| Arc::strong_count(entry) == 1)
        {
            locks.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn one_task_at_a_time_holds_a_key_and_no_entry_stays() {
        let table = KeyedLock::default();
        let first = table.lock("a").await;
        assert!(table.lock("b").now_or_never().is_some());
        let mut second = std::pin::pin!(table.lock("a"));
        assert!(second.as_mut().now_or_never().is_none());
        assert_eq!(table.len(), 1);
        drop(first);
        drop(second.await);
        assert_eq!(table.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_is_cancelled_during_its_wait_leaves_no_entry() {
        let table = KeyedLock::default();
        let holder = table.lock("a").await;
        let second = timeout(Duration::from_secs(1), table.lock("a")).await;
        assert!(second.is_err());
        let mut third = Box::pin(table.lock("a"));
        assert!(third.as_mut().now_or_never().is_none());
        // The holder still sees the waiting task and leaves the entry to it.
        drop(holder);
        drop(third);
        assert_eq!(table.len(), 0);
        assert!(table.lock("a").now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_holder_passes_the_lock_on() {
        let table = KeyedLock::default();
        let holding = async {
            let _held = table.lock("a").await;
            std::future::pending::<()>().await;
        };
        let leader = timeout(Duration::from_secs(5), holding);
        let follower = async {
            let started = tokio::time::Instant::now();
            let _held = table.lock("a").await;
            started.elapsed()
        };
        let (leader, waited) = tokio::join!(leader, follower);
        assert!(leader.is_err());
        assert_eq!(waited, Duration::from_secs(5));
        assert_eq!(table.len(), 0);
    }
}
