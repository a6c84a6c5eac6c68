//! Records about the digests of a repository, which are read at once when the first of them is needed.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::OnceCell;

use crate::inventory::DigestKey;
use crate::lock::lock;

/// Maximum number of rows that are kept for all repositories: seven megabytes. The digests of further repositories are
/// looked up one by one.
const MAX_ROWS: usize = 100_000;

/// Values by digest, from the rows of one repository.
pub(super) type DigestTable<T> = HashMap<DigestKey, T>;

/// Tables that were read so far, by what their rows are about.
pub(super) struct RecordedDigests<K, T> {
    tables: Mutex<HashMap<K, Arc<LazyTable<T>>>>,
    /// Number of rows of all tables.
    rows: AtomicUsize,
}

/// Table that the first lookup reads; `None` if it has too many rows.
type LazyTable<T> = OnceCell<Option<DigestTable<T>>>;

/// Result of a lookup.
pub(super) enum DigestLookup<T> {
    /// Value of the digest, if there is one.
    Read(Option<T>),
    /// The table has too many rows.
    TooLong,
}

impl<K: Eq + Hash, T: Copy> RecordedDigests<K, T> {
    /// Returns the value of `digest` in the table of `key`. The first lookup reads the table with `read`, which gets the
    /// maximum number of rows, and returns `None` if there are more.
    pub(super) async fn get<F: Future<Output = Option<DigestTable<T>>>>(
        &self,
        key: K,
        digest: DigestKey,
        read: impl FnOnce(usize) -> F,
    ) -> DigestLookup<T> {
        let table = Arc::clone(lock(&self.tables).entry(key).or_default());
        let read_once = async {
            let left = MAX_ROWS.saturating_sub(self.rows.load(Ordering::Relaxed));
            let table = read(left).await?;
            self.rows.fetch_add(table.len(), Ordering::Relaxed);
            Some(table)
        };
        match table.get_or_init(|| read_once).await {
            Some(table) => DigestLookup::Read(table.get(&digest).copied()),
            None => DigestLookup::TooLong,
        }
    }
}

impl<K, T> Default for RecordedDigests<K, T> {
    fn default() -> Self {
        Self {
            tables: Mutex::default(),
            rows: AtomicUsize::new(0),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::future::{Ready, ready};

    use super::*;

    fn key(number: usize) -> DigestKey {
        let digest = image_syncer_registry::Digest::sha256(&number.to_be_bytes());
        DigestKey::from_digest(&digest)
    }

    /// Returns a table of so many rows, or `None` if that is more than the limit.
    fn read(rows: usize, limit: usize) -> Ready<Option<DigestTable<usize>>> {
        ready((rows <= limit).then(|| (0..rows).map(|row| (key(row), row)).collect()))
    }

    #[tokio::test]
    async fn tables_are_read_once_until_they_have_too_many_rows() {
        let tables = RecordedDigests::default();
        let get = async |table: &str, rows: usize, digest: usize| {
            let reads = AtomicUsize::new(0);
            let counted = |limit| {
                reads.fetch_add(1, Ordering::Relaxed);
                read(rows, limit)
            };
            let found = match tables.get(table.to_owned(), key(digest), counted).await {
                DigestLookup::Read(found) => Ok(found),
                DigestLookup::TooLong => Err(()),
            };
            (found, reads.into_inner())
        };
        assert_eq!(get("one", 3, 1).await, (Ok(Some(1)), 1));
        assert_eq!(get("one", 3, 3).await, (Ok(None), 0));
        assert_eq!(get("two", MAX_ROWS - 2, 1).await, (Err(()), 1));
        assert_eq!(get("two", MAX_ROWS - 2, 1).await, (Err(()), 0));
        assert_eq!(get("three", MAX_ROWS - 3, 1).await, (Ok(Some(1)), 1));
        assert_eq!(get("four", 1, 0).await, (Err(()), 1));
    }
}
