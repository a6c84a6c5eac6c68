//! The history of the service: runs, images that were not unchanged, what is where since when, and notifications that
//! wait. It outlives the process, in an `SQLite` file.
//!
//! One thread writes, in batches, and another one reads: no task of the runtime waits for the disk. A fault of the file
//! is reported once; the service goes on, and what waits is written as soon as that is possible. What an unchanged image
//! costs is one lookup: its tag is written only if it names another digest than last time.

mod columns;
mod error;
mod file;
mod queries;
mod queue;
mod reader_thread;
mod records;
mod retention;
mod samples;
mod tag_writer;
#[cfg(test)]
mod tests;
mod update;
mod writer;
mod writer_thread;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use image_syncer_sync::Event;
use image_syncer_sync::sqlite_file::FileErrorKind;
use jiff::Timestamp;
use rusqlite::Connection;

use crate::service::observer::RunObserver;
use crate::service::run::{Run, RunId};
use crate::service::schedule::LastStart;
use crate::service::throughput::{Sample, Throughput};

pub(crate) use error::HistoryError;
use queue::UpdateQueue;
use reader_thread::ReaderThread;
pub(crate) use records::{
    Delivery, DifferencePage, FailureGroup, ImageFilter, ImageOutcome, ImagePage, ImageRecord,
    PastTag, RepositoryTags, RuleTags, RunFilter, SourceTag, TagCounts, TagCursor, TagPage,
    TagQuery, TagRecord, TagState, WaitingDeliveries,
};
use retention::Retention;
use update::{DeliveryUpdate, RunUpdate, Update};
use writer_thread::WriterThread;

/// Maximum number of samples of a run that is over.
const MAX_SAMPLES: usize = 120;

/// Seconds between two writes of the numbers of a run in progress.
const PROGRESS: u64 = 10;

/// The history, open for as long as a clone of this value lives. Cheap to clone.
#[derive(Clone)]
pub(crate) struct History(Arc<Shared>);

struct Shared {
    queue: Arc<UpdateQueue>,
    writer: WriterThread,
    reader: ReaderThread,
}

impl History {
    /// Opens the file, and creates it if it does not exist. Runs that an earlier process left behind are interrupted.
    /// `report` receives the first of several later faults, on another thread.
    ///
    /// # Errors
    /// The file cannot be used, or another service uses it.
    pub(crate) fn open(
        path: &Path,
        report: impl Fn(&HistoryError) + Send + 'static,
    ) -> Result<Self, HistoryError> {
        Self::open_with(path, Retention::default(), report)
    }

    fn open_with(
        path: &Path,
        retention: Retention,
        report: impl Fn(&HistoryError) + Send + 'static,
    ) -> Result<Self, HistoryError> {
        file::create_directory_of(path)?;
        let lock = file::ServiceLock::acquire(path)?;
        let connection = file::open(path)?;
        let reading = HistoryFile::open(path)?;
        let failed = |error| HistoryError::io(path, &error);
        let queue = Arc::<UpdateQueue>::default();
        let writer = WriterThread::start(
            path,
            connection,
            lock,
            Arc::clone(&queue),
            retention,
            Box::new(report),
        );
        Ok(Self(Arc::new(Shared {
            queue,
            writer: writer.map_err(failed)?,
            reader: ReaderThread::start(path, reading.connection).map_err(failed)?,
        })))
    }

    /// Writes what waits, and closes the file for writing.
    ///
    /// # Errors
    /// It takes longer than `max_wait`, and what waits is lost.
    pub(crate) fn close(&self, max_wait: Duration) -> Result<(), HistoryError> {
        if self.0.writer.close(max_wait) {
            return Ok(());
        }
        Err(HistoryError::with_kind(
            self.0.reader.path(),
            FileErrorKind::Slow,
        ))
    }

    /// Waits until everything so far is in the file, or the file fails.
    pub(crate) async fn flush(&self) {
        self.0.queue.flush().await;
    }

    /// Returns runs, the newest first.
    pub(crate) async fn runs(&self, filter: RunFilter) -> Result<Vec<Run>, HistoryError> {
        self.read(move |file| queries::runs(file, &filter)).await
    }

