//! Texts with braces that lack their quotes: `to: {repository}`.

use crate::config::document::Position;
use crate::config::file::ConfigFile;
use crate::config::syntax::innermost_bracket;

/// Returns the message for a map that was meant as a text with braces.
pub(super) fn message(file: &ConfigFile, at: Position) -> String {
    // Braces in the place of a login are not repeated.
    let advice = if file.may_hold_secret(at) {
        String::new()
    } else {
        format!(". Write \"{}\".", file.braces_at(at))
    };
    let place = match innermost_bracket(&file.before(at)) {
        Some('[') => "inside `[ ]`",
        Some(_) => "inside `{ }`",
        None => "at its beginning",
    };
    format!("YAML needs quotes around text with `{{ }}` {place}{advice}")
}
