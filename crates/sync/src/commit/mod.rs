//! Manifests to a destination: leaves first, the root last.

use registry::Digest;

use crate::compare::Plan;
use crate::failure::Failure;
use crate::store::Store;

/// What a commit led to.
#[derive(Debug)]
pub enum Committed {
    /// The root stands under its name.
    Done,
    /// The destination says that it lacks something that was believed to be there; may be empty, as not all
    /// registries say what.
    Lacking(Vec<Digest>),
}

/// Pushes the manifests of `plan`: children by digest, leaves first, siblings together; then the root.
pub async fn commit(_destination: &dyn Store, _plan: &Plan) -> Result<Committed, Failure> {
    todo!()
}
