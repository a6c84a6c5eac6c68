//! Notifications that wait.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, named_params};

use crate::service::history::columns::Moment;
use crate::service::history::queries::limited;
use crate::service::history::records::Delivery;

const DUE: &str = "
    SELECT id, receiver, body, created, next, tries FROM deliveries
    WHERE state = 'waiting' AND next <= :now ORDER BY next, id LIMIT :limit";

const NEXT: &str = "
    SELECT next FROM deliveries WHERE state = 'waiting' ORDER BY next LIMIT 1";

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

/// Returns the time of the next try of any delivery.
pub(in crate::service::history) fn next_delivery(
    connection: &Connection,
) -> rusqlite::Result<Option<Timestamp>> {
    let mut statement = connection.prepare_cached(NEXT)?;
    let next = statement.query_row((), |row| row.get(0).map(|Moment(time)| time));
    next.optional()
}

#[cfg(test)]
pub(super) fn statements() -> Vec<(&'static str, String)> {
    vec![
        ("due deliveries", DUE.to_owned()),
        ("next delivery", NEXT.to_owned()),
    ]
}
