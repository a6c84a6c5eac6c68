//! Windows per host and lane, and pauses.
