//! Shared runs: their begin, their news and their lists.

use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::time::sleep;
use tokio_postgres::Row;
use tokio_postgres::types::FromSqlOwned;

use crate::share::postgres::gatherer::result_of;
use crate::share::postgres::patience::Patience;
use crate::share::postgres::units::UnitColumns;
use crate::share::postgres::{
    DatabaseError, NewRun, OpenedRun, PostgresShare, RunNews, SharedRun, SharedRunState, facts,
    parameters, statements,
};
use crate::share::{NewUnit, RunKey, ShareError, UnitSpec};

/// Maximum number of units of one page of news.
const PAGE: i64 = 50;
/// Pauses between looks for news, from the shortest to the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(1));

impl PostgresShare {
    /// Opens a run, whose first unit adds the others. Of several processes that open the run of a slot, one does.
    ///
    /// # Errors
    /// The server refuses, or is away for too long.
    pub(crate) async fn open_run(&self, run: NewRun) -> Result<OpenedRun, ShareError> {
        let start = NewUnit {
            key: "start".to_owned(),
            weight: i64::MAX,
            spec: UnitSpec::Start,
        };
        self.open_with(run, &[start]).await
    }

    pub(super) async fn open_with(
        &self,
        run: NewRun,
        units: &[NewUnit],
    ) -> Result<OpenedRun, ShareError> {
        let columns = UnitColumns::new(units);
        let mut patience = Patience::new(&self.database.work, self.timeout);
        loop {
            match self.try_open(&run, &columns).await {
                Ok(Some(opened)) => return Ok(opened),
                Ok(None) => {
                    return Err(ShareError::new(format!(
                        "cannot start the run in {}: the server returned no number. Start it again.",
                        self.url()
                    )));
                }
                // Without a slot, a second attempt may open a second run.
                Err(error) if run.slot.is_none() => return Err(error.into()),
                Err(error) => patience.wait(error).await?,
            }
        }
    }

    async fn try_open(
        &self,
        run: &NewRun,
        columns: &UnitColumns,
    ) -> Result<Option<OpenedRun>, DatabaseError> {
        let (digest, program) = (self.digest(), env!("CARGO_PKG_VERSION"));
        let work = serde_json::to_string(&run.work).unwrap_or_default();
        let purpose = serde_json::to_value(run.work.intent).unwrap_or_default();
        let purpose = purpose.as_str().unwrap_or_default();
        let (cause, slot, owner) = (&run.cause, &run.slot, &self.worker.id);
        let UnitColumns {
            keys,
            weights,
            kinds,
            specs,
        } = columns;
        let open = parameters!(
            digest: String, program: &str, work: String, purpose: &str, cause: String,
            slot: Option<jiff::Timestamp>, owner: String,
            keys: Vec<String>, weights: Vec<i64>, kinds: Vec<String>, specs: Vec<String>,
        );
        let opened = parameters!(cause: String, slot: Option<jiff::Timestamp>);
        let rows = self
            .database
            .work
            .batch(&[
                (statements::LOCK_OPEN, &[]),
                (statements::OPEN, &open),
                (statements::OPENED, &opened),
                (statements::NOTIFY, &[]),
            ])
            .await?;
        let run_in = |index: usize| {
            let row = rows.get(index).and_then(|rows| rows.first());
            row.and_then(|row| row.try_get(0).ok()).map(RunKey)
        };
        let new = run_in(1).map(|run| OpenedRun { run, is_new: true });
        let old = run_in(2).map(|run| OpenedRun { run, is_new: false });
        Ok(new.or(old))
    }

    /// Cancels a run. Its workers stop soon.
    ///
    /// # Errors
    /// The server refuses, or is away for too long.
    pub(crate) async fn cancel(&self, run: RunKey) -> Result<(), ShareError> {
        let run = run.0;
        let one = Some(run);
        let the_run = parameters!(run: i64);
        let close = parameters!(one: Option<i64>);
        let mut patience = Patience::new(&self.database.work, self.timeout);
        loop {
            let cancelled = self
                .database
                .work
                .batch(&[
                    (statements::LOCK_RUN, &the_run),
                    (statements::CANCEL, &the_run),
                    (statements::CLOSE_CANCELLED, &close),
                    (statements::NOTIFY_RUN, &[]),
                ])
                .await;
            match cancelled {
                Ok(_) => return Ok(()),
                Err(error) => patience.wait(error).await?,
            }
        }
    }

    /// Waits until units finished after the number `after`, or the run is over, and returns them.
    ///
    /// # Errors
    /// The server refuses, or is away for too long; there is no such run.
    pub(crate) async fn news(&self, run: RunKey, after: i64) -> Result<RunNews, ShareError> {
        let mut patience = Patience::new(&self.database.work, self.timeout);
        let mut pause = PAUSES.0;
        loop {
            match self.try_news(run, after).await {
                Ok(Some(news)) if news.units.is_empty() && !news.state.is_over() => {
                    patience.reset();
                    sleep(pause).await;
                    pause = (pause * 2).min(PAUSES.1);
                }
                Ok(Some(news)) => return Ok(news),
                Ok(None) => return Err(self.no_such_run(run)),
                Err(error) => patience.wait(error).await?,
            }
        }
    }

