//! References between the code and the documents: the sections that comments name exist, and so do the files and
//! functions that the contributors' documents name.

use std::path::{Path, PathBuf};

use super::links;

/// Documents that name files and functions of the code.
const OF_CODE: [&str; 3] = [
    "docs/architecture.md",
    "docs/development.md",
    "docs/protocol.md",
];

/// Directories that a document may omit before the name of a file.
const BASES: [&str; 5] = [
    "",
    "src",
    "crates/registry/src",
    "crates/sync/src",
    "crates/testkit/src",
];

/// Documents outside the project: a chapter of a specification, the output of an example.
const ELSEWHERE: [&str; 2] = ["descriptor.md", "results.md"];

#[test]
fn sections_that_comments_name_exist() {
    let section = regex::Regex::new(r"docs/([a-z-]+)\.md(?:#([a-z0-9-]+))?").unwrap();
    let mut number = 0;
    for path in sources() {
        let text = std::fs::read_to_string(&path).unwrap();
        for (line, found) in comments(&text).flat_map(|(line, comment)| {
            let found = section.captures_iter(comment);
            found.map(move |found| (line, found)).collect::<Vec<_>>()
        }) {
            let at = format!("{}:{line}", path.display());
            let document = root().join(format!("docs/{}.md", &found[1]));
            assert!(document.exists(), "{at} names docs/{}.md", &found[1]);
            if let Some(heading) = found.get(2) {
                let heading = heading.as_str();
                let known = links::headings(&document);
                assert!(
                    known.iter().any(|known| known == heading),
                    "{at} names docs/{}.md#{heading}; there are {known:?}",
                    &found[1]
                );
                number += 1;
            }
        }
    }
    assert!(number > 50, "only {number} sections were found");
}

#[test]
fn comments_name_documents_with_their_directory() {
    let bare = regex::Regex::new(r"(?:^|[^/\w-])([a-z-]+\.md)\b").unwrap();
    for path in sources() {
        let text = std::fs::read_to_string(&path).unwrap();
        for (line, comment) in comments(&text) {
            for found in bare.captures_iter(comment) {
                let name = &found[1];
                assert!(
                    ELSEWHERE.contains(&name),
                    "{}:{line} names {name} without its directory",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn files_that_documents_name_exist() {
    let file = regex::Regex::new(r"`([a-z0-9_/.-]+\.rs)`").unwrap();
    let mut number = 0;
    for document in OF_CODE {
        let text = std::fs::read_to_string(root().join(document)).unwrap();
        for found in file.captures_iter(&text) {
            let exists = |base: &&str| root().join(base).join(&found[1]).exists();
            assert!(
                BASES.iter().any(exists),
                "{document} names {}, which does not exist",
                &found[1]
            );
            number += 1;
        }
    }
    assert!(number > 100, "only {number} files were found");
}

/// Checks the path of one image: rows of a number, a file, a function and its effect.
#[test]
fn functions_on_the_way_of_an_image_are_in_their_files() {
    let text = std::fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let row = regex::Regex::new(r"(?m)^\| (\d+) \| `([^`]+)` \| `([^`]+)` \|").unwrap();
    let mut steps = 0;
    for found in row.captures_iter(&text) {
        let (file, function) = (&found[2], &found[3]);
        steps += 1;
        assert_eq!(found[1], steps.to_string(), "the number of {function}");
        let code = std::fs::read_to_string(root().join(file)).unwrap();
        let name = function.rsplit("::").next().unwrap();
        let definition = regex::Regex::new(&format!(r"fn {name}\b")).unwrap();
        assert!(definition.is_match(&code), "{file} has no {function}");
        if let Some((owner, _)) = function.split_once("::") {
            let implementation = regex::Regex::new(&format!(r"impl\b.*\b{owner}\b")).unwrap();
            assert!(
                implementation.is_match(&code),
                "{file} implements no {owner}"
            );
        }
    }
    assert!(steps > 20, "only {steps} steps were found");
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the files of code.
fn sources() -> Vec<PathBuf> {
    let mut sources = Vec::new();
    for directory in ["src", "crates", "tests", "examples", "fuzz/fuzz_targets"] {
        add_sources(&root().join(directory), &mut sources);
    }
    assert!(sources.len() > 400, "only {} files of code", sources.len());
    sources
}

fn add_sources(directory: &Path, sources: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            add_sources(&path, sources);
        } else if path.extension().is_some_and(|suffix| suffix == "rs") {
            sources.push(path);
        }
    }
}

/// Returns the comments of a file with the numbers of their lines.
fn comments(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().filter_map(|(number, line)| {
        let comment = line.trim_start().strip_prefix("//")?;
        Some((number + 1, comment))
    })
}
