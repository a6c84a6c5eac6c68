//! The reference of the native file for its documentation, from the tables of its keys.

use std::fmt::Write as _;

use super::scalar::Scalar;
use super::table::{Shape, Table};
use super::tables;
use super::words::{joined, quoted};

/// Returns the reference of the native file in Markdown: a section with a table for each map.
pub fn native_reference() -> String {
    let mut text = String::new();
    for table in tables::all() {
        section(table, &mut text);
    }
    text
}

fn section(table: &'static Table, text: &mut String) {
    let _ = writeln!(text, "### `{}`\n\n{}\n", table.name, table.description);
    text.push_str("| Key | Value | Meaning |\n|---|---|---|\n");
    for key in table.keys {
        let required = if key.is_required { ", required" } else { "" };
        let meaning = key.description.replace('|', "\\|");
        let _ = writeln!(
            text,
            "| `{}` | {}{required} | {meaning} |",
            key.name,
            value(&key.shape)
        );
    }
    text.push('\n');
}

/// Returns the values of a key: `text or list of texts`.
fn value(shape: &'static Shape) -> String {
    let alternatives = shape.alternatives().iter();
    let values: Vec<String> = alternatives
        .map(|shape| match shape {
            Shape::Scalar(scalar) => self::scalar(*scalar),
            Shape::List(item, _) => match item.alternatives() {
                [Shape::Scalar(Scalar::Text)] => "list of texts".to_owned(),
                _ => format!("list of {}", value(item)),
            },
            Shape::Map(table) => format!("[{0}](#{0})", table.name),
            Shape::Entries(entries) => {
                format!("map from {} to {}", entries.key, value(&entries.value))
            }
            Shape::Either(_) => value(shape),
        })
        .collect();
    joined(&values, "or")
}

fn scalar(scalar: Scalar) -> String {
    match scalar {
        Scalar::Text | Scalar::Secret => "text".to_owned(),
        Scalar::Boolean => "`true` or `false`".to_owned(),
        Scalar::Count { least, most } if most < u64::MAX => {
            format!("number from {least} to {most}")
        }
        Scalar::Count { least, .. } => format!("number of at least {least}"),
        Scalar::Choice(names) => {
            let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
            joined(&names, "or")
        }
        Scalar::Duration => "duration such as `12h`".to_owned(),
        Scalar::Rate => "rate such as `50MiB`".to_owned(),
        Scalar::Requests => "number".to_owned(),
    }
}
