//! Files that are named twice: as two outputs, or as an input and an output. One of them would destroy the other.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::cli;
use crate::commands::problems::Problems;
use crate::replacement;

/// A flag and the file that it names.
type Named<'a> = (&'static str, &'a Path);

/// What tells one file from another, whatever the links and names that lead to it.
#[derive(PartialEq, Eq)]
enum Identity {
    /// Device and inode of a file that exists.
    File(u64, u64),
    /// Directory and name of one that does not.
    Place(PathBuf, OsString),
}

/// Returns the outputs that the flags name.
pub(super) fn outputs<'a>(
    output: &'a cli::Output,
    log: Option<&'a Path>,
    records: Option<&'a Path>,
) -> Vec<Named<'a>> {
    let all = [
        ("--report", output.reporting.report.as_deref()),
        (
            "--output-success-images",
            output.output_success_images.as_deref(),
        ),
        ("--failed-images", output.failed_images.as_deref()),
        ("--log", log),
        ("--records", records),
    ];
    let named = |(flag, path)| Some((flag, path?));
    all.into_iter().filter_map(named).collect()
}

/// Returns the files that are read; `-` is standard input.
pub(super) fn inputs(files: &cli::Files) -> Vec<Named<'_>> {
    let all = [
        ("--images", &files.images),
        ("--auth", &files.auth),
        ("--config", &files.config),
    ];
    let mut inputs: Vec<Named<'_>> = Vec::new();
    for (flag, paths) in all {
        let paths = paths.iter().filter(|path| *path != Path::new("-"));
        inputs.extend(paths.map(|path| (flag, path.as_path())));
    }
    inputs
}

/// Adds a problem for each of `outputs` that is the same file as one before it or as one of `inputs`, or that a link of
/// another user leads to.
pub(super) fn refuse(inputs: &[Named<'_>], outputs: &[Named<'_>], problems: &mut Problems) {
    let mut seen: Vec<(Named<'_>, Identity)> = Vec::new();
    for &input in inputs {
        seen.extend(identity(input.1).map(|identity| (input, identity)));
    }
    for &output in outputs {
        problems.collect(replacement::refuse_foreign_link(output.0, output.1));
        let Some(identity) = identity(output.1) else {
            continue;
        };
        let same = seen.iter().find(|(_, other)| *other == identity);
        if let Some(((flag, path), _)) = same {
            problems.add_mistake(format!(
                "{} {}: this is the same file as {flag} {}, and one would destroy the other: name another file",
                output.0,
                output.1.display(),
                path.display()
            ));
        }
        seen.push((output, identity));
    }
}

/// Returns nothing for what may be named as often as one likes: pipes, terminals, `/dev/null`.
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

    fn refused(inputs: &[Named<'_>], outputs: &[Named<'_>]) -> Option<String> {
        let mut problems = Problems::default();
        refuse(inputs, outputs, &mut problems);
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
                "--log {}: this is the same file as --report {}, and one would destroy the other: name another file",
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
