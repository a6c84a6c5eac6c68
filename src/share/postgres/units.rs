//! Ends of units, and new ones.

use std::collections::{HashMap, HashSet};

use tokio_postgres::Row;

use crate::share::postgres::gatherer::json_text;
use crate::share::postgres::held::Attempt;
use crate::share::postgres::patience::Patience;
use crate::share::postgres::{
    DatabaseConnection, DatabaseError, PostgresShare, parameters, statements,
};
use crate::share::unit_rules;
use crate::share::{ClaimedUnit, NewUnit, RunKey, ShareError, UnitCost, UnitEnd};

/// Units as columns.
pub(super) struct UnitColumns {
    pub(super) keys: Vec<String>,
    pub(super) weights: Vec<i64>,
    pub(super) kinds: Vec<String>,
    pub(super) specs: Vec<String>,
}

impl UnitColumns {
    /// Turns units into columns. Of units with the same key, the first counts.
    pub(super) fn new(units: &[NewUnit]) -> Self {
        let mut known = std::collections::HashSet::new();
        let mut columns = Self {
            keys: Vec::new(),
            weights: Vec::new(),
            kinds: Vec::new(),
            specs: Vec::new(),
        };
        for unit in units.iter().filter(|unit| known.insert(&unit.key)) {
            let spec = serde_json::to_value(&unit.spec).unwrap_or_default();
            let kind = spec.get("kind").and_then(|kind| kind.as_str());
            columns.keys.push(unit.key.replace('\0', ""));
            columns.weights.push(unit.weight);
            columns.kinds.push(kind.unwrap_or_default().to_owned());
            columns.specs.push(spec.to_string());
        }
        columns
    }
}

/// Returns the first key that a part of the unit `key` may have, and the one after the last.
fn part_keys(key: &str) -> [String; 2] {
    unit_rules::PART_KEYS.map(|mark| format!("{key}{mark}").replace('\0', ""))
}

/// Maximum number of units in one statement.
const ADDED: usize = 10_000;

impl PostgresShare {
    /// Ends a unit. Returns false if another worker has it.
    pub(super) async fn end_unit(
        &self,
        attempt: Attempt,
        end: &UnitEnd,
    ) -> Result<bool, ShareError> {
        let Some(unit) = self.held.ending(attempt) else {
            return Ok(false);
        };
        let (state, result, only_if_cancelled) = match end {
            // It was stopped in the middle, since its run was cancelled.
            UnitEnd::Done if unit.ended.is_cancelled() => {
                ("interrupted", unit.gatherer.json(), true)
            }
            UnitEnd::Done => ("done", unit.gatherer.json(), false),
            UnitEnd::Failed(reason) => ("failed", json_text(reason), false),
            UnitEnd::Returned => ("interrupted", unit.gatherer.json(), true),
        };
        let returned = *end == UnitEnd::Returned;
        let mut ending = Ending {
            attempt,
            owner: self.worker.id.clone(),
            state,
            result,
            cost: unit.gatherer.cost(),
            usage: Some(self.usage_text(attempt.run)),
            only_if_cancelled,
        };
        let ended = self.store_end(&mut ending, returned).await;
        // If it could not be stored, the lease is renewed no more, and another worker carries the unit out.
        self.held.remove(attempt);
        self.touch();
        ended
    }

    /// Returns the tags of the units that `unit` added.
    pub(super) async fn parts_of(&self, unit: &ClaimedUnit) -> Result<HashSet<String>, ShareError> {
        let (run, [from, to]) = (unit.run.0, part_keys(&unit_rules::key(&unit.spec)));
        let values = parameters!(run: i64, from: String, to: String);
        let rows = self.read(statements::PARTS, &values).await?;
        Ok(rows.iter().filter_map(|row| row.try_get(0).ok()).collect())
    }

    /// Returns what units with these keys, and their parts, cost in the last run before `run` with the same work. It is
    /// a hint: without an answer of the server, nothing is known.
    pub(super) async fn former_costs(
        &self,
        RunKey(run): RunKey,
        keys: Vec<String>,
    ) -> HashMap<String, UnitCost> {
        let (from, to): (Vec<String>, Vec<String>) = keys
            .iter()
            .map(|key| {
                let [from, to] = part_keys(key);
                (from, to)
            })
            .unzip();
        let values = parameters!(run: i64, keys: Vec<String>, from: Vec<String>, to: Vec<String>);
        let rows = self.database.work.query(statements::COSTS, &values).await;
        let rows = rows.unwrap_or_default();
        let number = |row: &Row, column| {
            let number: Option<i64> = row.try_get(column).ok();
            u64::try_from(number.unwrap_or_default()).unwrap_or_default()
        };
        let costs = rows.iter().filter_map(|row| {
            let cost = UnitCost {
                images: number(row, 1),
                bytes: number(row, 2),
                milliseconds: number(row, 3),
            };
            Some((row.try_get(0).ok()?, cost))
        });
        costs.collect()
    }

