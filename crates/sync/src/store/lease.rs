//! Lease of a run on its work.

use std::fmt::Debug;

/// Right of a run to write tags. Several processes may carry out the same work after each other, and the one whose lease
/// has ended must not move a tag that its successor has moved.
pub trait Lease: Debug + Send + Sync {
    /// Returns true as long as nobody else can have the work. Compares local times only, since it is called right before
    /// each write of a tag.
    fn is_held(&self) -> bool;
}
