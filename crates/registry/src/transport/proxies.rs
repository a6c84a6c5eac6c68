//! Choice of a proxy for a host, from the user's settings of single registries or the variables of the environment.
//!
//! A setting of a registry is for all requests that are made for it, also those to its storage and token server, unless
//! those hosts have a setting of their own: what needs a proxy to reach the one needs it for the others. It is used as it
//! is, also for `localhost` and hosts in `NO_PROXY`.
//!
//! The variables have the same meaning as for Go programs (`golang.org/x/net/http/httpproxy`), since scripts set them
//! for those: an empty value counts as unset, the name in upper case has precedence over lower case, and `localhost`
//! and loopback addresses never use a proxy. In addition, `ALL_PROXY` replaces missing ones, as in curl.

use std::net::IpAddr;

use http::Uri;
use http::header::HeaderValue;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use url::Host;

use crate::transport::prefix::Prefix;
use crate::transport::proxy_setting::is_proxy;

/// Proxies, and the hosts that are reached without one.
pub(super) struct Proxies {
    matcher: Matcher,
    bypass: Bypass,
}

impl Proxies {
    /// Reads the environment of this process, or the settings of the system if the environment names no proxy.
    pub(super) fn from_env() -> Self {
        Self::from_variables(&|name| std::env::var(name).ok())
    }

    fn from_variables(variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let read = |name: &str| {
            [name.to_owned(), name.to_ascii_lowercase()]
                .iter()
                .find_map(|name| variable(name).filter(|value| !value.is_empty()))
                .unwrap_or_default()
        };
        let (http, https, all) = (read("HTTP_PROXY"), read("HTTPS_PROXY"), read("ALL_PROXY"));
        let matcher = if [&http, &https, &all].iter().all(|value| value.is_empty()) {
            Matcher::from_system()
        } else {
            for (name, value) in [
                ("HTTP_PROXY", &http),
                ("HTTPS_PROXY", &https),
                ("ALL_PROXY", &all),
            ] {
                if !value.is_empty() && !is_proxy(value) {
                    tracing::warn!(
                        "{name} is ignored: it is no address of a proxy. Write {name}=http://HOST:PORT"
                    );
                }
            }
            Matcher::builder().http(http).https(https).all(all).build()
        };
        Self {
            matcher,
            bypass: Bypass::parse(&read("NO_PROXY")),
        }
    }

    /// Returns the proxy for the host of `uri`.
    pub(super) fn find(&self, uri: &Uri) -> Option<Intercept> {
        let host = uri.host()?;
        let port = match (uri.port_u16(), uri.scheme_str()) {
            (Some(port), _) => port,
            (None, Some("https")) => 443,
            (None, _) => 80,
        };
        if self.bypass.matches(host, port) {
            return None;
        }
        self.matcher.intercept(uri)
    }

    /// Returns the logins of the proxies: header values, and passwords.
    pub(super) fn logins(&self) -> (Vec<HeaderValue>, Vec<String>) {
        let uris = ["http://proxied.invalid/", "https://proxied.invalid/"];
        let proxies = uris.map(|uri| self.matcher.intercept(&Uri::from_static(uri)));
        let proxies = || proxies.iter().flatten();
        let headers = proxies().filter_map(|proxy| proxy.basic_auth().cloned());
        let passwords = proxies().filter_map(|proxy| Some(proxy.raw_auth()?.1.to_owned()));
        (headers.collect(), passwords.collect())
    }
}

/// The hosts in `NO_PROXY`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Bypass {
    all: bool,
    entries: Vec<Entry>,
}

/// One entry of the list. A port of `None` matches every port.
#[derive(Debug, PartialEq, Eq)]
enum Entry {
    /// `10.0.0.0/8`.
    Network(Prefix),
    /// `10.0.0.1`, `[::1]:5000`.
    Address(IpAddr, Option<u16>),
    /// `example.com` and all names below it, or, as `.example.com` and `*.example.com`, only the names below it.
    Domain {
        name: String,
        itself: bool,
        port: Option<u16>,
    },
}

