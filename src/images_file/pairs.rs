//! Pairs of source and destination on disk, sorted and without duplicates: any number of them in bounded memory.

use std::cell::RefCell;
use std::io::Write;
use std::path::Path;

use rusqlite::{Connection, Row, Rows, Statement};
use serde::ser::{Error as _, Serialize, SerializeMap as _, Serializer};
use tempfile::NamedTempFile;

use crate::escape;
use crate::images_file::FileFormat;
use crate::replacement;

/// Memory limit of the database, in KiB.
const CACHE_KIB: u32 = 512;

/// Table of pairs. It is a cache of one run and need not survive a crash.
pub(super) struct PairTable {
    database: Connection,
}

impl PairTable {
    /// Creates an empty table in a file beside `path`, because there is space. If no file can be created there, as
    /// beside a pipe, it is in the directory for temporary files.
    pub(super) fn create_near(path: &Path) -> anyhow::Result<Self> {
        let file = replacement::temporary_file_near(path).ok();
        let place = file.as_ref().map_or(Path::new(""), NamedTempFile::path);
        let database = Connection::open(place)?;
        database.execute_batch(&format!(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;
             PRAGMA cache_size = -{CACHE_KIB};
             CREATE TABLE pairs (source TEXT, destination TEXT, wanted INTEGER, PRIMARY KEY (source, destination))
             WITHOUT ROWID;
             BEGIN;"
        ))?;
        // SQLite has opened the file and, without a journal, does not need its name. So nothing remains, however the
        // process ends.
        drop(file);
        Ok(Self { database })
    }

    /// Adds a pair, unless it exists. A pair that is not `wanted` is not written, and cannot be added later.
    pub(super) fn add(
        &self,
        source: &str,
        destination: &str,
        wanted: bool,
    ) -> rusqlite::Result<()> {
        let insert = "INSERT OR IGNORE INTO pairs VALUES (?1, ?2, ?3)";
        let mut insert = self.database.prepare_cached(insert)?;
        insert.execute((source, destination, wanted)).map(|_| ())
    }

    /// Writes the wanted pairs that `keep` selects, as a map from source to list of destinations, in the order of their
    /// texts.
    pub(super) fn write(
        &self,
        format: FileFormat,
        keep: &dyn Fn(&str, &str) -> bool,
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        let all = "SELECT source, destination FROM pairs WHERE wanted ORDER BY source, destination";
        let map = PairMap {
            statement: RefCell::new(self.database.prepare(all)?),
            keep,
        };
        match format {
            FileFormat::Json => {
                serde_json::to_writer_pretty(&mut *out, &map)?;
                out.write_all(b"\n")?;
            }
            FileFormat::Yaml => image_syncer_sync::config::write_yaml(&map, out)?,
        }
        Ok(())
    }
}

/// Map of the rows. Only one source at a time is in memory.
struct PairMap<'a> {
    statement: RefCell<Statement<'a>>,
    keep: &'a dyn Fn(&str, &str) -> bool,
}

impl Serialize for PairMap<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut statement = self.statement.borrow_mut();
        let mut rows = statement.query([]).map_err(S::Error::custom)?;
        let mut next = self.next::<S::Error>(&mut rows)?;
        // An empty map is written in another form than the start of a map, so its length must be known first.
        let mut map = serializer.serialize_map(next.is_none().then_some(0))?;
        while let Some((source, destination)) = next.take() {
            let mut destinations = vec![destination];
            loop {
                next = self.next::<S::Error>(&mut rows)?;
                match &mut next {
                    Some((same, more)) if *same == source => {
                        destinations.push(std::mem::take(more));
                    }
                    _ => break,
                }
            }
            let destinations: Vec<Text> = destinations.into_iter().map(Text).collect();
            map.serialize_entry(&Text(source), &destinations)?;
        }
        map.end()
    }
}

/// Text that is quoted if its characters will be escaped.
struct Text(String);

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if escape::needs_quotes(&self.0) {
            image_syncer_sync::config::DoubleQuoted(&self.0).serialize(serializer)
        } else {
            serializer.serialize_str(&self.0)
        }
    }
}

impl PairMap<'_> {
    fn next<E: serde::ser::Error>(
        &self,
        rows: &mut Rows<'_>,
    ) -> Result<Option<(String, String)>, E> {
        let pair = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        loop {
            let row = rows.next().map_err(E::custom)?;
            let next: Option<(String, String)> = row
                .map(pair)
                .transpose()
                .map_err(|error: rusqlite::Error| E::custom(error))?;
            match next {
                Some((source, destination)) if !(self.keep)(&source, &destination) => {}
                next => return Ok(next),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn written(pairs: &[(&str, &str)], format: FileFormat) -> String {
        let directory = tempfile::tempdir().unwrap();
        let all = PairTable::create_near(&directory.path().join("out")).unwrap();
        for (source, destination) in pairs {
            all.add(source, destination, true).unwrap();
        }
        let mut text = Vec::new();
        all.write(format, &|_, _| true, &mut text).unwrap();
        drop(all);
        assert_eq!(directory.path().read_dir().unwrap().count(), 0);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn the_first_entry_of_a_pair_wins() {
        let directory = tempfile::tempdir().unwrap();
        let all = PairTable::create_near(&directory.path().join("out")).unwrap();
        for (source, destination, wanted) in [
            ("a:v1", "b:v1", false),
            ("a:v1", "b:v1", true),
            ("a:v2", "b:v2", true),
            ("a:v2", "b:v2", false),
            ("a:v3", "b:v3", true),
        ] {
            all.add(source, destination, wanted).unwrap();
        }
        let mut text = Vec::new();
        let keep = |source: &str, _: &str| source != "a:v3";
        all.write(FileFormat::Yaml, &keep, &mut text).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), "\"a:v2\":\n- b:v2\n");
    }

    #[test]
    fn the_map_is_the_one_that_serde_writes() {
        let pairs = [
            ("b.example/x:v1", "c.example/y:v1"),
            ("a.example/x:1.10", "d.example/y:1.10"),
            ("b.example/x:v1", "c.example/y:v1"),
            ("a.example/x:1.10", "c.example/y@sha256:0"),
            ("b.example/x:/^v[0-9]+$/", ""),
            ("B.example/x", "é"),
        ];
        for pairs in [&pairs[..], &pairs[..1], &[]] {
            let mut map: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
            for (source, destination) in pairs {
                map.entry(source).or_default().insert(destination);
            }
            let json = serde_json::to_string_pretty(&map).unwrap() + "\n";
            assert_eq!(written(pairs, FileFormat::Json), json);
            let yaml = image_syncer_sync::config::to_yaml(&map).unwrap();
            assert_eq!(written(pairs, FileFormat::Yaml), yaml);
        }
    }
}
