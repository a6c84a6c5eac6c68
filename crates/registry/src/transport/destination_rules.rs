//! Rules for the addresses that a registry leads to, checked before a connection is made.

use url::Url;

use crate::error::Cause;
use crate::reference::Registry;
use crate::transport::context::authority;
use crate::transport::{Endpoint, Transport, private_addresses, redirect, scheme};

/// An address that a registry leads to and that is not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ForbiddenRedirect {
    /// Cause for the error.
    pub(crate) cause: Cause,
    /// Clause with the address and the remedy.
    pub(crate) why: String,
}

impl Transport {
    /// Checks that a registry may lead from `from` to `target`: not out of TLS, unless it is insecure anyway, and not
    /// from the public internet into a private network.
    ///
    /// # Errors
    /// The refused address, with a clause that follows "it redirects" or "it leads".
    pub(crate) async fn may_lead(
        &self,
        endpoint: &Endpoint,
        from: &Url,
        target: &Url,
    ) -> Result<(), ForbiddenRedirect> {
        let host = authority(target);
        if redirect::is_downgrade(from, target) && !endpoint.exceptions.plain_http {
            return Err(ForbiddenRedirect {
                cause: Cause::Downgrade,
                why: format!("from https to plain http at {host}, which is not followed"),
            });
        }
        let allowed = self.private_hosts(&endpoint.registry);
        let is_unverified = endpoint.exceptions.is_unverified();
        let leads_inside = !self.network.is_inside(from)
            && private_addresses::leads_inside(from, target, is_unverified, &allowed).await;
        if leads_inside {
            return Err(ForbiddenRedirect {
                cause: Cause::PrivateAddress,
                why: format!(
                    "to {host}, an address of a private network, which is not followed: to allow it, add \
                     --allow-private {host}"
                ),
            });
        }
        Ok(())
    }

    /// Returns true if `target`, an address that no registry vouches for, is in a private network that the user did not
    /// allow.
    pub(crate) async fn lies_inside(&self, endpoint: &Endpoint, target: &Url) -> bool {
        let is_unverified = endpoint.exceptions.is_unverified();
        let allowed = self.private_hosts(&endpoint.registry);
        private_addresses::lies_inside(target, is_unverified, &allowed).await
    }

    /// Returns true if the host of `url` is in a private network.
    pub(crate) fn is_url_inside(&self, url: &Url) -> bool {
        self.network.is_inside(url)
    }

    /// Returns true if a registry is in a private network.
    pub(crate) fn is_inside(&self, registry: &Registry) -> bool {
        scheme::base_url(registry, "https").is_some_and(|url| self.network.is_inside(&url))
    }
}
