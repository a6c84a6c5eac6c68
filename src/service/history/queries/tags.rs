//! Tags at destinations: what is where since when, and what differs.

use std::collections::BTreeMap;
use std::sync::Arc;

use image_syncer_registry::Digest;
use rusqlite::{Connection, Row, Rows, named_params};

use crate::service::history::columns::{Moment, StoredDigest, Word, split, unsigned};
use crate::service::history::queries::runs::run_id;
use crate::service::history::queries::{MAX_PAGE, limited};
use crate::service::history::records::{
    DifferencePage, PastTag, RepositoryTags, RuleTags, SourceTag, TagCounts, TagCursor, TagPage,
    TagQuery, TagRecord, TagState,
};

/// Maximum number of tags of a query that is not read in pages.
const MAX_TAGS: i64 = 1_000;

const COLUMNS: &str = "
    SELECT tags.id AS id, destination.name AS destination, target, source.name AS source, source_target,
        rules.name AS rule, state, since, expected, tags.digest AS digest, tags.at AS at, tags.run AS run,
        tags.is_copied AS is_copied, rules.checked AS checked
    FROM tags CROSS JOIN rules ON rules.id = tags.rule
    CROSS JOIN repositories AS destination ON destination.id = tags.repository
    CROSS JOIN repositories AS source ON source.id = tags.source";

const PAST: &str = "
    SELECT destination.name AS destination, target, past_tags.digest AS digest, past_tags.at AS at,
        past_tags.run AS run, past_tags.is_copied AS is_copied, past_tags.until AS until";

const FROM_TAGS: &str = "
    FROM tags CROSS JOIN past_tags ON past_tags.tag = tags.id
    CROSS JOIN repositories AS destination ON destination.id = tags.repository";

const FROM_PAST: &str = "
    FROM past_tags CROSS JOIN tags ON tags.id = past_tags.tag
    CROSS JOIN repositories AS destination ON destination.id = tags.repository";

const NEWEST_FIRST: &str = "ORDER BY past_tags.id DESC LIMIT :limit";

const BY_DIGEST: &str = "WHERE tags.digest = :digest ORDER BY tags.id LIMIT :limit";

const PAST_BY_DIGEST: &str = "WHERE past_tags.digest = :digest";

const BY_DESTINATION: &str = "
    WHERE tags.repository = (SELECT id FROM repositories WHERE name = :repository) AND target = :target";

const BY_SOURCE: &str = "
    WHERE tags.source = (SELECT id FROM repositories WHERE name = :repository) AND source_target = :target";

const OF_SOURCE: &str = "
    WHERE tags.source = (SELECT id FROM repositories WHERE name = :repository)
    AND (source_target, tags.id) > (:target, :id) ORDER BY source_target, tags.id LIMIT :limit";

const DIFFERENT: &str = "
    SELECT source, source_target FROM tags
    WHERE rule = (SELECT id FROM rules WHERE name = :rule) AND state <> 'same'
    AND (source, source_target) > (:id, :target)
    GROUP BY source, source_target ORDER BY source, source_target LIMIT :limit";

const DESTINATIONS: &str = "
    WHERE tags.source = :source AND source_target = :target
    AND tags.rule = (SELECT id FROM rules WHERE name = :rule)
    ORDER BY tags.id LIMIT :limit";

const COUNTS: &str = "
    SELECT rules.name, rules.checked, state, sum(number) FROM tag_counts
    CROSS JOIN rules ON rules.id = tag_counts.rule
    GROUP BY tag_counts.rule, state";

const REPOSITORIES: &str = "
    SELECT repositories.name, state, number FROM tag_counts
    CROSS JOIN repositories ON repositories.id = tag_counts.source
    WHERE tag_counts.rule = (SELECT id FROM rules WHERE name = :rule)";

/// Returns the tags that the query selects, at most 1,000.
pub(in crate::service::history) fn tags(
    connection: &Connection,
    query: &TagQuery,
) -> rusqlite::Result<Vec<TagRecord>> {
    let read = |condition: &str, values: &[(&str, &dyn rusqlite::ToSql)]| {
        let mut statement = connection.prepare_cached(&format!("{COLUMNS} {condition}"))?;
        statement.query_map(values, parse)?.collect()
    };
    match query {
        TagQuery::Digest(digest) => read(
            BY_DIGEST,
            named_params! {":digest": StoredDigest(digest.clone()), ":limit": MAX_TAGS},
        ),
        TagQuery::Destination(reference) => {
            let (repository, target) = split(reference);
            read(
                BY_DESTINATION,
                named_params! {":repository": repository, ":target": target},
            )
        }
        TagQuery::Source(reference) => {
            let (repository, target) = split(reference);
            read(
                &format!("{BY_SOURCE} ORDER BY tags.id LIMIT :limit"),
                named_params! {":repository": repository, ":target": target, ":limit": MAX_TAGS},
            )
        }
    }
}

