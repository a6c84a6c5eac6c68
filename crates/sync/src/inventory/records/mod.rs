//! What is known of destinations, over the end of a run: an `SQLite` file that processes share.
//!
//! A record is a hint and no more: whoever follows one asks the registry, or could as well have asked. So whatever
//! befalls the file, a run is right without it; it is told once, and the run goes on.
//!
//! There is one writer, a thread of its own with a connection of its own: notes reach it by a bounded channel, which
//! drops them when it is full, and are written in batches. Readers look up single keys over a second connection; the
//! file is in WAL mode, where a writer never keeps a reader waiting, so that a look-up takes microseconds. Nothing is
//! read into memory but the pages that are asked for.

mod error;
mod file;
mod maintenance;
mod reader;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use image_syncer_registry::{Digest, Repository, Tag};

use crate::inventory::registry_facts::DigestKey;
use crate::lock::lock;

pub use error::{RecordsError, RecordsErrorKind};
pub use maintenance::{KEPT_DAYS, RecordsMaintenance, RecordsOverview, RegistryRecords};
use reader::RecordsReader;
use writer::RecordsWriter;

/// Notes that wait to be written; what comes on top is dropped.
const WAITING: usize = 8192;

/// Seconds in a day.
const DAY: i64 = 24 * 60 * 60;

/// The records file, open for as long as this lives.
pub struct Records {
    path: PathBuf,
    /// Taken away when the file is closed.
    reader: Mutex<Option<RecordsReader>>,
    /// Taken away when no more notes are taken.
    notes: Mutex<Option<SyncSender<RecordUpdate>>>,
    /// Ends when the writer has.
    written: Mutex<Receiver<()>>,
    trouble: ErrorReporter,
}

/// Where trouble with the file is told; told once, as what follows follows from it.
#[derive(Clone)]
struct ErrorReporter {
    told: Arc<AtomicBool>,
    tell: Arc<dyn Fn(&RecordsError) + Send + Sync>,
}

/// Something for the file.
#[derive(Debug)]
pub(super) enum RecordUpdate {
    /// The repository holds these blobs, under a manifest that stands there.
    Holds(Repository, Vec<DigestKey>),
    /// It lacks this one.
    Gone(Repository, DigestKey),
    /// Nothing is believed of the repository any more.
    Forget(Repository),
    /// This tag was copied, or found equal.
    Copied(Repository, Tag, RecordedCopy),
    /// At that time, everything was there that refers to a root.
    Looked(Repository, ReferrersCheck, SystemTime),
}

/// The repositories of one registry that hold a blob: the one that was asked for first, if it is among them.
pub(super) type BlobRepositories = Vec<Repository>;

/// What was last copied to a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RecordedCopy {
    pub(super) source: Repository,
    pub(super) source_tag: Tag,
    /// By which platform filter; 0 is none.
    pub(super) filter: i64,
    pub(super) digest: Digest,
}

/// A question for what refers to a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReferrersCheck {
    pub(super) source: Repository,
    pub(super) root: Digest,
    /// How far it went, and for what: another question tells nothing of this one.
    pub(super) asked: i64,
}

