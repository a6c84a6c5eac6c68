//! Webhooks of Azure Container Registry: one event of distribution a body.

use super::distribution::Event;
use super::push::{self, PayloadError, Push};

/// Returns the push of a body. Its host is the login server.
pub(super) fn parse(body: &[u8]) -> Result<Vec<Push>, PayloadError> {
    let event: Event = push::json(body)?;
    match event.action.as_deref() {
        Some("push") => push::collect(std::iter::once(event.push())),
        Some(other) => Err(PayloadError::other_event(other)),
        None => Err(PayloadError::nothing()),
    }
}
