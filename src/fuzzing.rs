//! Entry points for fuzzing: the parsers of what strangers send to the service. They are built for tests and under the
//! feature `fuzzing` only, and are not part of the interface. `fuzz/` runs them without a time limit, the tests below
//! over seeds and mutations.

#![allow(
    clippy::missing_panics_doc,
    reason = "to panic where a promise is broken is what they are for"
)]

/// Parses the body of a call as that of each kind of hook.
pub fn hooks(data: &[u8]) {
    crate::service::hooks::fuzz(data);
}

#[cfg(test)]
mod tests {
    use testkit::fuzz::exercise;

    #[test]
    fn of_hooks() {
        exercise("hooks", super::hooks);
    }
}
