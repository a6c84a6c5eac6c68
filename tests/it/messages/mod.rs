//! The messages in docs/troubleshooting.md are those of the program, to the letter. Each is provoked here with the whole
//! program, and the document contains every message that is provoked here.
//!
//! Command that rewrites the messages in the document: `UPDATE_DOCS=1 cargo test -p image-syncer --test it messages`.

mod access;
mod certificates;
mod content;
mod document;
mod existence;
mod files;
mod network;
mod peers;
mod service;
#[cfg(feature = "share")]
mod share;
mod trial;

use std::collections::BTreeMap;

use document::Document;
use trial::Message;

/// Name of an entry, and the run that provokes one of its messages.
type Case = (&'static str, fn() -> Message);

#[test]
fn the_catalogue_has_every_message_to_the_letter() {
    testkit::needs!("docker-registry");
    let cases: Vec<Case> = [
        access::CASES,
        existence::CASES,
        network::CASES,
        certificates::CASES,
        content::CASES,
        files::CASES,
        service::CASES,
        #[cfg(feature = "share")]
        share::CASES,
    ]
    .concat();
    let messages = provoke(&cases);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/troubleshooting.md");
    let text = std::fs::read_to_string(path).unwrap();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, Document::read(&text).with(&messages)).unwrap();
        return;
    }
    let written = Document::read(&text).entries();
    let names =
        |entries: &BTreeMap<String, Vec<String>>| entries.keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        names(&written),
        names(&messages),
        "entries of the document, and cases of this test"
    );
    for cause in image_syncer_registry::Cause::ALL {
        assert!(
            text.contains(&format!("`{cause}`")),
            "{cause} is not in the document"
        );
    }
    for (name, texts) in &messages {
        assert_eq!(&written[name], texts, "{name}");
    }
}

/// Runs all cases, one on each core at a time. Returns the messages by the names of their entries.
fn provoke(cases: &[Case]) -> BTreeMap<String, Vec<String>> {
    let workers = std::thread::available_parallelism().map_or(4, usize::from);
    let mut messages: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for group in cases.chunks(workers) {
        let provoked: Vec<(&str, Message)> = std::thread::scope(|scope| {
            let running: Vec<_> = group
                .iter()
                .map(|(name, case)| (*name, scope.spawn(case)))
                .collect();
            running
                .into_iter()
                .map(|(name, case)| (name, case.join().unwrap_or_else(|_| panic!("{name}"))))
                .collect()
        });
        for (name, Message { text, cause }) in provoked {
            assert_eq!(cause.as_deref().unwrap_or(name), name, "{text}");
            messages.entry(name.to_owned()).or_default().push(text);
        }
    }
    messages
}
