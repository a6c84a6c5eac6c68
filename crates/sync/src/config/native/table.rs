//! Types of the tables of known keys. The tables are the only source of the keys: the check of a file, the JSON Schema
//! and the reference of the documentation are made from them.

use super::scalar::Scalar;
use super::words::{joined, quoted};
use crate::config::document::{Node, NodeValue};

/// Maximum number of keys in the description of a map.
const SHORT: usize = 5;

/// A map with known keys.
#[derive(Debug)]
pub(super) struct Table {
    /// Name in messages and in the schema: `rule`.
    pub(super) name: &'static str,
    /// One line for the schema and the documentation.
    pub(super) description: &'static str,
    /// The keys, in the order of the documentation.
    pub(super) keys: &'static [Key],
    /// True if values below unknown keys may be secrets.
    pub(super) has_secrets: bool,
    /// True if keys that begin with `x-` are ignored.
    pub(super) has_extensions: bool,
}

/// A key of a table.
#[derive(Debug)]
pub(super) struct Key {
    /// The key as written in a file.
    pub(super) name: &'static str,
    /// One line for the schema and the documentation.
    pub(super) description: &'static str,
    /// Values of the key.
    pub(super) shape: Shape,
    /// True if the map is wrong without the key.
    pub(super) is_required: bool,
}

/// Values of a key or an item.
#[derive(Debug)]
pub(super) enum Shape {
    /// A text, a number or a boolean.
    Scalar(Scalar),
    /// A list. `true` accepts an empty one.
    List(&'static Shape, bool),
    /// A map with known keys.
    Map(&'static Table),
    /// A map whose keys the user chooses.
    Entries(&'static Entries),
    /// One of several shapes, which differ in their kind: scalar, list or map.
    Either(&'static [Shape]),
}

/// A map whose keys the user chooses.
#[derive(Debug)]
pub(super) struct Entries {
    /// Meaning of a key, with its article: `a pattern for tags`.
    pub(super) key: &'static str,
    /// Values.
    pub(super) value: Shape,
    /// True if variables are replaced in the keys.
    pub(super) has_variables: bool,
    /// True if the map, or one of its values, may be empty.
    pub(super) may_be_empty: bool,
}

impl Key {
    pub(super) const fn new(name: &'static str, shape: Shape, description: &'static str) -> Self {
        Self {
            name,
            description,
            shape,
            is_required: false,
        }
    }
    pub(super) const fn required(self) -> Self {
        Self {
            is_required: true,
            ..self
        }
    }
}

impl Table {
    pub(super) const fn new(
        name: &'static str,
        description: &'static str,
        keys: &'static [Key],
    ) -> Self {
        Self {
            name,
            description,
            keys,
            has_secrets: false,
            has_extensions: false,
        }
    }
    /// Marks a map whose unknown keys may have secrets.
    pub(super) const fn with_secrets(self) -> Self {
        Self {
            has_secrets: true,
            ..self
        }
    }
    /// Accepts keys that begin with `x-`.
    pub(super) const fn with_extensions(self) -> Self {
        Self {
            has_extensions: true,
            ..self
        }
    }
    /// Returns the key with this name.
    pub(super) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
    /// Returns true if `name` is ignored.
    pub(super) fn ignores(&self, name: &str) -> bool {
        self.has_extensions && name.starts_with("x-")
    }
    /// Returns the keys as text: `` `a`, `b` and `c` ``.
    pub(super) fn key_list(&self) -> String {
        let names: Vec<String> = self.keys.iter().map(|key| quoted(key.name)).collect();
        joined(&names, "and")
    }
}

impl Shape {
    /// A list of texts with at least one item.
    pub(super) const TEXTS: Self = Self::List(&Self::TEXT, false);
    /// Any text.
    pub(super) const TEXT: Self = Self::Scalar(Scalar::Text);
    /// `true` or `false`.
    pub(super) const BOOLEAN: Self = Self::Scalar(Scalar::Boolean);
    /// One text or a list of texts.
    pub(super) const TEXT_OR_LIST: Self = Self::Either(&[Self::TEXT, Self::TEXTS]);

    /// Returns the alternatives of the shape, or the shape itself.
    pub(super) fn alternatives(&self) -> &[Shape] {
        match self {
            Self::Either(shapes) => shapes,
            other => std::slice::from_ref(other),
        }
    }

    /// Returns the alternative for the kind of the node.
    pub(super) fn for_node(&self, node: &Node) -> Option<&Shape> {
        if matches!(node.value, NodeValue::Null) {
            return self.may_be_empty().then_some(self);
        }
        let is_kind = |shape: &&Shape| {
            matches!(
                (&node.value, *shape),
                (NodeValue::Text(_), Self::Scalar(_))
                    | (NodeValue::List(_), Self::List(..))
                    | (NodeValue::Map(_), Self::Map(_) | Self::Entries(_))
            )
        };
        self.alternatives().iter().find(is_kind)
    }

    /// Returns true if no value means an empty map. A key with several forms needs a value: one without items, such as
    /// a list whose items are comments, would select everything.
    pub(super) fn may_be_empty(&self) -> bool {
        match self {
            Self::Entries(entries) => entries.may_be_empty,
            Self::Map(table) => table.keys.iter().all(|key| !key.is_required),
            Self::Scalar(_) | Self::List(..) | Self::Either(_) => false,
        }
    }

    /// Returns the description for messages: `a text or a list of texts`.
    pub(super) fn description(&self) -> String {
        let described: Vec<String> = self
            .alternatives()
            .iter()
            .map(|shape| match shape {
                Self::Scalar(scalar) => scalar.description(),
                Self::List(item, _) => format!("a list of {}", item.plural()),
                Self::Map(table) => table.form(),
                Self::Entries(entries) => {
                    format!(
                        "a map from {} to {}",
                        entries.key,
                        entries.value.description()
                    )
                }
                Self::Either(_) => shape.description(),
            })
            .collect();
        joined(&described, "or")
    }

    fn plural(&self) -> &'static str {
        match self.alternatives() {
            [Self::Scalar(Scalar::Text)] => "texts",
            [Self::Map(table)] => table.plural(),
            _ => "values",
        }
    }
}

impl Table {
    /// Returns the description of the map for messages, with the keys that it needs.
    fn form(&self) -> String {
        let required = self.keys.iter().filter(|key| key.is_required);
        let mut names: Vec<String> = required.map(|key| quoted(key.name)).collect();
        if names.is_empty() && self.keys.len() <= SHORT {
            names = self.keys.iter().map(|key| quoted(key.name)).collect();
        }
        if names.is_empty() {
            return "a map".to_owned();
        }
        format!("a map with {}", joined(&names, "and"))
    }
    /// Returns the name of the map in a sentence.
    pub(super) fn noun(&self) -> String {
        match self.name {
            "file" => "the file".to_owned(),
            name => quoted(name),
        }
    }
    fn plural(&self) -> &'static str {
        match self.name {
            "rule" => "rules",
            "token" => "tokens",
            _ => "maps",
        }
    }
}
