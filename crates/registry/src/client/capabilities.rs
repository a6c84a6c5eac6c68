//! Capabilities of one registry as observed in this run, so that nothing is requested again whose answer is known.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use crate::client::name_list::ListKind;
use crate::client::referrers::ReferrersCapabilities;
use crate::client::uploads::UploadForms;
use crate::digest::Digest;
use crate::error::Error;
use crate::lock::lock;

/// Maximum number of remembered facts of one kind. Facts beyond it are learned again each time.
const MAX_REMEMBERED: usize = 4096;

/// Facts about one registry. All are hints: a wrong one costs a request.
#[derive(Default)]
pub(super) struct RegistryCapabilities {
    forms: Mutex<UploadForms>,
    mounts: Mutex<MountSupport>,
    doubts: Mutex<DisprovedBlobs>,
    /// Blobs that were seen with a wrong length, by repository and digest, and the error of an upload that did not
    /// repair them.
    damaged: Mutex<HashMap<(String, Digest), Option<Error>>>,
    /// `?n=` on a tag list, and on the catalog, was answered with an error.
    refuses_tag_page_size: AtomicBool,
    refuses_catalog_page_size: AtomicBool,
    /// The referrers API, and how fallback tags are written.
    pub(super) referrers: ReferrersCapabilities,
    /// A manifest whose push was answered without a digest was found to be there.
    keeps_what_it_takes: AtomicBool,
    /// A range of a blob was answered with something else.
    no_ranges: AtomicBool,
    /// A range of a blob was answered with another part, or with an error.
    misstates_ranges: AtomicBool,
    /// The host has served a manifest or a list of tags, or opened an upload.
    is_registry: AtomicBool,
    /// A HEAD of a manifest was answered with an error, and a GET of it was not.
    no_heads: AtomicBool,
}

/// Support for mounts.
#[derive(Default)]
struct MountSupport {
    /// Mounting a blob from the repository itself is answered with an error.
    no_self: bool,
    /// Mounting is answered with an error in every repository.
    none: bool,
    /// Repositories that mounting from is answered with an error.
    refused: HashSet<String>,
}

/// Content that the registry claimed to have and then missed. Groups of registries (Nexus) and shared stores claim
/// blobs that the repository cannot use.
#[derive(Default)]
struct DisprovedBlobs {
    /// Blobs by repository and digest.
    blobs: HashSet<(String, Digest)>,
    /// Repositories that miss something without naming it.
    repositories: HashSet<String>,
}

