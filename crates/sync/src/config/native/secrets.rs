//! Positions of secrets, which no snippet shows.

use super::fields::text;
use super::scalar::Scalar;
use super::table::{Shape, Table};
use crate::config::document::{Node, NodeValue, Position};

/// Returns the positions of values that are secrets, or that may be: those in the place of a secret, below unknown keys
/// of maps with secrets, and below ignored keys, whose values may be used elsewhere by an alias.
pub(super) fn positions(root: &Node, table: &'static Table) -> Vec<Position> {
    let mut positions = Vec::new();
    collect_map(root, table, &mut positions);
    positions
}

fn collect(node: &Node, shape: &Shape, is_secret: bool, positions: &mut Vec<Position>) {
    match (shape.for_node(node), &node.value) {
        (Some(Shape::Scalar(Scalar::Secret)), _) => positions.push(node.at),
        // A password in the place of `auto`.
        (Some(Shape::Scalar(Scalar::Choice(names))), NodeValue::Text(text))
            if is_secret && !names.contains(&text.as_str()) =>
        {
            positions.push(node.at);
        }
        (Some(Shape::Map(table)), _) => collect_map(node, table, positions),
        (Some(Shape::Entries(entries)), NodeValue::Map(pairs)) => {
            for (_, value) in pairs {
                collect(value, &entries.value, is_secret, positions);
            }
        }
        (Some(Shape::List(item, _)), NodeValue::List(items)) => {
            for node in items {
                collect(node, item, is_secret, positions);
            }
        }
        (None, _) if is_secret || may_hold_secret(shape) => everything(node, positions),
        _ => {}
    }
}

fn may_hold_secret(shape: &Shape) -> bool {
    shape.alternatives().iter().any(|shape| match shape {
        Shape::Scalar(Scalar::Secret) => true,
        Shape::Map(table) => table.has_secrets,
        Shape::List(item, _) => may_hold_secret(item),
        Shape::Entries(entries) => may_hold_secret(&entries.value),
        Shape::Scalar(_) | Shape::Either(_) => false,
    })
}

fn collect_map(node: &Node, table: &'static Table, positions: &mut Vec<Position>) {
    let NodeValue::Map(pairs) = &node.value else {
        if table.has_secrets {
            everything(node, positions);
        }
        return;
    };
    for (key, value) in pairs {
        let name = text(key).unwrap_or_default();
        match table.key(name) {
            Some(key) => collect(value, &key.shape, table.has_secrets, positions),
            // A password without its key.
            None if table.has_secrets && matches!(value.value, NodeValue::Null) => {
                positions.push(key.at);
            }
            None if table.has_secrets || table.ignores(name) => everything(value, positions),
            None => {}
        }
    }
}

fn everything(node: &Node, positions: &mut Vec<Position>) {
    match &node.value {
        NodeValue::Null => {}
        NodeValue::Text(_) => positions.push(node.at),
        NodeValue::List(items) => items.iter().for_each(|node| everything(node, positions)),
        NodeValue::Map(pairs) => pairs.iter().for_each(|(key, value)| {
            everything(key, positions);
            everything(value, positions);
        }),
    }
}
