//! Who we are, to registries and token servers.

mod caller;
mod logins;
mod tokens;
