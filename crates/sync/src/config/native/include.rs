//! The key `include`: paths and globs of further files.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use globset::GlobBuilder;
use image_syncer_registry::io_clause;

use super::fields::Fields;
use super::reading::{Reading, Source};
use crate::config::Input;
use crate::config::document::Node;
use crate::config::file_kind::Opened;

/// Maximum number of files that lead to a file.
const DEPTH: usize = 8;
/// Maximum number of files that a glob may match, and of entries of directories that it may read.
const MOST: usize = 10_000;
/// Characters that make a path a glob.
const WILDCARDS: [char; 4] = ['*', '?', '[', '{'];

/// Reads the files that a file includes, before its own rules.
pub(super) fn include(
    reading: &mut Reading<'_>,
    source: &Source<'_>,
    fields: &Fields<'_>,
    including: &mut Vec<PathBuf>,
) {
    including.push(identity(source.file.path()));
    for (written, node) in fields.texts("include") {
        if written.is_empty() {
            let message =
                "the path is empty. Write the path of a file, or a glob such as conf.d/*.yaml.";
            reading.findings.mistake(&source.file, node.at, message);
            continue;
        }
        let path = source.path(written);
        if written.contains(WILDCARDS) {
            matching(reading, source, node, &path, including);
        } else {
            single(reading, source, node, path, including);
        }
    }
    including.pop();
}

/// Includes the file at a path.
fn single(
    reading: &mut Reading<'_>,
    source: &Source<'_>,
    node: &Node,
    path: PathBuf,
    including: &mut Vec<PathBuf>,
) {
    let shown = path.display();
    if !path.exists() {
        let message = format!("{shown} does not exist. Write the path relative to this file.");
        reading.findings.mistake(&source.file, node.at, message);
        return;
    }
    if including.contains(&identity(&path)) {
        let message = format!("{shown} includes itself, directly or through other files");
        reading.findings.mistake(&source.file, node.at, message);
        return;
    }
    if including.len() >= DEPTH {
        let message = format!(
            "files may include each other {DEPTH} levels deep. Include {shown} from a file further up."
        );
        reading.findings.mistake(&source.file, node.at, message);
        return;
    }
    if reading.is_read(&identity(&path)) {
        let message = format!("{shown} is included already. It counts once.");
        reading.findings.warn(&source.file, node.at, message);
        return;
    }
    reading.add_included(Opened::read(&Input::File(path)), including);
}

/// Includes the files that a glob matches, in the order of their paths. Files that lead to this one are left out.
fn matching(
    reading: &mut Reading<'_>,
    source: &Source<'_>,
    node: &Node,
    glob: &Path,
    including: &mut Vec<PathBuf>,
) {
    let paths = match expand(glob) {
        Ok(paths) => paths,
        Err(why) => return reading.findings.mistake(&source.file, node.at, why),
    };
    if paths.is_empty() {
        let message = format!("{} matches no file", glob.display());
        reading.findings.warn(&source.file, node.at, message);
    }
    for path in paths {
        if !including.contains(&identity(&path)) {
            single(reading, source, node, path, including);
        }
    }
}

/// Returns a path that is the same for every way to write it.
pub(super) fn identity(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// Returns the files that a glob matches, sorted. `*` stays within a component of the path, `**` does not.
fn expand(glob: &Path) -> Result<Vec<PathBuf>, String> {
    let shown = glob.display();
    let text = glob
        .to_str()
        .ok_or_else(|| format!("{shown} is not UTF-8 text"))?;
    let matcher = GlobBuilder::new(text)
        .literal_separator(true)
        .build()
        .map_err(|error| format!("{shown} is not a glob: {}", error.kind()))?
        .compile_matcher();
    let is_literal = |part: &std::path::Component<'_>| {
        let part = part.as_os_str().to_string_lossy();
        !part.contains(WILDCARDS)
    };
    let root: PathBuf = glob.components().take_while(is_literal).collect();
    let deepest = if text.contains("**") {
        usize::MAX
    } else {
        glob.components().count() - root.components().count()
    };
    let mut found = Vec::new();
    let mut visited = 0;
    let mut folders = vec![(root, 1)];
    while let Some((folder, depth)) = folders.pop() {
        let folder_or_here = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            &folder
        };
        let unreadable = |error: &std::io::Error| {
            let why = io_clause(error);
            format!("{} cannot be read: {why}", folder_or_here.display())
        };
        let entries = match std::fs::read_dir(folder_or_here) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(unreadable(&error)),
        };
        for entry in entries {
            let entry = entry.map_err(|error| unreadable(&error))?;
            visited += 1;
            if visited > MOST {
                return Err(format!(
                    "{shown} covers more than {MOST} files. Write a glob that covers fewer."
                ));
            }
            let path = folder.join(entry.file_name());
            // Links to files count, links to folders do not: they may lead upwards.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if depth < deepest {
                    folders.push((path, depth + 1));
                }
            } else if matcher.is_match(&path) && path.is_file() {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_files_within_their_components() {
        let directory = tempfile::tempdir().unwrap();
        let at = |path: &str| directory.path().join(path);
        std::fs::create_dir_all(at("a/b")).unwrap();
        for file in [
            "x.yaml",
            "y.yml",
            "a/z.yaml",
            "a/b/deep.yaml",
            ".hidden.yaml",
        ] {
            std::fs::write(at(file), "").unwrap();
        }
        let names = |glob: &str| -> Vec<String> {
            let prefix = directory.path();
            let found = expand(&at(glob)).unwrap();
            let relative = |path: &PathBuf| path.strip_prefix(prefix).unwrap().to_path_buf();
            found
                .iter()
                .map(|path| relative(path).display().to_string())
                .collect()
        };
        assert_eq!(names("*.yaml"), [".hidden.yaml", "x.yaml"]);
        assert_eq!(names("*/*.yaml"), ["a/z.yaml"]);
        assert_eq!(
            names("**/*.yaml"),
            [".hidden.yaml", "a/b/deep.yaml", "a/z.yaml", "x.yaml"]
        );
        assert_eq!(names("{x,y}.{yaml,yml}"), ["x.yaml", "y.yml"]);
        assert_eq!(names("none/*.yaml"), Vec::<String>::new());
        assert!(expand(&at("[")).unwrap_err().contains("is not a glob"));
    }
}
