//! Parser of the native file (docs/config.md).
//!
//! The tables of keys decide what a file may contain: [`check`] reports everything else, and the readers take values of
//! the right kind only.

mod braces;
mod check;
mod destinations;
mod fields;
mod findings;
mod include;
mod json_schema;
mod merged_rules;
mod options;
mod reading;
mod reference;
mod registries;
mod rules;
mod scalar;
mod schedule;
mod secret_value;
mod secrets;
mod service;
mod sources;
mod substitution;
mod table;
mod tables;
mod tag_choice;
#[cfg(test)]
mod tests;
mod words;

use std::sync::Arc;

pub use json_schema::native_schema;
pub use reference::native_reference;

use super::file_kind::Opened;
use super::{Config, ConfigError, Defaults, Environment};
use crate::rule::{OptionOverrides, Rule, with_distinct_ids};

/// Form to write instead of a line without a colon.
pub(super) const FORM: &str = "`key: value`";

/// Reads native files; see [`Config::read`].
pub(super) fn read(
    opened: Vec<Opened>,
    defaults: &Defaults,
    environment: Environment<'_>,
    flags: &OptionOverrides,
) -> Result<Config, ConfigError> {
    let mut reading = reading::Reading::new(defaults, environment, flags);
    for opened in opened {
        reading.add(opened);
    }
    reading.finish()
}

/// Reads the registries of native files; see [`Config::registries`].
pub(super) fn read_registries(
    opened: Vec<Opened>,
    rules: Vec<Arc<Rule>>,
    environment: Environment<'_>,
) -> Result<Config, ConfigError> {
    let (defaults, flags) = (Defaults::default(), OptionOverrides::default());
    let mut reading = reading::Reading::new(&defaults, environment, &flags).without_rules();
    for opened in opened {
        reading.add(opened);
    }
    let config = reading.finish()?;
    Ok(Config {
        rules: with_distinct_ids(rules),
        ..config
    })
}

/// Reads a text as a native file, for fuzzing.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn read_text(text: &str, environment: Environment<'_>) -> Vec<super::Problem> {
    let defaults = Defaults::default();
    let flags = OptionOverrides::default();
    match read(
        vec![Opened::from_text("fuzz/file.yaml".as_ref(), text)],
        &defaults,
        environment,
        &flags,
    ) {
        Ok(config) => config.warnings,
        Err(error) => error.problems,
    }
}

/// Returns the keys at the top of a native file.
pub(super) fn file_keys() -> Vec<&'static str> {
    tables::FILE.keys.iter().map(|key| key.name).collect()
}

/// Returns true if a text that may have mistakes is probably a native file.
pub(super) fn is_native_text(text: &str) -> bool {
    let is_key = |line: &str| {
        let key = line.trim_start_matches(['{', '"', ' ']);
        ["version", "rules", "registries"].iter().any(|known| {
            key.strip_prefix(known)
                .is_some_and(|rest| rest.starts_with([':', '"']))
        })
    };
    text.lines()
        .filter(|line| !line.starts_with(' '))
        .any(is_key)
}
