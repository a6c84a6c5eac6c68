//! Faults: a selection of requests, with the action for each.
//!
//! ```
//! use testkit::{Action, Cut, Fault, Kind};
//! // The second blob GET breaks off with a reset after exactly 1000 bytes of the body.
//! let fault = Fault::on(Kind::BlobGet).nth(2);
//! let action = Action::CutResponse { after: 1000, how: Cut::Reset };
//! # let _ = (fault, action);
//! ```
//!
//! The first fault (in the order of installation) that fires for a request decides. A fault counts the requests that
//! match even if it does not fire, so `nth(2)` is the second *matching* request.

mod action;
mod gate;
mod plan;

pub use action::{Action, Answer, Cut, RetryAfter};
pub use gate::Gate;
pub(crate) use plan::Plan;
pub use plan::{Fault, Handle, Matches};
