//! Values of columns.

use std::fmt::Display;
use std::str::FromStr;

use image_syncer_registry::Digest;
use jiff::Timestamp;
use rusqlite::Row;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

/// Digest in its stored form: a SHA-256 as 32 bytes, any other as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoredDigest(pub(super) Digest);

impl ToSql for StoredDigest {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0.to_sha256() {
            Some(bytes) => ToSqlOutput::Owned(bytes.to_vec().into()),
            None => ToSqlOutput::Borrowed(ValueRef::Text(self.0.as_str().as_bytes())),
        })
    }
}

impl FromSql for StoredDigest {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let digest = match value {
            ValueRef::Blob(bytes) => {
                let bytes = bytes.try_into().map_err(|_| FromSqlError::InvalidType)?;
                Ok(Digest::from_sha256(bytes))
            }
            other => Digest::parse(other.as_str()?),
        };
        digest.map(Self).map_err(FromSqlError::other)
    }
}

/// Time in its stored form: microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment(pub(super) Timestamp);

impl ToSql for Moment {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.as_microsecond().into())
    }
}

impl FromSql for Moment {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let time = Timestamp::from_microsecond(value.as_i64()?);
        time.map(Self).map_err(FromSqlError::other)
    }
}

/// Variant of an enum, stored as its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word<T>(pub(super) T);

impl<T: Display> ToSql for Word<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.to_string().into())
    }
}

impl<T> FromSql for Word<T>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let word = value.as_str()?.parse();
        word.map(Self).map_err(FromSqlError::other)
    }
}

/// Columns of a row, in their order: to find them by name would take longer than to read them.
pub(super) struct Fields<'a, 's> {
    row: &'a Row<'s>,
    next: usize,
}

impl<'a, 's> Fields<'a, 's> {
    /// Begins with the first column of `row`.
    pub(super) fn new(row: &'a Row<'s>) -> Self {
        Self { row, next: 0 }
    }

    /// Returns the next column.
    pub(super) fn next<T: FromSql>(&mut self) -> rusqlite::Result<T> {
        let value = self.row.get(self.next);
        self.next += 1;
        value
    }

    /// Returns the next column, which is a number.
    pub(super) fn number(&mut self) -> rusqlite::Result<u64> {
        self.next().map(unsigned)
    }

    /// Returns the next column, which is a digest.
    pub(super) fn digest(&mut self) -> rusqlite::Result<Option<Digest>> {
        let digest: Option<StoredDigest> = self.next()?;
        Ok(digest.map(|StoredDigest(digest)| digest))
    }
}

/// Number in its stored form.
pub(super) fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Number of a column; a damaged file may hold negative ones.
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// Splits a full reference into the repository and the rest, with its separator.
pub(super) fn split(reference: &str) -> (&str, &str) {
    let name_end = reference.find('@').unwrap_or(reference.len());
    let path_start = reference.get(..name_end).and_then(|name| name.rfind('/'));
    let colon = reference
        .get(path_start.unwrap_or(0)..name_end)
        .and_then(|name| name.rfind(':'))
        .map(|colon| colon + path_start.unwrap_or(0));
    let end = match colon {
        Some(colon) if name_end == reference.len() => colon,
        _ => name_end,
    };
    reference.split_at_checked(end).unwrap_or((reference, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_its_repository_and_the_rest() {
        for (reference, repository, rest) in [
            ("r.example:5000/a/b:v1", "r.example:5000/a/b", ":v1"),
            ("r.example:5000/a/b", "r.example:5000/a/b", ""),
            ("r.example/a@sha256:00", "r.example/a", "@sha256:00"),
            ("oci:./store#quay.io/a:v1", "oci:./store#quay.io/a", ":v1"),
            ("oci:./store", "oci:./store", ""),
            ("", "", ""),
        ] {
            assert_eq!(split(reference), (repository, rest), "{reference}");
        }
    }
}
