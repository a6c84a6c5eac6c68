//! Redirects, followed by hand (protocol.md section 2.1).

use std::net::IpAddr;

use http::header::{ACCEPT, ACCEPT_ENCODING, LOCATION, RANGE, USER_AGENT};
use http::{HeaderMap, HeaderName, Method, StatusCode};
use url::{Host, Url};

/// More hops than that are a loop.
pub(super) const MAX_HOPS: usize = 10;
/// What a strange host is told. All else (authorization, cookies, headers of a registry's own) stays at home: a
/// signed URL is even refused by S3 when a second credential comes with it.
const TRAVELS: [HeaderName; 4] = [ACCEPT, ACCEPT_ENCODING, RANGE, USER_AGENT];

/// Where an answer sends us, or `None` where it is not a redirect that is followed. An error is a clause for people.
pub(super) fn target(
    method: &Method,
    status: StatusCode,
    headers: &HeaderMap,
    from: &Url,
) -> Result<Option<Url>, String> {
    let followed = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
        && matches!(*method, Method::GET | Method::HEAD);
    let Some(location) = headers.get(LOCATION).filter(|_| followed) else {
        return Ok(None);
    };
    let unreadable = || "it redirects to something that is no URL".to_owned();
    let location = location.to_str().map_err(|_| unreadable())?;
    let target = from.join(location).map_err(|_| unreadable())?;
    if !matches!(target.scheme(), "http" | "https") || target.host().is_none() {
        return Err(unreadable());
    }
    Ok(Some(target))
}

/// Whether a redirect keeps scheme, host and port.
pub(super) fn same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme()
        && a.host() == b.host()
        && a.port_or_known_default() == b.port_or_known_default()
}

/// Leaves only what a strange host may see.
pub(super) fn keep_what_travels(headers: &mut HeaderMap) {
    let kept: HeaderMap = headers
        .iter()
        .filter(|(name, _)| TRAVELS.contains(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    *headers = kept;
}

/// Whether `target` gives up the protection of TLS that `from` had.
pub(super) fn is_downgrade(from: &Url, target: &Url) -> bool {
    from.scheme() == "https" && target.scheme() == "http"
}

/// Whether `url` names, by itself, something in this machine's own network: a private, loopback or link-local
/// address, or `localhost`. Names are not resolved here.
pub(crate) fn is_private(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => is_private_address(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => is_private_address(IpAddr::V6(address)),
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name.eq_ignore_ascii_case("localhost")
                || name.to_ascii_lowercase().ends_with(".localhost")
        }
        None => false,
    }
}

/// Whether `address` is private, shared (RFC 6598), loopback, link-local or nobody's.
pub(super) fn is_private_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_unspecified()
                || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_private_address(IpAddr::V4(v4)),
            None => {
                v6.is_loopback()
                    || v6.is_unspecified()
                    || v6.is_unique_local()
                    || v6.is_unicast_link_local()
            }
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let home = url("https://a.example/v2/");
        for (other, same) in [
            ("https://a.example/other?x=y", true),
            ("https://A.example:443/", true),
            ("http://a.example/", false),
            ("https://a.example:444/", false),
            ("https://b.a.example/", false),
        ] {
            assert_eq!(same_origin(&home, &url(other)), same, "{other}");
        }
    }

    #[test]
    fn private_addresses_are_known_in_all_their_forms() {
        for (address, private) in [
            ("http://127.0.0.1/", true),
            ("http://2130706433/", true),
            ("http://10.1.2.3/", true),
            ("http://172.16.0.1/", true),
            ("http://172.32.0.1/", false),
            ("http://192.168.1.1/", true),
            ("http://169.254.169.254/", true),
            ("http://100.64.0.1/", true),
            ("http://100.128.0.1/", false),
            ("http://0.0.0.0/", true),
            ("http://[::1]/", true),
            ("http://[::]/", true),
            ("http://[fe80::1]/", true),
            ("http://[fd00::1]/", true),
            ("http://[::ffff:10.0.0.1]/", true),
            ("http://[2001:db8::1]/", false),
            ("http://localhost:5000/", true),
            ("http://LOCALHOST./", true),
            ("http://a.localhost/", true),
            ("http://localhost.example/", false),
            ("http://8.8.8.8/", false),
            ("http://a.example/", false),
        ] {
            assert_eq!(is_private(&url(address)), private, "{address}");
        }
    }
}
