//! Redirects, followed by this program itself (docs/protocol.md#requests-and-redirects).

use http::header::{ACCEPT, ACCEPT_ENCODING, LOCATION, RANGE, USER_AGENT};
use http::{HeaderMap, HeaderName, Method, StatusCode};
use url::Url;

/// Maximum number of redirects of one call. More are a loop.
pub(super) const MAX_HOPS: usize = 10;
/// Longest address that is followed, in bytes. Signed addresses have up to 4 KiB.
const MAX_LOCATION: usize = 16 * 1024;
/// Longest name of a host in DNS.
const MAX_HOST: usize = 253;
/// Headers that another host receives. All others (authorization, cookies, headers of a registry's own) are dropped: S3
/// even refuses a signed URL with a second credential.
const TRAVELS: [HeaderName; 4] = [ACCEPT, ACCEPT_ENCODING, RANGE, USER_AGENT];

/// Returns the target of a redirect, or `None` for an answer that is not followed. An error is a clause for messages.
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
    let unreadable = || "it redirects to an invalid URL".to_owned();
    let location = location.to_str().map_err(|_| unreadable())?;
    if location.len() > MAX_LOCATION {
        return Err("it redirects to an address that is too long".to_owned());
    }
    let mut target = from.join(location).map_err(|_| unreadable())?;
    if !matches!(target.scheme(), "http" | "https") || !target.host_str().is_some_and(is_host) {
        return Err(unreadable());
    }
    // A user name in the address is invented by the sender; some servers and proxies would take it for a login.
    let _ = target.set_username("");
    let _ = target.set_password(None);
    target.set_fragment(None);
    Ok(Some(target))
}

/// Returns true if a redirect keeps scheme, host and port.
pub(super) fn same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme()
        && a.host() == b.host()
        && a.port_or_known_default() == b.port_or_known_default()
}

fn is_host(host: &str) -> bool {
    !host.is_empty() && host.len() <= MAX_HOST
}

/// Drops the headers that another host must not see.
pub(super) fn strip_private_headers(headers: &mut HeaderMap) {
    let kept: HeaderMap = headers
        .iter()
        .filter(|(name, _)| TRAVELS.contains(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    *headers = kept;
}

/// Returns true if `target` loses the TLS protection of `from`.
pub(super) fn is_downgrade(from: &Url, target: &Url) -> bool {
    from.scheme() == "https" && target.scheme() == "http"
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
    fn addresses_are_followed_up_to_a_maximum_length() {
        let from = url("https://a.example/v2/");
        let follow = |location: &str| {
            let headers = HeaderMap::from_iter([(LOCATION, location.parse().unwrap())]);
            target(&Method::GET, StatusCode::FOUND, &headers, &from)
        };
        let longest = format!("/{}", "x".repeat(MAX_LOCATION - 1));
        assert!(follow(&longest).unwrap().is_some());
        assert_eq!(
            follow(&format!("{longest}x")),
            Err("it redirects to an address that is too long".to_owned())
        );
        let label = "x".repeat(63);
        let longest = [&*label, &*label, &*label, &label[..61]].join(".");
        assert!(follow(&format!("https://{longest}/")).unwrap().is_some());
        assert_eq!(
            follow(&format!("https://{longest}x/")),
            Err("it redirects to an invalid URL".to_owned())
        );
    }
}
