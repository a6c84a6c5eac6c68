//! Facts about destinations that outlive a run, in an `SQLite` file that processes share.
//!
//! A record is a hint only: every use either asks the registry or could have asked. A run is therefore correct without
//! the file. A fault of the file is reported once, and the run goes on.
//!
//! A thread reads over a connection of its own, so that no task of the runtime waits for the disk. It reads what is
//! known about the tags of a repository at once. Another thread writes: updates reach it through a bounded queue, which
//! drops them when it is full, and are written in batches. What did not change is not queued, and the thread starts with
//! the first update. The file is in WAL mode, where a writer never blocks a reader.

mod copies;
mod error;
mod file;
mod maintenance;
mod reader;
mod reader_thread;
mod writer;
mod writer_thread;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use image_syncer_registry::{Digest, Tag};
use rusqlite::Connection;

use crate::Repository;
use crate::inventory::blob_facts::{BlobFacts, BlobUpdate};
use crate::inventory::recorded_digests::DigestTable;
use crate::inventory::registry_facts::DigestKey;
use crate::lock::lock;

pub(crate) use copies::{RecordedCopies, RecordedDigest};
pub use error::{RecordsError, RecordsErrorKind};
pub use maintenance::{KEPT_DAYS, RecordsMaintenance, RecordsOverview, RegistryRecords};
use reader::RecordsReader;
use reader_thread::ReaderThread;
use writer_thread::WriterThread;

/// Days after which the date of a record is written again.
const REFRESHED_AFTER: i64 = 7;

/// Seconds in a day.
const DAY: i64 = 24 * 60 * 60;

/// Records file, open for as long as this value lives.
pub struct Records {
    path: PathBuf,
    /// Day since 1970, fixed for a run.
    today: i64,
    /// Names of the registries with records.
    registries: Mutex<HashSet<String>>,
    reader: ReaderThread,
    /// `None` if the file is only read.
    writer: Option<WriterThread>,
    trouble: ErrorReporter,
}

/// Work on the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordsActivity {
    /// Number of lookups.
    pub lookups: u64,
    /// Number of updates.
    pub updates: u64,
    /// Number of transactions with these updates.
    pub transactions: u64,
}

/// Reports the first fault of the file; later ones are usually its consequences.
#[derive(Clone)]
struct ErrorReporter {
    reported: Arc<AtomicBool>,
    report: Arc<dyn Fn(&RecordsError) + Send + Sync>,
}

/// Update of the records.
#[derive(Debug)]
pub(super) enum RecordUpdate {
    /// News about blobs.
    Blobs(BlobUpdate),
    /// This tag was copied, or found equal.
    Copied(Repository, Tag, RecordedCopy),
    /// The digest was in the source repository at that time.
    Seen(Repository, Digest, SystemTime),
    /// All referrers of this root existed at that time.
    ReferrersChecked(ReferrersChecks, Digest, SystemTime),
}

/// Repositories of one registry that hold a blob: the requested one first, if it is among them.
pub(super) type BlobRepositories = Vec<Repository>;

/// Last copy to a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RecordedCopy {
    pub(super) source: Repository,
    pub(super) source_tag: Tag,
    /// Fingerprint of the platform filter; 0 is none.
    pub(super) filter: i64,
    pub(super) digest: Digest,
}

/// Checks for the referrers of roots.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ReferrersChecks {
    pub(super) destination: Repository,
    pub(super) source: Repository,
    /// Fingerprint of the depth and types of the checks: other checks say nothing about these.
    pub(super) scope: i64,
}

/// Times at which runs saw a digest at its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordedSighting {
    /// Seconds since 1970.
    pub(super) first: i64,
    /// The last time is so recent that it need not be written again.
    pub(super) is_recent: bool,
}

