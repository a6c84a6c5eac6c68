//! The connection of a request.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use axum::http::header::HOST;

/// The connection of a request: an extension of all requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connection {
    /// Address of the client.
    pub(crate) peer: SocketAddr,
    /// Address at which the service listens.
    pub(crate) listen: SocketAddr,
    /// True for TLS.
    pub(crate) is_tls: bool,
}

impl Connection {
    /// Returns true if only clients of this machine reach the address.
    pub(super) fn is_local(&self) -> bool {
        is_loopback(self.listen.ip())
    }

    /// Returns true if the request names this machine, or the address at which the service listens. A page of a
    /// foreign site whose name leads to this machine sends its own name.
    pub(super) fn is_named(&self, headers: &HeaderMap) -> bool {
        let mut hosts = headers.get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else {
            return false;
        };
        host.to_str().is_ok_and(|host| self.is_own_name(host))
    }

    fn is_own_name(&self, host: &str) -> bool {
        let name = without_port(host).to_ascii_lowercase();
        let name = name.trim_start_matches('[').trim_end_matches(']');
        if name == "localhost" || name.ends_with(".localhost") {
            return true;
        }
        let address = name.parse::<IpAddr>();
        address.is_ok_and(|address| is_loopback(address) || address == self.listen.ip())
    }
}

/// Returns the host of a `Host` header.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        // The colons of an address of IPv6 are within brackets.
        Some((name, port)) if !port.ends_with(']') => name,
        _ => host,
    }
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine_are_known() {
        let connection = Connection {
            peer: "127.0.0.1:5".parse().unwrap(),
            listen: "127.0.0.1:8080".parse().unwrap(),
            is_tls: false,
        };
        for (host, is_own) in [
            ("localhost", true),
            ("LOCALHOST:8080", true),
            ("page.localhost:8080", true),
            ("127.0.0.1:8080", true),
            ("127.9.9.9", true),
            ("[::1]:8080", true),
            ("[::1]", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("attacker.example:8080", false),
            ("localhost.attacker.example", false),
            ("127.0.0.1.attacker.example", false),
            ("10.0.0.1:8080", false),
            ("", false),
            (":8080", false),
        ] {
            let headers = HeaderMap::from_iter([(HOST, host.parse().unwrap())]);
            assert_eq!(connection.is_named(&headers), is_own, "{host}");
        }
        assert!(!connection.is_named(&HeaderMap::new()));
    }
}
