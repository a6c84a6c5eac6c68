//! Mistakes and warnings of native files.

use std::collections::HashSet;
use std::path::PathBuf;

use crate::config::document::{Node, Position};
use crate::config::error::Problem;
use crate::config::file::ConfigFile;

/// Mistakes and warnings so far. Of several mistakes in one value, the first counts: later ones follow from it.
#[derive(Default)]
pub(super) struct Findings {
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    wrong: HashSet<(PathBuf, usize, usize, usize)>,
}

impl Findings {
    /// Adds a mistake outside of files, or one that is complete.
    pub(super) fn push(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Adds a mistake at a position.
    pub(super) fn mistake(&mut self, file: &ConfigFile, at: Position, message: impl Into<String>) {
        self.mistake_within(file, at, at, message);
    }

    /// Adds a mistake in a part of the text of `node`: `length` bytes from `start`.
    pub(super) fn mistake_in_text(
        &mut self,
        file: &ConfigFile,
        node: &Node,
        (start, length): (usize, usize),
        message: impl Into<String>,
    ) {
        let part = file.part_of(node, start, length).unwrap_or(node.at);
        self.mistake_within(file, node.at, part, message);
    }

    fn mistake_within(
        &mut self,
        file: &ConfigFile,
        value: Position,
        at: Position,
        message: impl Into<String>,
    ) {
        let place = (
            file.path().to_owned(),
            value.line,
            value.column,
            value.length,
        );
        if self.wrong.insert(place) {
            self.problems.push(file.shown(at, message));
        }
    }

    /// Adds a warning, without a snippet.
    pub(super) fn warn(&mut self, file: &ConfigFile, at: Position, message: impl Into<String>) {
        self.warnings.push(Problem {
            snippet: None,
            ..file.shown(at, message)
        });
    }

    /// Adds a warning outside of files.
    pub(super) fn warn_outside(&mut self, message: impl Into<String>) {
        self.warnings.push(Problem::outside(message));
    }

    /// Returns the number of mistakes so far.
    pub(super) fn count(&self) -> usize {
        self.problems.len()
    }

    /// Returns the mistakes and the warnings, in the order of the files and their lines.
    pub(super) fn finish(mut self, files: &[PathBuf]) -> (Vec<Problem>, Vec<Problem>) {
        let place = |problem: &Problem| {
            let file = problem.file.as_ref();
            let file = file.and_then(|file| files.iter().position(|other| other == file));
            (file, problem.position)
        };
        self.problems.sort_by_key(place);
        self.warnings.sort_by_key(place);
        (self.problems, self.warnings)
    }
}