impl Bypass {
    fn parse(list: &str) -> Self {
        let entries = list
            .split(',')
            .map(str::trim)
            .filter(|text| !text.is_empty());
        Self {
            all: entries.clone().any(|text| text == "*"),
            entries: entries.filter_map(Entry::parse).collect(),
        }
    }

    fn matches(&self, host: &str, port: u16) -> bool {
        let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
        let address = host
            .parse()
            .ok()
            .map(|address: IpAddr| address.to_canonical());
        let is_loopback =
            host == "localhost" || address.is_some_and(|address| address.is_loopback());
        let mut entries = self.entries.iter();
        is_loopback || self.all || entries.any(|entry| entry.matches(&host, address, port))
    }
}

impl Entry {
    fn parse(text: &str) -> Option<Self> {
        if let Some(network) = Prefix::parse(text) {
            return Some(Self::Network(network));
        }
        let (host, port) = split_port(text)?;
        if let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
            return Some(Self::Address(address.to_canonical(), port));
        }
        let host = host
            .strip_prefix('*')
            .filter(|rest| rest.starts_with('.'))
            .unwrap_or(host);
        let (name, itself) = match host.strip_prefix('.') {
            Some(name) => (name, false),
            None => (host, true),
        };
        // Requests name a host in ASCII.
        let name =
            Host::parse(name).map_or_else(|_| name.to_ascii_lowercase(), |host| host.to_string());
        (!name.is_empty()).then_some(Self::Domain { name, itself, port })
    }

    fn matches(&self, host: &str, address: Option<IpAddr>, to: u16) -> bool {
        match self {
            Self::Network(network) => address.is_some_and(|address| network.contains(address)),
            Self::Address(own, port) => address == Some(*own) && port.is_none_or(|port| port == to),
            Self::Domain { name, itself, port } => {
                let below = host
                    .strip_suffix(name.as_str())
                    .map(|above| above.ends_with('.'));
                let is_it = *itself && host == name;
                (is_it || below == Some(true)) && port.is_none_or(|port| port == to)
            }
        }
    }
}

