//! docs/troubleshooting.md says what the program says, to the letter: each message in it is provoked here, with the whole
//! program, and none that is provoked here is missing there.
//!
//! To write the document's messages anew: `UPDATE_DOCS=1 cargo test -p image-syncer --test it messages`.

mod access;
mod certificates;
mod content;
mod document;
mod existence;
mod files;
mod network;
mod peers;
mod trial;

use std::collections::BTreeMap;

use document::Document;
use trial::Told;

/// The name of an entry, and what provokes a message of it.
type Case = (&'static str, fn() -> Told);

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
    ]
    .concat();
    let told = provoke(&cases);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/troubleshooting.md");
    let text = std::fs::read_to_string(path).unwrap();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, Document::read(&text).with(&told)).unwrap();
        return;
    }
    let written = Document::read(&text).entries();
    let names =
        |entries: &BTreeMap<String, Vec<String>>| entries.keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        names(&written),
        names(&told),
        "entries of the document, and cases of this test"
    );
    for cause in image_syncer_registry::Cause::ALL {
        assert!(
            text.contains(&format!("`{cause}`")),
            "{cause} is not in the document"
        );
    }
    for (name, messages) in &told {
        assert_eq!(&written[name], messages, "{name}");
    }
}

/// What each case says, by the names of their entries; as many at a time as the machine has cores.
fn provoke(cases: &[Case]) -> BTreeMap<String, Vec<String>> {
    let workers = std::thread::available_parallelism().map_or(4, usize::from);
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for group in cases.chunks(workers) {
        let said: Vec<(&str, Told)> = std::thread::scope(|scope| {
            let running: Vec<_> = group
                .iter()
                .map(|(name, case)| (*name, scope.spawn(case)))
                .collect();
            running
                .into_iter()
                .map(|(name, case)| (name, case.join().unwrap_or_else(|_| panic!("{name}"))))
                .collect()
        });
        for (name, Told { message, cause }) in said {
            assert_eq!(cause.as_deref().unwrap_or(name), name, "{message}");
            told.entry(name.to_owned()).or_default().push(message);
        }
    }
    told
}
