//! Flags that the text of a document names exist.

use clap::CommandFactory as _;

use super::fences;

/// Documents about the project's own scripts and their flags.
const OTHERS: [&str; 3] = ["RELEASING.md", "development.md", "performance.md"];

#[test]
fn in_sentences_are_in_the_reference() {
    let reference = include_str!("../../../docs/reference.md");
    let code = regex::Regex::new("`(--[a-z][a-z-]+)").unwrap();
    let task = xtask::Task::command();
    let tasks: Vec<String> = task
        .get_subcommands()
        .flat_map(clap::Command::get_arguments)
        .filter_map(|argument| Some(format!("--{}", argument.get_long()?)))
        .collect();
    let mut number = 0;
    for document in fences::documents() {
        let name = document.file_name().unwrap().to_str().unwrap();
        if OTHERS.contains(&name) {
            continue;
        }
        let text = std::fs::read_to_string(&document).unwrap();
        for found in code.captures_iter(&text) {
            let flag = &found[1];
            let ends = ["`", " ", "["];
            let known = ends
                .iter()
                .any(|end| reference.contains(&format!("`{flag}{end}")))
                || (name == "container-image.md" && tasks.iter().any(|task| task == flag));
            assert!(known, "{name} names {flag}, and there is no such flag");
            number += 1;
        }
    }
    assert!(number > 50, "only {number} flags were found");
}
