//! Settings of the transport.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::allowed_hosts::AllowedHosts;
use crate::setters::setters;
use crate::transport::{
    Observer, PerRegistry, ProxySetting, Resolver, SharedLimits, Silent, SystemResolver,
    TlsSettings, WindowBounds, certificate_directories,
};

/// Time limits. Nothing limits a whole transfer: progress is watched, not time.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Timeouts {
    /// DNS, TCP and TLS together.
    pub connect: Duration,
    /// Longest silence in either direction. A side that waits for the other is not stalled.
    pub stall: Duration,
    /// Limit for the answer to a closing blob PUT or a manifest PUT, during which a server may hash and copy.
    pub closing: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            stall: Duration::from_secs(60),
            closing: Duration::from_secs(600),
        }
    }
}

setters! { Timeouts {
    /// Sets the limit for DNS, TCP and TLS together.
    with_connect(connect: Duration);
    /// Sets the longest silence in either direction.
    with_stall(stall: Duration);
    /// Sets the limit for the answer to a closing blob PUT or a manifest PUT.
    with_closing(closing: Duration);
}}

/// Settings of the transport, for a whole run.
#[derive(Clone)]
#[non_exhaustive]
pub struct TransportOptions {
    /// Time limits.
    pub timeouts: Timeouts,
    /// Small requests in flight per host. Over HTTP/1.1, where each takes a connection, at most the start value.
    pub calls_per_host: WindowBounds,
    /// Blob bodies in flight per host and direction.
    pub transfers_per_host: WindowBounds,
    /// Requests a second for one registry, including redirects, tokens and storage that it leads to. Greater than zero.
    pub max_requests: PerRegistry<f64>,
    /// Bytes a second in the bodies for one registry, in both directions together, including hosts that it leads to.
    /// Greater than zero.
    pub max_rate: PerRegistry<u64>,
    /// Blob bodies in flight for one registry in each direction, including hosts that it leads to, instead of
    /// [`transfers_per_host`](Self::transfers_per_host). Greater than zero.
    pub max_transfers: PerRegistry<usize>,
    /// Place of [`max_requests`](Self::max_requests) and [`max_rate`](Self::max_rate) of several processes together, and
    /// of their pauses. `None`: the limits are those of this transport alone.
    pub shared_limits: Option<Arc<dyn SharedLimits>>,
    /// TLS settings of registries.
    pub tls: PerRegistry<TlsSettings>,
    /// Proxies for all requests that are made for a registry, also those to hosts that it leads to, unless these have a
    /// setting of their own. Without one, the environment decides.
    pub proxies: PerRegistry<ProxySetting>,
    /// Certificates that are trusted in addition to the system's. Each is the content of a PEM file, with any number of
    /// certificates, or of a DER file.
    pub extra_certificates: Vec<Vec<u8>>,
    /// Directories with a folder of certificates for each registry. The first that has one counts: see
    /// [`certificate_directories`].
    pub certificate_directories: Vec<PathBuf>,
    /// Hosts of a private network, as `host` or `host:port`, that a public registry may lead to by redirect, upload
    /// location, next page or token realm.
    pub private_hosts: AllowedHosts,
    /// Resolver of host names.
    pub resolver: Arc<dyn Resolver>,
    /// The `User-Agent`.
    pub user_agent: String,
    /// Receiver of requests, retries and pauses.
    pub observer: Arc<dyn Observer>,
}

impl Default for TransportOptions {
    fn default() -> Self {
        Self {
            timeouts: Timeouts::default(),
            calls_per_host: WindowBounds {
                start: 64,
                most: 256,
            },
            transfers_per_host: WindowBounds {
                start: 16,
                most: 32,
            },
            max_requests: PerRegistry::default(),
            max_rate: PerRegistry::default(),
            max_transfers: PerRegistry::default(),
            shared_limits: None,
            tls: PerRegistry::default(),
            proxies: PerRegistry::default(),
            extra_certificates: Vec::new(),
            certificate_directories: Vec::new(),
            private_hosts: AllowedHosts::default(),
            resolver: Arc::new(SystemResolver),
            user_agent: concat!("image-syncer/", env!("CARGO_PKG_VERSION")).to_owned(),
            observer: Arc::new(Silent),
        }
    }
}

setters! { TransportOptions {
    /// Sets the time limits.
    with_timeouts(timeouts: Timeouts);
    /// Sets the bounds of small requests in flight per host.
    with_calls_per_host(calls_per_host: WindowBounds);
    /// Sets the bounds of blob bodies in flight per host and direction.
    with_transfers_per_host(transfers_per_host: WindowBounds);
    /// Sets the limits of requests a second.
    with_max_requests(max_requests: PerRegistry<f64>);
    /// Sets the limits of bytes a second.
    with_max_rate(max_rate: PerRegistry<u64>);
    /// Sets the limits on blob bodies in flight for each registry.
    with_max_transfers(max_transfers: PerRegistry<usize>);
    /// Sets the TLS settings of registries.
    with_tls(tls: PerRegistry<TlsSettings>);
    /// Sets the proxies of registries.
    with_proxies(proxies: PerRegistry<ProxySetting>);
    /// Sets the certificates that are trusted in addition to the system's.
    with_extra_certificates(extra_certificates: Vec<Vec<u8>>);
    /// Sets the directories with a folder of certificates for each registry.
    with_certificate_directories(certificate_directories: Vec<PathBuf>);
    /// Sets the resolver of host names.
    with_resolver(resolver: Arc<dyn Resolver>);
    /// Sets the `User-Agent`.
    with_user_agent(user_agent: String);
    /// Sets the receiver of requests, retries and pauses.
    with_observer(observer: Arc<dyn Observer>);
}}

impl TransportOptions {
    /// Sets the hosts of a private network that public registries may lead to.
    #[must_use]
    pub fn with_private_hosts(mut self, hosts: impl Into<AllowedHosts>) -> Self {
        self.private_hosts = hosts.into();
        self
    }
    /// Shares the limits of requests and bytes a second, and all pauses, with other processes.
    #[must_use]
    pub fn with_shared_limits(mut self, limits: Arc<dyn SharedLimits>) -> Self {
        self.shared_limits = Some(limits);
        self
    }
    /// Returns the defaults of `image-syncer`: certificates of registries come from the directories of podman, skopeo
    /// and docker as well. (Proxies and trusted roots always come from the environment: see
    /// [`Transport::new`](crate::transport::Transport::new).)
    pub fn from_env() -> Self {
        Self::default().with_certificate_directories(certificate_directories())
    }
}