impl Records {
    /// Opens the file, and creates it if it does not exist. `report` receives a later fault, once at most, from any
    /// thread.
    ///
    /// # Errors
    /// The file cannot be used. The run then only loses its memory of earlier runs.
    pub fn open(
        path: &Path,
        report: impl Fn(&RecordsError) + Send + Sync + 'static,
    ) -> Result<Self, RecordsError> {
        let connection = file::FORMAT.open(path)?;
        let today = day(SystemTime::now());
        // The writer reports a fault.
        let is_pruning_due = maintenance::is_due(&connection, today).unwrap_or(true);
        let mut records = Self::reading(path, (connection, file::SCHEMA), report)?;
        let writer = WriterThread::new(path, today, records.trouble.clone());
        if is_pruning_due {
            writer.start();
        }
        records.writer = Some(writer);
        Ok(records)
    }
    /// Opens the records read-only. Returns `None` if the file does not exist. Updates are dropped.
    ///
    /// # Errors
    /// The file exists and cannot be read.
    pub fn open_to_read(
        path: &Path,
        report: impl Fn(&RecordsError) + Send + Sync + 'static,
    ) -> Result<Option<Self>, RecordsError> {
        let opened = file::FORMAT.open_to_read(path)?;
        opened
            .map(|opened| Self::reading(path, opened, report))
            .transpose()
    }
    fn reading(
        path: &Path,
        (connection, version): (Connection, i64),
        report: impl Fn(&RecordsError) + Send + Sync + 'static,
    ) -> Result<Self, RecordsError> {
        let trouble = ErrorReporter {
            reported: Arc::default(),
            report: Arc::new(report),
        };
        let registries = file::registries(&connection).unwrap_or_else(|error| {
            trouble.report(&RecordsError::new(path, error));
            HashSet::new()
        });
        let reader = RecordsReader::over(connection, version)
            .map_err(|error| RecordsError::new(path, error))?;
        let reader = ReaderThread::start(path, reader, trouble.clone())
            .map_err(|error| RecordsError::io(path, &error))?;
        Ok(Self {
            path: path.to_owned(),
            today: day(SystemTime::now()),
            registries: Mutex::new(registries),
            reader,
            writer: None,
            trouble,
        })
    }
    /// Returns records without content, which drop updates: for a run that writes nothing, instead of a file that it would
    /// create otherwise.
    ///
    /// # Errors
    /// No memory or no thread is left.
    pub fn empty() -> Result<Self, RecordsError> {
        let path = Path::new(":memory:");
        let failed = |error| RecordsError::new(path, error);
        let connection = file::FORMAT.open_empty().map_err(failed)?;
        Self::reading(path, (connection, file::SCHEMA), |_: &RecordsError| {})
    }
    /// Writes pending updates and closes the file: lookups find nothing from now on, and updates are dropped. Waits for
    /// at most `max_wait`.
    pub fn close(&self, max_wait: Duration) {
        let deadline = Instant::now() + max_wait;
        // The last connection to the file empties its log.
        let is_read = self.reader.close(max_wait);
        let left = deadline.saturating_duration_since(Instant::now());
        let is_written = self.writer.as_ref().is_none_or(|writer| writer.close(left));
        if !(is_read && is_written) {
            let kind = RecordsErrorKind::Slow;
            self.trouble
                .report(&RecordsError::with_kind(&self.path, kind));
        }
        let RecordsActivity {
            lookups,
            updates,
            transactions,
        } = self.activity();
        tracing::trace!(
            "records: {lookups} lookups, {updates} updates in {transactions} transactions"
        );
    }
    /// Returns the work on the file so far.
    pub fn activity(&self) -> RecordsActivity {
        let writer = self.writer.as_ref();
        let (updates, transactions) = writer.map(WriterThread::activity).unwrap_or_default();
        RecordsActivity {
            lookups: self.reader.lookups(),
            updates,
            transactions,
        }
    }
    /// Returns the names of the registries with records: nothing need be looked up about others.
    pub(super) fn registries(&self) -> HashSet<String> {
        lock(&self.registries).clone()
    }
    /// Returns the last copies to the tags of `destination`.
    pub(super) async fn copies(&self, destination: &Repository) -> RecordedCopies {
        let (destination, today) = (destination.clone(), self.today);
        let copies = self
            .reader
            .read(move |reader| reader.copies(&destination, today));
        copies.await.unwrap_or_default()
    }
    /// Returns the times of the last of `checks`, in seconds since 1970; `None` if there are more than `limit`.
    pub(super) async fn checks(
        &self,
        checks: ReferrersChecks,
        limit: usize,
    ) -> Option<DigestTable<i64>> {
        let read = move |reader: &mut RecordsReader| reader.checks(&checks, limit);
        self.reader.read(read).await.flatten()
    }
    /// Returns the time of the last of `checks` of `root`, in seconds since 1970.
    pub(super) async fn last_check(&self, checks: ReferrersChecks, root: &Digest) -> Option<i64> {
        let root = root.clone();
        let read = move |reader: &mut RecordsReader| reader.last_check(&checks, &root);
        self.reader.read(read).await.flatten()
    }
    /// Returns the times at which runs saw the digests of `source`; `None` if there are more than `limit`.
    pub(super) async fn sightings(
        &self,
        source: Repository,
        limit: usize,
    ) -> Option<DigestTable<RecordedSighting>> {
        let today = self.today;
        let read = move |reader: &mut RecordsReader| reader.sightings(&source, today, limit);
        self.reader.read(read).await.flatten()
    }
    /// Returns the times at which runs saw `digest` in `source`.
    pub(super) async fn sighting(
        &self,
        source: &Repository,
        digest: &Digest,
    ) -> Option<RecordedSighting> {
        let (source, digest, today) = (source.clone(), digest.clone(), self.today);
        let read = move |reader: &mut RecordsReader| reader.sighting(&source, &digest, today);
        self.reader.read(read).await.flatten()
    }
    /// Queues an update, unless too many wait.
    pub(super) fn queue_update(&self, update: RecordUpdate) {
        if let Some(writer) = &self.writer {
            let name = update.repository().endpoint().record_name();
            let mut registries = lock(&self.registries);
            if !registries.contains(&*name) {
                registries.insert(name.into_owned());
            }
            drop(registries);
            writer.push(update);
        }
    }
}

