//! The document `index.json`: the roots of a layout, with every field that this program does not know.

use std::collections::{BTreeMap, HashMap};

use image_syncer_registry::{Descriptor, Digest, Manifest, clean_text};
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::name::{CONTAINERD_NAME, LayoutName, REF_NAME, RootName};

/// Maximum length of `index.json`.
pub(in crate::store) const MAX_INDEX_BYTES: u64 = 64 * 1024 * 1024;

/// Maximum number of roots.
pub(in crate::store) const MAX_ENTRIES: usize = 1_000_000;

/// Media type of the document.
const MEDIA_TYPE: &str = "application/vnd.oci.image.index.v1+json";

/// The roots of a layout. Unknown fields of the document and of its descriptors are kept as they were read.
#[derive(Debug)]
pub(crate) struct LayoutIndex {
    /// Fields of the document besides the roots, in order.
    fields: Vec<(String, Box<RawValue>)>,
    /// Position of the roots among the fields.
    position: usize,
    /// The roots in their order; numbers increase and are never used again.
    roots: BTreeMap<u64, LayoutRoot>,
    next: u64,
    by_name: HashMap<LayoutName, Vec<u64>>,
    by_digest: HashMap<Digest, Vec<u64>>,
}

/// A root of a layout.
#[derive(Clone, Debug)]
pub(crate) struct LayoutRoot {
    raw: Box<RawValue>,
    /// Name, if it has one.
    pub(crate) name: RootName,
    /// `ref.name` as written, by which skopeo finds an image.
    pub(crate) ref_name: Option<String>,
    /// Media type; empty if the index does not state it.
    pub(crate) media_type: String,
    /// The digest.
    pub(crate) digest: Digest,
    /// The size in bytes.
    pub(crate) size: u64,
}

/// An `index.json` that cannot be read. Displays as a clause.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub(crate) struct IndexError(String);

/// A descriptor as it is read.
#[derive(Deserialize)]
struct RawRoot {
    #[serde(rename = "mediaType", default)]
    media_type: Option<String>,
    digest: String,
    size: u64,
    #[serde(default)]
    annotations: Option<HashMap<String, serde_json::Value>>,
}

/// A descriptor as it is written.
#[derive(Serialize)]
struct NewRoot<'a> {
    #[serde(rename = "mediaType")]
    media_type: &'a str,
    digest: &'a str,
    size: u64,
    #[serde(rename = "artifactType", skip_serializing_if = "Option::is_none")]
    artifact_type: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