impl RegistryCapabilities {
    /// Returns the forms of upload that the registry accepts.
    pub(super) fn forms(&self) -> MutexGuard<'_, UploadForms> {
        lock(&self.forms)
    }

    /// Returns whether a mount from `from`, the path of a repository, is worth a request; `None` stands for the
    /// repository itself.
    pub(super) fn may_mount(&self, from: Option<&str>) -> bool {
        let mounts = lock(&self.mounts);
        match from {
            None => !mounts.no_self,
            Some(path) => !mounts.none && !mounts.refused.contains(path),
        }
    }

    /// Returns whether all mounts are answered with an error.
    pub(super) fn mounts_nothing(&self) -> bool {
        lock(&self.mounts).none
    }

    /// Records that a mount from `from` was answered with an error, and a plain session was not. `unsupported` if the
    /// error is about mounts in general rather than about that repository.
    pub(super) fn no_mount(&self, from: Option<&str>, unsupported: bool) {
        let mut mounts = lock(&self.mounts);
        match from {
            None => mounts.no_self = true,
            Some(_) if unsupported => mounts.none = true,
            Some(path) if mounts.refused.len() < MAX_REMEMBERED => {
                mounts.refused.insert(path.to_owned());
            }
            Some(_) => {}
        }
    }

    /// Records that the repository at `path` refused a manifest because `missing` content does not exist; empty if the
    /// registry does not name it.
    pub(super) fn record_missing(&self, path: &str, missing: &[Digest]) {
        let mut doubts = lock(&self.doubts);
        if missing.is_empty() && doubts.repositories.len() < MAX_REMEMBERED {
            doubts.repositories.insert(path.to_owned());
        }
        for digest in missing {
            if doubts.blobs.len() < MAX_REMEMBERED {
                doubts.blobs.insert((path.to_owned(), digest.clone()));
            }
        }
    }

    /// Records that the repository at `path` accepted a manifest, so that it misses nothing.
    pub(super) fn missed_nothing(&self, path: &str) {
        lock(&self.doubts).repositories.remove(path);
    }

    /// Records that the blob was sent to the repository at `path`.
    pub(super) fn sent(&self, path: &str, digest: &Digest) {
        let mut doubts = lock(&self.doubts);
        if !doubts.blobs.is_empty() {
            doubts.blobs.remove(&(path.to_owned(), digest.clone()));
        }
    }

    /// Returns whether a claim that the repository at `path` has the blob was wrong before.
    pub(super) fn is_disproved(&self, path: &str, digest: &Digest) -> bool {
        let doubts = lock(&self.doubts);
        doubts.repositories.contains(path)
            || (!doubts.blobs.is_empty()
                && doubts.blobs.contains(&(path.to_owned(), digest.clone())))
    }

    /// Records that the repository at `path` has the blob with a wrong length; with `error` if an upload did not repair
    /// it.
    pub(super) fn saw_damage(&self, path: &str, digest: &Digest, error: Option<&Error>) {
        let mut damaged = lock(&self.damaged);
        let key = (path.to_owned(), digest.clone());
        if damaged.len() < MAX_REMEMBERED || damaged.contains_key(&key) {
            damaged.insert(key, error.cloned());
        }
    }

    /// Records that the blob has the right length again.
    pub(super) fn repaired(&self, path: &str, digest: &Digest) {
        lock(&self.damaged).remove(&(path.to_owned(), digest.clone()));
    }

    /// Returns whether the blob was seen with a wrong length.
    pub(super) fn is_damaged(&self, path: &str, digest: &Digest) -> bool {
        let damaged = lock(&self.damaged);
        !damaged.is_empty() && damaged.contains_key(&(path.to_owned(), digest.clone()))
    }

    /// Returns the error of an upload that did not repair the blob.
    pub(super) fn damage(&self, path: &str, digest: &Digest) -> Option<Error> {
        let damaged = lock(&self.damaged);
        damaged.get(&(path.to_owned(), digest.clone()))?.clone()
    }

    /// Returns whether lists of this kind accept a page size.
    pub(super) fn takes_page_size(&self, kind: ListKind) -> bool {
        !self.refusal_of_page_size(kind).load(Ordering::Relaxed)
    }

    /// Records that lists of this kind accept no page size.
    pub(super) fn no_page_size(&self, kind: ListKind) {
        self.refusal_of_page_size(kind)
            .store(true, Ordering::Relaxed);
    }

    fn refusal_of_page_size(&self, kind: ListKind) -> &AtomicBool {
        match kind {
            ListKind::Tags => &self.refuses_tag_page_size,
            ListKind::Repositories => &self.refuses_catalog_page_size,
        }
    }

    /// Returns whether ranges of a blob are worth a request beside the blob.
    pub(super) fn answers_ranges(&self) -> bool {
        !self.no_ranges.load(Ordering::Relaxed)
    }

    /// Records that a range of a blob was answered with something else.
    pub(super) fn no_ranges(&self) {
        self.no_ranges.store(true, Ordering::Relaxed);
    }

    /// Returns whether a broken download has to start again, because the registry answers ranges wrongly.
    pub(super) fn misstates_ranges(&self) -> bool {
        self.misstates_ranges.load(Ordering::Relaxed)
    }

    /// Records that a range was answered wrongly.
    pub(super) fn record_misstated_range(&self) {
        self.misstates_ranges.store(true, Ordering::Relaxed);
    }

    /// Returns whether the host has shown that it is a registry.
    pub(super) fn is_registry(&self) -> bool {
        self.is_registry.load(Ordering::Relaxed)
    }

    /// Records that the host has done what only a registry does.
    pub(super) fn record_registry(&self) {
        self.is_registry.store(true, Ordering::Relaxed);
    }

    /// Returns whether HEAD of manifests fails where GET does not.
    pub(super) fn heads_fail(&self) -> bool {
        self.no_heads.load(Ordering::Relaxed)
    }

    /// Records that HEAD of manifests fails where GET does not.
    pub(super) fn no_heads(&self) {
        self.no_heads.store(true, Ordering::Relaxed);
    }

    /// Returns whether a registry that names no digests was seen to store manifests unchanged.
    pub(super) fn is_known_to_verify(&self) -> bool {
        self.keeps_what_it_takes.load(Ordering::Relaxed)
    }

    /// Records that the registry stored a manifest unchanged.
    pub(super) fn record_verified(&self) {
        self.keeps_what_it_takes.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_only_the_question_that_failed() {
        let capabilities = RegistryCapabilities::default();
        assert!(capabilities.may_mount(None) && capabilities.may_mount(Some("a")));
        capabilities.no_mount(Some("a"), false);
        assert!(
            capabilities.may_mount(None)
                && !capabilities.may_mount(Some("a"))
                && capabilities.may_mount(Some("b"))
        );
        capabilities.no_mount(None, true);
        assert!(!capabilities.may_mount(None) && capabilities.may_mount(Some("b")));
        capabilities.no_mount(Some("c"), true);
        assert!(!capabilities.may_mount(Some("b")));
    }

    #[test]
    fn missing_content_is_disproved_until_it_is_sent() {
        let capabilities = RegistryCapabilities::default();
        let (one, other) = (Digest::sha256(b"1"), Digest::sha256(b"2"));
        capabilities.record_missing("a", std::slice::from_ref(&one));
        assert!(capabilities.is_disproved("a", &one));
        assert!(!capabilities.is_disproved("a", &other) && !capabilities.is_disproved("b", &one));
        capabilities.sent("a", &one);
        assert!(!capabilities.is_disproved("a", &one));
        capabilities.record_missing("a", &[]);
        assert!(capabilities.is_disproved("a", &other) && !capabilities.is_disproved("b", &other));
        capabilities.missed_nothing("a");
        assert!(!capabilities.is_disproved("a", &other));
    }
}
