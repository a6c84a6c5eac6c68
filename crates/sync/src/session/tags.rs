//! Tags of one repository, outside of a run.

use crate::Repository;
use crate::session::Session;
use crate::store::{StoreResult, TagDetail, Tags};

impl Session {
    /// Lists the tags of `repository`, with their digests and times of pushes if its endpoint has a list with them.
    ///
    /// # Errors
    /// If the endpoint cannot be read. Errors of the list itself come with its pages.
    pub async fn tags(&self, repository: &Repository) -> StoreResult<Box<dyn Tags>> {
        let source = self.inner.shared.stores.source(repository).await?;
        Ok(source.tags(TagDetail::Digests))
    }
}
