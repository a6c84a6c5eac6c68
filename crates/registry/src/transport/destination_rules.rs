//! Where a registry may lead, before anything is connected to.

use url::Url;

use crate::cause::Cause;
use crate::reference::Registry;
use crate::transport::context::authority;
use crate::transport::{Endpoint, Transport, private_addresses, redirect, scheme};

/// Where a registry leads, and nobody goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Astray {
    /// What it is about.
    pub(crate) cause: Cause,
    /// A clause that says where, and what can be done.
    pub(crate) why: String,
}

impl Transport {
    /// Whether a registry may lead us from `from` to `target`: not out of TLS, unless it is insecure anyway, and not
    /// from the public into a private network.
    ///
    /// # Errors
    /// Where to, and that nobody goes there: a clause that follows "it redirects" or "it leads".
    pub(crate) async fn may_lead(
        &self,
        endpoint: &Endpoint,
        from: &Url,
        target: &Url,
    ) -> Result<(), Astray> {
        let host = authority(target);
        if redirect::is_downgrade(from, target) && !endpoint.insecure {
            return Err(Astray {
                cause: Cause::Downgrade,
                why: format!("from https to plain http at {host}, which is not followed"),
            });
        }
        let allowed = &self.options.private_hosts;
        let leads_inside = !self.network.is_inside(from)
            && private_addresses::leads_inside(from, target, endpoint.insecure, allowed).await;
        if leads_inside {
            return Err(Astray {
                cause: Cause::PrivateAddress,
                why: format!(
                    "to {host}, an address of a private network, which is not followed: if this is meant, write \
                     --allow-private {host}"
                ),
            });
        }
        Ok(())
    }

    /// Whether `target`, an address that no registry vouches for, lies in a private network that was not allowed.
    pub(crate) async fn lies_inside(&self, endpoint: &Endpoint, target: &Url) -> bool {
        private_addresses::lies_inside(target, endpoint.insecure, &self.options.private_hosts).await
    }

    /// Returns whether a registry is in a private network.
    pub(crate) fn is_inside(&self, registry: &Registry) -> bool {
        scheme::base_url(registry, "https").is_some_and(|url| self.network.is_inside(&url))
    }
}
