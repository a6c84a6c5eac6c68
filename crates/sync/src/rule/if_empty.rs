//! Policy for rules that find nothing.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::rule::RuleError;
use crate::text::nearest;

/// Policy for a rule that selects no image, or a pattern that matches no repository.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IfEmpty {
    /// Report it, and succeed.
    #[default]
    Warn,
    /// Fail the rule.
    Fail,
    /// Succeed without a report.
    Ignore,
}

impl IfEmpty {
    /// Names in files.
    pub const NAMES: [&str; 3] = ["warn", "fail", "ignore"];

    /// Returns true for the default.
    #[allow(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde passes a reference"
    )]
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl IfEmpty {
    /// Returns the reason for an empty result to report, if there is one.
    ///
    /// # Errors
    /// The rule fails if the result is empty.
    pub(crate) fn judge(self, reason: Option<String>) -> Result<Option<String>, Failure> {
        match (self, reason) {
            (Self::Fail, Some(reason)) => Err(Failure::local(format!(
                "{reason}, and the rule has if-empty: fail"
            ))),
            (Self::Ignore, _) => Ok(None),
            (_, reason) => Ok(reason),
        }
    }
}

impl fmt::Display for IfEmpty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Ignore => "ignore",
        })
    }
}

impl FromStr for IfEmpty {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        match text {
            "warn" => Ok(Self::Warn),
            "fail" => Ok(Self::Fail),
            "ignore" => Ok(Self::Ignore),
            _ => Err(RuleError(match nearest(text, &Self::NAMES) {
                Some(name) => format!("unknown policy {text}. Did you mean {name}?"),
                None => format!("unknown policy {text}. Write warn, fail or ignore."),
            })),
        }
    }
}
