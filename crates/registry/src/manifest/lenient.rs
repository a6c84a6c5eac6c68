//! Reading JSON that registries send: bounded, forgiving where it may be, and never as an array where an object
//! belongs.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::ManifestError;
use super::names::ExactNames;
use crate::quote::shown;

/// The most entries of one list. A manifest of 8 MiB has room for some 60,000 descriptors.
const MAX_ENTRIES: usize = 100_000;

/// Reads a JSON object as `T`, which ignores unknown fields. Refuses a known field that comes twice, and one whose name
/// differs from a known one only in case: Go's decoder takes that for the known one, others do not, so two readers
/// would see two different documents.
pub(super) fn read<'de, T: Deserialize<'de>>(
    bytes: &'de [u8],
    noun: &str,
) -> Result<T, ManifestError> {
    read_as::<LenientObject<T>>(bytes, &format!("the {noun}")).map(|object| object.0)
}

/// Like [`read`] for one entry of a list, by itself; `place` names it in errors, as in: entry 3 of the list.
pub(super) fn read_entry<'de, T: Deserialize<'de>>(
    bytes: &'de [u8],
    place: &str,
) -> Result<T, ManifestError> {
    read_as::<LenientObject<T>>(bytes, place).map(|object| object.0)
}

/// Like [`read`] for the config of an image, whose names of fields nobody promises: those that differ in case are
/// unknown ones.
pub(super) fn read_config<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, ManifestError> {
    read_as::<AnyObject<T>>(bytes, "the config").map(|object| object.0)
}

fn read_as<'de, T: Deserialize<'de>>(bytes: &'de [u8], subject: &str) -> Result<T, ManifestError> {
    serde_json::from_slice::<T>(bytes).map_err(|error| {
        let what = if error.is_data() {
            "is malformed"
        } else {
            "is not JSON"
        };
        ManifestError(format!("{subject} {what}: {}", shown(&error.to_string())))
    })
}

/// A `T` that stands as an object, with exact names of fields; serde would take an array as well.
pub(super) struct LenientObject<T>(pub(super) T);

/// The same, where names that differ from those of fields in case are unknown ones.
struct AnyObject<T>(T);

/// A text; anything else counts as absent.
#[derive(Default)]
pub(super) struct LenientText(pub(super) Option<String>);

/// A list of bounded length; `null` is an empty one, as Go writes it.
pub(super) struct BoundedList<T>(pub(super) Vec<T>);

/// A map of texts; anything else, as a map or as a value, counts as absent.
#[derive(Default)]
pub(super) struct TextMap(pub(super) BTreeMap<String, String>);

impl LenientText {
    /// The text, unless it is absent or empty.
    pub(super) fn filled(self) -> Option<String> {
        self.0.filter(|text| !text.is_empty())
    }
}

impl<T> Default for BoundedList<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for LenientObject<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Visit<T> {
            type Value = LenientObject<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(ExactNames(map)).map(LenientObject)
            }
        }
        deserializer.deserialize_map(Visit(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for AnyObject<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Visit<T> {
            type Value = AnyObject<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(AnyObject)
            }
        }
        deserializer.deserialize_map(Visit(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for BoundedList<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Visit<T> {
            type Value = BoundedList<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Ok(BoundedList::default())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while let Some(entry) = seq.next_element()? {
                    if list.len() == MAX_ENTRIES {
                        return Err(A::Error::custom(format_args!(
                            "a list has more than {MAX_ENTRIES} entries"
                        )));
                    }
                    list.push(entry);
                }
                Ok(BoundedList(list))
            }
        }
        deserializer.deserialize_any(Visit(PhantomData))
    }
}

impl<'de> Deserialize<'de> for LenientText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match deserializer.deserialize_any(AnyVisitor)? {
            AnyValue::Text(text) => Some(text),
            AnyValue::Map(_) | AnyValue::Other => None,
        }))
    }
}

impl<'de> Deserialize<'de> for TextMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match deserializer.deserialize_any(AnyVisitor)? {
            AnyValue::Map(map) => map,
            AnyValue::Text(_) | AnyValue::Other => BTreeMap::new(),
        }))
    }
}

/// Value in the place of a text or of a map of texts.
enum AnyValue {
    Text(String),
    Map(BTreeMap<String, String>),
    Other,
}

struct AnyVisitor;

impl<'de> Deserialize<'de> for AnyValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyVisitor)
    }
}

impl<'de> Visitor<'de> for AnyVisitor {
    type Value = AnyValue;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<AnyValue, E> {
        Ok(AnyValue::Text(text.to_owned()))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AnyValue, A::Error> {
        let mut texts = BTreeMap::new();
        while let Some((key, value)) = map.next_entry()? {
            if let AnyValue::Text(text) = value {
                texts.insert(key, text);
            }
        }
        Ok(AnyValue::Map(texts))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<AnyValue, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(AnyValue::Other)
    }
    fn visit_unit<E: Error>(self) -> Result<AnyValue, E> {
        Ok(AnyValue::Other)
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<AnyValue, E> {
        Ok(AnyValue::Other)
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<AnyValue, E> {
        Ok(AnyValue::Other)
    }
    fn visit_u64<E: Error>(self, _: u64) -> Result<AnyValue, E> {
        Ok(AnyValue::Other)
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<AnyValue, E> {
        Ok(AnyValue::Other)
    }
}
