//! Flags for requests to registries.

use clap::{Args, ValueEnum};

use crate::cli::args::values::{grace, limit, retries};

/// Default of `--retries`.
const RETRIES: u32 = 5;
/// Default of `--stall-timeout`, in seconds.
const STALL_TIMEOUT: u64 = 60;
/// Default of `--grace`, in seconds.
const GRACE: u64 = 25;

/// Limits of requests to registries.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Requests")]
pub struct Asking {
    /// Maximum number of retries
    ///
    /// For each request that can succeed when it is repeated, with growing pauses.
    #[arg(
        short,
        long,
        value_name = "N",
        default_value_t = RETRIES,
        allow_negative_numbers = true,
        value_parser = retries
    )]
    pub retries: u32,
    /// Maximum requests per second for each registry
    ///
    /// With HOST, the limit of that registry and of the hosts that it redirects to, such as its token server and
    /// storage. Repeatable.
    #[arg(long, value_name = "[HOST[:PORT]=]N")]
    pub max_requests: Vec<String>,
    /// Maximum time without progress
    ///
    /// A request without any byte sent or received, or without a response, within this time is retried. The total time
    /// of a transfer has no limit.
    #[arg(long, value_name = "SECONDS", default_value_t = STALL_TIMEOUT, value_parser = limit)]
    pub stall_timeout: u64,
    /// Time to finish images after a signal
    ///
    /// After the first signal (SIGINT, SIGTERM, SIGQUIT, SIGHUP), images in flight continue for this time; 0 stops
    /// them at once.
    #[arg(long, value_name = "SECONDS", default_value_t = GRACE, value_parser = grace)]
    pub grace: u64,
    /// Use of lists with digests: auto or off
    ///
    /// With `auto`, the digests of tags are read from the APIs of Docker Hub, Harbor, Quay, GitHub and Google, so that
    /// unchanged images need no request of their own. With `off`, tags are listed by the registry protocol alone.
    #[arg(
        long,
        value_name = "auto|off",
        value_enum,
        hide_possible_values = true,
        default_value_t = ListingChoice::Auto
    )]
    pub listing: ListingChoice,
}

/// Use of lists with digests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ListingChoice {
    /// Use lists that registries have.
    #[default]
    Auto,
    /// Not used.
    Off,
}

impl Default for Asking {
    fn default() -> Self {
        Self {
            retries: RETRIES,
            max_requests: Vec::new(),
            stall_timeout: STALL_TIMEOUT,
            grace: GRACE,
            listing: ListingChoice::Auto,
        }
    }
}

/// Hosts that registries may redirect to, and token servers that may receive a login.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Safety")]
pub struct Safety {
    /// Let public registries redirect to this host
    ///
    /// A host of a private network, named by a redirect, an upload location, a next page or a token server.
    /// Repeatable, or comma-separated.
    #[arg(long, value_name = "HOST[:PORT]", value_delimiter = ',')]
    pub allow_private: Vec<String>,
    /// Let this token server receive logins
    ///
    /// The login of a registry that names it, although it is in another domain. Repeatable, or comma-separated.
    #[arg(long, value_name = "HOST[:PORT]", value_delimiter = ',')]
    pub trust_realm: Vec<String>,
}
