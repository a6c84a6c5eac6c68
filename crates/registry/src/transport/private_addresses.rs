//! Detection of private networks in URLs, and of registries that lead there.
//!
//! A registry names addresses to continue with: redirects, upload locations, next pages, token realms. A registry of
//! the public internet must not name an address in the private network that this program runs in, where its requests
//! reach cloud metadata or admin ports that the registry cannot reach itself. One rule serves all four.
//!
//! This module checks the URL itself, so that it is refused before a request, in a message that names it. The addresses
//! that names resolve to are checked at each connection: see [`network`](super::network).

use std::net::IpAddr;

use url::{Host, Url};

use crate::transport::addresses::is_special;

/// Top-level domains that contain no public host (RFC 6761, RFC 6762, RFC 8375, and ICANN's `internal`).
const INNER_DOMAINS: [&str; 4] = [".localhost", ".local", ".internal", ".home.arpa"];

/// Returns true if `from` leads from the public internet to a host of a private network that is not `allowed` (`host`
/// or `host:port`). With `is_unverified`, no certificate proves who answers, so names are resolved as well.
pub(crate) async fn leads_inside(
    from: &Url,
    target: &Url,
    is_unverified: bool,
    allowed: &[String],
) -> bool {
    if allowed.iter().any(|name| names(name, target)) || same_host(from, target) {
        return false;
    }
    let inside = is_private(target) || (is_unverified && resolves(target).await.any(is_special));
    inside && !is_host_private(from).await
}

/// Returns true if `target` is in a private network and not `allowed`.
pub(super) async fn lies_inside(target: &Url, is_unverified: bool, allowed: &[String]) -> bool {
    if allowed.iter().any(|name| names(name, target)) {
        return false;
    }
    is_private(target) || (is_unverified && resolves(target).await.any(is_special))
}

/// Returns true if `name`, `host` or `host:port` as a user writes it, is the host of `url`.
pub(crate) fn names(name: &str, url: &Url) -> bool {
    let Some(host) = url.host_str() else {
        return false;
    };
    if name.eq_ignore_ascii_case(host) {
        return true;
    }
    url.port_or_known_default()
        .is_some_and(|port| name.eq_ignore_ascii_case(&format!("{host}:{port}")))
}

fn same_host(a: &Url, b: &Url) -> bool {
    a.host() == b.host()
}

/// Returns true if `url` itself names a host of a private network: a private, loopback or link-local address, a name
/// without a domain, or one in a domain that is never public.
pub(super) fn is_private(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => is_special(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => is_special(IpAddr::V6(address)),
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            !name.contains('.') || INNER_DOMAINS.iter().any(|domain| name.ends_with(domain))
        }
        None => false,
    }
}

/// Returns true if the host of `url` is in a private network, by its address or name, or by all addresses that its name
/// resolves to.
async fn is_host_private(url: &Url) -> bool {
    if is_private(url) {
        return true;
    }
    let mut addresses = resolves(url).await.peekable();
    addresses.peek().is_some() && addresses.all(is_special)
}

/// Returns the addresses that the name in `url` resolves to. Empty for an address or an unknown name.
async fn resolves(url: &Url) -> impl Iterator<Item = IpAddr> {
    let port = url.port_or_known_default().unwrap_or(443);
    let found = match url.host() {
        Some(Host::Domain(name)) => tokio::net::lookup_host((name, port)).await.ok(),
        _ => None,
    };
    let addresses: Vec<IpAddr> = found
        .into_iter()
        .flatten()
        .map(|address| address.ip())
        .collect();
    addresses.into_iter()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn private_addresses_are_known_in_all_their_forms() {
        for (address, private) in [
            ("http://127.0.0.1/", true),
            ("http://2130706433/", true),
            ("http://0x7f.1/", true),
            ("http://10.1.2.3/", true),
            ("http://172.16.0.1/", true),
            ("http://172.32.0.1/", false),
            ("http://192.168.1.1/", true),
            ("http://169.254.169.254/", true),
            ("http://100.64.0.1/", true),
            ("http://100.128.0.1/", false),
            ("http://0.0.0.0/", true),
            ("http://0.1.2.3/", true),
            ("http://255.255.255.255/", true),
            ("http://[::1]/", true),
            ("http://[::]/", true),
            ("http://[fe80::1]/", true),
            ("http://[fec0::1]/", true),
            ("http://[fd00::1]/", true),
            ("http://[::ffff:10.0.0.1]/", true),
            ("http://[::ffff:8.8.8.8]/", false),
            ("http://[::10.0.0.1]/", true),
            ("http://[64:ff9b::169.254.169.254]/", true),
            ("http://[64:ff9b::8.8.8.8]/", false),
            ("http://[2002:7f00:1::]/", true),
            ("http://[2001:db8::1]/", true),
            ("http://localhost:5000/", true),
            ("http://LOCALHOST./", true),
            ("http://a.localhost/", true),
            ("http://metadata/", true),
            ("http://metadata.google.internal/", true),
            ("http://printer.local/", true),
            ("http://localhost.example/", false),
            ("http://internal.example/", false),
            ("http://8.8.8.8/", false),
            ("http://a.example/", false),
        ] {
            assert_eq!(is_private(&url(address)), private, "{address}");
        }
    }

    #[tokio::test]
    async fn only_public_registries_are_refused_and_only_without_permission() {
        let allowed = ["10.0.0.1".to_owned(), "Store.Local:8443".to_owned()];
        for (from, target, inside) in [
            ("https://9.9.9.9/", "https://10.0.0.2/", true),
            ("https://9.9.9.9/", "https://10.0.0.1:99/", false),
            ("https://9.9.9.9/", "https://store.local:8443/", false),
            ("https://9.9.9.9/", "https://store.local/", true),
            ("https://9.9.9.9/", "https://8.8.8.8/", false),
            ("https://10.9.9.9/", "https://10.0.0.2/", false),
            ("https://harbor/", "https://10.0.0.2/", false),
            ("https://r.corp.internal/", "https://10.0.0.2/", false),
            ("https://localhost:1/", "https://localhost:2/", false),
        ] {
            for is_unverified in [false, true] {
                let found = leads_inside(&url(from), &url(target), is_unverified, &allowed).await;
                assert_eq!(found, inside, "{from} to {target}");
            }
        }
    }
}
