//! Words of messages.

/// Returns a name in backquotes.
pub(super) fn quoted(name: &str) -> String {
    format!("`{name}`")
}

/// Joins texts: `a, b or c`.
pub(super) fn joined(texts: &[String], conjunction: &str) -> String {
    match texts {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} {conjunction} {last}", first.join(", ")),
    }
}
