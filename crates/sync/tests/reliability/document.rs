//! The table as a page: `docs/reliability.md`.

use std::fmt::Write as _;

use crate::expect::Expect;
use crate::faults::{self, Row};
use crate::operations::{ALL, Operation};
use crate::registries;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reliability.md");

const HEAD: &str = include_str!("head.md");

/// Returns the outcome of the image in the words of the page.
fn words(expect: Expect) -> String {
    match expect {
        Expect::Copied(how) => format!("copied {how}"),
        Expect::Fails(says) => format!("fails: “{says}”"),
    }
}

/// Maximum number of requests that are listed by name.
const LISTED: usize = 6;

/// Returns the operations of a row with the same expectation, in the order of a copy, the most common case last.
fn grouped(row: &Row) -> Vec<(Vec<Operation>, (Expect, Expect))> {
    let mut groups: Vec<(Vec<Operation>, (Expect, Expect))> = Vec::new();
    for operation in ALL {
        let Some(expected) = row.at_operation(operation) else {
            continue;
        };
        match groups.iter_mut().find(|(_, of)| *of == expected) {
            Some((operations, _)) => operations.push(operation),
            None => groups.push((vec![operation], expected)),
        }
    }
    groups.sort_by_key(|(operations, _)| operations.len() > LISTED);
    groups
}

/// Returns the requests of a group, which is one of `groups`.
fn requests(operations: &[Operation], groups: usize) -> String {
    if operations.len() <= LISTED {
        let names: Vec<_> = operations.iter().map(|at| at.name()).collect();
        return names.join("; ");
    }
    let all = if groups == 1 { "every" } else { "every other" };
    format!("{all} request")
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("\n## Faults\n\n| Fault | At | Once | Always |\n|---|---|---|---|\n");
    for row in faults::rows() {
        let groups = grouped(&row);
        for (operations, (once, always)) in &groups {
            let requests = requests(operations, groups.len());
            let (once, always) = (words(*once), words(*always));
            writeln!(page, "| {} | {requests} | {once} | {always} |", row.name).unwrap();
        }
    }
    page.push_str("\n## Behaviour of registries\n\n| The destination | The image |\n|---|---|\n");
    for behavior in registries::behaviors() {
        writeln!(page, "| {} | {} |", behavior.name, words(behavior.expect)).unwrap();
    }
    page
}

#[test]
fn the_page_is_up_to_date() {
    let page = page();
    if std::env::var_os("UPDATE_RELIABILITY").is_some() {
        std::fs::write(PATH, &page).unwrap();
    }
    let there = std::fs::read_to_string(PATH).unwrap_or_default();
    assert!(
        there == page,
        "docs/reliability.md is not what the tests hold: scripts/reliability --write writes it anew"
    );
}
