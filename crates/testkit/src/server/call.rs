//! A request on its way to an endpoint.

use std::sync::Arc;

use super::connection::Connection;
use super::incoming::RequestBody;
use crate::auth;
use crate::log::{Entry, Request};
use crate::profile::Profile;

/// A request for an endpoint.
pub(crate) struct Call {
    pub(crate) connection: Connection,
    pub(crate) profile: Arc<Profile>,
    pub(crate) entry: Arc<Entry>,
    pub(crate) body: RequestBody,
    pub(crate) caller: auth::Caller,
    /// `http://host:port` as the client addressed the registry.
    pub(crate) base: String,
}

impl Call {
    pub(crate) fn request(&self) -> &Request {
        self.entry.request()
    }

    /// The repository in the path; empty without one.
    pub(crate) fn repository(&self) -> &str {
        self.request().repository.as_deref().unwrap_or_default()
    }

    /// The tag, digest or session in the path; empty without one.
    pub(crate) fn reference(&self) -> &str {
        self.request().reference.as_deref().unwrap_or_default()
    }
}
