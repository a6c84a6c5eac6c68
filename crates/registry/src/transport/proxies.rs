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
use url::{Host, Url};

use crate::reference::Registry;
use crate::transport::context::is_host_of;
use crate::transport::prefix::Prefix;
use crate::transport::proxy_setting::is_proxy;
use crate::transport::{PerRegistry, ProxySetting};

/// Proxies of the environment with the hosts that are reached without one, and those of single registries.
pub(super) struct Proxies {
    matcher: Matcher,
    bypass: Bypass,
    settings: PerRegistry<ProxySetting>,
    /// Proxies of the settings.
    own: Vec<(ProxySetting, Matcher)>,
}

/// Choice of a proxy for a request. Part of its route, so that a pooled connection through one proxy never serves a
/// request that another one is meant for.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ProxyChoice {
    /// Proxy of the environment, if there is one for the host.
    #[default]
    Environment,
    /// No proxy.
    Direct,
    /// Proxy of a registry's setting, by number.
    Own(usize),
}

impl Default for Proxies {
    /// Returns no proxies.
    fn default() -> Self {
        Self {
            matcher: Matcher::builder().build(),
            bypass: Bypass::default(),
            settings: PerRegistry::default(),
            own: Vec::new(),
        }
    }
}

impl Proxies {
    /// Reads the environment of this process, or the settings of the system if the environment names no proxy, and adds
    /// the `settings` of registries.
    pub(super) fn from_env(settings: PerRegistry<ProxySetting>) -> Self {
        Self::from_variables(&|name| std::env::var(name).ok()).with_settings(settings)
    }
    fn with_settings(mut self, settings: PerRegistry<ProxySetting>) -> Self {
        for setting in settings.named.values().chain(&settings.each) {
            let is_known = self.own.iter().any(|(own, _)| own == setting);
            if let Some(matcher) = setting.matcher().filter(|_| !is_known) {
                self.own.push((setting.clone(), matcher));
            }
        }
        self.settings = settings;
        self
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
            ..Self::default()
        }
    }

    /// Returns the choice for a request to `url` that is made for `registry`: the setting of the host that is requested,
    /// or else that of the registry.
    pub(super) fn choose(&self, registry: &Registry, url: &Url) -> ProxyChoice {
        if self.settings.is_empty() {
            return ProxyChoice::Environment;
        }
        let requested = if is_host_of(registry, url) {
            None
        } else {
            let hosts = self.settings.named.iter();
            let hosts = hosts.filter(|(host, _)| is_host_of(host, url));
            hosts.max_by_key(|(host, _)| host.port())
        };
        let requested = requested.map(|(_, setting)| setting);
        let Some(setting) = requested.or(self.settings.for_registry(registry)) else {
            return ProxyChoice::Environment;
        };
        let index = self.own.iter().position(|(own, _)| own == setting);
        index.map_or(ProxyChoice::Direct, ProxyChoice::Own)
    }

    /// Returns the proxy for the host of `uri`.
    pub(super) fn find(&self, choice: ProxyChoice, uri: &Uri) -> Option<Intercept> {
        match choice {
            ProxyChoice::Environment => self.find_in_environment(uri),
            ProxyChoice::Direct => None,
            ProxyChoice::Own(index) => self.own.get(index)?.1.intercept(uri),
        }
    }

    fn find_in_environment(&self, uri: &Uri) -> Option<Intercept> {
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
        let matchers = self.own.iter().map(|(_, matcher)| matcher);
        let (mut headers, mut passwords) = (Vec::new(), Vec::new());
        for matcher in matchers.chain([&self.matcher]) {
            for proxy in uris
                .iter()
                .filter_map(|uri| matcher.intercept(&Uri::from_static(uri)))
            {
                headers.extend(proxy.basic_auth().cloned());
                passwords.extend(proxy.raw_auth().map(|(_, password)| password.to_owned()));
            }
        }
        (headers, passwords)
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
        let found = proxies(variables).find(ProxyChoice::Environment, &uri.parse().unwrap())?;
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
    fn the_setting_of_a_registry_goes_before_the_environment() {
        let registry = |name: &str| Registry::parse(name).unwrap();
        let setting = |text: &str| ProxySetting::parse(text).unwrap();
        let settings = PerRegistry::default()
            .with_registry(registry("docker.io"), setting("http://hub.example:1"))
            .with_registry(registry("r.corp.example:5000"), setting("none"))
            .with_registry(
                registry("s3.example"),
                setting("socks5h://s3-proxy.example:2"),
            )
            .with_registry(
                registry("localhost:5000"),
                setting("http://local.example:3"),
            );
        let variables = [
            ("ALL_PROXY", "http://everywhere.example:9"),
            ("NO_PROXY", "docker.io,registry-1.docker.io"),
        ];
        let proxies = proxies(&variables).with_settings(settings);
        for (name, url, expected) in [
            (
                "docker.io",
                "https://registry-1.docker.io/v2/",
                "hub.example",
            ),
            // Storage and token server of the registry.
            ("docker.io", "https://auth.docker.io/token", "hub.example"),
            ("docker.io", "https://cdn.example/blob", "hub.example"),
            // A host with a setting of its own.
            ("docker.io", "https://s3.example/blob", "s3-proxy.example"),
            (
                "docker.io",
                "https://s3.example:444/blob",
                "s3-proxy.example",
            ),
            (
                "r.corp.example:5000",
                "https://r.corp.example:5000/v2/",
                "direct",
            ),
            ("r.corp.example:5000", "https://cdn.example/blob", "direct"),
            (
                "r.corp.example",
                "https://r.corp.example/v2/",
                "everywhere.example",
            ),
            // The environment never has a proxy for it.
            (
                "localhost:5000",
                "http://localhost:5000/v2/",
                "local.example",
            ),
            ("localhost:5001", "http://localhost:5001/v2/", "direct"),
            ("quay.io", "https://quay.io/v2/", "everywhere.example"),
            ("quay.io", "https://auth.docker.io/token", "direct"),
        ] {
            let choice = proxies.choose(&registry(name), &Url::parse(url).unwrap());
            let found = proxies.find(choice, &url.parse().unwrap());
            let found = found
                .as_ref()
                .map_or("direct", |proxy| proxy.uri().host().unwrap());
            assert_eq!(found, expected, "{name} {url}");
        }
    }

    #[test]
    fn logins_of_proxies_are_redacted() {
        let variables = [
            ("HTTPS_PROXY", "http://ada:hunter22@p.example:3128"),
            ("HTTP_PROXY", "socks5://ada:hunter33@p.example"),
        ];
        let setting = ProxySetting::parse("http://eva:hunter44@own.example:1").unwrap();
        let settings = PerRegistry::default().with_each(setting);
        let (headers, passwords) = proxies(&variables).with_settings(settings).logins();
        let own = "Basic ZXZhOmh1bnRlcjQ0";
        assert_eq!(headers, [own, own, "Basic YWRhOmh1bnRlcjIy"]);
        assert_eq!(passwords, ["hunter33"]);
    }
}
