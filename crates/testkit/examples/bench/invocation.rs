//! Programs and their arguments, as they are run.

/// A program with its arguments and environment.
pub(crate) struct Invocation {
    pub(crate) arguments: Vec<String>,
    pub(crate) variables: Vec<(&'static str, String)>,
}
