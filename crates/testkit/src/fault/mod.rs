//! Faults: which requests go wrong, and how.
//!
//! ```
//! use testkit::{Action, Cut, Fault, Kind};
//! // The second blob GET breaks off with a reset after exactly 1000 bytes of the body.
//! let fault = Fault::on(Kind::BlobGet).nth(2);
//! let action = Action::CutResponse { after: 1000, how: Cut::Reset };
//! # let _ = (fault, action);
//! ```
//!
//! The first fault (in the order of arming) that fires for a request decides. A fault counts the requests that it
//! matches whether or not it fires, so that `nth(2)` is the second *matching* request.

mod action;
mod gate;
mod plan;

pub use action::{Action, Answer, Cut, RetryAfter};
pub use gate::Gate;
pub(crate) use plan::Plan;
pub use plan::{Fault, Handle, Matches};
