//! Reader of reports, one image at a time.

use std::fmt;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::Context;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Receiver of the entries of `images`.
type OnImage<'a> = &'a mut dyn FnMut(&RawValue) -> anyhow::Result<()>;

/// Reads the report at `path`, and passes each of its images to `on_image`. Returns the other fields.
///
/// # Errors
/// If the file cannot be read or is not JSON, and the first error of `on_image`.
pub(super) fn read(path: &Path, on_image: OnImage<'_>) -> anyhow::Result<Map<String, Value>> {
    let file = File::open(path).context("cannot read the report")?;
    let mut failure = None;
    let mut on_image = |image: &RawValue| {
        let done = on_image(image);
        done.map_err(|error| failure = Some(error)).is_ok()
    };
    let mut reader = serde_json::Deserializer::from_reader(BufReader::new(file));
    let fields = reader.deserialize_map(Document(&mut on_image));
    let fields = fields.and_then(|fields| reader.end().map(|()| fields));
    if let Some(failure) = failure {
        return Err(failure);
    }
    fields.context("not a report of image-syncer. Name a file that --report has written")
}

/// Reader of the document. The function returns false to stop.
struct Document<'a>(&'a mut dyn FnMut(&RawValue) -> bool);

/// Reader of its images.
struct Images<'a>(&'a mut dyn FnMut(&RawValue) -> bool);

impl<'de> Visitor<'de> for Document<'_> {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if key == "images" {
                map.next_value_seed(Images(&mut *self.0))?;
            } else {
                fields.insert(key, map.next_value()?);
            }
        }
        Ok(fields)
    }
}

impl<'de> DeserializeSeed<'de> for Images<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Images<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of images")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut images: A) -> Result<(), A::Error> {
        while let Some(image) = images.next_element::<Box<RawValue>>()? {
            if !(self.0)(&image) {
                return Err(A::Error::custom("stopped"));
            }
        }
        Ok(())
    }
}

/// Parses an image.
///
/// # Errors
/// If a field is missing or has another type.
pub(super) fn image<'de, T: Deserialize<'de>>(image: &'de RawValue) -> anyhow::Result<T> {
    serde_json::from_str(image.get()).context("an image of the report lacks its fields")
}
