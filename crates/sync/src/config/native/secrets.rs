//! Positions of secrets, which no snippet shows.

use super::fields::text;
use super::scalar::Scalar;
use super::table::{Shape, Table};
use crate::config::document::{Node, NodeValue, Position};

/// Secrets of a file.
#[derive(Default)]
pub(super) struct Secrets {
    /// Positions of values that are secrets, or that may be: those in the place of a secret, below unknown keys of maps
    /// with secrets, and below ignored keys, whose values may be used elsewhere by an alias.
    pub(super) values: Vec<Position>,
    /// Lines with keys of maps with secrets. A secret that begins with `#` is a comment there.
    pub(super) lines: Vec<usize>,
}

/// Returns the secrets of a file.
pub(super) fn find(root: &Node, table: &'static Table) -> Secrets {
    let mut secrets = Secrets::default();
    collect_map(root, table, &mut secrets);
    secrets
}

fn collect(node: &Node, shape: &Shape, is_secret: bool, secrets: &mut Secrets) {
    match (shape.for_node(node), &node.value) {
        (Some(Shape::Scalar(Scalar::Secret)), _) => secrets.values.push(node.at),
        // A password in the place of `auto`.
        (Some(Shape::Scalar(Scalar::Choice(names))), NodeValue::Text(text))
            if is_secret && !names.contains(&text.as_str()) =>
        {
            secrets.values.push(node.at);
        }
        (Some(Shape::Map(table)), _) => collect_map(node, table, secrets),
        (Some(Shape::Entries(entries)), NodeValue::Map(pairs)) => {
            for (_, value) in pairs {
                collect(value, &entries.value, is_secret, secrets);
            }
        }
        (Some(Shape::List(item, _)), NodeValue::List(items)) => {
            for node in items {
                collect(node, item, is_secret, secrets);
            }
        }
        (None, _) if is_secret || may_hold_secret(shape) => everything(node, secrets),
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

fn collect_map(node: &Node, table: &'static Table, secrets: &mut Secrets) {
    let NodeValue::Map(pairs) = &node.value else {
        if table.has_secrets {
            everything(node, secrets);
        }
        return;
    };
    for (key, value) in pairs {
        let name = text(key).unwrap_or_default();
        if table.has_secrets {
            secrets.lines.push(key.at.line);
        }
        match table.key(name) {
            Some(key) => collect(value, &key.shape, table.has_secrets, secrets),
            // A password without its key.
            None if table.has_secrets && matches!(value.value, NodeValue::Null) => {
                secrets.values.push(key.at);
            }
            // At the top, the key may be a misspelt `registries`, or be ignored.
            None if table.has_secrets || table.has_extensions => everything(value, secrets),
            None => {}
        }
    }
}

fn everything(node: &Node, secrets: &mut Secrets) {
    match &node.value {
        NodeValue::Null | NodeValue::Text(_) => secrets.values.push(node.at),
        NodeValue::List(items) => items.iter().for_each(|node| everything(node, secrets)),
        NodeValue::Map(pairs) => pairs.iter().for_each(|(key, value)| {
            everything(key, secrets);
            everything(value, secrets);
        }),
    }
}
