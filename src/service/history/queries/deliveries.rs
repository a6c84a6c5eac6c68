//! Notifications that wait.

use jiff::Timestamp;
use rusqlite::{Connection, named_params};

use crate::service::history::columns::{Moment, unsigned};
use crate::service::history::queries::limited;
use crate::service::history::records::{Delivery, WaitingDeliveries};

const DUE: &str = "
    SELECT id, receiver, body, created, next, tries FROM deliveries
    WHERE state = 'waiting' AND next <= :now ORDER BY next, id LIMIT :limit";

const WAITING: &str = "SELECT count(*), min(next) FROM deliveries WHERE state = 'waiting'";

/// Returns the deliveries that are to be tried at `now`, those that wait longest first.
pub(in crate::service::history) fn due_deliveries(
    connection: &Connection,
    now: Timestamp,
    limit: usize,
) -> rusqlite::Result<Vec<Delivery>> {
    let mut statement = connection.prepare_cached(DUE)?;
    let values = named_params! {":now": Moment(now), ":limit": limited(limit)};
    let due = statement.query_map(values, |row| {
        Ok(Delivery {
            id: row.get("id")?,
            receiver: row.get("receiver")?,
            body: row.get("body")?,
            created: row.get("created").map(|Moment(time)| time)?,
            next: row.get("next").map(|Moment(time)| time)?,
            tries: row.get("tries")?,
        })
    })?;
    due.collect()
}

/// Returns the number of deliveries that wait, and the time of the next try.
pub(in crate::service::history) fn waiting_deliveries(
    connection: &Connection,
) -> rusqlite::Result<WaitingDeliveries> {
    let mut statement = connection.prepare_cached(WAITING)?;
    statement.query_row((), |row| {
        let next: Option<Moment> = row.get(1)?;
        Ok(WaitingDeliveries {
            number: row.get(0).map(unsigned)?,
            next: next.map(|Moment(time)| time),
        })
    })
}

#[cfg(test)]
pub(super) fn statements() -> Vec<(&'static str, String)> {
    vec![
        ("due deliveries", DUE.to_owned()),
        ("waiting deliveries", WAITING.to_owned()),
    ]
}
