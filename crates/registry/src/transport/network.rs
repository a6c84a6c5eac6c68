//! Addresses that connections may be made to.
//!
//! A registry names hosts to continue with: redirects, upload locations, next pages, token realms. A registry of the
//! public internet must not name a host of the private network that this program runs in. The rule is applied here, to
//! the address of each connection, since a name may resolve to another address each time.
//!
//! Behind a proxy, the proxy resolves names and the rule cannot be applied to them. Then only the URL itself is checked
//! (see [`private_addresses`](super::private_addresses)), and the proxy's own rules decide. A SOCKS proxy that takes
//! addresses (`socks4://`, `socks5://`) gets allowed ones only.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use url::{Host, Url};

use crate::allowed_hosts::AllowedHosts;
use crate::error::Cause;
use crate::lock::lock;
use crate::open_files::retry_when_exhausted;
use crate::reference::Registry;
use crate::transport::addresses::is_special;
use crate::transport::private_addresses::is_private;
use crate::transport::{HttpError, HttpErrorKind, classify};

/// Maximum number of hosts whose class is remembered.
const MAX_HOSTS: usize = 16 * 1024;

/// The addresses that a request may be sent to. Part of the route, so that a pooled connection for one kind of request
/// never serves another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// The registry's own host. It must stay public if its first address was public.
    Own(HostSet),
    /// Any address, since a registry of a private network leads there.
    Anywhere,
    /// Public addresses, and hosts that the user allowed.
    Public(HostSet),
}

/// Hosts that the user allowed for a registry, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HostSet(usize);

/// Resolves names of hosts.
pub trait Resolver: Send + Sync + 'static {
    /// Returns the addresses of `host`, a name.
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
    /// Returns true if `address` is not an address of the public internet.
    fn is_private(&self, address: IpAddr) -> bool {
        is_special(address)
    }
}

/// The resolver of the system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let look = || tokio::net::lookup_host((host, 0));
            let found = retry_when_exhausted(look).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// The network with its rules; shared by all connectors.
pub(super) struct Network {
    resolver: Arc<dyn Resolver>,
    /// Hosts that public registries may lead to: `host`, `host:port`, or an address. First those of all registries, then
    /// those of the registries with more.
    allowed: Vec<Arc<[String]>>,
    sets: HashMap<Registry, HostSet>,
    /// True for hosts whose first address was private.
    reached: Mutex<HashMap<String, bool>>,
}

impl Network {
    pub(super) fn new(resolver: Arc<dyn Resolver>, hosts: &AllowedHosts) -> Self {
        let mut allowed = vec![Arc::clone(hosts.each())];
        let mut sets = HashMap::new();
        for registry in hosts.registries() {
            sets.insert(registry.clone(), HostSet(allowed.len()));
            allowed.push(hosts.for_registry(registry));
        }
        Self {
            resolver,
            allowed,
            sets,
            reached: Mutex::default(),
        }
    }

    /// Returns the set of the hosts that `registry` may lead to.
    pub(super) fn set(&self, registry: &Registry) -> HostSet {
        self.sets.get(registry).copied().unwrap_or(HostSet(0))
    }

    /// Returns the hosts that `registry` may lead to.
    pub(super) fn allowed(&self, registry: &Registry) -> Arc<[String]> {
        let HostSet(index) = self.set(registry);
        self.allowed.get(index).cloned().unwrap_or_default()
    }

    /// Returns the addresses of `host` that `reach` allows.
    pub(super) async fn resolve(
        &self,
        reach: Option<Reach>,
        host: &str,
        port: u16,
    ) -> Result<Vec<IpAddr>, HttpError> {
        let host = host.trim_matches(['[', ']']);
        let found = match host.parse() {
            Ok(address) => vec![address],
            Err(_) => self.resolver.resolve(host).await.map_err(|error| {
                HttpError::new(HttpErrorKind::Resolve, classify::resolution(&error))
            })?,
        };
        let Some(reach) = reach else {
            return Ok(found);
        };
        let allowed = found.iter().copied();
        let allowed: Vec<IpAddr> = allowed
            .filter(|address| self.allows(reach, host, port, *address))
            .collect();
        match found.first() {
            Some(address) if allowed.is_empty() => Err(refusal(reach, host, *address)),
            _ => Ok(allowed),
        }
    }

    /// Remembers the first address of a connection to `host`.
    ///
    /// # Errors
    /// If another connection reached the host at a public address in the meantime, and this address is private.
    pub(super) fn connected(
        &self,
        reach: Reach,
        host: &str,
        port: u16,
        address: IpAddr,
    ) -> Result<(), HttpError> {
        let host = host.trim_matches(['[', ']']);
        let mut reached = self.lock();
        if reached.len() < MAX_HOSTS && !reached.contains_key(host) {
            let is_private = self.resolver.is_private(address);
            reached.insert(host.to_ascii_lowercase(), is_private);
        }
        drop(reached);
        if self.allows(reach, host, port, address) {
            Ok(())
        } else {
            Err(refusal(reach, host, address))
        }
    }

    /// Returns true if the host of `url` is in a private network, by the address of its first connection, or else by
    /// the URL itself.
    pub(super) fn is_inside(&self, url: &Url) -> bool {
        let host = match url.host() {
            Some(Host::Domain(name)) => name.to_ascii_lowercase(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => return false,
        };
        let reached = self.lock().get(&host).copied();
        reached.unwrap_or_else(|| is_private(url))
    }

    fn allows(&self, reach: Reach, host: &str, port: u16, address: IpAddr) -> bool {
        let (is_bound, set) = match reach {
            Reach::Anywhere => return true,
            Reach::Public(set) => (true, set),
            Reach::Own(set) => (self.lock().get(host) == Some(&false), set),
        };
        !is_bound || !self.resolver.is_private(address) || self.is_allowed(set, host, port, address)
    }

    fn is_allowed(&self, set: HostSet, host: &str, port: u16, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let names = |allowed: &String| {
            let (name, of_port) = split(allowed);
            let is_host = name.eq_ignore_ascii_case(host) || name.parse() == Ok(address);
            is_host && of_port.is_none_or(|of_port| of_port == port)
        };
        let HostSet(index) = set;
        let allowed = self.allowed.get(index);
        allowed.is_some_and(|allowed| allowed.iter().any(names))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, bool>> {
        lock(&self.reached)
    }
}

/// Splits a host that the user allowed into name and port.
fn split(allowed: &str) -> (&str, Option<u16>) {
    if allowed.parse::<IpAddr>().is_ok() {
        return (allowed, None);
    }
    let split = allowed.rsplit_once(':');
    let split = split.and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let (host, port) = split.map_or((allowed, None), |(host, port)| (host, Some(port)));
    (host.trim_matches(['[', ']']), port)
}

fn refusal(reach: Reach, host: &str, address: IpAddr) -> HttpError {
    let before = match reach {
        Reach::Own(_) => ", where it was a public one before",
        Reach::Anywhere | Reach::Public(_) => "",
    };
    let message = format!(
        "its name resolves to {address}, an address of a private network{before}, which is not followed: to allow \
         it, add --allow-private {host}"
    );
    HttpError::new(HttpErrorKind::Forbidden, message).because(Cause::PrivateAddress)
}