impl LayoutIndex {
    /// Creates an index without roots.
    pub(crate) fn new() -> Self {
        let field = |name: &str, json: &str| {
            let value = RawValue::from_string(json.to_owned()).ok()?;
            Some((name.to_owned(), value))
        };
        let fields = [
            field("schemaVersion", "2"),
            field("mediaType", &format!("\"{MEDIA_TYPE}\"")),
        ];
        let fields: Vec<_> = fields.into_iter().flatten().collect();
        Self {
            position: fields.len(),
            fields,
            roots: BTreeMap::new(),
            next: 0,
            by_name: HashMap::new(),
            by_digest: HashMap::new(),
        }
    }
    /// Reads a document.
    ///
    /// # Errors
    /// If it is malformed, or a root has no valid digest or size.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, IndexError> {
        let document: Document = serde_json::from_slice(bytes)
            .map_err(|error| IndexError(format!("it is malformed: {}", shown(&error))))?;
        let mut index = Self {
            fields: document.fields,
            position: document.position,
            ..Self::new()
        };
        for (at, raw) in document.roots.into_iter().enumerate() {
            let root = LayoutRoot::read(raw)
                .map_err(|why| IndexError(format!("entry {} of `manifests` {why}", at + 1)))?;
            index.push(root);
        }
        Ok(index)
    }
    /// Returns the document as it is written.
    ///
    /// # Errors
    /// None that can occur: writing JSON into memory does not fail.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, IndexError> {
        serde_json::to_vec(self).map_err(|error| IndexError(error.to_string()))
    }
    /// Returns the roots in their order.
    pub(crate) fn roots(&self) -> impl Iterator<Item = &LayoutRoot> {
        self.roots.values()
    }
    /// Returns the same roots in the order of their names, and then of their digests.
    pub(in crate::store) fn sorted(&self) -> Self {
        let mut roots: Vec<&LayoutRoot> = self.roots().collect();
        roots.sort_by_cached_key(|root| {
            let full = match &root.name {
                RootName::Full(name) => Some(name.clone()),
                RootName::Tag(_) | RootName::Unnamed => None,
            };
            (
                full.is_none(),
                full,
                root.ref_name.clone(),
                root.digest.clone(),
            )
        });
        let mut sorted = Self {
            fields: self.fields.clone(),
            position: self.position,
            ..Self::new()
        };
        for root in roots {
            sorted.push(root.clone());
        }
        sorted
    }
    /// Returns the root with a full name. Of several, the first counts, as for skopeo.
    pub(crate) fn named(&self, name: &LayoutName) -> Option<&LayoutRoot> {
        let numbers = self.by_name.get(name)?;
        self.roots.get(numbers.first()?)
    }
    /// Returns the root whose `ref.name` is `text`.
    pub(crate) fn with_ref_name(&self, text: &str) -> Option<&LayoutRoot> {
        self.roots()
            .find(|root| root.ref_name.as_deref() == Some(text))
    }
    /// Returns a root with this digest.
    pub(crate) fn with_digest(&self, digest: &Digest) -> Option<&LayoutRoot> {
        let numbers = self.by_digest.get(digest)?;
        self.roots.get(numbers.first()?)
    }
    /// Names `manifest`. A root with the same name and digest stays as it is; one with another digest is replaced.
    /// Returns whether the index changed.
    ///
    /// # Errors
    /// If the index is full.
    pub(crate) fn set_name(
        &mut self,
        name: &LayoutName,
        manifest: &Manifest,
    ) -> Result<bool, IndexError> {
        let numbers = self.by_name.get(name).cloned().unwrap_or_default();
        if let [number] = numbers[..]
            && let Some(root) = self.roots.get(&number)
            && root.digest == *manifest.digest()
            && root.size == manifest.size()
        {
            return Ok(false);
        }
        let root = LayoutRoot::create(&NewRoot {
            media_type: manifest.media_type(),
            digest: manifest.digest().as_str(),
            size: manifest.size(),
            artifact_type: None,
            annotations: name.annotations(),
        })?;
        let first = numbers.first().copied();
        for number in numbers {
            self.remove(number);
        }
        match first {
            Some(number) => self.insert(number, root),
            None => self.add(root)?,
        }
        Ok(true)
    }
    /// Lists a manifest without a name, unless a root has its digest. Returns whether the index changed.
    ///
    /// # Errors
    /// If the index is full.
    pub(crate) fn add_unnamed(&mut self, root: &Descriptor) -> Result<bool, IndexError> {
        if self.by_digest.contains_key(&root.digest) {
            return Ok(false);
        }
        self.add(LayoutRoot::create(&NewRoot {
            media_type: &root.media_type,
            digest: root.digest.as_str(),
            size: root.size.unwrap_or_default(),
            artifact_type: root.artifact_type.as_deref(),
            annotations: BTreeMap::new(),
        })?)?;
        Ok(true)
    }
    /// Removes the roots with a name. Returns whether there were any.
    pub(crate) fn remove_name(&mut self, name: &LayoutName) -> bool {
        let numbers = self.by_name.get(name).cloned().unwrap_or_default();
        self.remove_all(&numbers)
    }
    /// Removes the roots with a digest. Returns whether there were any.
    pub(crate) fn remove_digest(&mut self, digest: &Digest) -> bool {
        let numbers = self.by_digest.get(digest).cloned().unwrap_or_default();
        self.remove_all(&numbers)
    }
    /// Removes the roots with a digest and without a name. Returns whether there were any.
    pub(crate) fn remove_unnamed(&mut self, digest: &Digest) -> bool {
        let numbers = self.by_digest.get(digest).cloned().unwrap_or_default();
        let is_unnamed = |number: &u64| {
            let root = self.roots.get(number);
            root.is_some_and(|root| root.name == RootName::Unnamed)
        };
        let unnamed: Vec<u64> = numbers.into_iter().filter(is_unnamed).collect();
        self.remove_all(&unnamed)
    }
    fn remove_all(&mut self, numbers: &[u64]) -> bool {
        for number in numbers {
            self.remove(*number);
        }
        !numbers.is_empty()
    }
    fn add(&mut self, root: LayoutRoot) -> Result<(), IndexError> {
        if self.roots.len() >= MAX_ENTRIES {
            return Err(IndexError(format!(
                "it has {MAX_ENTRIES} entries, the maximum"
            )));
        }
        self.push(root);
        Ok(())
    }
    fn push(&mut self, root: LayoutRoot) {
        let number = self.next;
        self.next += 1;
        self.insert(number, root);
    }
    fn insert(&mut self, number: u64, root: LayoutRoot) {
        if let RootName::Full(name) = &root.name {
            self.by_name.entry(name.clone()).or_default().push(number);
        }
        let same = self.by_digest.entry(root.digest.clone()).or_default();
        same.push(number);
        self.roots.insert(number, root);
    }
    fn remove(&mut self, number: u64) {
        let Some(root) = self.roots.remove(&number) else {
            return;
        };
        if let RootName::Full(name) = &root.name {
            forget(&mut self.by_name, name, number);
        }
        forget(&mut self.by_digest, &root.digest, number);
    }
}

