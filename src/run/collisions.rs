//! Files that are named twice, as two outputs or as an input and an output. One use would destroy the other.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::problems::Problems;
use crate::replacement;

/// A flag, or the name of a file without one, and the path.
pub(crate) type Named<'a> = (&'static str, &'a Path);

/// Identity of a file, the same for all links and names that lead to it.
#[derive(PartialEq, Eq)]
enum Identity {
    /// Device and inode of a file that exists.
    File(u64, u64),
    /// Directory and name of a file that does not exist yet.
    Place(PathBuf, OsString),
}

/// Files that a command reads, each with its flag. Standard input is left out.
#[derive(Default)]
pub(crate) struct Inputs(Vec<(&'static str, PathBuf)>);

impl Inputs {
    /// Adds the files that `flag` names.
    pub(crate) fn add(&mut self, flag: &'static str, paths: &[PathBuf]) {
        let paths = paths.iter().filter(|path| *path != Path::new("-"));
        self.0.extend(paths.map(|path| (flag, path.clone())));
    }
}

/// Adds a mistake for each of `outputs` that is the same file as an earlier one or as one of `inputs`, or that a link of
/// another user leads to.
pub(crate) fn refuse(inputs: &Inputs, outputs: &[Named<'_>], problems: &mut Problems) {
    let mut seen: Vec<(Named<'_>, Identity)> = Vec::new();
    for (flag, path) in &inputs.0 {
        seen.extend(identity(path).map(|identity| ((*flag, path.as_path()), identity)));
    }
    for &output in outputs {
        problems.collect(replacement::refuse_foreign_link(output.0, output.1));
        let Some(identity) = identity(output.1) else {
            continue;
        };
        let same = seen.iter().find(|(_, other)| *other == identity);
        if let Some(((flag, path), _)) = same {
            problems.add_mistake(format!(
                "{} {}: this is the same file as {flag} {}, and one would destroy the other. Name another file.",
                output.0,
                output.1.display(),
                path.display()
            ));
        }
        seen.push((output, identity));
    }
}

/// Returns `None` for pipes, terminals and devices, which may be named twice.
fn identity(path: &Path) -> Option<Identity> {
    if let Ok(metadata) = path.metadata() {
        return metadata
            .is_file()
            .then(|| Identity::File(metadata.dev(), metadata.ino()));
    }
    let name = path.file_name()?.to_owned();
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    Some(Identity::Place(directory.canonicalize().ok()?, name))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn refused(inputs: &[(&'static str, &Path)], outputs: &[Named<'_>]) -> Option<String> {
        let mut problems = Problems::default();
        let inputs = inputs
            .iter()
            .map(|(flag, path)| (*flag, path.to_path_buf()));
        refuse(&Inputs(inputs.collect()), outputs, &mut problems);
        problems.finish().err().map(|error| error.to_string())
    }

    #[test]
    fn the_same_file_is_refused_under_whatever_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("there"), "x").unwrap();
        std::fs::hard_link(path("there"), path("hard")).unwrap();
        std::os::unix::fs::symlink(path("there"), path("link")).unwrap();
        for (one, other) in [
            ("there", "there"),
            ("there", "hard"),
            ("there", "link"),
            ("there", "./there"),
            ("new", "new"),
            ("new", "./new"),
        ] {
            let (one, other) = (path(one), path(other));
            let outputs = [("--report", &*one), ("--log", &*other)];
            let said = refused(&[], &outputs).unwrap();
            let expected = format!(
                "--log {}: this is the same file as --report {}, and one would destroy the other. Name another file.",
                other.display(),
                one.display()
            );
            assert!(said.contains(&expected), "{said}");
            let said = refused(&[("--images", &one)], &[("--failed-images", &other)]);
            assert!(said.unwrap().contains("the same file as --images"));
        }
        let (one, other) = (path("there"), path("new"));
        assert_eq!(refused(&[], &[("--report", &one), ("--log", &other)]), None);
        let null = Path::new("/dev/null");
        assert_eq!(refused(&[], &[("--report", null), ("--log", null)]), None);
    }
}
