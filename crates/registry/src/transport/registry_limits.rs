//! Limits of a registry at one moment, for displays.

use crate::reference::Registry;
use crate::transport::{Lane, Transport};

/// Limits of a registry at one moment. A limit is unknown before the first request that it applies to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegistryLimits {
    /// Maximum number of small requests in flight.
    pub calls: Option<usize>,
    /// Maximum number of downloads in flight.
    pub downloads: Option<usize>,
    /// Maximum number of uploads in flight.
    pub uploads: Option<usize>,
    /// Number of pulls that the registry has left for us: the smallest one of our accounts.
    pub pulls_remaining: Option<u64>,
}

impl Transport {
    /// Returns the limits of `registry` at this moment.
    pub fn registry_limits(&self, registry: &Registry) -> RegistryLimits {
        let size = |lane| self.limits.window_size(registry, lane);
        RegistryLimits {
            calls: size(Lane::Calls),
            downloads: size(Lane::Downloads),
            uploads: size(Lane::Uploads),
            pulls_remaining: self.quotas.remaining(registry),
        }
    }
}
