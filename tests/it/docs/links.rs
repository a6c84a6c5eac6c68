//! Links between the documents lead to an existing file, and to an existing heading in it.

use std::path::Path;

use super::fences;

#[test]
fn lead_to_files_and_headings() {
    let mut number = 0;
    for document in fences::documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        for target in targets(&text) {
            if target.contains("://") {
                continue;
            }
            number += 1;
            let (path, heading) = target.split_once('#').unwrap_or((&target, ""));
            let file = if path.is_empty() {
                document.clone()
            } else {
                document.parent().unwrap().join(path)
            };
            let at = document.display();
            assert!(file.exists(), "{at} links {target}, which is not there");
            assert!(
                heading.is_empty() || headings(&file).iter().any(|known| known == heading),
                "{at} links {target}: no such heading; there are {:?}",
                headings(&file)
            );
        }
    }
    assert!(number >= 20, "only {number} links were found");
}

#[test]
fn the_readme_leads_to_every_document() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let targets = targets(&std::fs::read_to_string(readme).unwrap());
    for document in fences::documents() {
        let name = document.file_name().unwrap().to_str().unwrap();
        let is_linked = targets.iter().any(|target| target.ends_with(name));
        assert!(
            name == "README.md" || is_linked,
            "README.md does not link {name}"
        );
    }
}

/// Returns the targets of the links and images of a document, outside of code.
pub(super) fn targets(text: &str) -> Vec<String> {
    let code = regex::Regex::new("(?s)```.*?\n *```|`[^`\n]*`").unwrap();
    let prose = code.replace_all(text, "code");
    let link = regex::Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    link.captures_iter(&prose)
        .map(|found| found[1].to_owned())
        .collect()
}

/// Returns the headings of a document as GitHub names them in links.
pub(super) fn headings(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut in_code = false;
    let mut headings = Vec::new();
    for line in text.lines() {
        in_code ^= line.trim_start().starts_with("```");
        let title = line.trim_start_matches('#');
        if in_code || title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let kept = title.trim().to_lowercase().replace(' ', "-");
        let kept: String = kept
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
            .collect();
        headings.push(kept);
    }
    headings
}