/// Returns the digests that tags had before, the last ones first, at most 1,000.
pub(in crate::service::history) fn past_tags(
    connection: &Connection,
    query: &TagQuery,
) -> rusqlite::Result<Vec<PastTag>> {
    let read = |from: &str, condition: &str, values: &[(&str, &dyn rusqlite::ToSql)]| {
        let statement = format!("{PAST} {from} {condition} {NEWEST_FIRST}");
        let mut statement = connection.prepare_cached(&statement)?;
        statement.query_map(values, parse_past)?.collect()
    };
    match query {
        TagQuery::Digest(digest) => read(
            FROM_PAST,
            PAST_BY_DIGEST,
            named_params! {":digest": StoredDigest(digest.clone()), ":limit": MAX_TAGS},
        ),
        TagQuery::Destination(reference) | TagQuery::Source(reference) => {
            let condition = match query {
                TagQuery::Source(_) => BY_SOURCE,
                _ => BY_DESTINATION,
            };
            let (repository, target) = split(reference);
            read(
                FROM_TAGS,
                condition,
                named_params! {":repository": repository, ":target": target, ":limit": MAX_TAGS},
            )
        }
    }
}

/// Returns a page of the tags that are copied from a repository, by name.
pub(in crate::service::history) fn repository_tags(
    connection: &Connection,
    repository: &str,
    after: &TagCursor,
    limit: usize,
) -> rusqlite::Result<TagPage> {
    let size = limit.clamp(1, MAX_PAGE);
    let mut statement = connection.prepare_cached(&format!("{COLUMNS} {OF_SOURCE}"))?;
    let mut rows = statement.query(named_params! {
        ":repository": repository, ":target": after.target, ":id": after.id, ":limit": limited(size) + 1
    })?;
    let mut page = TagPage::default();
    let mut last = None;
    while let Some(row) = rows.next()? {
        if page.tags.len() >= size {
            page.next = last;
            break;
        }
        last = Some(TagCursor {
            id: row.get("id")?,
            target: row.get("source_target")?,
        });
        page.tags.push(parse(row)?);
    }
    Ok(page)
}

/// Returns a page of the tags of a rule that differ at any destination, with all of their destinations.
pub(in crate::service::history) fn differences(
    connection: &Connection,
    rule: &str,
    after: &TagCursor,
    limit: usize,
) -> rusqlite::Result<DifferencePage> {
    let size = limit.clamp(1, MAX_PAGE);
    let mut statement = connection.prepare_cached(DIFFERENT)?;
    let rows = statement.query(named_params! {
        ":rule": rule, ":id": after.id, ":target": after.target, ":limit": limited(size) + 1
    })?;
    let mut keys = cursors(rows)?;
    let more = keys.len() > size;
    keys.truncate(size);
    let mut destinations = connection.prepare_cached(&format!("{COLUMNS} {DESTINATIONS}"))?;
    let mut page = DifferencePage::default();
    for key in &keys {
        let values = named_params! {
            ":source": key.id, ":target": key.target, ":rule": rule, ":limit": MAX_TAGS
        };
        let rows = destinations.query_map(values, parse)?;
        let destinations: Vec<TagRecord> = rows.collect::<rusqlite::Result<_>>()?;
        page.tags
            .extend(destinations.first().map(|first| SourceTag {
                source: first.source.clone(),
                destinations: destinations.clone(),
            }));
    }
    page.next = keys.pop().filter(|_| more);
    Ok(page)
}

fn cursors(mut rows: Rows<'_>) -> rusqlite::Result<Vec<TagCursor>> {
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        keys.push(TagCursor {
            id: row.get(0)?,
            target: row.get(1)?,
        });
    }
    Ok(keys)
}