impl Records {
    /// Opens the file, and makes it where there is none. Trouble that comes later is told to `tell`, once at most,
    /// from any thread.
    ///
    /// # Errors
    /// When the file cannot be used: nothing is remembered then, and nothing else is lost.
    pub fn open(
        path: &Path,
        tell: impl Fn(&RecordsError) + Send + Sync + 'static,
    ) -> Result<Self, RecordsError> {
        let failed = |error| RecordsError::new(path, error);
        let connection = file::open(path)?;
        let reader = RecordsReader::open(path).map_err(failed)?;
        let trouble = ErrorReporter {
            told: Arc::default(),
            tell: Arc::new(tell),
        };
        let (notes, incoming) = sync_channel(WAITING);
        let (writing, written) = sync_channel(0);
        let writer = RecordsWriter::new(connection, day(SystemTime::now()));
        let (of, told) = (path.to_owned(), trouble.clone());
        let thread = std::thread::Builder::new().name("records".to_owned());
        thread
            .spawn(move || {
                if let Err(error) = writer.run(&incoming) {
                    told.report(&RecordsError::new(&of, error));
                }
                drop(writing);
            })
            .map_err(|error| RecordsError::io(path, &error))?;
        Ok(Self {
            path: path.to_owned(),
            reader: Mutex::new(Some(reader)),
            notes: Mutex::new(Some(notes)),
            written: Mutex::new(written),
            trouble,
        })
    }
    /// Opens the file for a run that writes nothing down; `None` where there is none, as none is made. Takes no notes.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn open_to_read(
        path: &Path,
        tell: impl Fn(&RecordsError) + Send + Sync + 'static,
    ) -> Result<Option<Self>, RecordsError> {
        let Some((connection, version)) = file::open_to_read(path)? else {
            return Ok(None);
        };
        let reader = RecordsReader::over(connection, version);
        let reader = reader.map_err(|error| RecordsError::new(path, error))?;
        let (_, written) = sync_channel(0);
        Ok(Some(Self {
            path: path.to_owned(),
            reader: Mutex::new(Some(reader)),
            notes: Mutex::new(None),
            written: Mutex::new(written),
            trouble: ErrorReporter {
                told: Arc::default(),
                tell: Arc::new(tell),
            },
        }))
    }
    /// Writes down what has not been written yet, and closes the file: nothing is known any more, and no more notes
    /// are taken. Waits for at most `patience`.
    pub fn close(&self, patience: Duration) {
        drop(lock(&self.reader).take());
        drop(lock(&self.notes).take());
        if lock(&self.written).recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            let kind = RecordsErrorKind::Slow;
            self.trouble
                .report(&RecordsError::with_kind(&self.path, kind, ""));
        }
    }
    /// Where in its registry the blob that `repository` wants is: there itself, or in some others. `None` where it is
    /// nowhere.
    pub(super) fn places(
        &self,
        repository: &Repository,
        blob: DigestKey,
    ) -> Option<BlobRepositories> {
        let places = self.read(|reader| reader.places(repository, blob))?;
        (!places.is_empty()).then_some(places)
    }
    /// What was last copied to `tag` of `place`.
    pub(super) fn copy_at(&self, place: &Repository, tag: &Tag) -> Option<RecordedCopy> {
        self.read(|reader| reader.copy_at(place, tag)).flatten()
    }
    /// Whether anything was ever copied to `place`.
    pub(super) fn has_copies_in(&self, place: &Repository) -> bool {
        self.read(|reader| reader.has_copies_in(place)) == Some(true)
    }
    /// When `look` was last answered for `place`.
    pub(super) fn looked_at(
        &self,
        place: &Repository,
        look: &ReferrersCheck,
    ) -> Option<SystemTime> {
        let seconds = self
            .read(|reader| reader.looked_at(place, look))
            .flatten()?;
        let since = Duration::from_secs(u64::try_from(seconds).ok()?);
        SystemTime::UNIX_EPOCH.checked_add(since)
    }
    /// Takes a note, unless too many wait.
    pub(super) fn queue_update(&self, note: RecordUpdate) {
        if let Some(notes) = &*lock(&self.notes) {
            // A hint that is lost costs a request.
            let _ = notes.try_send(note);
        }
    }
    fn read<T>(&self, read: impl FnOnce(&mut RecordsReader) -> rusqlite::Result<T>) -> Option<T> {
        match read(lock(&self.reader).as_mut()?) {
            Ok(found) => Some(found),
            Err(error) => {
                let error = RecordsError::new(&self.path, error);
                // Whoever locks the file for a moment keeps a hint from us, which is not worth a word.
                if error.kind() != RecordsErrorKind::Locked {
                    self.trouble.report(&error);
                }
                None
            }
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
        if !self.told.swap(true, Ordering::AcqRel) {
            (self.tell)(error);
        }
    }
}

/// Days since 1970: coarse enough that most of what is seen again is not written again.
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
