//! Mistakes and warnings that are known before the first request.

use std::fmt::Display;

use anyhow::anyhow;

use crate::ui::Printer;

/// Mistakes of files, flags and outputs, which the user sees together.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    mistakes: Vec<String>,
    warnings: Vec<String>,
}

impl Problems {
    /// Creates the list with mistakes and warnings of the command line.
    pub(crate) fn new(mistakes: Vec<String>, warnings: Vec<String>) -> Self {
        Self { mistakes, warnings }
    }

    /// Returns the value, or adds the error to the mistakes.
    pub(crate) fn collect<T, E: Into<anyhow::Error>>(&mut self, result: Result<T, E>) -> Option<T> {
        result
            .map_err(|error| self.add_mistake(format_args!("{:#}", error.into())))
            .ok()
    }

    /// Adds a mistake. A duplicate is ignored, as several flags may depend on one value.
    pub(crate) fn add_mistake(&mut self, text: impl Display) {
        let text = text.to_string();
        if !self.mistakes.contains(&text) {
            self.mistakes.push(text);
        }
    }

    /// Returns true if there is a mistake.
    #[cfg(feature = "share")]
    pub(crate) fn has_mistakes(&self) -> bool {
        !self.mistakes.is_empty()
    }

    /// Adds mistakes and warnings.
    pub(crate) fn append(&mut self, other: Self) {
        for mistake in other.mistakes {
            self.add_mistake(mistake);
        }
        self.warnings.extend(other.warnings);
    }

    /// Adds a warning.
    pub(crate) fn warn(&mut self, text: impl Display) {
        self.warnings.push(text.to_string());
    }

    /// Returns the warnings.
    ///
    /// # Errors
    /// All mistakes, with an empty line between them.
    pub(crate) fn finish(self) -> anyhow::Result<Vec<String>> {
        if self.mistakes.is_empty() {
            return Ok(self.warnings);
        }
        Err(anyhow!(self.mistakes.join("\n\n")))
    }

    /// Prints the warnings.
    ///
    /// # Errors
    /// As [`Problems::finish`].
    pub(crate) fn print(self, printer: &Printer) -> anyhow::Result<()> {
        for warning in self.finish()? {
            printer.warning(&warning);
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn all_mistakes_are_one_error_and_each_is_told_once() {
        let mut problems = Problems::default();
        assert_eq!(problems.collect(Ok::<_, anyhow::Error>(5)), Some(5));
        for text in ["one", "two", "one"] {
            assert_eq!(problems.collect(Err::<(), _>(anyhow!(text))), None);
        }
        problems.warn("not told with mistakes");
        assert_eq!(problems.finish().unwrap_err().to_string(), "one\n\ntwo");
    }

    #[test]
    fn warnings_alone_stop_nothing() {
        let mut problems = Problems::default();
        problems.warn("a");
        assert_eq!(problems.finish().unwrap(), ["a"]);
    }
}
