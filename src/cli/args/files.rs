//! Where rules and credentials are written.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::cli::args::values::path;

/// The classic files.
#[derive(Debug, Default, Args)]
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
    /// A key is a registry, or registry/namespace of any depth, and the longest that covers a repository counts; a login
    /// is `username`, `password` and `insecure`, all of them optional. Registries without one get the logins that
    /// docker and podman keep. Repeatable: the entries of all files are merged. `-` is standard input.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, value_parser = path())]
    pub auth: Vec<PathBuf>,
    /// Rules and credentials in one file
    ///
    /// Under `images` and `auth`; excludes --images and --auth. Repeatable: all files are merged. `-` is standard
    /// input.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, value_parser = path())]
    pub config: Vec<PathBuf>,
}

/// Credentials alone.
#[derive(Debug, Args)]
#[command(next_help_heading = "Credentials")]
pub struct Auth {
    /// Credentials: a map from registry to login
    ///
    /// A key is a registry, or registry/namespace of any depth, and the longest that covers a repository counts; a login
    /// is `username`, `password` and `insecure`, all of them optional. Registries without one get the logins that
    /// docker and podman keep. Repeatable: the entries of all files are merged. `-` is standard input.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, value_parser = path())]
    pub auth: Vec<PathBuf>,
}

/// Registries that are reached without a trusted certificate.
#[derive(Debug, Args)]
#[command(next_help_heading = "Credentials")]
pub struct Insecure {
    /// Accept http, and any certificate, of this registry
    ///
    /// https with any certificate is tried first, then http. Repeatable, or comma separated.
    #[arg(long, value_name = "HOST[:PORT]", value_delimiter = ',')]
    pub insecure: Vec<String>,
}

/// What an empty destination stands for.
#[derive(Debug, Args)]
#[command(next_help_heading = "Files")]
pub struct Defaults {
    /// Registry that an empty destination stands for
    ///
    /// The variable `DEFAULT_REGISTRY` says the same; the flag beats it.
    #[arg(long, value_name = "HOST", env = "DEFAULT_REGISTRY", hide_env = true)]
    pub registry: Option<String>,
    /// Namespace that an empty destination stands for
    ///
    /// The repository keeps its last name in it. The variable `DEFAULT_NAMESPACE` says the same; the flag beats it.
    #[arg(
        long,
        value_name = "NAMESPACE",
        env = "DEFAULT_NAMESPACE",
        hide_env = true
    )]
    pub namespace: Option<String>,
}
