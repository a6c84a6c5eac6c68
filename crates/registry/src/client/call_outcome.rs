//! Outcome of one try of a request.

use crate::error::Error;
use crate::transport::Response;

/// Outcome of one try.
#[allow(
    clippy::large_enum_variant,
    reason = "one for each request, taken apart at once"
)]
pub(super) enum CallOutcome {
    /// Any answer except a 401 of the registry itself.
    Answer(Response),
    /// A final 401 of the registry itself, after its token server (if it has one) had granted a token.
    Refused(Error),
}
