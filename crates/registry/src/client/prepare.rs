//! Preparation for requests that are expected soon.

use crate::auth::ScopeSet;
use crate::client::Client;
use crate::reference::Repository;

impl Client {
    /// Requests the token for pushes to `repository`, if a login is configured for it, before it is known which requests
    /// will need it. They then cost the same requests, and wait for none of these. A failure is left to the request that
    /// needs the token.
    pub async fn prepare_push(&self, repository: &Repository) {
        let Ok(context) = self.request_context(repository).await else {
            return;
        };
        let scopes = ScopeSet::push(repository);
        let auth = &self.inner.auth;
        auth.prepare(&context.endpoint, &context.access, &scopes)
            .await;
    }
}
