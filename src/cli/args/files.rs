//! Flags for files with rules and credentials.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::cli::args::values::path;

/// The classic files.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Files")]
pub struct Files {
    /// Rules: a map from source to destinations
    ///
    /// A destination is one reference or a list of them. YAML (`.yaml`, `.yml`) or JSON (`.json`), by the suffix.
    /// Repeatable: the rules of all files are merged. `-` is standard input.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, value_parser = path())]
    pub images: Vec<PathBuf>,
    /// Credentials: a map from registry to login
    ///
    /// A key is a registry, or registry/namespace of any depth; the longest one that matches a repository counts. A
    /// login has `username`, `password` and `insecure`, all optional. Registries without an entry use the logins of
    /// docker and podman. Repeatable: the entries of all files are merged. `-` is standard input.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, value_parser = path())]
    pub auth: Vec<PathBuf>,
    /// Rules and credentials in one file
    ///
    /// With the keys `images` and `auth`. Cannot be used with --images and --auth. Repeatable: all files are merged.
    /// `-` is standard input.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, value_parser = path())]
    pub config: Vec<PathBuf>,
}

/// Rules of the files.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Files")]
pub struct RuleSelection {
    /// Only the rules with this name: a glob
    ///
    /// The name of a rule is its `name`, or its source as written. Repeatable.
    #[arg(long, value_name = "GLOB")]
    pub rule: Vec<String>,
}

/// Credentials alone.
#[derive(Debug, Args)]
#[command(next_help_heading = "Credentials")]
pub struct Auth {
    /// Credentials: a map from registry to login
    ///
    /// A key is a registry, or registry/namespace of any depth; the longest one that matches a repository counts. A
    /// login has `username`, `password` and `insecure`, all optional. Registries without an entry use the logins of
    /// docker and podman. Repeatable: the entries of all files are merged. `-` is standard input.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, value_parser = path())]
    pub auth: Vec<PathBuf>,
}

/// Registries of a file with rules.
#[derive(Debug, Args)]
#[command(next_help_heading = "Credentials")]
pub struct RegistryFiles {
    /// Registries of a file with rules: `registries` or `auth`
    ///
    /// Its rules and defaults are ignored. Cannot be used with --auth. Repeatable: the entries of all files are merged.
    /// `-` is standard input.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, value_parser = path())]
    pub config: Vec<PathBuf>,
}

/// Registries without a trusted certificate.
#[derive(Debug, Args)]
#[command(next_help_heading = "Credentials")]
pub struct Insecure {
    /// Allow http and any certificate
    ///
    /// For this registry. The program tries https with any certificate first, then http. Repeatable, or
    /// comma-separated.
    #[arg(long, value_name = "HOST[:PORT]", value_delimiter = ',')]
    pub insecure: Vec<String>,
}

/// Default destination, which an empty text means.
#[derive(Debug, Args)]
#[command(next_help_heading = "Files")]
pub struct Defaults {
    /// Default registry of empty destinations
    ///
    /// Overrides the variable `DEFAULT_REGISTRY`.
    #[arg(long, value_name = "HOST", env = "DEFAULT_REGISTRY", hide_env = true)]
    pub registry: Option<String>,
    /// Default namespace of empty destinations
    ///
    /// The repository keeps its last path component. Overrides the variable `DEFAULT_NAMESPACE`.
    #[arg(
        long,
        value_name = "NAMESPACE",
        env = "DEFAULT_NAMESPACE",
        hide_env = true
    )]
    pub namespace: Option<String>,
}
