//! Writes batches of updates to the file.

use std::collections::HashMap;
use std::sync::Arc;

use image_syncer_registry::Digest;
use image_syncer_sync::event::RuleDescription;
use image_syncer_sync::{Failure, RuleId, Side};
use jiff::Timestamp;
use rusqlite::{
    Connection, OptionalExtension, Transaction, TransactionBehavior, named_params, params,
};

use crate::hint::hint;
use crate::service::history::columns::{Moment, StoredDigest, Word, split, stored};
use crate::service::history::queue::Batch;
use crate::service::history::records::ImageOutcome;
use crate::service::history::samples;
use crate::service::history::tag_writer::{self, SeenTags, TagRun};
use crate::service::history::update::{
    DeliveryUpdate, ImageResult, ImageUpdate, RunUpdate, Update,
};
use crate::service::run::{Run, RunId, RunPurpose, RunState};
use crate::service::throughput::Sample;

/// Maximum number of repositories whose ids are kept in memory; at the limit all are dropped and read again.
const MAX_IDS: usize = 10_000;

/// Maximum length of a reason, in bytes: longer ones are cut.
const MAX_REASON: usize = 4_096;

const RUN: &str = "
    INSERT INTO runs VALUES (
        :id, :rule, :cause, :purpose, :scope, :is_full, :state, :requested, :started, :ended, :alive, :images, :copied,
        :unchanged, :different, :skipped, :failed, :interrupted, :fetched, :sent, :saved, :failure, :kept, :lost
    ) ON CONFLICT DO UPDATE SET
        cause = excluded.cause, scope = excluded.scope, is_full = excluded.is_full,
        state = excluded.state, started = excluded.started, ended = excluded.ended, alive = excluded.alive,
        images = excluded.images, copied = excluded.copied, unchanged = excluded.unchanged,
        different = excluded.different, skipped = excluded.skipped, failed = excluded.failed,
        interrupted = excluded.interrupted, fetched_bytes = excluded.fetched_bytes,
        sent_bytes = excluded.sent_bytes, saved_bytes = excluded.saved_bytes, failure = excluded.failure,
        kept = kept + excluded.kept, lost = lost + excluded.lost";

const KEEP: &str = "UPDATE runs SET kept = kept + ?2, lost = lost + ?3 WHERE id = ?1";

const FORGET: [&str; 3] = [
    "DELETE FROM images WHERE run = ?1",
    "DELETE FROM failures WHERE run = ?1",
    "UPDATE runs SET kept = 0, lost = 0 WHERE id = ?1",
];

const IMAGE: &str = "
    INSERT INTO images VALUES (
        :run, :number, :source, :source_target, :destination, :destination_target, :outcome, :digest, :replaced,
        :bytes, :change, :failure, :reason, :hint, :elapsed
    )";

const FAILURE: &str = "
    INSERT INTO failures (run, side, cause, host, hint, number) VALUES (?1, ?2, ?3, ?4, ?5, 1)
    ON CONFLICT DO UPDATE SET number = number + 1 RETURNING id, hint";

const THROUGHPUT: &str = "INSERT OR REPLACE INTO throughputs VALUES (?1, ?2)";

const DELIVERY: &str = "
    INSERT INTO deliveries (receiver, body, created, state, next, tries) VALUES (?1, ?2, ?3, 'waiting', ?3, 0)";

const DELIVERED: &str = "UPDATE deliveries SET state = 'delivered', error = NULL WHERE id = ?1";

const RETRIED: &str =
    "UPDATE deliveries SET tries = tries + 1, next = ?2, error = ?3 WHERE id = ?1";

const POSTPONED: &str = "UPDATE deliveries SET next = ?2 WHERE id = ?1";

const UNDELIVERABLE: &str =
    "UPDATE deliveries SET tries = tries + 1, state = 'failed', error = ?2 WHERE id = ?1";

/// Writes to the file.
pub(super) struct HistoryWriter {
    pub(super) connection: Connection,
    ids: Ids,
    runs: HashMap<RunId, OpenRun>,
}

/// Ids of names in the file.
#[derive(Default)]
pub(super) struct Ids {
    rules: HashMap<Arc<str>, i64>,
    repositories: HashMap<String, i64>,
}

/// A run that is not over.
struct OpenRun {
    tags: TagRun,
    is_full: bool,
    descriptions: HashMap<RuleId, Arc<RuleDescription>>,
    /// Number of the next image.
    next: i64,
    /// Images in this batch.
    kept: u64,
    discovered: u64,
    images: u64,
    finished: u64,
    /// A list failed, or updates were lost: tags that were not seen may exist.
    is_incomplete: bool,
}