/// Splits an entry into host and port. Returns `None` without a host, or without a number behind its colon.
fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    let split = text.rsplit_once(':').filter(|(host, _)| {
        !host.is_empty() && (!host.contains(':') || (host.starts_with('[') && host.ends_with(']')))
    });
    match split {
        Some((host, "")) => Some((host, None)),
        Some((host, port)) => Some((host, Some(port.parse().ok()?))),
        None => (!text.starts_with(':') || text.contains("::")).then_some((text, None)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Proxies {
        Proxies::from_variables(&|name| {
            let mut pairs = variables.iter();
            pairs.find_map(|(own, value)| (*own == name).then(|| (*value).to_owned()))
        })
    }

    /// Returns the host of the proxy for `uri`.
    fn proxy(variables: &[(&str, &str)], uri: &str) -> Option<String> {
        let found = proxies(variables).find(&uri.parse().unwrap())?;
        Some(found.uri().host().unwrap().to_owned())
    }

    #[test]
    fn no_proxy_has_the_meaning_that_go_gives_it() {
        for (list, uri, direct) in [
            ("*", "https://r.example/", true),
            ("*", "https://10.0.0.1/", true),
            ("a.example,*", "http://r.example/", true),
            ("r.example", "https://r.example/", true),
            ("r.example", "https://a.r.example/", true),
            ("r.example", "https://ar.example/", false),
            ("r.example", "https://r.example.org/", false),
            (".r.example", "https://a.r.example/", true),
            (".r.example", "https://r.example/", false),
            ("*.r.example", "https://a.r.example/", true),
            ("*.r.example", "https://r.example/", false),
            (" R.Example ", "https://r.EXAMPLE/", true),
            ("bücher.example", "https://xn--bcher-kva.example/", true),
            ("r.example:5000", "https://r.example:5000/", true),
            ("r.example:5000", "https://r.example/", false),
            ("r.example:443", "https://r.example/", true),
            ("r.example:80", "http://r.example/", true),
            (".r.example:5000", "https://a.r.example:5000/", true),
            (".r.example:5000", "https://a.r.example/", false),
            ("r.example:", "https://r.example:5000/", true),
            ("r.example:port", "https://r.example/", false),
            ("10.0.0.1", "https://10.0.0.1:5000/", true),
            ("10.0.0.1:5000", "https://10.0.0.1:5000/", true),
            ("10.0.0.1:5000", "https://10.0.0.1/", false),
            ("10.0.0.0/8", "https://10.1.2.3/", true),
            ("10.0.0.0/8", "https://11.1.2.3/", false),
            ("10.0.0.0/8", "https://[::ffff:10.1.2.3]/", true),
            ("0.0.0.0/0", "https://r.example/", false),
            ("2001:db8::1", "https://[2001:db8::1]:5000/", true),
            ("[2001:db8::1]", "https://[2001:db8::1]/", true),
            ("[2001:db8::1]:5000", "https://[2001:db8::1]:5000/", true),
            ("[2001:db8::1]:5000", "https://[2001:db8::1]/", false),
            ("2001:db8::/32", "https://[2001:db8::1]/", true),
            (":5000", "https://r.example:5000/", false),
            ("", "https://r.example/", false),
            (",,", "https://r.example/", false),
            // Loopback needs no entry.
            ("", "http://localhost:5000/", true),
            ("", "http://127.0.0.1:5000/", true),
            ("", "http://127.8.8.8/", true),
            ("", "https://[::1]/", true),
            ("", "https://[::ffff:127.0.0.1]/", true),
            ("", "http://a.localhost/", false),
            (".localhost", "http://a.localhost/", true),
        ] {
            for name in ["NO_PROXY", "no_proxy"] {
                let variables = [("ALL_PROXY", "http://proxy.example:3128"), (name, list)];
                let found = proxy(&variables, uri);
                assert_eq!(found.is_none(), direct, "{name}={list} {uri}");
            }
        }
    }

    #[test]
    fn upper_case_goes_first_and_what_is_empty_is_unset() {
        let of = |variables: &[(&str, &str)], scheme: &str| {
            proxy(variables, &format!("{scheme}://r.example/")).unwrap_or_default()
        };
        for (variables, http, https) in [
            (&[("HTTPS_PROXY", "a"), ("https_proxy", "b")][..], "", "a"),
            (&[("HTTPS_PROXY", ""), ("https_proxy", "b")], "", "b"),
            (&[("http_proxy", "http://b:1")], "b", ""),
            (&[("all_proxy", "socks5://c:1")], "c", "c"),
            (&[("ALL_PROXY", "c"), ("http_proxy", "b")], "b", "c"),
            (
                &[("https_proxy", "b"), ("NO_PROXY", ""), ("no_proxy", "*")],
                "",
                "",
            ),
            (
                &[("NO_PROXY", "x"), ("no_proxy", "*"), ("all_proxy", "c")],
                "c",
                "c",
            ),
        ] {
            assert_eq!(of(variables, "http"), http, "{variables:?}");
            assert_eq!(of(variables, "https"), https, "{variables:?}");
        }
    }

    #[test]
    fn logins_of_proxies_are_redacted() {
        let variables = [
            ("HTTPS_PROXY", "http://ada:hunter22@p.example:3128"),
            ("HTTP_PROXY", "socks5://ada:hunter33@p.example"),
        ];
        let (headers, passwords) = proxies(&variables).logins();
        assert_eq!(headers, ["Basic YWRhOmh1bnRlcjIy"]);
        assert_eq!(passwords, ["hunter33"]);
    }
}
