//! Long-lived state that runs share.

mod state;

pub(crate) use state::SharedState;