impl HistoryWriter {
    /// Writes over `connection`.
    pub(super) fn over(connection: Connection) -> Self {
        Self {
            connection,
            ids: Ids::default(),
            runs: HashMap::new(),
        }
    }

    /// Continues with another connection, after a fault of the last one.
    pub(super) fn reconnect(&mut self, connection: Connection) {
        self.connection = connection;
    }

    /// Writes `batch` in one transaction. After an error the same batch can be written again.
    pub(super) fn write(&mut self, batch: &Batch) -> rusqlite::Result<()> {
        let written = self.try_write(batch);
        if written.is_err() {
            // Ids of the lost transaction are not in the file.
            self.ids = Ids::default();
            for run in self.runs.values_mut() {
                run.is_incomplete = true;
            }
        } else {
            for run in batch.runs.values().filter(|run| run.state.is_over()) {
                self.runs.remove(&run.id);
            }
        }
        written
    }

    fn try_write(&mut self, batch: &Batch) -> rusqlite::Result<()> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        if self.ids.repositories.len() > MAX_IDS {
            self.ids.repositories.clear();
        }
        let mut page = WriteBatch {
            transaction,
            ids: &mut self.ids,
        };
        for run in batch.runs.values() {
            let rule = page.ids.rule(&page.transaction, &run.rule)?;
            if !self.runs.contains_key(&run.id) && !run.state.is_over() {
                page.forget_events(run.id)?;
            }
            let open = self.runs.entry(run.id);
            // The id may be one of a lost transaction.
            let open = open.or_insert_with(|| OpenRun::new(run));
            open.tags.rule = rule;
            // Requests are merged with a run that waits.
            open.is_full = run.scope.is_whole();
        }
        for run in self.runs.values_mut() {
            run.kept = 0;
        }
        for update in &batch.updates {
            match update {
                Update::Event(run, update) => {
                    if let Some(run) = self.runs.get_mut(run) {
                        page.write_event(run, update)?;
                    }
                }
                Update::Throughput(run, samples) => page.write_throughput(*run, samples)?,
                Update::Delivery(delivery) => page.write_delivery(delivery)?,
            }
        }
        for (id, open) in &mut self.runs {
            let lost = batch.lost.get(id).copied().unwrap_or_default();
            open.is_incomplete |= lost > 0;
            match batch.runs.get(id) {
                Some(run) => page.write_run(run, open, lost)?,
                None if open.kept > 0 || lost > 0 => page.keep(open, lost)?,
                None => {}
            }
        }
        page.transaction.commit()
    }
}

impl OpenRun {
    fn new(run: &Run) -> Self {
        Self {
            tags: TagRun {
                id: run.id,
                rule: 0,
                seen: SeenTags::default(),
            },
            is_full: run.scope.is_whole(),
            descriptions: HashMap::new(),
            next: 0,
            kept: 0,
            discovered: 0,
            images: 0,
            finished: 0,
            is_incomplete: false,
        }
    }

    /// Returns true if the run, which ends in `state`, compared all tags of its rule.
    fn saw_everything(&self, state: RunState) -> bool {
        let rules = self.descriptions.len() as u64;
        self.is_full
            && matches!(state, RunState::Succeeded | RunState::Failed)
            && !self.is_incomplete
            && rules > 0
            && self.discovered >= rules
            && self.finished >= self.images
    }
}

/// Transaction of one batch.
struct WriteBatch<'a> {
    transaction: Transaction<'a>,
    ids: &'a mut Ids,
}

