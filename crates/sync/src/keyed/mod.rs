//! Coordination of concurrent tasks by key: one computation for all ([`KeyedOnce`]), or one task at a time
//! ([`KeyedLock`]).
//!
//! Neither table keeps an entry that no task uses, however its tasks end.

mod lock;
mod once;

pub(crate) use lock::{KeyedLock, KeyedLockGuard};
pub(crate) use once::KeyedOnce;
