//! How registries are asked.

use clap::Args;

use crate::cli::args::values::{grace, limit, retries};

/// How registries are asked, whatever for.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Requests")]
pub struct Asking {
    /// Tries after the first, for each request that can succeed when it is made again
    #[arg(
        short,
        long,
        value_name = "N",
        default_value_t = 5,
        allow_negative_numbers = true,
        value_parser = retries
    )]
    pub retries: u32,
    /// At most N requests a second for each registry, or for HOST; what it redirects to counts for it; repeatable
    #[arg(long, value_name = "[HOST[:PORT]=]N")]
    pub max_requests: Vec<String>,
    /// Try again where no byte has come or gone for this long, or no answer has come
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = limit())]
    pub stall_timeout: u64,
    /// After SIGINT or SIGTERM, let images that are under way go on for this long; 0 drops them
    #[arg(long, value_name = "SECONDS", default_value_t = 25, value_parser = grace())]
    pub grace: u64,
}

/// Where registries may lead, and who may see a login.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Safety")]
pub struct Safety {
    /// Let public registries lead to this host of a private network: by redirect, upload location, next page or
    /// token server; repeatable
    #[arg(long, value_name = "HOST[:PORT]", value_delimiter = ',')]
    pub allow_private: Vec<String>,
    /// Let this token server see the login of a registry that names it, although it is in another domain; repeatable
    #[arg(long, value_name = "HOST[:PORT]", value_delimiter = ',')]
    pub trust_realm: Vec<String>,
}