impl WriteBatch<'_> {
    fn write_event(&mut self, run: &mut OpenRun, update: &RunUpdate) -> rusqlite::Result<()> {
        match update {
            RunUpdate::RuleStarted(rule) => {
                run.descriptions.insert(rule.id, Arc::clone(rule));
            }
            RunUpdate::RuleDiscovered(images) => {
                run.discovered += 1;
                run.images += images;
            }
            RunUpdate::ListFailed(rule, repository, failure) => {
                run.is_incomplete = true;
                let description = run.descriptions.get(rule);
                let source = description.map_or("", |rule| rule.source.as_str());
                let source = repository.as_deref().unwrap_or(source).to_owned();
                self.write_list_failure(run, &source, failure)?;
            }
            RunUpdate::Image(image) => {
                run.finished += 1;
                self.write_image(run, image)?;
            }
        }
        Ok(())
    }

    fn write_list_failure(
        &mut self,
        run: &mut OpenRun,
        source: &str,
        failure: &Failure,
    ) -> rusqlite::Result<()> {
        let source = self.ids.repository(&self.transaction, source)?;
        let (id, hint) = self.write_failure(run, failure)?;
        let outcome = if failure.interrupted {
            ImageOutcome::Interrupted
        } else {
            ImageOutcome::Failed
        };
        let mut statement = self.transaction.prepare_cached(IMAGE)?;
        statement.execute(named_params! {
            ":run": run.tags.id.number(), ":number": run.number(), ":source": source, ":source_target": "",
            ":destination": None::<i64>, ":destination_target": None::<&str>, ":outcome": Word(outcome),
            ":digest": None::<StoredDigest>, ":replaced": None::<StoredDigest>, ":bytes": 0, ":change": None::<&str>,
            ":failure": id, ":reason": cut(&failure.reason), ":hint": hint, ":elapsed": 0
        })?;
        Ok(())
    }

    fn write_image(&mut self, run: &mut OpenRun, image: &ImageUpdate) -> rusqlite::Result<()> {
        let (repository, target) = split(&image.destination);
        let destination = self.ids.repository(&self.transaction, repository)?;
        let (repository, source_target) = split(&image.source);
        let source = self.ids.repository(&self.transaction, repository)?;
        let place = tag_writer::Place {
            repository: destination,
            target,
            source,
            source_target,
        };
        tag_writer::write(&self.transaction, &mut run.tags, &place, image)?;
        let Some(outcome) = image.result.outcome() else {
            return Ok(());
        };
        let (digest, replaced, bytes, change, mut reason) = match &image.result {
            ImageResult::Copied {
                digest,
                replaced,
                bytes,
            } => (Some(digest), replaced.as_ref(), *bytes, None, None),
            ImageResult::Different {
                expected,
                change,
                from,
                ..
            } => (Some(expected), from.as_ref(), 0, Some(Word(*change)), None),
            ImageResult::Skipped(why) => (None, None, 0, None, Some(why.as_str())),
            ImageResult::Failed(_) | ImageResult::Unchanged(_) => (None, None, 0, None, None),
        };
        let (mut failure_id, mut hint) = (None, None);
        if let ImageResult::Failed(failure) = &image.result {
            reason = Some(failure.reason.as_str());
            let (id, own_hint) = self.write_failure(run, failure)?;
            (failure_id, hint) = (id, own_hint);
        }
        let stored_digest = |digest: Option<&Digest>| digest.cloned().map(StoredDigest);
        let elapsed = u64::try_from(image.elapsed.as_millis()).unwrap_or(u64::MAX);
        let mut statement = self.transaction.prepare_cached(IMAGE)?;
        statement.execute(named_params! {
            ":run": run.tags.id.number(), ":number": run.number(), ":source": source, ":source_target": source_target,
            ":destination": destination, ":destination_target": target, ":outcome": Word(outcome),
            ":digest": stored_digest(digest), ":replaced": stored_digest(replaced), ":bytes": stored(bytes),
            ":change": change, ":failure": failure_id, ":reason": reason.map(cut), ":hint": hint,
            ":elapsed": stored(elapsed)
        })?;
        Ok(())
    }

    /// Counts a failure in its group. Returns the id of the group, and the hint if the group has another one. An
    /// interruption has no group.
    fn write_failure(
        &mut self,
        run: &OpenRun,
        failure: &Failure,
    ) -> rusqlite::Result<(Option<i64>, Option<String>)> {
        if failure.interrupted {
            return Ok((None, None));
        }
        let own_hint = hint(failure);
        let mut statement = self.transaction.prepare_cached(FAILURE)?;
        let (run, side, cause) = (
            run.tags.id.number(),
            side(failure.side),
            failure.cause.name(),
        );
        let values = params![run, side, cause, failure.host, own_hint];
        let (id, of_group): (i64, Option<String>) =
            statement.query_row(values, |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok((
            Some(id),
            own_hint.filter(|hint| of_group.as_ref() != Some(hint)),
        ))
    }

    fn write_run(&mut self, run: &Run, open: &OpenRun, lost: u64) -> rusqlite::Result<()> {
        let counts = &run.counts;
        let scope = serde_json::to_string(&run.scope).unwrap_or_default();
        let now = Timestamp::now();
        let is_full = open.is_full && run.purpose == RunPurpose::Sync;
        let mut statement = self.transaction.prepare_cached(RUN)?;
        statement.execute(named_params! {
            ":id": run.id.number(), ":rule": open.tags.rule, ":cause": Word(run.cause), ":purpose": Word(run.purpose),
            ":scope": Some(scope).filter(|scope| scope != "{}"), ":is_full": is_full, ":state": Word(run.state),
            ":requested": Moment(run.requested), ":started": run.started.map(Moment),
            ":ended": run.ended.map(Moment), ":alive": Moment(now), ":images": stored(counts.images),
            ":copied": stored(counts.copied), ":unchanged": stored(counts.unchanged),
            ":different": stored(counts.different), ":skipped": stored(counts.skipped),
            ":failed": stored(counts.failed), ":interrupted": stored(counts.interrupted),
            ":fetched": stored(counts.fetched_bytes), ":sent": stored(counts.sent_bytes),
            ":saved": stored(counts.saved_bytes), ":failure": run.failure.as_deref().map(cut),
            ":kept": stored(open.kept), ":lost": stored(lost)
        })?;
        if run.state.is_over() && open.saw_everything(run.state) {
            tag_writer::write_unseen(&self.transaction, &open.tags, run.ended.unwrap_or(now))?;
        }
        Ok(())
    }

    /// Deletes what is known of a run whose events come again: replicas carry it out, and this one followed it before.
    fn forget_events(&mut self, run: RunId) -> rusqlite::Result<()> {
        for statement in FORGET {
            let mut statement = self.transaction.prepare_cached(statement)?;
            statement.execute([run.number()])?;
        }
        Ok(())
    }

    fn keep(&mut self, run: &OpenRun, lost: u64) -> rusqlite::Result<()> {
        let mut statement = self.transaction.prepare_cached(KEEP)?;
        statement.execute(params![
            run.tags.id.number(),
            stored(run.kept),
            stored(lost)
        ])?;
        Ok(())
    }

    fn write_throughput(&mut self, run: RunId, samples: &[Sample]) -> rusqlite::Result<()> {
        let mut statement = self.transaction.prepare_cached(THROUGHPUT)?;
        statement.execute(params![run.number(), samples::encode(samples)])?;
        Ok(())
    }

    fn write_delivery(&mut self, update: &DeliveryUpdate) -> rusqlite::Result<()> {
        let statement = |text| self.transaction.prepare_cached(text);
        match update {
            DeliveryUpdate::Added { receiver, body, at } => {
                statement(DELIVERY)?.execute(params![receiver, body, Moment(*at)])
            }
            DeliveryUpdate::Finished(id) => statement(DELIVERED)?.execute(params![id]),
            DeliveryUpdate::Retried { id, next, error } => {
                statement(RETRIED)?.execute(params![id, Moment(*next), cut(error)])
            }
            DeliveryUpdate::Postponed { id, next } => {
                statement(POSTPONED)?.execute(params![id, Moment(*next)])
            }
            DeliveryUpdate::Failed { id, error } => {
                statement(UNDELIVERABLE)?.execute(params![id, cut(error)])
            }
        }?;
        Ok(())
    }
}

