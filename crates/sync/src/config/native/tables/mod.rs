//! The keys of the native file (docs/config.md).

mod registry;
mod rule;
mod schedule;
mod service;
mod tags;

use super::scalar::Scalar;
use super::table::{Entries, Key, Shape, Table};

pub(super) use registry::{LIMITS, LOGIN, LOGIN_KEYS, REGISTRY, SECRET, TLS};
pub(super) use rule::{DEFAULTS, DESTINATION, REFERRERS, RULE};
pub(super) use schedule::SCHEDULE;
pub(super) use service::{HOOK, HOOKS, NOTIFY, SERVICE, SERVICE_TLS, SHARE, TOKEN};
pub(super) use tags::{AGE, NEWEST, TAGS};

/// The whole file.
pub(in crate::config) static FILE: Table = Table::new(
    "file",
    "Configuration of image-syncer: registries, rules and defaults.",
    &[
        Key::new(
            "version",
            Shape::Scalar(Scalar::Choice(&["1"])),
            "Version of the format: 1.",
        )
        .required(),
        Key::new(
            "include",
            Shape::TEXT_OR_LIST,
            "Paths or globs of further files, relative to this one. Each has its own defaults.",
        ),
        Key::new(
            "registries",
            Shape::Entries(&REGISTRIES),
            "Logins and settings of registries, by host[:port][/prefix]. The longest prefix counts.",
        ),
        Key::new(
            "defaults",
            Shape::Map(&DEFAULTS),
            "Options of the rules of this file. A flag overrides them, and so does a rule.",
        ),
        Key::new(
            "rules",
            Shape::List(&Shape::Map(&RULE), true),
            "What is copied, and where to.",
        ),
        Key::new(
            "service",
            Shape::Map(&SERVICE),
            "Settings of `image-syncer serve`. Other commands check and ignore them.",
        ),
        Key::new(
            "share",
            Shape::Either(&[Shape::Scalar(Scalar::Secret), Shape::Map(&SHARE)]),
            "PostgreSQL database of several machines that share their runs, for `image-syncer serve` and `image-syncer work`.",
        ),
    ],
)
.with_extensions();

/// The entries of `registries`.
static REGISTRIES: Entries = Entries {
    key: "host[:port][/prefix]",
    value: Shape::Map(&REGISTRY),
    has_variables: true,
    may_be_empty: true,
};

/// Returns all tables, each once.
pub(super) fn all() -> Vec<&'static Table> {
    let mut tables = Vec::new();
    collect(&FILE, &mut tables);
    tables
}

fn collect(table: &'static Table, tables: &mut Vec<&'static Table>) {
    if tables.iter().any(|known| known.name == table.name) {
        return;
    }
    tables.push(table);
    for key in table.keys {
        collect_shape(&key.shape, tables);
    }
}

fn collect_shape(shape: &'static Shape, tables: &mut Vec<&'static Table>) {
    match shape {
        Shape::Scalar(_) => {}
        Shape::List(item, _) => collect_shape(item, tables),
        Shape::Map(table) => collect(table, tables),
        Shape::Entries(entries) => collect_shape(&entries.value, tables),
        Shape::Either(shapes) => shapes.iter().for_each(|shape| collect_shape(shape, tables)),
    }
}
