//! The files, flags and figures of the README are valid.

use crate::support::Place;

const README: &str = include_str!("../../README.md");

/// Returns the text of the fenced block that begins with `first`.
fn block(first: &str) -> &'static str {
    let start = README.find(first).unwrap();
    let rest = &README[start..];
    &rest[..rest.find("```").unwrap()]
}

#[test]
fn its_files_are_right() {
    let place = Place::new()
        .variable("REGISTRY_PASSWORD", "secret")
        .file("images.yaml", block("# images.yaml:"))
        .file("auth.yaml", block("# auth.yaml:"));
    let outcome = place
        .run(&["validate", "--auth", "auth.yaml", "--images", "images.yaml"])
        .exits(0);
    assert!(
        outcome
            .stdout
            .ends_with("2 rules, 2 credentials: no mistakes\n"),
        "{}",
        outcome.stdout
    );
}

#[test]
fn every_flag_in_it_is_one() {
    let reference = include_str!("../../docs/reference.md");
    let flag = regex::Regex::new("--[a-z][a-z-]+").unwrap();
    let flags: Vec<&str> = flag.find_iter(README).map(|found| found.as_str()).collect();
    assert!(flags.len() > 10, "{flags:?}");
    for name in flags {
        let known = ["`", " ", "["]
            .iter()
            .any(|end| reference.contains(&format!("`{name}{end}")));
        // Flags of cargo.
        let cargo = ["--path", "--locked", "--example"].contains(&name);
        assert!(known || cargo, "{name} is in README.md, and no flag");
    }
}

const CHINESE: &str = include_str!("../../README.zh-CN.md");

#[test]
fn words_that_users_search_for_occur() {
    for readme in [README, CHINESE] {
        let text = readme.to_lowercase();
        for word in [
            "mirror",
            "migrate",
            "sync",
            "air gap",
            "registry",
            "harbor",
            "ecr",
            "rate limit",
            "resume",
        ] {
            assert!(text.contains(word), "no {word:?} in {readme:.80}");
        }
    }
}

#[test]
fn set_up_takes_two_commands() {
    let commands: Vec<&str> = block("cargo run --locked --example quickstart")
        .lines()
        .map(|line| line.split('#').next().unwrap().trim())
        .collect();
    assert_eq!(
        commands,
        ["cargo run --locked --example quickstart", "scripts/test"]
    );
}

/// Returns the wall time or the memory of a program in the results of the benchmark, as the README states it.
fn measured(workload: &str, program: &str, is_memory: bool) -> String {
    let results = include_str!("../../docs/performance.md");
    let (_, section) = results
        .split_once(&format!("`--only {workload}`"))
        .unwrap_or_else(|| panic!("no results of {workload}"));
    let row = section
        .lines()
        .find(|line| line.starts_with(&format!("| {program} |")))
        .unwrap();
    let cells: Vec<&str> = row.split('|').map(str::trim).collect();
    if let Some(limit) = cells[2].strip_prefix("stopped after ") {
        return format!("more than {limit}");
    }
    let cell = if is_memory { cells[6] } else { cells[2] };
    let value: f64 = cell.parse().unwrap();
    match (is_memory, value < 1.0) {
        (true, _) => format!("{value:.0} MiB"),
        (false, true) => format!("{value:.2} s"),
        (false, false) => format!("{value:.1} s"),
    }
}

#[test]
fn its_figures_are_those_of_the_benchmark() {
    let table = block("| On one machine with 2 cores").lines().skip(2);
    let rows = table.take_while(|line| line.starts_with('|'));
    let workloads = ["unchanged", "small", "shared", "large", "giant"];
    let mut number = 0;
    for (row, workload) in rows.zip(workloads) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let is_memory = cells[1].starts_with("memory");
        for (cell, program) in [(cells[2], "image-syncer"), (cells[3], "skopeo")] {
            assert_eq!(cell, measured(workload, program, is_memory), "{row}");
        }
        let translated = format!("| {} |", cells[2]);
        assert!(CHINESE.contains(&translated), "no {translated} in Chinese");
        number += 1;
    }
    assert_eq!(number, workloads.len());
}