    /// Returns a run. What belongs to a run that is over can be read afterwards.
    pub(crate) async fn run(&self, id: RunId) -> Result<Option<Run>, HistoryError> {
        if let Some(run) = self.0.queue.run(id) {
            if run.state.is_over() {
                self.flush().await;
            }
            return Ok(Some(run));
        }
        self.read(move |file| queries::run(file, id)).await
    }

    /// Returns a page of the images of a run that were not unchanged.
    pub(crate) async fn images(
        &self,
        run: RunId,
        filter: ImageFilter,
    ) -> Result<ImagePage, HistoryError> {
        self.read(move |file| queries::images(file, run, &filter))
            .await
    }

    /// Returns the failures of a run by side, cause and host: the most frequent first.
    pub(crate) async fn failures(&self, run: RunId) -> Result<Vec<FailureGroup>, HistoryError> {
        self.read(move |file| queries::failures(file, run)).await
    }

    /// Returns the throughput of a run that is over: bytes over time. Empty if none is known.
    pub(crate) async fn throughput(&self, run: RunId) -> Result<Vec<Sample>, HistoryError> {
        self.read(move |file| queries::throughput(file, run)).await
    }

    /// Returns the last runs of each rule, the newest first, at most `number` of each.
    pub(crate) async fn last_runs(
        &self,
        number: usize,
    ) -> Result<HashMap<Arc<str>, Vec<Run>>, HistoryError> {
        self.read(move |file| queries::last_runs(file, number))
            .await
    }

    /// Returns the tags that the query selects, at most 1,000.
    pub(crate) async fn tags(&self, query: TagQuery) -> Result<Vec<TagRecord>, HistoryError> {
        self.read(move |file| queries::tags(file, &query)).await
    }

    /// Returns the digests that tags had before, the last ones first, at most 1,000.
    pub(crate) async fn past_tags(&self, query: TagQuery) -> Result<Vec<PastTag>, HistoryError> {
        self.read(move |file| queries::past_tags(file, &query))
            .await
    }

    /// Returns a page of the tags that are copied from a repository, by name.
    pub(crate) async fn repository_tags(
        &self,
        repository: String,
        after: Option<TagCursor>,
        limit: usize,
    ) -> Result<TagPage, HistoryError> {
        let after = after.unwrap_or_default();
        self.read(move |file| queries::repository_tags(file, &repository, &after, limit))
            .await
    }

    /// Returns a page of the tags of a rule that differ at any destination, with all of their destinations.
    pub(crate) async fn differences(
        &self,
        rule: Arc<str>,
        after: Option<TagCursor>,
        limit: usize,
    ) -> Result<DifferencePage, HistoryError> {
        let after = after.unwrap_or_default();
        self.read(move |file| queries::differences(file, &rule, &after, limit))
            .await
    }

    /// Returns the numbers of the tags of each rule, by rule.
    pub(crate) async fn difference_counts(&self) -> Result<Vec<RuleTags>, HistoryError> {
        self.read(queries::difference_counts).await
    }

    /// Returns the source repositories of a rule with the numbers of their tags, by name.
    pub(crate) async fn repositories(
        &self,
        rule: Arc<str>,
    ) -> Result<Vec<RepositoryTags>, HistoryError> {
        self.read(move |file| queries::repositories(file, &rule))
            .await
    }

    /// Queues a notification, to be tried at once.
    pub(crate) fn add_delivery(&self, receiver: &str, body: String) {
        self.push_delivery(DeliveryUpdate::Added {
            receiver: receiver.to_owned(),
            body,
            at: Timestamp::now(),
        });
    }

    /// Records that a notification arrived.
    pub(crate) fn finish_delivery(&self, id: i64) {
        self.push_delivery(DeliveryUpdate::Finished(id));
    }

    /// Records a try that failed, and the time of the next one.
    pub(crate) fn retry_delivery(&self, id: i64, next: Timestamp, error: String) {
        self.push_delivery(DeliveryUpdate::Retried { id, next, error });
    }

    /// Records the time of the next try, without one that failed.
    pub(crate) fn postpone_delivery(&self, id: i64, next: Timestamp) {
        self.push_delivery(DeliveryUpdate::Postponed { id, next });
    }

    /// Records the last try, which failed.
    pub(crate) fn fail_delivery(&self, id: i64, error: String) {
        self.push_delivery(DeliveryUpdate::Failed { id, error });
    }