/// Returns the numbers of the tags of each rule, by rule.
pub(in crate::service::history) fn difference_counts(
    connection: &Connection,
) -> rusqlite::Result<Vec<RuleTags>> {
    let mut statement = connection.prepare_cached(COUNTS)?;
    let mut rows = statement.query(())?;
    let mut found: BTreeMap<Arc<str>, RuleTags> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let rule: Arc<str> = row.get(0)?;
        let checked: Option<Moment> = row.get(1)?;
        let entry = found.entry(rule).or_insert_with_key(|rule| RuleTags {
            rule: Arc::clone(rule),
            checked: checked.map(|Moment(checked)| checked),
            counts: TagCounts::default(),
        });
        let Word(state) = row.get(2)?;
        entry.counts.add(state, row.get(3).map(unsigned)?);
    }
    Ok(found.into_values().collect())
}

/// Returns the source repositories of a rule with the numbers of their tags, by name.
pub(in crate::service::history) fn repositories(
    connection: &Connection,
    rule: &str,
) -> rusqlite::Result<Vec<RepositoryTags>> {
    let mut statement = connection.prepare_cached(REPOSITORIES)?;
    let mut rows = statement.query(named_params! {":rule": rule})?;
    let mut found: BTreeMap<String, TagCounts> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let Word(state) = row.get(1)?;
        let counts = found.entry(row.get(0)?).or_default();
        counts.add(state, row.get(2).map(unsigned)?);
    }
    let found = found.into_iter();
    Ok(found
        .map(|(repository, counts)| RepositoryTags { repository, counts })
        .collect())
}

fn parse(row: &Row<'_>) -> rusqlite::Result<TagRecord> {
    let digest = |column| row.get::<_, Option<StoredDigest>>(column);
    let Word(state) = row.get("state")?;
    let Moment(since) = row.get("since")?;
    let Moment(at) = row.get("at")?;
    let checked: Option<Moment> = row.get("checked")?;
    let seen = match checked {
        // A run that compares everything sees these.
        Some(Moment(checked)) if !matches!(state, TagState::Failed | TagState::Extra) => checked,
        _ => since,
    };
    Ok(TagRecord {
        destination: joined(row, "destination", "target")?,
        source: joined(row, "source", "source_target")?,
        rule: row.get("rule")?,
        state,
        since,
        expected: digest("expected")?.map(|StoredDigest(digest)| digest),
        digest: digest("digest")?.map(|StoredDigest(digest)| digest),
        at,
        run: run_id(row, "run")?,
        copied: row.get("is_copied")?,
        seen: seen.max(since).max(at),
    })
}

fn parse_past(row: &Row<'_>) -> rusqlite::Result<PastTag> {
    let digest: Digest = row.get("digest").map(|StoredDigest(digest)| digest)?;
    Ok(PastTag {
        destination: joined(row, "destination", "target")?,
        digest,
        at: row.get("at").map(|Moment(time)| time)?,
        run: run_id(row, "run")?,
        copied: row.get("is_copied")?,
        until: row.get("until").map(|Moment(time)| time)?,
    })
}

/// Returns the reference of a repository and its rest.
fn joined(row: &Row<'_>, repository: &str, target: &str) -> rusqlite::Result<String> {
    let (repository, target): (String, String) = (row.get(repository)?, row.get(target)?);
    Ok(repository + &target)
}

#[cfg(test)]
pub(super) fn statements() -> Vec<(&'static str, String)> {
    let past = |from, condition| format!("{PAST} {from} {condition} {NEWEST_FIRST}");
    vec![
        ("tags by digest", format!("{COLUMNS} {BY_DIGEST}")),
        ("tags by destination", format!("{COLUMNS} {BY_DESTINATION}")),
        (
            "tags by source",
            format!("{COLUMNS} {BY_SOURCE} ORDER BY tags.id LIMIT :limit"),
        ),
        ("tags of a source", format!("{COLUMNS} {OF_SOURCE}")),
        ("past tags by digest", past(FROM_PAST, PAST_BY_DIGEST)),
        ("past tags by destination", past(FROM_TAGS, BY_DESTINATION)),
        ("past tags by source", past(FROM_TAGS, BY_SOURCE)),
        ("differences", DIFFERENT.to_owned()),
        ("destinations of a tag", format!("{COLUMNS} {DESTINATIONS}")),
        ("numbers of tags", COUNTS.to_owned()),
        ("repositories", REPOSITORIES.to_owned()),
    ]
}
