//! Where rules and credentials are written.

use std::path::PathBuf;

use clap::Args;

use crate::cli::args::values::path;

/// The classic files.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Files")]
pub struct Files {
    /// Rules: a map from source to destination or list of destinations (YAML or JSON, by suffix)
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub images: Option<PathBuf>,
    /// Credentials: a map from registry or registry/namespace to {username, password, insecure}
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub auth: Option<PathBuf>,
    /// Both halves in one file, under `auth` and `images`; excludes the other two
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub config: Option<PathBuf>,
}

impl Files {
    /// The paths among them.
    pub(in crate::cli) fn paths(&mut self) -> [&mut Option<PathBuf>; 3] {
        [&mut self.images, &mut self.auth, &mut self.config]
    }
}

/// Credentials alone.
#[derive(Debug, Args)]
#[command(next_help_heading = "Credentials")]
pub struct Auth {
    /// Credentials: a map from registry or registry/namespace to {username, password, insecure}
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub auth: Option<PathBuf>,
}

/// Registries that are reached without a trusted certificate.
#[derive(Debug, Args)]
#[command(next_help_heading = "Credentials")]
pub struct Insecure {
    /// Reach this registry over http, or https with any certificate; repeatable
    #[arg(long, value_name = "HOST[:PORT]", value_delimiter = ',')]
    pub insecure: Vec<String>,
}

/// What an empty destination stands for.
#[derive(Debug, Args)]
#[command(next_help_heading = "Files")]
pub struct Defaults {
    /// Registry that an empty destination ("") stands for
    #[arg(long, value_name = "HOST", env = "DEFAULT_REGISTRY")]
    pub registry: Option<String>,
    /// Namespace in it, in which the repository keeps its last name
    #[arg(long, value_name = "NAMESPACE", env = "DEFAULT_NAMESPACE")]
    pub namespace: Option<String>,
}
