//! Facts about destinations that outlive a run, in an `SQLite` file that processes share.
//!
//! A record is a hint only: every use either asks the registry or could have asked. A run is therefore correct without
//! the file. A fault of the file is reported once, and the run goes on.
//!
//! One thread with a connection of its own writes: updates reach it through a bounded channel, which drops them when it
//! is full, and are written in batches. Another thread reads single keys over a second connection, so that no task of
//! the runtime waits for the disk. The file is in WAL mode, where a writer never blocks a reader, and a lookup takes
//! microseconds. Only the pages of a lookup are read into memory.

mod error;
mod file;
mod maintenance;
mod reader;
mod reader_thread;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use image_syncer_registry::{Digest, Tag};

use crate::Repository;
use crate::inventory::registry_facts::DigestKey;
use crate::lock::lock;

pub use error::{RecordsError, RecordsErrorKind};
pub use maintenance::{KEPT_DAYS, RecordsMaintenance, RecordsOverview, RegistryRecords};
use reader::RecordsReader;
use reader_thread::ReaderThread;
use writer::RecordsWriter;

/// Maximum number of updates that wait to be written; further ones are dropped.
const MAX_QUEUED: usize = 8192;

/// Seconds in a day.
const DAY: i64 = 24 * 60 * 60;

/// Records file, open for as long as this value lives.
pub struct Records {
    path: PathBuf,
    reader: ReaderThread,
    /// `None` once no more updates are accepted.
    updates: Mutex<Option<SyncSender<RecordUpdate>>>,
    /// Disconnected when the writer has ended.
    finished: Mutex<Receiver<()>>,
    trouble: ErrorReporter,
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
    /// The repository holds these blobs, named by a manifest there.
    Holds(Repository, Vec<DigestKey>),
    /// The repository lacks this blob.
    Gone(Repository, DigestKey),
    /// Nothing is known about the repository any more.
    Forget(Repository),
    /// This tag was copied, or found equal.
    Copied(Repository, Tag, RecordedCopy),
    /// The digest was in the source repository at that time.
    Seen(Repository, Digest, SystemTime),
    /// All referrers of a root existed at that time.
    ReferrersChecked(Repository, ReferrersCheck, SystemTime),
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

/// Check for the referrers of a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReferrersCheck {
    pub(super) source: Repository,
    pub(super) root: Digest,
    /// Fingerprint of the depth and types of the check: another check says nothing about this one.
    pub(super) scope: i64,
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
        let failed = |error| RecordsError::new(path, error);
        let connection = file::open(path)?;
        let reader = RecordsReader::open(path).map_err(failed)?;
        let trouble = ErrorReporter {
            reported: Arc::default(),
            report: Arc::new(report),
        };
        let io = |error| RecordsError::io(path, &error);
        let reader = ReaderThread::start(path, reader, trouble.clone()).map_err(io)?;
        let (updates, incoming) = sync_channel(MAX_QUEUED);
        let writer = RecordsWriter::new(connection, day(SystemTime::now()));
        let (file, faults) = (path.to_owned(), trouble.clone());
        let finished = spawn_thread("records", move || {
            if let Err(error) = writer.run(&incoming) {
                faults.report(&RecordsError::new(&file, error));
            }
        });
        Ok(Self {
            path: path.to_owned(),
            reader,
            updates: Mutex::new(Some(updates)),
            finished: Mutex::new(finished.map_err(io)?),
            trouble,
        })
    }
    /// Opens the records read-only. Returns `None` if the file does not exist. Updates are dropped.
    ///
    /// # Errors
    /// The file exists and cannot be read.
    pub fn open_to_read(
        path: &Path,
        report: impl Fn(&RecordsError) + Send + Sync + 'static,
    ) -> Result<Option<Self>, RecordsError> {
        let Some((connection, version)) = file::open_to_read(path)? else {
            return Ok(None);
        };
        let reader = RecordsReader::over(connection, version);
        let reader = reader.map_err(|error| RecordsError::new(path, error))?;
        Self::reading(path, reader, report).map(Some)
    }
    fn reading(
        path: &Path,
        reader: RecordsReader,
        report: impl Fn(&RecordsError) + Send + Sync + 'static,
    ) -> Result<Self, RecordsError> {
        let trouble = ErrorReporter {
            reported: Arc::default(),
            report: Arc::new(report),
        };
        let reader = ReaderThread::start(path, reader, trouble.clone())
            .map_err(|error| RecordsError::io(path, &error))?;
        let (_, finished) = sync_channel(0);
        Ok(Self {
            path: path.to_owned(),
            reader,
            updates: Mutex::new(None),
            finished: Mutex::new(finished),
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
        let reader = file::open_empty().and_then(|it| RecordsReader::over(it, file::SCHEMA));
        Self::reading(path, reader.map_err(failed)?, |_: &RecordsError| {})
    }
    /// Writes pending updates and closes the file: lookups find nothing from now on, and updates are dropped. Waits for
    /// at most `max_wait`.
    pub fn close(&self, max_wait: Duration) {
        let deadline = Instant::now() + max_wait;
        // The writer closes the file last, which empties its log.
        let is_slow = !self.reader.close(max_wait);
        drop(lock(&self.updates).take());
        let left = deadline.saturating_duration_since(Instant::now());
        let written = lock(&self.finished).recv_timeout(left);
        if is_slow || written == Err(RecvTimeoutError::Timeout) {
            let kind = RecordsErrorKind::Slow;
            self.trouble
                .report(&RecordsError::with_kind(&self.path, kind, ""));
        }
    }
    /// Returns the known repositories of the registry for each of `blobs`, `repository` itself first.
    pub(super) async fn locations(
        &self,
        repository: &Repository,
        blobs: Vec<DigestKey>,
    ) -> Vec<(DigestKey, BlobRepositories)> {
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
        found.await.unwrap_or_default()
    }
    /// Returns the last copy to `tag` of `destination`.
    pub(super) async fn copy_at(
        &self,
        destination: &Repository,
        tag: &Tag,
    ) -> Option<RecordedCopy> {
        let (destination, tag) = (destination.clone(), tag.clone());
        let copy = self
            .reader
            .read(move |reader| reader.copy_at(&destination, &tag));
        copy.await.flatten()
    }
    /// Returns whether anything was ever copied to `destination`.
    pub(super) async fn has_copies_in(&self, destination: &Repository) -> bool {
        let destination = destination.clone();
        let any = self
            .reader
            .read(move |reader| reader.has_copies_in(&destination));
        any.await == Some(true)
    }
    /// Returns the time of the last answer to `check` for `destination`.
    pub(super) async fn last_check(
        &self,
        destination: &Repository,
        check: ReferrersCheck,
    ) -> Option<SystemTime> {
        let destination = destination.clone();
        let seconds = self
            .reader
            .read(move |reader| reader.last_check(&destination, &check));
        let since = Duration::from_secs(u64::try_from(seconds.await.flatten()?).ok()?);
        SystemTime::UNIX_EPOCH.checked_add(since)
    }
    /// Returns the time at which a run first saw `digest` in `source`.
    pub(super) async fn first_seen(
        &self,
        source: &Repository,
        digest: &Digest,
    ) -> Option<SystemTime> {
        let (source, digest) = (source.clone(), digest.clone());
        let seconds = self
            .reader
            .read(move |reader| reader.first_seen(&source, &digest));
        let since = Duration::from_secs(u64::try_from(seconds.await.flatten()?).ok()?);
        SystemTime::UNIX_EPOCH.checked_add(since)
    }
    /// Queues an update, unless too many wait.
    pub(super) fn queue_update(&self, update: RecordUpdate) {
        if let Some(updates) = &*lock(&self.updates) {
            // A lost hint costs one request.
            let _ = updates.try_send(update);
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

/// Seconds since 1970.
fn seconds(now: SystemTime) -> i64 {
    let since = now.duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
