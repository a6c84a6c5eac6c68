//! Access to the values of a checked map.

use super::scalar;
use super::table::Table;
use crate::config::document::{Node, NodeValue, Position};

/// The values of a map with known keys. Values of a wrong kind, which the check has reported, count as missing.
pub(super) struct Fields<'a> {
    table: &'static Table,
    /// Position of the map.
    pub(super) at: Position,
    entries: &'a [(Node, Node)],
}

impl<'a> Fields<'a> {
    /// Returns the values of `node`; none if it is not a map.
    pub(super) fn new(table: &'static Table, node: &'a Node) -> Self {
        let entries = match &node.value {
            NodeValue::Map(pairs) => pairs.as_slice(),
            _ => &[],
        };
        Self {
            table,
            at: node.at,
            entries,
        }
    }

    fn entry(&self, name: &str) -> Option<&'a (Node, Node)> {
        debug_assert!(
            self.table.key(name).is_some(),
            "{} of {}",
            name,
            self.table.name
        );
        #[cfg(test)]
        super::tests::record_use(self.table.name, name);
        self.entries.iter().find(|(key, _)| text(key) == Some(name))
    }

    /// Returns the value of a key.
    pub(super) fn node(&self, name: &str) -> Option<&'a Node> {
        self.entry(name).map(|(_, value)| value)
    }

    /// Returns the position of a key, or that of the map.
    pub(super) fn key_at(&self, name: &str) -> Position {
        self.entry(name).map_or(self.at, |(key, _)| key.at)
    }

    /// Returns a text.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        text(self.node(name)?)
    }

    /// Returns the texts of one text or a list.
    pub(super) fn texts(&self, name: &str) -> Vec<(&'a str, &'a Node)> {
        let items = self.node(name).map(items).unwrap_or_default();
        let texts = items.iter().filter_map(|node| Some((text(node)?, node)));
        texts.collect()
    }

    /// Returns a boolean.
    pub(super) fn boolean(&self, name: &str) -> Option<bool> {
        scalar::boolean(self.text(name)?)
    }
}

/// Returns the text of a scalar.
pub(super) fn text(node: &Node) -> Option<&str> {
    match &node.value {
        NodeValue::Text(text) => Some(text),
        _ => None,
    }
}

/// Returns the items of a list, or the node itself.
pub(super) fn items(node: &Node) -> &[Node] {
    match &node.value {
        NodeValue::List(items) => items,
        _ => std::slice::from_ref(node),
    }
}

/// Returns the entries of a map.
pub(super) fn pairs(node: &Node) -> &[(Node, Node)] {
    match &node.value {
        NodeValue::Map(pairs) => pairs,
        _ => &[],
    }
}
