//! Content of destinations, and since when it is there: one row for each tag at a destination, which is written only if it changes.

use image_syncer_registry::Digest;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, named_params, params};

use crate::service::history::columns::{Moment, StoredDigest, Word};
use crate::service::history::records::{ImageOutcome, TagState};
use crate::service::history::update::{ImageResult, ImageUpdate};
use crate::service::run::RunId;

/// Ids above this number are not remembered, so that the memory of a run is bounded (8 MiB).
const MAX_ID: i64 = 1 << 26;

const FIND: &str = "
    SELECT id, rule, source, source_target, state, since, expected, digest, at, run, is_copied FROM tags
    WHERE repository = ?1 AND target = ?2";

const ADD: &str = "
    INSERT INTO tags (
        repository, target, rule, source, source_target, state, since, expected, digest, at, run, is_copied
    ) VALUES (
        :repository, :target, :rule, :source, :source_target, :state, :since, :expected, :digest, :at, :run, :is_copied
    )";

const CHANGE: &str = "
    UPDATE tags SET rule = :rule, source = :source, source_target = :source_target, state = :state, since = :since,
        expected = :expected, digest = :digest, at = :at, run = :run, is_copied = :is_copied
    WHERE id = :id";

const PAST: &str = "
    INSERT INTO past_tags (tag, digest, at, run, is_copied, until) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

const CHECKED: &str = "UPDATE rules SET checked = ?2 WHERE id = ?1";

const SOURCES: &str = "SELECT DISTINCT source FROM tag_counts WHERE rule = ?1";

const TAGS_OF_SOURCE: &str =
    "SELECT id, state, digest IS NULL FROM tags WHERE source = ?1 AND rule = ?2";

const EXTRA: &str = "UPDATE tags SET state = 'extra', since = ?2, expected = NULL WHERE id = ?1";

/// A tag that never was at the destination is forgotten.
const REMOVE: &str = "
    DELETE FROM tags WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM past_tags WHERE tag = ?1)";

/// Set of ids of tags.
#[derive(Default)]
pub(super) struct SeenTags {
    words: Vec<u64>,
    is_overfull: bool,
}

impl SeenTags {
    fn insert(&mut self, id: i64) {
        let Some((word, bit)) = Self::position(id) else {
            self.is_overfull = true;
            return;
        };
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        if let Some(word) = self.words.get_mut(word) {
            *word |= 1 << bit;
        }
    }

    fn contains(&self, id: i64) -> bool {
        let Some((word, bit)) = Self::position(id) else {
            return true;
        };
        self.words
            .get(word)
            .is_some_and(|word| word >> bit & 1 == 1)
    }

    fn position(id: i64) -> Option<(usize, u32)> {
        let id = (0..MAX_ID).contains(&id).then_some(id)?;
        Some((usize::try_from(id / 64).ok()?, u32::try_from(id % 64).ok()?))
    }
}

/// A run whose tags are written.
pub(super) struct TagRun {
    pub(super) id: RunId,
    pub(super) rule: i64,
    /// Tags that the run compared.
    pub(super) seen: SeenTags,
}

/// A tag at a destination, and its source.
pub(super) struct Place<'a> {
    pub(super) repository: i64,
    pub(super) target: &'a str,
    pub(super) source: i64,
    pub(super) source_target: &'a str,
}

/// Known facts about a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
struct TagRow {
    rule: i64,
    source: i64,
    source_target: String,
    state: TagState,
    since: Timestamp,
    expected: Option<Digest>,
    digest: Option<Digest>,
    at: Timestamp,
    run: RunId,
    is_copied: bool,
}

/// Writes what the end of an image says about its tag, if that is new.
pub(super) fn write(
    connection: &Connection,
    run: &mut TagRun,
    place: &Place<'_>,
    image: &ImageUpdate,
) -> rusqlite::Result<()> {
    if image.result.is_conflict() {
        return Ok(());
    }
    let mut find = connection.prepare_cached(FIND)?;
    let known = find.query_row(params![place.repository, place.target], parse);
    let known = known.optional()?;
    let before = known.as_ref().map(|(_, row)| row);
    let Some(row) = observed(run, place, image, before) else {
        if let Some((id, _)) = &known {
            run.seen.insert(*id);
        }
        return Ok(());
    };
    match known {
        None => {
            let id = add(connection, place, &row)?;
            run.seen.insert(id);
        }
        Some((id, before)) => {
            run.seen.insert(id);
            if row != before {
                change(connection, id, &before, &row, image.at)?;
            }
        }
    }
    Ok(())
}

