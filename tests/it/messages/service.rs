//! The start of the service.

use std::net::TcpListener;

use super::Case;
use super::trial::{Message, normalised};
use crate::support::{Place, Service};

pub(super) const CASES: &[Case] = &[
    ("schedule-not-valid", schedule_not_valid),
    ("address-in-use", address_in_use),
    ("token-not-usable", token_not_usable),
    ("certificate-not-usable", certificate_not_usable),
    ("history-not-usable", history_not_usable),
    ("history-not-usable", history_in_use),
];

const SERVE: &[&str] = &["serve", "--config", "sync.yaml", "--state"];

const RULE: &str = "version: 1
rules:
- from: docker.io/library/alpine
  to: registry.example.com/mirror/alpine
";

/// Returns the message of a service that refuses to start with `settings` at the end of its file.
fn refuses(settings: &str) -> Message {
    let place = Place::new().file("sync.yaml", &format!("{RULE}{settings}\n"));
    said(&place, &["."], &[])
}

fn said(place: &Place, arguments: &[&str], names: &[(String, String)]) -> Message {
    let outcome = place.run(&[SERVE, arguments].concat()).exits(2);
    assert_eq!(outcome.stdout, "");
    Message {
        text: normalised(outcome.stderr.trim_end(), names),
        cause: None,
    }
}

fn schedule_not_valid() -> Message {
    refuses("  schedule: 0 25 * * *")
}

fn address_in_use() -> Message {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let place = Place::new().file("sync.yaml", RULE);
    let names = [(address.clone(), "127.0.0.1:8080".to_owned())];
    said(&place, &[".", "--listen", &address], &names)
}

fn token_not_usable() -> Message {
    refuses("service: {tokens: [{name: ops, secret: {env: OPS_TOKEN}}]}")
}

fn certificate_not_usable() -> Message {
    refuses("service: {tls: {cert: tls.crt, key: tls.key}}")
}

fn history_not_usable() -> Message {
    let place = Place::new().file("sync.yaml", RULE);
    said(
        &place.file("history.sqlite3", "this is no database"),
        &["."],
        &[],
    )
}

fn history_in_use() -> Message {
    let place = Place::new().file("sync.yaml", RULE);
    let mut other = Service::start(&place, &["--config", "sync.yaml"]);
    other.url();
    let message = said(&place, &["state", "--listen", "127.0.0.1:0"], &[]);
    other.stop().exits(0);
    message
}