impl OpenRun {
    /// Returns the number of the next image.
    fn number(&mut self) -> i64 {
        let number = self.next;
        self.next += 1;
        self.kept += 1;
        number
    }
}

impl Ids {
    /// Returns the id of a rule, a new one for a new rule.
    fn rule(&mut self, transaction: &Transaction<'_>, name: &Arc<str>) -> rusqlite::Result<i64> {
        if let Some(id) = self.rules.get(name) {
            return Ok(*id);
        }
        let id = name_id(transaction, "rules", name)?;
        self.rules.insert(Arc::clone(name), id);
        Ok(id)
    }

    /// Returns the id of a repository, a new one for a new repository.
    fn repository(&mut self, transaction: &Transaction<'_>, name: &str) -> rusqlite::Result<i64> {
        if let Some(id) = self.repositories.get(name) {
            return Ok(*id);
        }
        let id = name_id(transaction, "repositories", name)?;
        self.repositories.insert(name.to_owned(), id);
        Ok(id)
    }
}

fn name_id(transaction: &Transaction<'_>, table: &str, name: &str) -> rusqlite::Result<i64> {
    let find = format!("SELECT id FROM {table} WHERE name = ?1");
    let mut find = transaction.prepare_cached(&find)?;
    let known = find.query_row((name,), |row| row.get(0)).optional()?;
    if let Some(id) = known {
        return Ok(id);
    }
    let insert = format!("INSERT INTO {table} (name) VALUES (?1)");
    transaction.prepare_cached(&insert)?.insert((name,))
}

/// Returns the name of a side.
fn side(side: Side) -> &'static str {
    match side {
        Side::Source => "source",
        Side::Destination => "destination",
        Side::Local => "local",
    }
}

/// Returns a text that is not too long.
fn cut(text: &str) -> &str {
    let mut ends = (0..=MAX_REASON.min(text.len())).rev();
    let end = ends.find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or_default()).unwrap_or_default()
}