/// Shows an error that may repeat a part of the document.
fn shown(error: &serde_json::Error) -> String {
    const LONGEST: usize = 300;
    clean_text(&error.to_string(), LONGEST)
}

fn forget<K: std::hash::Hash + Eq>(table: &mut HashMap<K, Vec<u64>>, key: &K, number: u64) {
    if let Some(numbers) = table.get_mut(key) {
        numbers.retain(|other| *other != number);
        if numbers.is_empty() {
            table.remove(key);
        }
    }
}

impl LayoutRoot {
    /// Returns the descriptor as it is written.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(in crate::store) fn text(&self) -> &str {
        self.raw.get()
    }
    fn read(raw: Box<RawValue>) -> Result<Self, String> {
        // serde would accept an array as well.
        if !raw.get().starts_with('{') {
            return Err("is not an object".to_owned());
        }
        let read: RawRoot = serde_json::from_str(raw.get())
            .map_err(|error| format!("is malformed: {}", shown(&error)))?;
        let digest = Digest::parse(&read.digest)
            .map_err(|error| format!("has an invalid digest: {error}"))?;
        let annotations = read.annotations.unwrap_or_default();
        let annotation = |key: &str| annotations.get(key).and_then(serde_json::Value::as_str);
        Ok(Self {
            name: RootName::from_annotations(annotation(CONTAINERD_NAME), annotation(REF_NAME)),
            ref_name: annotation(REF_NAME).map(str::to_owned),
            media_type: read.media_type.unwrap_or_default(),
            digest,
            size: read.size,
            raw,
        })
    }
    fn create(new: &NewRoot<'_>) -> Result<Self, IndexError> {
        let raw =
            serde_json::value::to_raw_value(new).map_err(|error| IndexError(error.to_string()))?;
        Self::read(raw).map_err(IndexError)
    }
}

impl Serialize for LayoutIndex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Roots<'a>(&'a BTreeMap<u64, LayoutRoot>);
        impl Serialize for Roots<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut list = serializer.serialize_seq(Some(self.0.len()))?;
                for root in self.0.values() {
                    list.serialize_element(&root.raw)?;
                }
                list.end()
            }
        }
        let mut map = serializer.serialize_map(None)?;
        let (before, after) = self.fields.split_at(self.position.min(self.fields.len()));
        for (name, value) in before {
            map.serialize_entry(name, value)?;
        }
        map.serialize_entry("manifests", &Roots(&self.roots))?;
        for (name, value) in after {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// The document, before its roots are read.
struct Document {
    fields: Vec<(String, Box<RawValue>)>,
    position: usize,
    roots: Vec<Box<RawValue>>,
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(DocumentVisitor)
    }
}

struct DocumentVisitor;

impl<'de> Visitor<'de> for DocumentVisitor {
    type Value = Document;
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
        use serde::de::Error;
        let mut fields: Vec<(String, Box<RawValue>)> = Vec::new();
        let mut roots: Option<(usize, Vec<Box<RawValue>>)> = None;
        while let Some(name) = map.next_key::<String>()? {
            // Others would read a field that comes twice, or in another case, as another document.
            if name.eq_ignore_ascii_case("manifests") {
                if name != "manifests" || roots.is_some() {
                    return Err(A::Error::custom(
                        "it has the field `manifests` twice or in another case",
                    ));
                }
                let list = map.next_value::<Option<RootList>>()?;
                roots = Some((fields.len(), list.map(|list| list.0).unwrap_or_default()));
                continue;
            }
            let value = map.next_value::<Box<RawValue>>()?;
            if name == "schemaVersion" && value.get() != "2" {
                let found = clean_text(value.get(), 20);
                return Err(A::Error::custom(format_args!(
                    "its schemaVersion is {found}, not 2"
                )));
            }
            fields.push((name, value));
        }
        let (position, roots) = roots.unwrap_or((fields.len(), Vec::new()));
        Ok(Document {
            fields,
            position,
            roots,
        })
    }
}

/// A list of bounded length.
struct RootList(Vec<Box<RawValue>>);

impl<'de> Deserialize<'de> for RootList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = RootList;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<RootList, A::Error> {
                use serde::de::Error;
                let mut list = Vec::new();
                while let Some(entry) = seq.next_element()? {
                    if list.len() >= MAX_ENTRIES {
                        while seq.next_element::<IgnoredAny>()?.is_some() {}
                        return Err(A::Error::custom(format_args!(
                            "`manifests` has more than {MAX_ENTRIES} entries"
                        )));
                    }
                    list.push(entry);
                }
                Ok(RootList(list))
            }
        }
        deserializer.deserialize_seq(List)
    }
}
