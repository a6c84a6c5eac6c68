//! Number of a shard, and its form in flags.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Environment variable with the number of a pod in a Kubernetes Job with indexed completions.
pub const JOB_INDEX: &str = "JOB_COMPLETION_INDEX";

/// Maximum number of shards.
pub const MAX_SHARDS: u32 = 10_000;

/// One of several processes that share the rules of a run. Displays as `2/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shard {
    index: u32,
    count: u32,
}

/// Error of a text that names no shard. The message says what to write instead.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ShardError {
    /// Neither a number nor `auto`, or no number of shards.
    #[error(
        "not a shard. Write its number from 0 and the number of shards, such as 0/8, or auto/8 for the number in {JOB_INDEX}."
    )]
    Syntax,
    /// Zero shards, or too many.
    #[error("{0} shards are not possible. Write a number from 1 to {MAX_SHARDS} behind the slash.")]
    Count(u32),
    /// The number is not below the number of shards.
    #[error("there is no shard {index}: {count} shards have the numbers 0 to {}. Write one of them before the slash.", .count - 1)]
    Index {
        /// Number of the shard.
        index: u32,
        /// Number of shards.
        count: u32,
    },
    /// `auto` without the variable.
    #[error(
        "{JOB_INDEX} is not set. Run the command in a Kubernetes Job with completionMode: Indexed, or write the number, such as 0/8."
    )]
    NoVariable,
    /// The variable is not a number.
    #[error(
        "{JOB_INDEX} is not a number. Run the command in a Kubernetes Job with completionMode: Indexed, or write the number, such as 0/8."
    )]
    Variable,
    /// The variable is not below the number of shards.
    #[error(
        "{JOB_INDEX} is {index}, and {count} shards have the numbers 0 to {}. Write the completions of the Job behind the slash.", .count - 1
    )]
    VariableIndex {
        /// Value of the variable.
        index: u32,
        /// Number of shards.
        count: u32,
    },
}

impl Shard {
    /// Returns the shard `index` of `count`.
    ///
    /// # Errors
    /// If the count is not possible, or the index is not below it.
    pub fn new(index: u32, count: u32) -> Result<Self, ShardError> {
        match count {
            1..=MAX_SHARDS if index < count => Ok(Self { index, count }),
            1..=MAX_SHARDS => Err(ShardError::Index { index, count }),
            _ => Err(ShardError::Count(count)),
        }
    }

    /// Parses `2/8`, or `auto/8` with the number in [`JOB_INDEX`], which `variable` looks up.
    ///
    /// # Errors
    /// For any other text, and for a variable that is missing or wrong.
    pub fn parse(
        text: &str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ShardError> {
        let (index, count) = text.split_once('/').ok_or(ShardError::Syntax)?;
        let count = number(count).ok_or(ShardError::Syntax)?;
        if index != "auto" {
            return Self::new(number(index).ok_or(ShardError::Syntax)?, count);
        }
        // A wrong count is a mistake wherever the command runs.
        Self::new(0, count)?;
        let value = variable(JOB_INDEX).filter(|value| !value.is_empty());
        let index = value.ok_or(ShardError::NoVariable)?;
        let index = number(&index).ok_or(ShardError::Variable)?;
        Self::new(index, count).map_err(|_| ShardError::VariableIndex { index, count })
    }

    /// Returns the number of the shard, from 0.
    pub fn index(self) -> u32 {
        self.index
    }

    /// Returns the number of shards, at least 1.
    pub fn count(self) -> u32 {
        self.count
    }
}

/// Parses decimal digits, without a sign.
fn number(text: &str) -> Option<u32> {
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_digits)
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parsed(text: &str, variable: Option<&str>) -> Result<String, String> {
        let shard = Shard::parse(text, |name| {
            assert_eq!(name, "JOB_COMPLETION_INDEX");
            variable.map(str::to_owned)
        });
        shard
            .map(|shard| shard.to_string())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_shard_is_written_as_number_and_count() {
        for (text, variable, expected) in [
            ("0/1", None, "0/1"),
            ("2/8", Some("5"), "2/8"),
            ("auto/8", Some("5"), "5/8"),
            ("9999/10000", None, "9999/10000"),
        ] {
            assert_eq!(parsed(text, variable).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn mistakes_say_what_to_write() {
        let syntax = "not a shard. Write its number from 0 and the number of shards, such as 0/8, or auto/8 for the number in JOB_COMPLETION_INDEX.";
        for text in [
            "",
            "x/3",
            "3",
            "/",
            "1/",
            "/3",
            "-1/3",
            "+1/3",
            "1/3/5",
            "1/x",
            "Auto/3",
            "1/4294967296",
        ] {
            assert_eq!(parsed(text, Some("0")), Err(syntax.to_owned()), "{text}");
        }
        for (text, variable, expected) in [
            (
                "8/8",
                None,
                "there is no shard 8: 8 shards have the numbers 0 to 7. Write one of them before the slash.",
            ),
            (
                "1/0",
                None,
                "0 shards are not possible. Write a number from 1 to 10000 behind the slash.",
            ),
            (
                "auto/0",
                None,
                "0 shards are not possible. Write a number from 1 to 10000 behind the slash.",
            ),
            (
                "0/10001",
                None,
                "10001 shards are not possible. Write a number from 1 to 10000 behind the slash.",
            ),
            (
                "auto/3",
                None,
                "JOB_COMPLETION_INDEX is not set. Run the command in a Kubernetes Job with completionMode: Indexed, or write the number, such as 0/8.",
            ),
            (
                "auto/3",
                Some(""),
                "JOB_COMPLETION_INDEX is not set. Run the command in a Kubernetes Job with completionMode: Indexed, or write the number, such as 0/8.",
            ),
            (
                "auto/3",
                Some("one"),
                "JOB_COMPLETION_INDEX is not a number. Run the command in a Kubernetes Job with completionMode: Indexed, or write the number, such as 0/8.",
            ),
            (
                "auto/3",
                Some("3"),
                "JOB_COMPLETION_INDEX is 3, and 3 shards have the numbers 0 to 2. Write the completions of the Job behind the slash.",
            ),
        ] {
            assert_eq!(parsed(text, variable), Err(expected.to_owned()), "{text}");
        }
    }
}
