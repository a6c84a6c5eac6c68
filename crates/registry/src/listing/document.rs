//! Documents of APIs.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::quote::shown;

/// Maximum number of entries of one page. APIs send a hundred; a server may ignore the size.
const MAX_ENTRIES: usize = 100_000;

/// Reads a document; an error is a clause.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| shown(&error.to_string()))
}

/// Reads a document that is a list; an error is a clause. `null` is an empty list, as Go writes it.
pub(super) fn read_list<T: DeserializeOwned>(bytes: &[u8]) -> Result<Vec<T>, String> {
    let list: Option<List<T>> = read(bytes)?;
    Ok(list.map(|list| list.0).unwrap_or_default())
}

/// Returns the number of entries of a list.
pub(super) fn count<T>(entries: &[T]) -> u64 {
    u64::try_from(entries.len()).unwrap_or(u64::MAX)
}

/// A list with a bounded number of entries. An entry takes several times the memory of its bytes in the document, so
/// entries are counted while they are read.
#[derive(Debug)]
pub(super) struct List<T>(pub(super) Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = List<T>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<List<T>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = list.next_element()? {
            if entries.len() == MAX_ENTRIES {
                return Err(A::Error::custom(format_args!(
                    "more than {MAX_ENTRIES} entries"
                )));
            }
            entries.push(entry);
        }
        Ok(List(entries))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_bounded_and_may_be_null() {
        assert_eq!(read_list::<u8>(b"null").unwrap(), Vec::<u8>::new());
        assert_eq!(read_list::<u8>(b"[1,2]").unwrap(), [1, 2]);
        let long = format!("[{}1]", "1,".repeat(MAX_ENTRIES));
        let error = read_list::<u8>(long.as_bytes()).unwrap_err();
        assert!(error.starts_with("more than 100000 entries"), "{error}");
        let error = read_list::<u8>(b"{}").unwrap_err();
        assert_eq!(
            error,
            "invalid type: map, expected a list at line 1 column 0"
        );
    }
}