/// Returns the row of a tag after the end of an image; `None` if the end says nothing about it.
fn observed(
    run: &TagRun,
    place: &Place<'_>,
    image: &ImageUpdate,
    before: Option<&TagRow>,
) -> Option<TagRow> {
    let (state, expected, digest, is_copied) = match &image.result {
        ImageResult::Unchanged(digest) => (TagState::Same, Some(digest), Some(digest), false),
        ImageResult::Copied { digest, .. } => (TagState::Same, Some(digest), Some(digest), true),
        ImageResult::Different {
            expected,
            from,
            state,
            ..
        } => {
            let digest = match state {
                TagState::Missing => None,
                _ => from.as_ref().or(Some(expected)),
            };
            (*state, Some(expected), digest, false)
        }
        ImageResult::Failed(_) if image.result.outcome() == Some(ImageOutcome::Failed) => {
            // The destination has what it had, as far as it is known.
            let expected = before.and_then(|row| row.expected.as_ref());
            let digest = before.and_then(|row| row.digest.as_ref());
            (TagState::Failed, expected, digest, false)
        }
        ImageResult::Failed(_) | ImageResult::Skipped(_) => return None,
    };
    let mut row = TagRow {
        rule: run.rule,
        source: place.source,
        source_target: place.source_target.to_owned(),
        state,
        since: image.at,
        expected: expected.cloned(),
        digest: digest.cloned(),
        at: image.at,
        run: run.id,
        is_copied,
    };
    if let Some(before) = before {
        if before.state == row.state {
            row.since = before.since;
        }
        if before.digest == row.digest {
            (row.at, row.run, row.is_copied) = (before.at, before.run, before.is_copied);
        }
    }
    Some(row)
}

fn add(connection: &Connection, place: &Place<'_>, row: &TagRow) -> rusqlite::Result<i64> {
    connection.prepare_cached(ADD)?.insert(named_params! {
        ":repository": place.repository, ":target": place.target, ":rule": row.rule, ":source": row.source,
        ":source_target": row.source_target, ":state": Word(row.state), ":since": Moment(row.since),
        ":expected": row.expected.clone().map(StoredDigest), ":digest": row.digest.clone().map(StoredDigest),
        ":at": Moment(row.at), ":run": row.run.number(), ":is_copied": row.is_copied
    })
}

fn change(
    connection: &Connection,
    id: i64,
    before: &TagRow,
    row: &TagRow,
    at: Timestamp,
) -> rusqlite::Result<()> {
    if let Some(digest) = before
        .digest
        .clone()
        .filter(|_| before.digest != row.digest)
    {
        connection.prepare_cached(PAST)?.execute(params![
            id,
            StoredDigest(digest),
            Moment(before.at),
            before.run.number(),
            before.is_copied,
            Moment(at)
        ])?;
    }
    connection.prepare_cached(CHANGE)?.execute(named_params! {
        ":id": id, ":rule": row.rule, ":source": row.source, ":source_target": row.source_target,
        ":state": Word(row.state), ":since": Moment(row.since), ":expected": row.expected.clone().map(StoredDigest),
        ":digest": row.digest.clone().map(StoredDigest), ":at": Moment(row.at), ":run": row.run.number(),
        ":is_copied": row.is_copied
    })?;
    Ok(())
}

/// Marks the tags of the rule of `run` that it did not see: the rule does not select them any more. The run compared all
/// tags of the rule, and ended at `ended`.
pub(super) fn write_unseen(
    connection: &Connection,
    run: &TagRun,
    ended: Timestamp,
) -> rusqlite::Result<()> {
    let mut checked = connection.prepare_cached(CHECKED)?;
    checked.execute(params![run.rule, Moment(ended)])?;
    if run.seen.is_overfull {
        return Ok(());
    }
    let mut sources = connection.prepare_cached(SOURCES)?;
    let sources = sources.query_map((run.rule,), |row| row.get(0))?;
    let sources: Vec<i64> = sources.collect::<rusqlite::Result<_>>()?;
    let mut tags = connection.prepare_cached(TAGS_OF_SOURCE)?;
    let mut unseen = Vec::new();
    for source in sources {
        let mut rows = tags.query((source, run.rule))?;
        while let Some(row) = rows.next()? {
            let Word(state): Word<TagState> = row.get(1)?;
            let (id, is_nowhere) = (row.get(0)?, row.get(2)?);
            if !run.seen.contains(id) && state != TagState::Extra {
                unseen.push((id, is_nowhere));
            }
        }
    }
    for (id, is_nowhere) in unseen {
        if is_nowhere && connection.prepare_cached(REMOVE)?.execute((id,))? > 0 {
            continue;
        }
        let mut extra = connection.prepare_cached(EXTRA)?;
        extra.execute(params![id, Moment(ended)])?;
    }
    Ok(())
}

fn parse(row: &Row<'_>) -> rusqlite::Result<(i64, TagRow)> {
    let digest = |column| row.get::<_, Option<StoredDigest>>(column);
    let Word(state) = row.get("state")?;
    let run: i64 = row.get("run")?;
    let found = TagRow {
        rule: row.get("rule")?,
        source: row.get("source")?,
        source_target: row.get("source_target")?,
        state,
        since: row.get("since").map(|Moment(time)| time)?,
        expected: digest("expected")?.map(|StoredDigest(digest)| digest),
        digest: digest("digest")?.map(|StoredDigest(digest)| digest),
        at: row.get("at").map(|Moment(time)| time)?,
        run: RunId::from_number(run).unwrap_or_else(|| RunId::after(Timestamp::UNIX_EPOCH, None)),
        is_copied: row.get("is_copied")?,
    };
    Ok((row.get("id")?, found))
}
