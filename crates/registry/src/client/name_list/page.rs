//! Document of one page of a list of names.

use std::fmt;

use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::manifest::folds_to;

/// Maximum number of entries of one page: those of the whole list, since some registries send all at once. The largest
/// public repositories have some hundreds of thousands of tags.
pub(super) const MAX_ENTRIES: usize = 2_000_000;

/// Kinds of lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) enum ListKind {
    /// Tags of a repository, in the field `tags`.
    Tags,
    /// Repositories of a registry, in the field `repositories`.
    Repositories,
}

impl ListKind {
    /// Returns the entries in messages, which is the name of their field as well.
    pub(in crate::client) fn noun(self) -> &'static str {
        match self {
            Self::Tags => "tags",
            Self::Repositories => "repositories",
        }
    }
    /// Returns one entry in messages.
    pub(super) fn one(self) -> &'static str {
        match self {
            Self::Tags => "tag",
            Self::Repositories => "repository",
        }
    }
}

/// One entry of a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A text, which may be a name.
    Text(String),
    /// Another JSON value, by its name.
    Other(&'static str),
}

/// Reads the entries of a page; an error is a clause.
///
/// The field of the list may be absent or `null`. Its letters may be of either case, as in Go's decoder. If the key
/// occurs twice, the two lists contradict each other.
pub(super) fn read(bytes: &[u8], kind: ListKind) -> Result<Vec<Entry>, serde_json::Error> {
    let mut document = serde_json::Deserializer::from_slice(bytes);
    let entries = Page(kind).deserialize(&mut document)?;
    document.end()?;
    Ok(entries)
}

/// A page with a list of this kind.
struct Page(ListKind);

impl<'de> DeserializeSeed<'de> for Page {
    type Value = Vec<Entry>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Entry>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Page {
    type Value = Vec<Entry>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with a list of {}", self.0.noun())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<Entry>, A::Error> {
        let noun = self.0.noun();
        let mut entries = None;
        while let Some(key) = map.next_key::<String>()? {
            if !folds_to(&key, noun) {
                map.next_value::<IgnoredAny>()?;
            } else if entries.is_some() {
                return Err(A::Error::custom(format_args!("it has two lists of {noun}")));
            } else {
                entries = Some(map.next_value_seed(Entries(self.0))?);
            }
        }
        Ok(entries.unwrap_or_default())
    }
}

/// List of entries. An entry takes many times the memory of its bytes in the document, so entries are counted while
/// they are read.
struct Entries(ListKind);

impl<'de> DeserializeSeed<'de> for Entries {
    type Value = Vec<Entry>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Entry>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Entries {
    type Value = Vec<Entry>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of {}", self.0.noun())
    }
    fn visit_unit<E: Error>(self) -> Result<Vec<Entry>, E> {
        Ok(Vec::new())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Entry>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = list.next_element()? {
            if entries.len() == MAX_ENTRIES {
                return Err(A::Error::custom(format_args!(
                    "more than {MAX_ENTRIES} {}",
                    self.0.noun()
                )));
            }
            entries.push(entry);
        }
        Ok(entries)
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntryVisitor)
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = Entry;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Entry, E> {
        Ok(Entry::Text(text.to_owned()))
    }
    fn visit_string<E: Error>(self, text: String) -> Result<Entry, E> {
        Ok(Entry::Text(text))
    }
    fn visit_unit<E: Error>(self) -> Result<Entry, E> {
        Ok(Entry::Other("`null`"))
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<Entry, E> {
        Ok(Entry::Other("a boolean"))
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<Entry, E> {
        Ok(Entry::Other("a number"))
    }
    fn visit_u64<E: Error>(self, _: u64) -> Result<Entry, E> {
        Ok(Entry::Other("a number"))
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<Entry, E> {
        Ok(Entry::Other("a number"))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Entry, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Entry::Other("a list"))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Entry::Other("an object"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<Entry>, serde_json::Error> {
        super::read(bytes, ListKind::Tags)
    }

    #[test]
    fn other_json_values_are_entries() {
        let page = r#"{"tags":["a",null,1,-1,1.5,true,["b",["c"]],{"d":["e"]},""],"name":"x"}"#;
        let text = |text: &str| Entry::Text(text.to_owned());
        let expected = [
            text("a"),
            Entry::Other("`null`"),
            Entry::Other("a number"),
            Entry::Other("a number"),
            Entry::Other("a number"),
            Entry::Other("a boolean"),
            Entry::Other("a list"),
            Entry::Other("an object"),
            text(""),
        ];
        assert_eq!(read(page.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn a_list_has_the_field_of_its_kind() {
        let page = br#"{"repositories":["a/b"],"tags":["v1"]}"#;
        let entries = super::read(page, ListKind::Repositories).unwrap();
        assert_eq!(entries, [Entry::Text("a/b".to_owned())]);
        let error = super::read(b"[]", ListKind::Repositories).unwrap_err();
        let expected = "invalid type: sequence, expected an object with a list of repositories";
        assert!(error.to_string().starts_with(expected), "{error}");
    }

    #[test]
    fn the_list_may_be_missing_and_may_not_come_twice() {
        for page in ["{}", r#"{"tags":null}"#, r#"{"tags":[]}"#] {
            assert_eq!(read(page.as_bytes()).unwrap(), [], "{page}");
        }
        let one = [Entry::Text("a".to_owned())];
        assert_eq!(read(br#"{"Tags":["a"]}"#).unwrap(), one);
        assert_eq!(read("{\"tag\u{17f}\":[\"a\"]}".as_bytes()).unwrap(), one);
        for page in [
            r#"{"tags":["a"],"tags":["b"]}"#,
            r#"{"tags":["a"],"Tags":["b"]}"#,
            r#"{"tags":"a"}"#,
            r#"{"tags":{}}"#,
            r#"["a"]"#,
            "null",
            "",
        ] {
            assert!(read(page.as_bytes()).is_err(), "{page}");
        }
    }
}
