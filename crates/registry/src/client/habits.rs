//! What a registry was found to do, remembered for the run so that no question is asked twice whose answer is known.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::client::uploads::Forms;

/// The most repositories remembered for refusing to be mounted from; more are asked again.
const MAX_REFUSED: usize = 4096;

/// The facts about one registry. All of them are hints that cost a request when they are wrong.
#[derive(Default)]
pub(super) struct Habits {
    forms: Mutex<Forms>,
    mounts: Mutex<Mounts>,
    /// `?n=` on a tag list was answered with an error.
    refuses_page_size: AtomicBool,
    /// A manifest whose push was answered without a digest was found to be there.
    keeps_what_it_takes: AtomicBool,
}

/// What is known about mounting.
#[derive(Default)]
struct Mounts {
    /// Mounting a blob from the repository itself is answered with an error.
    no_self: bool,
    /// Mounting is answered with an error, whatever the repository.
    none: bool,
    /// Repositories that mounting from is answered with an error.
    refused: HashSet<String>,
}

impl Habits {
    /// Which forms of upload are taken.
    pub(super) fn forms(&self) -> MutexGuard<'_, Forms> {
        lock(&self.forms)
    }

    /// Whether it is worth asking for a blob to be mounted from `from`, a repository's path, or from the repository
    /// itself (`None`).
    pub(super) fn may_mount(&self, from: Option<&str>) -> bool {
        let mounts = lock(&self.mounts);
        match from {
            None => !mounts.no_self,
            Some(path) => !mounts.none && !mounts.refused.contains(path),
        }
    }

    /// Remembers that mounting from `from` was answered with an error where a plain session was not; `unsupported`
    /// tells whether the error is about mounting as such rather than about that repository.
    pub(super) fn no_mount(&self, from: Option<&str>, unsupported: bool) {
        let mut mounts = lock(&self.mounts);
        match from {
            None => mounts.no_self = true,
            Some(_) if unsupported => mounts.none = true,
            Some(path) if mounts.refused.len() < MAX_REFUSED => {
                mounts.refused.insert(path.to_owned());
            }
            Some(_) => {}
        }
    }

    /// Whether a tag list may be asked for with a page size.
    pub(super) fn takes_page_size(&self) -> bool {
        !self.refuses_page_size.load(Ordering::Relaxed)
    }

    /// Remembers that it may not.
    pub(super) fn no_page_size(&self) {
        self.refuses_page_size.store(true, Ordering::Relaxed);
    }

    /// Whether the registry, which does not name digests, was found to keep what it takes.
    pub(super) fn keeps_what_it_takes(&self) -> bool {
        self.keeps_what_it_takes.load(Ordering::Relaxed)
    }

    /// Remembers that it does.
    pub(super) fn kept(&self) {
        self.keeps_what_it_takes.store(true, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Facts are single values: a panic elsewhere cannot leave one half written.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_only_the_question_that_failed() {
        let habits = Habits::default();
        assert!(habits.may_mount(None) && habits.may_mount(Some("a")));
        habits.no_mount(Some("a"), false);
        assert!(
            habits.may_mount(None) && !habits.may_mount(Some("a")) && habits.may_mount(Some("b"))
        );
        habits.no_mount(None, true);
        assert!(!habits.may_mount(None) && habits.may_mount(Some("b")));
        habits.no_mount(Some("c"), true);
        assert!(!habits.may_mount(Some("b")));
    }
}
