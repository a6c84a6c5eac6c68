//! Images of a run.

use rusqlite::{Connection, OptionalExtension, Row, named_params};

use crate::service::history::columns::{Fields, Word, unsigned};
use crate::service::history::queries::{MAX_PAGE, limited};
use crate::service::history::records::{FailureKey, ImageFilter, ImagePage, ImageRecord};
use crate::service::run::RunId;

/// Maximum number of images that a page of a search looks at.
const MAX_SEARCHED: i64 = 10_000;

pub(super) const COLUMNS: &str = "
    SELECT images.number, source.name AS source, source_target, destination.name AS destination, destination_target,
        outcome, digest, replaced, bytes, change, failures.side, failures.cause, failures.host, reason,
        coalesce(images.hint, failures.hint) AS hint, elapsed
    FROM images CROSS JOIN repositories AS source ON source.id = images.source
    LEFT JOIN repositories AS destination ON destination.id = images.destination
    LEFT JOIN failures ON failures.id = images.failure";

const ALL: &str = "
    WHERE images.run = :run AND images.number > :after ORDER BY images.number LIMIT :limit";

const BY_OUTCOME: &str = "
    WHERE images.run = :run AND outcome = :outcome AND images.number > :after
    ORDER BY images.number LIMIT :limit";

const LOST: &str = "SELECT lost FROM runs WHERE id = ?1";

/// Returns a page of the images of a run.
pub(in crate::service::history) fn images(
    connection: &Connection,
    run: RunId,
    filter: &ImageFilter,
) -> rusqlite::Result<ImagePage> {
    let condition = match filter.outcome {
        Some(_) => BY_OUTCOME,
        None => ALL,
    };
    let mut statement = connection.prepare_cached(&format!("{COLUMNS} {condition}"))?;
    let (run, after) = (run.number(), filter.after.unwrap_or(-1));
    let size = filter.limit.clamp(1, MAX_PAGE);
    // One more row shows that there is a next page.
    let limit = match filter.text {
        Some(_) => MAX_SEARCHED,
        None => limited(size) + 1,
    };
    let mut rows = match filter.outcome {
        Some(outcome) => statement.query(named_params! {
            ":run": run, ":outcome": Word(outcome), ":after": after, ":limit": limit
        })?,
        None => statement.query(named_params! {":run": run, ":after": after, ":limit": limit})?,
    };
    let text = filter.text.as_ref().map(|text| text.to_ascii_lowercase());
    let mut page = ImagePage {
        lost: lost(connection, run)?,
        ..ImagePage::default()
    };
    let (mut last, mut seen) = (None, 0);
    while let Some(row) = rows.next()? {
        if page.images.len() >= size {
            page.next = last;
            return Ok(page);
        }
        seen += 1;
        last = Some(row.get(0)?);
        let image = parse(row)?;
        if text.as_ref().is_none_or(|text| contains(&image, text)) {
            page.images.push(image);
        }
    }
    // The search goes on with the next page.
    page.next = last.filter(|_| seen >= limit);
    Ok(page)
}

fn lost(connection: &Connection, run: i64) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare_cached(LOST)?;
    let lost = statement.query_row((run,), |row| row.get(0).map(unsigned));
    Ok(lost.optional()?.unwrap_or_default())
}

/// Returns true if a reference of the image contains `text`, which is in lower case.
fn contains(image: &ImageRecord, text: &str) -> bool {
    let is_in = |reference: &str| reference.to_ascii_lowercase().contains(text);
    is_in(&image.source) || image.destination.as_deref().is_some_and(is_in)
}

/// Parses a row with [`COLUMNS`].
pub(super) fn parse(row: &Row<'_>) -> rusqlite::Result<ImageRecord> {
    let mut fields = Fields::new(row);
    let number = fields.next()?;
    let source = fields.next::<String>()? + &fields.next::<String>()?;
    let repository: Option<String> = fields.next()?;
    let target: Option<String> = fields.next()?;
    let Word(outcome) = fields.next()?;
    let digest = fields.digest()?;
    let replaced = fields.digest()?;
    let bytes = fields.number()?;
    let change: Option<Word<_>> = fields.next()?;
    let (side, cause, host): (Option<_>, Option<_>, Option<_>) =
        (fields.next()?, fields.next()?, fields.next()?);
    let failure = match (side, cause, host) {
        (Some(side), Some(cause), Some(host)) => Some(FailureKey { side, cause, host }),
        _ => None,
    };
    Ok(ImageRecord {
        number,
        source,
        destination: repository.map(|repository| repository + &target.unwrap_or_default()),
        outcome,
        digest,
        replaced,
        bytes,
        change: change.map(|Word(change)| change),
        failure,
        reason: fields.next()?,
        hint: fields.next()?,
        elapsed_ms: fields.number()?,
    })
}

#[cfg(test)]
pub(super) fn statements() -> Vec<(&'static str, String)> {
    vec![
        ("images", format!("{COLUMNS} {ALL}")),
        ("lost images", LOST.to_owned()),
        ("images with an outcome", format!("{COLUMNS} {BY_OUTCOME}")),
    ]
}
