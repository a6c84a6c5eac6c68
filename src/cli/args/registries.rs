//! How registries are asked.

use clap::Args;

use crate::cli::args::values::{grace, limit, retries};

/// How registries are asked, whatever for.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Requests")]
pub struct Asking {
    /// Tries after the first
    ///
    /// For each request that can succeed when it is made again, with growing pauses.
    #[arg(
        short,
        long,
        value_name = "N",
        default_value_t = 5,
        allow_negative_numbers = true,
        value_parser = retries
    )]
    pub retries: u32,
    /// At most N requests a second for each registry
    ///
    /// Or for HOST, with what it leads to: redirects, token server, storage. Repeatable.
    #[arg(long, value_name = "[HOST[:PORT]=]N")]
    pub max_requests: Vec<String>,
    /// Try again after this long a stall
    ///
    /// A stall is when no byte has come or gone, or no answer has come. A transfer as a whole may take as long as it
    /// likes.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = limit)]
    pub stall_timeout: u64,
    /// After a signal, let images finish
    ///
    /// After the first signal (SIGINT, SIGTERM, SIGQUIT, SIGHUP), images that are under way go on for this long; 0 drops them.
    #[arg(long, value_name = "SECONDS", default_value_t = 25, value_parser = grace)]
    pub grace: u64,
}

/// Where registries may lead, and who may see a login.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Safety")]
pub struct Safety {
    /// Let public registries lead to this private host
    ///
    /// To a host of a private network, by redirect, upload location, next page or token server. Repeatable, or comma
    /// separated.
    #[arg(long, value_name = "HOST[:PORT]", value_delimiter = ',')]
    pub allow_private: Vec<String>,
    /// Let this token server see logins
    ///
    /// The login of a registry that names it, although it is in another domain. Repeatable, or comma separated.
    #[arg(long, value_name = "HOST[:PORT]", value_delimiter = ',')]
    pub trust_realm: Vec<String>,
}
