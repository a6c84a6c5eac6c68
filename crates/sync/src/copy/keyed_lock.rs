//! One image at a time brings a root to a repository.
//!
//! Tags that share a digest are common, and images run side by side: without this, all of them would find the root
//! missing and push it, children and all. Whoever waits here holds nothing that others wait for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use image_syncer_registry::{Digest, Repository};
use tokio::sync::OwnedMutexGuard;

use crate::lock::lock;

type Key = (Repository, Digest);

/// The roots that are on their way at this moment.
#[derive(Default)]
pub(crate) struct KeyedLock {
    table: Mutex<HashMap<Key, Arc<tokio::sync::Mutex<()>>>>,
}

/// The right to bring a root to a repository; given back when it is dropped.
pub(super) struct KeyedLockGuard<'a> {
    claims: &'a KeyedLock,
    key: Key,
    guard: Option<OwnedMutexGuard<()>>,
}

impl KeyedLock {
    /// Waits until nobody else brings this root to this repository.
    pub(super) async fn claim(&self, repository: &Repository, root: &Digest) -> KeyedLockGuard<'_> {
        let key = (repository.clone(), root.clone());
        let turn = Arc::clone(self.table().entry(key.clone()).or_default());
        KeyedLockGuard {
            claims: self,
            key,
            guard: Some(turn.lock_owned().await),
        }
    }
    /// How many roots are on their way.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.table().len()
    }
    fn table(&self) -> MutexGuard<'_, HashMap<Key, Arc<tokio::sync::Mutex<()>>>> {
        lock(&self.table)
    }
}

impl Drop for KeyedLockGuard<'_> {
    fn drop(&mut self) {
        self.guard = None;
        let mut table = self.claims.table();
        // Those who wait hold a share of the entry: the last one takes it away.
        if table
            .get(&self.key)
            .is_some_and(|turn| Arc::strong_count(turn) == 1)
        {
            table.remove(&self.key);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::store::memory::repository;

    #[tokio::test]
    async fn one_at_a_time_and_nothing_stays_behind() {
        let claims = KeyedLock::default();
        let (here, there) = (repository("dst.example/a"), repository("dst.example/b"));
        let root = Digest::sha256(b"root");
        let first = claims.claim(&here, &root).await;
        assert!(claims.claim(&there, &root).now_or_never().is_some());
        assert!(
            claims
                .claim(&here, &Digest::sha256(b"other"))
                .now_or_never()
                .is_some()
        );
        let mut second = std::pin::pin!(claims.claim(&here, &root));
        assert!(second.as_mut().now_or_never().is_none());
        drop(first);
        drop(second.now_or_never().unwrap());
        assert_eq!(claims.len(), 0);
    }
}
