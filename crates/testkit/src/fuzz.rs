//! Fuzz targets as tests: the seeds in `fuzz/corpus`, mutations of them, and noise.

use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any};
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};

/// Number of cases of each kind: enough to find simple faults, and few enough for every test run.
const CASES: u32 = 256;

/// Texts that are difficult for parsers.
const TOKENS: [&str; 24] = [
    "\"",
    "\\",
    "'",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "=",
    "<",
    ">",
    "@",
    "/",
    "://",
    "..",
    "\n",
    "\0",
    "\u{202e}",
    "é",
    "-1",
    "18446744073709551616",
    "1e999",
    "null",
];

/// Returns a text with one change.
#[derive(Clone, Debug)]
enum Edit {
    Remove(Index, usize),
    Insert(Index, Vec<u8>),
    Repeat(Index, usize, usize),
}

/// Runs `target` over the seeds of `name`, a few hundred mutations of them, and noise.
///
/// # Panics
/// If the target panics, with the smallest input found; or if there are no seeds.
pub fn exercise(name: &str, target: fn(&[u8])) {
    let seeds = seeds(name);
    for seed in &seeds {
        target(seed);
    }
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    let run = |data: Vec<u8>| {
        target(&data);
        Ok(())
    };
    let mut runner = TestRunner::new(config);
    let noise = runner.run(&vec(any::<u8>(), 0..256), run);
    assert!(noise.is_ok(), "{name}: {noise:?}");
    let mutated = runner.run(&mutations(seeds), run);
    assert!(mutated.is_ok(), "{name}: {mutated:?}");
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(name);
    let files = std::fs::read_dir(&folder).into_iter().flatten();
    let seeds: Vec<Vec<u8>> = files
        .filter_map(|file| std::fs::read(file.ok()?.path()).ok())
        .collect();
    assert!(!seeds.is_empty(), "no seeds in {}", folder.display());
    seeds
}

fn mutations(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let token = select(&TOKENS[..]).prop_map(|token| token.as_bytes().to_vec());
    let piece = select(seeds.clone()).prop_flat_map(|seed| {
        (Just(seed), any::<Index>(), 1..40_usize).prop_map(|(seed, at, length)| {
            let at = at.index(seed.len() + 1);
            seed.iter().skip(at).take(length).copied().collect()
        })
    });
    let inserted = proptest::prop_oneof![token, piece, vec(any::<u8>(), 1..4)];
    let edit = proptest::prop_oneof![
        (any::<Index>(), 1..20_usize).prop_map(|(at, length)| Edit::Remove(at, length)),
        (any::<Index>(), inserted).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        (any::<Index>(), 1..20_usize, 2..200_usize)
            .prop_map(|(at, length, times)| Edit::Repeat(at, length, times)),
    ];
    (select(seeds), vec(edit, 1..6)).prop_map(|(mut data, edits)| {
        for edit in edits {
            apply(&mut data, edit);
        }
        data
    })
}

fn apply(data: &mut Vec<u8>, edit: Edit) {
    let range = |data: &Vec<u8>, at: Index, length: usize| {
        let at = at.index(data.len() + 1);
        at..data.len().min(at + length)
    };
    match edit {
        Edit::Remove(at, length) => drop(data.drain(range(data, at, length))),
        Edit::Insert(at, bytes) => {
            let at = at.index(data.len() + 1);
            drop(data.splice(at..at, bytes));
        }
        Edit::Repeat(at, length, times) => {
            let range = range(data, at, length);
            let repeated: Vec<u8> = data.drain(range.clone()).collect();
            drop(data.splice(range.start..range.start, repeated.repeat(times)));
        }
    }
}
