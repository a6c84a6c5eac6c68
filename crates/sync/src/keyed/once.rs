//! One computation for each key, shared by all tasks that need its value.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex};

use tokio::sync::OnceCell;

use crate::lock::lock;

/// Computes a value once for each key, however many tasks request it at the same time, and keeps the latest values up to
/// a total weight.
///
/// A failure is shared by the tasks that wait for it, and not kept. If the computing task is cancelled, a waiting one
/// computes the value itself.
pub(crate) struct KeyedOnce<K, V, E> {
    table: Mutex<Table<K, V, E>>,
}

type Cell<V, E> = OnceCell<Result<V, E>>;

struct Table<K, V, E> {
    cells: HashMap<K, Arc<Cell<V, E>>>,
    /// Keys of the kept values with their weights, oldest first.
    kept: VecDeque<(K, u64)>,
    weight: u64,
    limit: u64,
}

/// The entry of a key while a task requests its value. Drop it after the cell.
struct Entry<'a, K: Eq + Hash, V, E> {
    table: &'a Mutex<Table<K, V, E>>,
    key: K,
}

impl<K: Clone + Eq + Hash, V: Clone, E: Clone> KeyedOnce<K, V, E> {
    /// Creates a table that keeps values up to a total weight of `limit`; 0 keeps none.
    pub(crate) fn with_limit(limit: u64) -> Self {
        Self {
            table: Mutex::new(Table {
                cells: HashMap::new(),
                kept: VecDeque::new(),
                weight: 0,
                limit,
            }),
        }
    }
    /// Returns the value of `key`. Computes it with `compute` if it is neither kept nor being computed; `weight` weighs
    /// a new value.
    ///
    /// # Errors
    /// The error of `compute`.
    pub(crate) async fn get<F: Future<Output = Result<V, E>>>(
        &self,
        key: K,
        weight: impl FnOnce(&V) -> u64,
        compute: impl FnOnce() -> F,
    ) -> Result<V, E> {
        let entry = self.entry(key);
        let cell = entry.cell();
        let compute = || async {
            let computed = compute().await;
            match &computed {
                Ok(value) => entry.keep(weight(value)),
                Err(_) => entry.remove(&cell),
            }
            computed
        };
        // Boxed, so that the tasks that find the value or wait for it are small.
        cell.get_or_init(|| Box::pin(compute())).await.clone()
    }
    /// Stores a value of `key` that was obtained otherwise. Returns the earlier one if there is one.
    pub(crate) fn insert(&self, key: K, weight: u64, value: V) -> V {
        let entry = self.entry(key);
        let cell = entry.cell();
        if cell.set(Ok(value.clone())).is_ok() {
            entry.keep(weight);
        }
        match cell.get() {
            Some(Ok(stored)) => stored.clone(),
            _ => value,
        }
    }
    fn entry(&self, key: K) -> Entry<'_, K, V, E> {
        let table = &self.table;
        Entry { table, key }
    }
    /// Returns the number of entries.
    #[cfg(test)]
    fn len(&self) -> usize {
        lock(&self.table).cells.len()
    }
}

impl<K: Clone + Eq + Hash, V, E> Entry<'_, K, V, E> {
    fn cell(&self) -> Arc<Cell<V, E>> {
        let mut table = lock(self.table);
        Arc::clone(table.cells.entry(self.key.clone()).or_default())
    }
    /// Keeps the value, and drops the oldest ones beyond the limit.
    fn keep(&self, weight: u64) {
        let mut table = lock(self.table);
        table.kept.push_back((self.key.clone(), weight));
        table.weight = table.weight.saturating_add(weight);
        while table.weight > table.limit
            && let Some((oldest, weight)) = table.kept.pop_front()
        {
            table.cells.remove(&oldest);
            table.weight = table.weight.saturating_sub(weight);
        }
    }
    /// Removes `cell`, unless a later one has replaced it.
    fn remove(&self, cell: &Arc<Cell<V, E>>) {
        let cells = &mut lock(self.table).cells;
        if cells
            .get(&self.key)
            .is_some_and(|current| Arc::ptr_eq(current, cell))
        {
            cells.remove(&self.key);
        }
    }
}

impl<K: Eq + Hash, V, E> Drop for Entry<'_, K, V, E> {
    fn drop(&mut self) {
        let cells = &mut lock(self.table).cells;
        // The last task of a cancelled computation removes its cell.
        if cells
            .get(&self.key)
            .is_some_and(|cell| !cell.initialized() && Arc::strong_count(cell) == 1)
        {
            cells.remove(&self.key);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use tokio::time::{sleep, timeout};

    use super::*;

    type Numbers = KeyedOnce<&'static str, u32, &'static str>;

    /// Counts computations that take a second.
    #[derive(Default)]
    struct Counter(AtomicU32);

    impl Counter {
        async fn next(&self) -> Result<u32, &'static str> {
            let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
            sleep(Duration::from_secs(1)).await;
            Ok(number)
        }
        async fn fail(&self) -> Result<u32, &'static str> {
            self.next().await.and(Err("no value"))
        }
        fn count(&self) -> u32 {
            self.0.load(Ordering::Relaxed)
        }
    }

    async fn get(once: &Numbers, key: &'static str, counter: &Counter) -> u32 {
        once.get(key, |_| 1, || counter.next()).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn concurrent_requests_share_one_computation() {
        let (once, counter) = (Numbers::with_limit(0), Counter::default());
        let both = tokio::join!(get(&once, "a", &counter), get(&once, "a", &counter));
        assert_eq!((both, counter.count()), ((1, 1), 1));
        // Nothing is kept.
        assert_eq!(once.len(), 0);
        assert_eq!(get(&once, "a", &counter).await, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiting_request_takes_over_from_a_cancelled_one() {
        let (once, counter) = (Numbers::with_limit(9), Counter::default());
        let started = tokio::time::Instant::now();
        let leader = timeout(Duration::from_millis(500), get(&once, "a", &counter));
        let (leader, follower) = tokio::join!(leader, get(&once, "a", &counter));
        assert!(leader.is_err());
        assert_eq!((follower, counter.count()), (2, 2));
        assert_eq!(started.elapsed(), Duration::from_millis(1500));
        assert_eq!(get(&once, "a", &counter).await, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn cancelled_requests_leave_no_entry() {
        let (once, counter) = (Numbers::with_limit(9), Counter::default());
        let both = async { tokio::join!(get(&once, "a", &counter), get(&once, "a", &counter)) };
        assert!(timeout(Duration::from_millis(500), both).await.is_err());
        assert_eq!((once.len(), counter.count()), (0, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_shared_by_those_that_wait_and_not_kept() {
        let (once, counter) = (Numbers::with_limit(9), Counter::default());
        let fail = || once.get("a", |_| 1, || counter.fail());
        assert_eq!(
            tokio::join!(fail(), fail()),
            (Err("no value"), Err("no value"))
        );
        assert_eq!((once.len(), counter.count()), (0, 1));
        assert_eq!(get(&once, "a", &counter).await, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn kept_values_are_bounded_and_the_oldest_goes_first() {
        let (once, counter) = (Numbers::with_limit(2), Counter::default());
        for (key, expected) in [("a", 1), ("b", 2), ("a", 1), ("c", 3), ("b", 2), ("a", 4)] {
            assert_eq!(get(&once, key, &counter).await, expected);
        }
        assert_eq!(once.len(), 2);
        assert_eq!(once.insert("a", 1, 9), 4);
        assert_eq!(once.insert("d", 1, 9), 9);
        assert_eq!(get(&once, "d", &counter).await, 9);
    }
}
