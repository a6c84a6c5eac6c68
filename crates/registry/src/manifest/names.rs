//! Names of fields, which Go's decoder matches without regard to case.

use serde::de::{DeserializeSeed, Deserializer, Error, IntoDeserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;

/// The entries of an object as a deserializer of a struct, which refuses names that differ from those of the struct's
/// fields only in case.
pub(super) struct ExactNames<A>(pub(super) A);

impl<'de, A: MapAccess<'de>> Deserializer<'de> for ExactNames<A> {
    type Error = A::Error;
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_map(self.0)
    }
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let entries = self.0;
        visitor.visit_map(Entries { entries, fields })
    }
    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct Entries<A> {
    entries: A,
    fields: &'static [&'static str],
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Entries<A> {
    type Error = A::Error;
    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        let Some(name) = self.entries.next_key::<String>()? else {
            return Ok(None);
        };
        if !self.fields.contains(&name.as_str())
            && let Some(field) = self.fields.iter().find(|field| folds_to(&name, field))
        {
            return Err(A::Error::custom(format_args!(
                "the field `{name}` differs from `{field}` only in case, so that clients read it differently"
            )));
        }
        seed.deserialize(name.into_deserializer()).map(Some)
    }
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.entries.next_value_seed(seed)
    }
}

/// Returns whether Go's `encoding/json` reads `name` as `field`: it ignores case, and also folds the long s and the
/// Kelvin sign.
pub(crate) fn folds_to(name: &str, field: &str) -> bool {
    let fold = |letter: char| match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        letter => letter.to_ascii_lowercase(),
    };
    name.chars().map(fold).eq(field.chars().map(fold))
}