    async fn store_end(&self, ending: &mut Ending, returned: bool) -> Result<bool, ShareError> {
        let mut patience = Patience::new(&self.database.work, self.timeout);
        loop {
            match ending.try_once(&self.database.work, returned).await {
                Ok(ended) => return Ok(ended),
                // A result that no worker can store must not stop them one after another.
                Err(error) if !error.is_temporary() && ending.state == "done" => {
                    ending.state = "failed";
                    ending.result = json_text(&format!("its result cannot be stored: {error}"));
                }
                Err(error) => patience.wait(error).await?,
            }
        }
    }

    /// Adds units to the run of one that is held. Returns false if another worker has it.
    pub(super) async fn add_units(
        &self,
        attempt: Attempt,
        units: &[NewUnit],
    ) -> Result<bool, ShareError> {
        let mut patience = Patience::new(&self.database.work, self.timeout);
        for chunk in units.chunks(ADDED) {
            let columns = UnitColumns::new(chunk);
            let is_held = loop {
                match self.try_add(attempt, &columns).await {
                    Ok(is_held) => break is_held,
                    Err(error) => patience.wait(error).await?,
                }
            };
            if !is_held {
                return Ok(false);
            }
            patience.reset();
        }
        Ok(true)
    }

    async fn try_add(
        &self,
        attempt: Attempt,
        columns: &UnitColumns,
    ) -> Result<bool, DatabaseError> {
        let Attempt {
            run: RunKey(run),
            id,
            number: attempt,
        } = attempt;
        let owner = &self.worker.id;
        let UnitColumns {
            keys,
            weights,
            kinds,
            specs,
        } = columns;
        let unit = parameters!(run: i64, id: i64, owner: String, attempt: i32);
        let all = parameters!(
            run: i64, id: i64, owner: String, attempt: i32,
            keys: Vec<String>, weights: Vec<i64>, kinds: Vec<String>, specs: Vec<String>,
        );
        let rows = self
            .database
            .work
            .batch(&[
                (statements::LOCK_RUN, &parameters!(run: i64)),
                (statements::LOCK_UNIT, &unit),
                (statements::ADD, &all),
                (statements::NOTIFY, &[]),
            ])
            .await?;
        Ok(rows.get(2).is_some_and(|added| !added.is_empty()))
    }
}

/// End of a unit, as its statements need it.
pub(super) struct Ending {
    pub(super) attempt: Attempt,
    pub(super) owner: String,
    pub(super) state: &'static str,
    pub(super) result: String,
    pub(super) cost: UnitCost,
    /// Sums of the worker for the run.
    pub(super) usage: Option<String>,
    pub(super) only_if_cancelled: bool,
}

impl Ending {
    /// Ends the unit, also if this was carried out before. With `returned`, puts it back if its run is not cancelled.
    /// Returns false if another worker has it.
    pub(super) async fn try_once(
        &self,
        connection: &DatabaseConnection,
        returned: bool,
    ) -> Result<bool, DatabaseError> {
        let Attempt {
            run: RunKey(run),
            id,
            number: attempt,
        } = self.attempt;
        let Self {
            owner,
            state,
            result,
            only_if_cancelled,
            ..
        } = self;
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let (images, bytes) = (number(self.cost.images), number(self.cost.bytes));
        let milliseconds = number(self.cost.milliseconds);
        let the_run = parameters!(run: i64);
        let unit = parameters!(run: i64, id: i64, owner: String, attempt: i32);
        let end = parameters!(
            run: i64, id: i64, owner: String, attempt: i32, state: &str, result: String, only_if_cancelled: bool,
            images: i64, bytes: i64, milliseconds: i64,
        );
        let count = parameters!(run: i64, id: i64);
        let usage = self.usage.clone().unwrap_or_default();
        let sums = parameters!(run: i64, owner: String, usage: String);
        let mut all: Vec<(&str, &[_])> = vec![(statements::LOCK_RUN, &the_run)];
        if self.usage.is_some() {
            all.push((statements::STORE_USAGE, &sums));
        }
        if returned {
            all.push((statements::REQUEUE, &unit));
            all.push((statements::NOTIFY, &[]));
        }
        all.push((statements::FINISH, &end));
        all.push((statements::COUNT, &count));
        all.push((statements::HAS_FINISHED, &unit));
        all.push((statements::NOTIFY_IF_OVER, &the_run));
        let rows = connection.batch(&all).await?;
        let has_rows = |sql: &str| {
            let mut all = all.iter().zip(&rows);
            all.any(|((statement, _), rows)| *statement == sql && !rows.is_empty())
        };
        Ok(has_rows(statements::HAS_FINISHED) || has_rows(statements::REQUEUE))
    }
}
