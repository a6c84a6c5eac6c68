//! A connection, as its requests see it.

use std::sync::Arc;

use super::shared::Shared;
use super::wire::Wire;

/// Role of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Registry,
    Token,
    Storage,
}

/// A connection, for its requests.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) number: u64,
    pub(crate) role: Role,
    pub(crate) secure: bool,
    pub(crate) wire: Arc<Wire>,
    pub(crate) shared: Arc<Shared>,
}
