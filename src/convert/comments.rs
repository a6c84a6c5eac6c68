//! Comments of the classic files.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Lines of the files, each file read once.
#[derive(Default)]
pub(super) struct Comments {
    files: HashMap<PathBuf, Vec<String>>,
}

impl Comments {
    /// Returns the comments directly above `line` (from 1) of the file, with their `#`, and the comment at its end.
    pub(super) fn above(&mut self, file: &Path, line: usize) -> Vec<String> {
        let lines = self.lines(file);
        let before = lines.get(..line.saturating_sub(1)).unwrap_or_default();
        let mut comments: Vec<String> = before
            .iter()
            .rev()
            .map(|line| line.trim())
            // The first line of a file may name the file, or its schema.
            .take_while(|line| line.starts_with('#') && !line.contains("$schema="))
            .map(str::to_owned)
            .collect();
        comments.reverse();
        let own = lines.get(line.saturating_sub(1));
        comments.extend(own.and_then(|line| at_end(line)));
        comments
    }

    /// Returns the lines of a file; none if it cannot be read again, such as standard input.
    fn lines(&mut self, file: &Path) -> &[String] {
        self.files.entry(file.to_owned()).or_insert_with(|| {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            // JSON has no comments.
            let is_json = text.trim_start().starts_with(['{', '[']);
            let lines = text.lines().filter(|_| !is_json);
            lines.map(str::to_owned).collect()
        })
    }
}

/// Returns the comment at the end of a line without quotes, in which a `#` after a blank begins nothing else.
fn at_end(line: &str) -> Option<String> {
    if line.contains(['"', '\'']) {
        return None;
    }
    let (_, comment) = line.split_once(" #")?;
    Some(format!("#{comment}"))
}