    /// Returns the notifications that are to be tried at `now`, those that wait longest first.
    pub(crate) async fn due_deliveries(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Delivery>, HistoryError> {
        self.flush().await;
        self.read(move |file| queries::due_deliveries(file, now, limit))
            .await
    }

    /// Returns the number of notifications that wait, and the time of the next try.
    pub(crate) async fn waiting_deliveries(&self) -> Result<WaitingDeliveries, HistoryError> {
        self.flush().await;
        self.read(queries::waiting_deliveries).await
    }

    fn push_delivery(&self, update: DeliveryUpdate) {
        self.0.queue.push(Update::Delivery(update));
    }

    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, HistoryError> {
        self.0.reader.read(query).await
    }
}

impl RunObserver for History {
    fn changed(&self, run: &Run) {
        self.0.queue.push_run(run, false);
    }

    fn event(&self, run: RunId, event: &Event) {
        if let Some(update) = RunUpdate::from_event(event) {
            self.0.queue.push(Update::Event(run, update));
        }
    }

    fn progress(&self, run: &Run, sample: &Sample) {
        if sample.second.is_multiple_of(PROGRESS) {
            self.0.queue.push_run(run, true);
        }
    }

    fn record_throughput(&self, run: RunId, throughput: &Throughput) {
        let samples = throughput.condensed(MAX_SAMPLES);
        let has_bytes = |sample: &Sample| sample.fetched_bytes + sample.sent_bytes > 0;
        if samples.iter().any(has_bytes) {
            self.0.queue.push(Update::Throughput(run, samples));
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// The file of a history that a command reads, also while a service writes it.
pub(crate) struct HistoryFile {
    path: PathBuf,
    connection: Connection,
}

impl HistoryFile {
    /// Opens the file, which must exist.
    ///
    /// # Errors
    /// The file does not exist, or cannot be read.
    pub(crate) fn open(path: &Path) -> Result<Self, HistoryError> {
        let opened = file::FORMAT.open_to_read(path)?;
        let missing = || HistoryError::with_kind(path, FileErrorKind::Missing);
        let (connection, _) = opened.ok_or_else(missing)?;
        let configured = connection.pragma_update(None, "cache_size", -4096);
        configured.map_err(|error| HistoryError::new(path, error))?;
        // Statements stay prepared.
        connection.set_prepared_statement_cache_capacity(64);
        Ok(Self {
            path: path.to_owned(),
            connection,
        })
    }

    /// Returns the last start of each whole rule by a run that copies.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn last_starts(&self) -> Result<HashMap<Arc<str>, LastStart>, HistoryError> {
        self.read(queries::last_starts)
    }

    /// Returns the end of the last run of each rule that copied, and succeeded.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn last_successes(&self) -> Result<HashMap<Arc<str>, Timestamp>, HistoryError> {
        self.read(queries::last_successes)
    }

    /// Returns the names of all rules that ever had a run.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn rules(&self) -> Result<Vec<Arc<str>>, HistoryError> {
        self.read(queries::rules)
    }

    /// Returns runs, the newest first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn runs(&self, filter: &RunFilter) -> Result<Vec<Run>, HistoryError> {
        self.read(|file| queries::runs(file, filter))
    }

    /// Returns a run.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn run(&self, id: RunId) -> Result<Option<Run>, HistoryError> {
        self.read(|file| queries::run(file, id))
    }

    /// Returns the failures of a run by side, cause and host: the most frequent first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn failures(&self, run: RunId) -> Result<Vec<FailureGroup>, HistoryError> {
        self.read(|file| queries::failures(file, run))
    }

    /// Returns the tags that the query selects, at most 1,000.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn tags(&self, query: &TagQuery) -> Result<Vec<TagRecord>, HistoryError> {
        self.read(|file| queries::tags(file, query))
    }

    /// Returns the digests that tags had before, the last ones first, at most 1,000.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn past_tags(&self, query: &TagQuery) -> Result<Vec<PastTag>, HistoryError> {
        self.read(|file| queries::past_tags(file, query))
    }

    /// Returns the newest run.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn newest_run(&self) -> Result<Option<RunId>, HistoryError> {
        self.read(queries::newest_run)
    }

    fn read<T>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, HistoryError> {
        query(&self.connection).map_err(|error| HistoryError::new(&self.path, error))
    }
}