    async fn try_news(&self, run: RunKey, after: i64) -> Result<Option<RunNews>, DatabaseError> {
        let run = run.0;
        let the_run = parameters!(run: i64);
        let page = parameters!(run: i64, after: i64, PAGE: i64);
        let rows = self
            .database
            .work
            .batch(&[
                (statements::NEWS_STATE, &the_run),
                (statements::NEWS, &page),
            ])
            .await?;
        let (Some([state]), Some(finished)) = (rows.first().map(Vec::as_slice), rows.get(1)) else {
            return Ok(None);
        };
        let mut last = after;
        let mut units = Vec::new();
        for row in finished {
            last = column(row, 0).unwrap_or(last);
            let spec: Option<String> = column(row, 1);
            let kind: Option<String> = column(row, 2);
            let result: Option<String> = column(row, 3).flatten();
            let unit = spec.zip(kind);
            let unit = unit.and_then(|(spec, kind)| result_of(&spec, &kind, result.as_deref()));
            units.extend(unit);
        }
        let text: String = column(state, 0).unwrap_or_default();
        let state_then = SharedRunState::new(&text, column(state, 1).flatten());
        // More units may follow this page.
        let is_complete = column(state, 2).is_none_or(|finished: i64| last >= finished);
        let state = if is_complete {
            state_then
        } else {
            SharedRunState::Running
        };
        Ok(Some(RunNews { units, last, state }))
    }

    /// Returns the works of the units of a run that were not carried out to their end.
    ///
    /// # Errors
    /// The server refuses, or is away for too long.
    pub(crate) async fn unfinished(&self, run: RunKey) -> Result<Vec<UnitSpec>, ShareError> {
        let run = run.0;
        let rows = self
            .read(statements::UNFINISHED, &parameters!(run: i64))
            .await?;
        Ok(rows.iter().filter_map(|row| json(row, 0)).collect())
    }

    /// Returns the latest runs, the last one first.
    ///
    /// # Errors
    /// The server refuses, or is away for too long.
    pub(crate) async fn runs(&self, limit: i64) -> Result<Vec<SharedRun>, ShareError> {
        let all: Option<i64> = None;
        let values = parameters!(all: Option<i64>, limit: i64);
        let rows = self.read(statements::RUNS, &values).await?;
        Ok(rows.iter().filter_map(shared_run).collect())
    }

    /// Returns a run.
    ///
    /// # Errors
    /// The server refuses, or is away for too long; there is no such run.
    pub(crate) async fn run(&self, run: RunKey) -> Result<SharedRun, ShareError> {
        let (one, limit) = (Some(run.0), 1_i64);
        let values = parameters!(one: Option<i64>, limit: i64);
        let rows = self.read(statements::RUNS, &values).await?;
        let found = rows.first().and_then(shared_run);
        found.ok_or_else(|| self.no_such_run(run))
    }

    /// Deletes runs that ended more than `days` ago, and old hints about blobs. Returns the number of runs.
    ///
    /// # Errors
    /// The server refuses, or is away for too long.
    pub(crate) async fn prune(&self, days: i32) -> Result<usize, ShareError> {
        self.read(facts::PRUNE, &[]).await?;
        let mut deleted = 0;
        loop {
            let rows = self
                .read(statements::PRUNE, &parameters!(days: i32))
                .await?;
            if rows.is_empty() {
                return Ok(deleted);
            }
            deleted += rows.len();
        }
    }

    fn no_such_run(&self, run: RunKey) -> ShareError {
        ShareError::new(format!(
            "{} has no run {}. `image-syncer report` without --run lists the runs.",
            self.url(),
            run.0
        ))
    }
}

fn column<T: FromSqlOwned>(row: &Row, index: usize) -> Option<T> {
    row.try_get(index).ok()
}

fn json<T: DeserializeOwned>(row: &Row, index: usize) -> Option<T> {
    let text: String = column(row, index)?;
    serde_json::from_str(&text).ok()
}

pub(super) fn shared_run(row: &Row) -> Option<SharedRun> {
    let state: String = column(row, 7)?;
    Some(SharedRun {
        run: RunKey(column(row, 0)?),
        digest: column(row, 1)?,
        program: column(row, 2)?,
        work: json(row, 3).unwrap_or_default(),
        cause: column(row, 4)?,
        rule: column(row, 5)?,
        slot: column(row, 6)?,
        state: SharedRunState::new(&state, column(row, 8)?),
        requested: column(row, 9)?,
        started: column(row, 10)?,
        ended: column(row, 11)?,
        owner: column(row, 12)?,
        units: column(row, 13)?,
        finished: column(row, 14)?,
    })
}
