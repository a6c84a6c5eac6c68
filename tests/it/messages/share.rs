//! The database of shared runs.

use std::net::TcpListener;

use super::Case;
use super::trial::{Message, normalised};
use crate::support::Place;

pub(super) const CASES: &[Case] = &[
    ("database-not-named", not_named),
    ("database-not-usable", wrong_url),
    ("database-not-usable", refused),
];

const RULE: &str = "version: 1
rules:
- from: docker.io/library/alpine
  to: registry.example.com/mirror/alpine
";

fn said(code: i32, flags: &[&str], names: &[(String, String)]) -> Message {
    let place = Place::new().file("sync.yaml", RULE);
    let work = ["work", "--config", "sync.yaml"];
    let outcome = place.run(&[&work[..], flags].concat()).exits(code);
    assert_eq!(outcome.stdout, "");
    Message {
        text: normalised(outcome.stderr.trim_end(), names),
        cause: None,
    }
}

fn not_named() -> Message {
    said(2, &[], &[])
}

fn wrong_url() -> Message {
    let url = "db.example.com/syncer";
    said(2, &["--share", url], &[])
}

fn refused() -> Message {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = unused.local_addr().unwrap().to_string();
    drop(unused);
    let url = format!("postgres://syncer@{address}/syncer");
    let names = [(address, "db.example.com".to_owned())];
    said(1, &["--share", &url], &names)
}
