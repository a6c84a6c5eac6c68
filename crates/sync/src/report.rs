//! The summary, folded from events.
