//! The tables against the readers: every key of one is known to the other.

use super::super::table::{Shape, Table};
use super::super::tables;
use super::*;

#[test]
fn every_key_of_the_tables_is_read() {
    read(EVERYTHING);
    let used = USED.take();
    let known: BTreeSet<(&str, String)> = tables::all()
        .into_iter()
        .flat_map(|table| {
            table
                .keys
                .iter()
                .map(|key| (table.name, key.name.to_owned()))
        })
        .collect();
    let unread: Vec<_> = known.difference(&used).collect();
    assert!(unread.is_empty(), "{unread:?}");
    let unknown: Vec<_> = used.difference(&known).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn alternatives_of_a_shape_differ_in_their_kind() {
    fn kinds(shape: &Shape) -> Vec<u8> {
        let kind = |shape: &Shape| match shape {
            Shape::Scalar(_) => 0,
            Shape::List(..) => 1,
            Shape::Map(_) | Shape::Entries(_) => 2,
            Shape::Either(_) => 3,
        };
        shape.alternatives().iter().map(kind).collect()
    }
    let check = |table: &Table| {
        for key in table.keys {
            let found = kinds(&key.shape);
            let distinct: BTreeSet<u8> = found.iter().copied().collect();
            assert_eq!(found.len(), distinct.len(), "{} {}", table.name, key.name);
            assert!(!distinct.contains(&3), "{} {}", table.name, key.name);
        }
    };
    tables::all().into_iter().for_each(check);
}

#[test]
fn descriptions_are_sentences() {
    for table in tables::all() {
        assert!(table.description.ends_with('.'), "{}", table.name);
        for key in table.keys {
            assert!(
                key.description.ends_with('.'),
                "{} {}",
                table.name,
                key.name
            );
        }
    }
}
