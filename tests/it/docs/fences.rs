//! Fenced code blocks of the documents.

use std::path::{Path, PathBuf};

/// One fenced block.
#[derive(Clone, Debug)]
pub(super) struct Fence {
    /// File and line, for messages: `docs/cookbook.md:12`.
    pub(super) place: String,
    /// Language after the fence (`sh`, `yaml`), or empty.
    pub(super) language: String,
    /// Text between the fences.
    pub(super) text: String,
}

impl Fence {
    /// Returns the name of the shown file, if the first line is a comment that begins with one.
    pub(super) fn file_name(&self) -> Option<&str> {
        let comment = self.text.lines().next()?.strip_prefix("# ")?;
        let name = comment.split([' ', ':']).next()?;
        let suffix = Path::new(name).extension()?.to_str()?;
        let known = ["yaml", "yml", "json", "service", "timer"].contains(&suffix);
        known.then_some(name)
    }
}

/// Returns all blocks of the README files and of `docs/`, in the order of files and lines.
pub(super) fn all() -> Vec<Fence> {
    let fences: Vec<Fence> = documents().iter().flat_map(|path| of(path)).collect();
    assert!(fences.len() > 10, "only {} blocks", fences.len());
    fences
}

/// Returns the blocks of all documents in one of these languages.
pub(super) fn in_languages(languages: &[&str]) -> Vec<Fence> {
    let wanted = |fence: &Fence| languages.contains(&fence.language.as_str());
    all().into_iter().filter(wanted).collect()
}

/// Returns all documents except the changelog.
pub(super) fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    for directory in [root.to_owned(), root.join("docs")] {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let is_markdown = path.extension().is_some_and(|suffix| suffix == "md");
            let is_history = path.file_name().is_some_and(|name| name == "CHANGELOG.md");
            if is_markdown && !is_history {
                paths.push(path);
            }
        }
    }
    paths.sort();
    paths
}

/// Returns the blocks of one document.
pub(super) fn of(path: &Path) -> Vec<Fence> {
    let text = std::fs::read_to_string(path).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let name = path.strip_prefix(root).unwrap().display().to_string();
    let mut fences = Vec::new();
    let mut open: Option<Fence> = None;
    for (number, line) in text.lines().enumerate() {
        let mark = line.trim_start().strip_prefix("```");
        match (&mut open, mark) {
            (None, Some(language)) => {
                open = Some(Fence {
                    place: format!("{name}:{}", number + 1),
                    language: language.trim().to_owned(),
                    text: String::new(),
                });
            }
            (Some(_), Some(_)) => fences.extend(open.take()),
            (Some(fence), None) => {
                fence.text.push_str(line);
                fence.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block of {name} does not end");
    fences
}
