//! What the user wrote, and what it means.
//!
//! `document` is the one parser for YAML and JSON; `classic` reads the `auth` and `images` files of the Go tool as
//! written and resolves them. Nothing behind [`Config`] knows which front door was used.

mod classic;
mod document;
mod error;

use std::path::PathBuf;
use std::sync::Arc;

use registry::auth::Entry;

use crate::rule::Rule;

pub use error::{ConfigError, Problem};

/// What the files mean.
#[derive(Debug)]
pub struct Config {
    /// The rules, in the order in which they were written, duplicates merged.
    pub rules: Vec<Arc<Rule>>,
    /// The credentials.
    pub credentials: Vec<Entry>,
}

/// Which classic files were given.
#[derive(Clone, Debug, Default)]
pub struct ClassicFiles {
    /// One file with `auth` and `images` at the top. Excludes the other two.
    pub config: Option<PathBuf>,
    /// The credentials.
    pub auth: Option<PathBuf>,
    /// The rules.
    pub images: Option<PathBuf>,
}

/// What an empty destination stands for.
#[derive(Clone, Debug, Default)]
pub struct Defaults {
    /// The registry (`--registry`, `DEFAULT_REGISTRY`).
    pub registry: Option<String>,
    /// The namespace (`--namespace`, `DEFAULT_NAMESPACE`).
    pub namespace: Option<String>,
}

/// Looks up an environment variable; handed in so that nothing here reads the process's own.
pub type Environment<'a> = &'a (dyn Fn(&str) -> Option<String> + Send + Sync);

impl Config {
    /// Reads the classic files (compat.md sections 1 to 4). All problems of all files are reported together.
    ///
    /// # Errors
    /// Every mistake, with file, line, column, a drawn snippet that shows no secret, and what to write instead.
    pub fn classic(
        _files: &ClassicFiles,
        _defaults: &Defaults,
        _environment: Environment<'_>,
    ) -> Result<Self, ConfigError> {
        todo!()
    }
}