impl BlobFacts for Records {
    fn locations<'a>(
        &'a self,
        repository: &'a Repository,
        blobs: Vec<DigestKey>,
    ) -> BoxFuture<'a, Vec<(DigestKey, BlobRepositories)>> {
        let repository = repository.clone();
        let found = self.reader.read(move |reader| {
            let mut found = Vec::new();
            for blob in blobs {
                let locations = reader.locations(&repository, blob)?;
                if !locations.is_empty() {
                    found.push((blob, locations));
                }
            }
            Ok(found)
        });
        async move { found.await.unwrap_or_default() }.boxed()
    }
    fn record(&self, update: BlobUpdate) {
        self.queue_update(RecordUpdate::Blobs(update));
    }
}

impl RecordUpdate {
    /// Returns the repository that the update is about.
    fn repository(&self) -> &Repository {
        match self {
            Self::Blobs(update) => update.repository(),
            Self::Copied(repository, ..) | Self::Seen(repository, ..) => repository,
            Self::ReferrersChecked(checks, ..) => &checks.destination,
        }
    }
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Records")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl ErrorReporter {
    fn report(&self, error: &RecordsError) {
        if !self.reported.swap(true, Ordering::AcqRel) {
            (self.report)(error);
        }
    }
}

/// Runs `work` on a thread of its own. The returned channel is disconnected when it ends.
fn spawn_thread(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<Receiver<()>> {
    let (working, finished) = sync_channel(0);
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            work();
            drop(working);
        })?;
    Ok(finished)
}

/// Days since 1970: coarse, so that most records that are seen again need no write.
fn day(now: SystemTime) -> i64 {
    seconds(now) / DAY
}

/// Returns the time of so many seconds since 1970; `None` if the number is invalid, as it may be in a damaged file.
pub(super) fn time(seconds: i64) -> Option<SystemTime> {
    let since = Duration::from_secs(u64::try_from(seconds).ok()?);
    SystemTime::UNIX_EPOCH.checked_add(since)
}

/// Seconds since 1970.
fn seconds(now: SystemTime) -> i64 {
    let since = now.duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
